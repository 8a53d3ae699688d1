/*
 * Responses as Lua sees them: what the answers say, and the pictures in their order.
 */
#ifndef TC_LUA_RESPONSE_H
#define TC_LUA_RESPONSE_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_part;
struct tc_request;
struct tc_request_box;

/* Pushes the response of a request that is over, whose uservalue is at `state`. False: an error
 * table is on top instead. */
bool tc_push_response(lua_State *L, const struct tc_request_box *box, int state);

#endif
