/*
 * What this copy of the module keeps in a Lua state, and its classes of userdata.
 */
#ifndef TC_LUA_OWN_H
#define TC_LUA_OWN_H

#include <stdbool.h>

#include "lua_compat.h"

/* Makes the table for it, unless it is there. */
void tc_own_open(lua_State *L);

/* Pushes what is kept as `name`, or nil. Allocates nothing if something is. */
void tc_own_push(lua_State *L, const char *name);

/* Pops a value and keeps it as `name`. Allocates nothing if something is kept by that name. */
void tc_own_keep(lua_State *L, const char *name);

/* The same for a C function. */
void tc_own_function(lua_State *L, const char *name, lua_CFunction function);

/* Pushes a value that stands for none, where nil is not enough. */
void tc_push_nothing(lua_State *L);

/* Is that value at `index`? */
bool tc_is_nothing(lua_State *L, int index);

/* Sets the functions in the table on top. */
void tc_set_functions(lua_State *L, const luaL_Reg *functions);

/* Makes the metatable `name` with `metamethods`, and `methods` in its __index. */
void tc_register_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                       const luaL_Reg *methods);

/* Gives the value on top the metatable `name`. */
void tc_set_class(lua_State *L, const char *name);

/* The userdata at `index`; raises, as luaL_checkudata does, unless it has the metatable `name`. */
void *tc_check_class(lua_State *L, int index, const char *name);

#endif
