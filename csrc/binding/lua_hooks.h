/*
 * Calls that a debug hook of the user's may interrupt.
 */
#ifndef TC_LUA_HOOKS_H
#define TC_LUA_HOOKS_H

#include <stdbool.h>

#include "lua_compat.h"

void tc_register_hooks(lua_State *L);

/* Calls a function, any function, so that a hook that was set meanwhile is run: Ctrl-C's, say. */
void tc_hooks_run(lua_State *L);

/* lua_pcall. `*interrupted`: the error is a hook's or a finalizer's, meant for whatever runs, or
 * that error raised on. */
int tc_hooks_pcall(lua_State *L, int arguments, int results, bool *interrupted);

/* The same without results; `*called` is false where a hook has raised before the function began.
 */
int tc_hooks_call(lua_State *L, int arguments, bool *called);

#endif
