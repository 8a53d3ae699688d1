/*
 * The process and the state that we are loaded into: which Lua it is, what its environment has, and
 * which JSON can be had there.
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

/* Pushes the field `name` of a global table, or, with NULL, the global itself; nil where there is
 * none. No metatable is asked: some raise for what was not declared. */
void tc_push_field_of_global(lua_State *L, const char *global, const char *name);

/* Pushes what require has loaded as `name`, or nil. */
void tc_push_loaded(lua_State *L, const char *name);

/* Tells whoever runs the program, on standard error: for what no function's result can tell. */
void tc_host_warn(const char *message);

/* Finds the JSON that tc_json_convert uses: lua-cjson, where it is there and its calls do not go
 * astray; else our own. */
void tc_host_open_json(lua_State *L);

/* Replaces the value on top by what "encode" or "decode" makes of it. False: by a message that says
 * why it cannot be done. Raises whatever else is raised meanwhile. */
bool tc_json_convert(lua_State *L, const char *name);

/* The largest whole number that is written with all its digits. */
double tc_json_exact(lua_State *L);

#endif
