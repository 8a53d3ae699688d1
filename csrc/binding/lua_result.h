/*
 * The end of a job, and its result: a response or an error.
 */
#ifndef TC_LUA_RESULT_H
#define TC_LUA_RESULT_H

#include "lua_compat.h"

/* Called protected for a request, by these names of tc_own_push, with its userdata; the first one
 * with a subrequest as a light userdata too. What they call may do anything. */
#define TC_NOTE   "note"   /* takes note of a subrequest's end */
#define TC_SETTLE "settle" /* makes the result of a request that is over */
#define TC_FINISH "finish" /* tells `done` of it */

void tc_register_result(lua_State *L);

/*
 * Pushes the response, or nil and the error, of the request at `index`, which is over; or raises
 * what one of the user's functions raised while somebody waited. Returns how much it pushed.
 */
int tc_result_push(lua_State *L, int index);

#endif
