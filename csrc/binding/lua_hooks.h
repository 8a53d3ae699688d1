/*
 * Calls that a debug hook of the user's may interrupt: Ctrl-C, a debugger, a limit on running time.
 */
#ifndef TC_LUA_HOOKS_H
#define TC_LUA_HOOKS_H

#include <stdbool.h>

#include "lua_compat.h"

void tc_register_hooks(lua_State *L);

/* Gives Lua an occasion to run a hook that was set meanwhile, Ctrl-C's for instance. The hook may
 * raise an error. */
void tc_hooks_run(lua_State *L);

/* lua_pcall. `*interrupted` becomes true if a hook or a finalizer has raised the error, or if a
 * function has raised such an error again. Such an error is meant to end all that runs, not only
 * the function that was called. */
int tc_hooks_pcall(lua_State *L, int arguments, int results, bool *interrupted);

/* The same without results. `*called` becomes false if a hook raised before the function began. */
int tc_hooks_call(lua_State *L, int arguments, bool *called);

#endif
