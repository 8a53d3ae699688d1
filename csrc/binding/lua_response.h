/*
 * The response of a job that is over, as Lua sees it: the pictures in order, and what the server
 * says.
 */
#ifndef TC_LUA_RESPONSE_H
#define TC_LUA_RESPONSE_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_job;

/* Pushes the response of a job that is over. False: an error table is on top. */
bool tc_push_response(lua_State *L, const struct tc_job *job, int uservalue);

#endif
