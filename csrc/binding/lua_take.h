/*
 * Takes what a subrequest has brought and hands it out: pictures to Lua, their bytes to a sink or a
 * file, and how much has come to on_progress.
 */
#ifndef TC_LUA_TAKE_H
#define TC_LUA_TAKE_H

#include "lua_compat.h"

struct tc_subrequest;
struct tc_job;

/* Name of a function for tc_job_call: tc_take_all of the subrequest. */
#define TC_TAKE "take"

void tc_register_take(lua_State *L);

/* Takes all that a subrequest of the request at `index` has brought so far, and calls the user's
 * functions with it. The transfer is paused meanwhile, so that its buffers stay as they are. */
void tc_take_all(lua_State *L, int index, struct tc_subrequest *sub);

/* At the end of a subrequest: keeps the pictures that were not handed out, and what has arrived of
 * the last one. Does not call the user's functions. */
void tc_take_rest(lua_State *L, struct tc_job *job, struct tc_subrequest *sub, int uservalue);

#endif
