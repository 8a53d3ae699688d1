/*
 * The end of a job, in three steps. Each subrequest is finished: its response is read, and pictures
 * at addresses are fetched by more subrequests. When all are, the job is settled: its result is
 * made. Then whoever submitted it is notified.
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
 * Pushes the response, or nil and the error, of the request at `index`, which is over. Returns how
 * many values it pushed. If a function of the user's raised an error while somebody was in wait,
 * this raises that error instead.
 */
int tc_result_push(lua_State *L, int index);

#endif
