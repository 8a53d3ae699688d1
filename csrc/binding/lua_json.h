/*
 * JSON: lua-cjson, where it is there and serves; else our own.
 */
#ifndef TC_LUA_JSON_H
#define TC_LUA_JSON_H

#include <stdbool.h>

#include "lua_compat.h"

/* Finds the JSON that tc_json_convert uses: lua-cjson, where it is there and its calls do not go
 * astray; else our own. */
void tc_json_open(lua_State *L);

/* Replaces the value on top by what "encode" or "decode" makes of it. False: by a message that says
 * why it cannot be done. Raises whatever else is raised meanwhile. */
bool tc_json_convert(lua_State *L, const char *name);

/* The largest whole number that is written with all its digits. */
double tc_json_exact(lua_State *L);

/* JSON null to nil, and whole numbers to integers where Lua has those, all the way down. */
void tc_json_tidy(lua_State *L, int table);

#endif
