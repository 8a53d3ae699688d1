/*
 * The process and the Lua state that the module is loaded into.
 */
#ifndef TC_LUA_HOST_H
#define TC_LUA_HOST_H

#include <stdbool.h>

#include "lua_compat.h"

/* Raises if this is another Lua than the module was built for. Calls nothing but luaL_error. */
void tc_host_check_lua(lua_State *L);

/*
 * Keeps the library that has the function, and those that it needs, in memory until the process
 * ends. lua_close would unload them: a resolver thread of libcurl may still run their code then,
 * and finalizers that follow may call it.
 */
void tc_host_pin(lua_CFunction function);

/* Does the process export a symbol of that name? */
bool tc_host_exports(const char *symbol);

/* Pushes the field `name` of the table in a global; if `name` is NULL, the global itself. Pushes
 * nil if there is none. Calls no metamethods: those of a strict _G raise errors. */
void tc_push_field_of_global(lua_State *L, const char *global, const char *name);

/* Pushes what require has loaded as `name`, or nil. */
void tc_push_loaded(lua_State *L, const char *name);

/* Writes to standard error, if there is no caller to return an error to. */
void tc_host_warn(const char *message);

/* Replaces the table on top by its field `name`, without metatables; another value by nil. */
void tc_enter_field(lua_State *L, const char *name);

/* Pushes the function that loads a module, require or what package.preload has, and its argument.
 * The function is nil where there is none. */
void tc_push_loader(lua_State *L, const char *name);

#endif
