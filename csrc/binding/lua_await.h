/*
 * Coroutines that wait: request:await(), and how those in it are resumed or woken.
 */
#ifndef TC_LUA_AWAIT_H
#define TC_LUA_AWAIT_H

#include "lua_compat.h"

/* Called protected for a request, by this name of tc_own_push, with its userdata: resumes a
 * coroutine that is in await. */
#define TC_RESUME "resume"

/* After the request's methods were registered: it is one more of them. */
void tc_register_await(lua_State *L);

/* How many coroutines are in await? */
int tc_await_count(lua_State *L, int index);

#endif
