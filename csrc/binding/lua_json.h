/*
 * JSON: lua-cjson where it is there and can be used, else our own.
 */
#ifndef TC_LUA_JSON_H
#define TC_LUA_JSON_H

#include <stdbool.h>

#include "lua_compat.h"

/* Chooses which of them tc_json_convert uses. */
void tc_json_open(lua_State *L);

/* Replaces the value on top by what "encode" or "decode" makes of it. If it cannot, it returns
 * false, and a message is there instead. Raises other errors: want of memory, say. */
bool tc_json_convert(lua_State *L, const char *name);

/* The largest whole number that is written with all digits. */
double tc_json_exact(lua_State *L);

/* Makes nil of null and integers (where Lua has those) of whole numbers, at all depths. */
void tc_json_tidy(lua_State *L, int table);

#endif
