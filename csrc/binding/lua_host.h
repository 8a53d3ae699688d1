/*
 * The process and the state that we are loaded into: which Lua it is, and what its environment
 * has.
 */
#ifndef TC_LUA_HOST_H
#define TC_LUA_HOST_H

#include <stdbool.h>

#include "lua_compat.h"

/* Raises unless this is the Lua that the module was built for. Asks nothing of it but luaL_error.
 */
void tc_host_check_lua(lua_State *L);

/*
 * Keeps this library, and libcurl with it, in memory to the process's end. lua_close would unload
 * them, while a resolver thread of libcurl's may still run its code.
 */
void tc_host_pin(void);

/* Has the process a function or variable of that name that others can link to? */
bool tc_host_exports(const char *symbol);

/* Pushes the field `name` of a global table, or, with NULL, the global itself; nil where there is
 * none. No metatable is asked: some raise for what was not declared. */
void tc_push_field_of_global(lua_State *L, const char *global, const char *name);

/* Pushes what require has loaded as `name`, or nil. */
void tc_push_loaded(lua_State *L, const char *name);

/* Tells whoever runs the program, on standard error: for what no function's result can tell. */
void tc_host_warn(const char *message);

/* Replaces the value on top by its field `name`, looked at raw; by nil where it is no table. */
void tc_enter_field(lua_State *L, const char *name);

/* Pushes the function that would load the module, with its argument: require, or what is in
 * package.preload. Else nil and something. */
void tc_push_loader(lua_State *L, const char *name);

#endif
