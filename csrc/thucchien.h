/*
 * For C programs that have the module compiled in, and the one place that has its version:
 *
 *     luaL_requiref(L, "thucchien", luaopen_thucchien, 0);
 */
#ifndef THUCCHIEN_H
#define THUCCHIEN_H

#define TC_VERSION "0.2.0"

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

/* Pushes the module's table, as require "thucchien" does. Returns 1. */
int luaopen_thucchien(struct lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
