/*
 * The end of a job: each subrequest is finished, which may fetch pictures; the job is settled, when
 * its result is made; whoever submitted it is notified.
 */
#ifndef TC_LUA_RESULT_H
#define TC_LUA_RESULT_H

#include "lua_compat.h"

/* Names of functions for tc_job_call. They call functions of the user's, which may do anything. */
#define TC_FINISH "finish" /* processes the end of a subrequest */
#define TC_SETTLE "settle" /* makes the result of a job that is over */
#define TC_NOTIFY "notify" /* calls `done` with it */

void tc_register_result(lua_State *L);

/*
 * Pushes the response, or nil and the error, of the request at `index`, which is over. Raises
 * instead what one of the user's functions raised while somebody was in wait. Returns how many
 * values it pushed.
 */
int tc_result_push(lua_State *L, int index);

#endif
