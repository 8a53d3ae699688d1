/*
 * The request userdata: its methods.
 */
#ifndef TC_LUA_REQUEST_H
#define TC_LUA_REQUEST_H

#include "lua_compat.h"

void tc_register_request(lua_State *L);

#endif
