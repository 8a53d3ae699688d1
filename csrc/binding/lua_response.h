/*
 * Responses as Lua sees them: what the answers say, and the pictures in their order.
 */
#ifndef TC_LUA_RESPONSE_H
#define TC_LUA_RESPONSE_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_subrequest;
struct tc_request;
struct tc_job;

/* Pushes the response of a request that is over, whose uservalue is at `uservalue`. False: an error
 * table is on top instead. */
bool tc_push_response(lua_State *L, const struct tc_job *job, int uservalue);

#endif
