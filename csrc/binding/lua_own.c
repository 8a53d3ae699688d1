/*
 * What this copy of the module keeps in a Lua state: its classes, and functions that are made
 * beforehand, so that they are there when memory is short.
 *
 * A state may have several copies, a plugin's and a host's, of different versions. Each finds only
 * its own, as userdata of the same name may have another layout. A copy that is loaded again finds
 * what it had.
 */
#include "lua_own.h"

/* Its address is the key of this copy's table in the registry. */
static const char here = 0;

void tc_own_open(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&here);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (!lua_istable(L, -1)) {
        lua_pushlightuserdata(L, (void *)&here);
        lua_newtable(L);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
    lua_pop(L, 1);
}

void tc_own_push(lua_State *L, const char *name)
{
    lua_pushlightuserdata(L, (void *)&here);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

void tc_own_keep(lua_State *L, const char *name)
{
    lua_pushlightuserdata(L, (void *)&here);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void tc_own_function(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    tc_own_keep(L, name);
}

void tc_push_nothing(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&here);
}

bool tc_is_nothing(lua_State *L, int index)
{
    return lua_touserdata(L, index) == &here;
}

/* ---- classes ---- */

void tc_set_functions(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

/* Pushes the metatable `name`, made now if this copy has none. */
static void push_metatable(lua_State *L, const char *name)
{
    tc_own_push(L, name);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    tc_own_keep(L, name);
}

void tc_register_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                       const luaL_Reg *methods)
{
    push_metatable(L, name);
    tc_set_functions(L, metamethods);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    if (methods) {
        lua_newtable(L);
        tc_set_functions(L, methods);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

void tc_set_class(lua_State *L, const char *name)
{
    tc_own_push(L, name);
    lua_setmetatable(L, -2);
}

void *tc_check_class(lua_State *L, int index, const char *name)
{
    void *userdata = lua_touserdata(L, index);
    if (userdata && lua_getmetatable(L, index)) {
        tc_own_push(L, name);
        bool is_one = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (is_one)
            return userdata;
    }
    luaL_argerror(L, index,
                  lua_pushfstring(L, "%s expected, got %s", name, luaL_typename(L, index)));
    return NULL; /* not reached */
}
