/*
 * Answers without the key: a server may send it back anywhere.
 */
#ifndef TC_LUA_CONCEAL_H
#define TC_LUA_CONCEAL_H

#include "lua_compat.h"

/* Takes the key out of all strings of the table at `table` and its fields' names, all the way down,
 * and pushes a table that has, by what they are now, the values that had it. */
void tc_conceal(lua_State *L, int table, const char *key);

#endif
