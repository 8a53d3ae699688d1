/*
 * The API key of a client: a string of its own, a function of the user's, or the environment's. It
 * goes to the engine and is never shown, not in an error about itself either.
 */
#ifndef TC_LUA_KEY_H
#define TC_LUA_KEY_H

#include <stdbool.h>

#include "lua_compat.h"

/* Takes the option api_key of the table at `index`: a string is copied to `*own`, a function is
 * kept in the client's uservalue. False: an error table is on top. */
bool tc_key_read(lua_State *L, int index, int uservalue, char **own);

/* Finds the key for one request; it is valid while it stays on the stack. Calls the user's
 * function, if there is one. False: an error table is on top. */
bool tc_key_find(lua_State *L, int uservalue, const char *own, const char **key);

/* Overwrites and frees the copy, if there is one. */
void tc_key_wipe(char **own);

#endif
