/*
 * The process and the Lua state: see lua_host.h.
 */
#if defined(__linux__)
#define _GNU_SOURCE /* RTLD_DEFAULT, RTLD_NODELETE, dladdr */
#endif

#include "lua_host.h"

#include <stdio.h>
#include <string.h>

#if defined(__linux__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

/* ---- the process ---- */

#if defined(RTLD_DEFAULT)
bool tc_host_exports(const char *symbol)
{
    return dlsym(RTLD_DEFAULT, symbol) != NULL;
}
#else
bool tc_host_exports(const char *symbol)
{
    (void)symbol;
    return false;
}
#endif

void tc_host_pin(lua_CFunction function)
{
#if (defined(__linux__) || defined(__APPLE__)) && defined(RTLD_NODELETE)
    void *address; /* ISO C has no cast for that */
    Dl_info info;
    memcpy(&address, &function, sizeof(address));
    if (dladdr(address, &info) && info.dli_fname)
        (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#else
    (void)function;
#endif
}

void tc_host_warn(const char *message)
{
    fprintf(stderr, "thucchien: %s\n", message);
}

/* ---- which Lua ---- */

#ifdef TC_MODULE

struct lua {
    const char *symbol; /* exported by this Lua, not by those further down in the list */
    int version;
    const char *name;
};

/* Finds out which Lua is running by the symbols that it exports. Calling its functions would not be
 * safe: in another Lua they may work differently. */
static const struct lua *running_lua(void)
{
    static const struct lua luas[] = {
        {"luaJIT_setmode", 501, "LuaJIT"},     {"lua_numbertocstring", 505, "Lua 5.5"},
        {"lua_newuserdatauv", 504, "Lua 5.4"}, {"lua_rotate", 503, "Lua 5.3"},
        {"lua_callk", 502, "Lua 5.2"},         {"lua_objlen", 501, "Lua 5.1"},
    };
    for (size_t i = 0; i < sizeof(luas) / sizeof(luas[0]); i++)
        if (tc_host_exports(luas[i].symbol))
            return &luas[i];
    return NULL;
}

void tc_host_check_lua(lua_State *L)
{
    static const char *const built = LUA_VERSION_NUM == 501   ? "Lua 5.1 or LuaJIT"
                                     : LUA_VERSION_NUM == 502 ? "Lua 5.2"
                                     : LUA_VERSION_NUM == 503 ? "Lua 5.3"
                                     : LUA_VERSION_NUM == 504 ? "Lua 5.4"
                                                              : "Lua 5.5";
    const struct lua *lua = running_lua();
    if (lua && lua->version != LUA_VERSION_NUM)
        luaL_error(L, "thucchien: built for %s, this is %s", built, lua->name);
}

#else

void tc_host_check_lua(lua_State *L)
{
    (void)L; /* we are compiled into a program with the headers of its own Lua */
}

#endif

/* ---- the environment ---- */

void tc_enter_field(lua_State *L, const char *name)
{
    if (lua_istable(L, -1)) {
        lua_pushstring(L, name);
        lua_rawget(L, -2);
    } else {
        lua_pushnil(L);
    }
    lua_remove(L, -2);
}

void tc_push_field_of_global(lua_State *L, const char *global, const char *name)
{
    tc_pushglobals(L);
    tc_enter_field(L, global);
    if (name)
        tc_enter_field(L, name);
}

void tc_push_loaded(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    tc_enter_field(L, name);
}

void tc_push_loader(lua_State *L, const char *name)
{
    tc_push_field_of_global(L, "require", NULL);
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        tc_push_loaded(L, "package");
        tc_enter_field(L, "preload");
        tc_enter_field(L, name);
    }
    lua_pushstring(L, name);
}
