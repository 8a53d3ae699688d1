/*
 * Calls that a debug hook of the user's may interrupt: Ctrl-C, a debugger, a limit on running time.
 */
#ifndef TC_LUA_HOOKS_H
#define TC_LUA_HOOKS_H

#include <stdbool.h>

#include "lua_compat.h"

void tc_register_hooks(lua_State *L);

/* Runs a hook that was set meanwhile, Ctrl-C's for instance, by calling a function. It may raise.
 */
void tc_hooks_run(lua_State *L);

/* lua_pcall. `*interrupted` becomes true if the error is a hook's or a finalizer's, or one of those
 * raised again: it is not meant for the function but for all that runs. */
int tc_hooks_pcall(lua_State *L, int arguments, int results, bool *interrupted);

/* The same without results. `*called` becomes false if a hook raised before the function began. */
int tc_hooks_call(lua_State *L, int arguments, bool *called);

#endif
