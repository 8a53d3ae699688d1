/*
 * Warnings of a response: where it visibly differs from what was asked for.
 */
#ifndef TC_LUA_WARNINGS_H
#define TC_LUA_WARNINGS_H

#include "lua_compat.h"

struct tc_job;

/* Sets `warnings` of the response; its pictures are the list at `data`. */
void tc_set_warnings(lua_State *L, const struct tc_job *job, int uservalue, int response, int data);

#endif
