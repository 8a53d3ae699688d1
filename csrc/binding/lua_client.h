/*
 * The client userdata: its methods.
 */
#ifndef TC_LUA_CLIENT_H
#define TC_LUA_CLIENT_H

#include <stdbool.h>

#include "lua_compat.h"

void tc_register_client(lua_State *L);
int tc_client_lua_new(lua_State *L);
int tc_client_lua_generate(lua_State *L);

#endif
