/*
 * Takes the API key out of what a server sends back.
 */
#ifndef TC_LUA_CONCEAL_H
#define TC_LUA_CONCEAL_H

#include "lua_compat.h"

/* Takes the key out of all strings and field names of the table at `table`, at all depths. Pushes a
 * table in which each changed string leads to the original one. */
void tc_conceal(lua_State *L, int table, const char *key);

#endif
