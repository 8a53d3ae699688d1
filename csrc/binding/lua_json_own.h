/*
 * JSON of our own, for a process in which lua-cjson is missing or cannot be used. Like its
 * functions, these return the text or the value, or nil and a message.
 */
#ifndef TC_LUA_JSON_OWN_H
#define TC_LUA_JSON_OWN_H

#include "lua_compat.h"

int tc_json_own_encode(lua_State *L);
int tc_json_own_decode(lua_State *L);

#endif
