/*
 * Coroutines that wait: request:await(), and how a coroutine that is in it goes on.
 */
#ifndef TC_LUA_AWAIT_H
#define TC_LUA_AWAIT_H

#include "lua_compat.h"

/* Name of a function for tc_job_call: lets one coroutine that is in await go on. */
#define TC_RESUME "resume"

/* Adds await to the request's methods, which were registered before. */
void tc_register_await(lua_State *L);

/* How many coroutines are in await for the request at `index`. */
int tc_await_count(lua_State *L, int index);

#endif
