/*
 * The module: what require "thucchien" gives.
 */
#if defined(__linux__)
#define _GNU_SOURCE /* dladdr, RTLD_NODELETE */
#endif

#include "binding.h"
#include "version.h"

#include <string.h>

#if defined(__linux__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

#if defined(_WIN32)
#define TC_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define TC_EXPORT __attribute__((visibility("default")))
#else
#define TC_EXPORT
#endif

#define JSON "thucchien.json"

TC_EXPORT int luaopen_thucchien(lua_State *L);

/* ---- classes ---- */

static void set_functions(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

void tc_register_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                       const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    set_functions(L, metamethods);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    if (methods) {
        lua_newtable(L);
        set_functions(L, methods);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

/* ---- lua-cjson ---- */

void tc_push_json(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, JSON);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

double tc_json_exact(lua_State *L)
{
    tc_push_json(L, "exact");
    double exact = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return exact;
}

/* Calls a setting of the instance on top, where its version has it, and minds no refusal. */
static void set_json(lua_State *L, const char *setting, int value, int is_number)
{
    lua_getfield(L, -1, setting);
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    if (is_number)
        lua_pushinteger(L, value);
    else
        lua_pushboolean(L, value);
    if (lua_pcall(L, 1, 0, 0))
        lua_pop(L, 1);
}

/* How far whole numbers come through: releases of lua-cjson write 14 digits or all. */
static void measure_json(lua_State *L)
{
    static const char all_digits[] = "9007199254740991"; /* 2^53 - 1 */
    lua_getfield(L, -1, "encode");
    lua_pushnumber(L, 9007199254740991.0);
    lua_call(L, 1, 1);
    const char *text = lua_tostring(L, -1);
    double exact = text && !strcmp(text, all_digits) ? 9007199254740991.0 : 1e14;
    lua_pop(L, 1);
    lua_pushnumber(L, exact);
    lua_setfield(L, -2, "exact");
}

/* Calls its upvalue as lua-cjson's safe variant would: an error is nil and its message. */
static int call_safely(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    if (!lua_pcall(L, lua_gettop(L) - 1, 1, 0))
        return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static void make_safe(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, call_safely, 1);
    lua_setfield(L, -2, name);
}

/*
 * Pushes a new instance of Neovim's own lua-cjson, vim.json; false, and nothing pushed, elsewhere.
 * Another must not be loaded there: Neovim exports the names of its own one's functions, so the
 * other's calls would land in them, with structures of another layout.
 */
static bool push_editors_json(lua_State *L)
{
    int top = lua_gettop(L);
    lua_getglobal(L, "vim");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "json");
        if (lua_istable(L, -1)) {
            lua_getfield(L, -1, "new");
            if (lua_isfunction(L, -1) && !lua_pcall(L, 0, 1, 0) && lua_istable(L, -1)) {
                lua_replace(L, top + 1);
                lua_settop(L, top + 1);
                make_safe(L, "encode");
                make_safe(L, "decode");
                return true;
            }
        }
    }
    lua_settop(L, top);
    return false;
}

static void push_cjson(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson.safe");
    if (lua_pcall(L, 1, 1, 0))
        luaL_error(L,
                   "thucchien needs lua-cjson (luarocks install lua-cjson, or your system's "
                   "lua-cjson package): %s",
                   lua_tostring(L, -1));
    lua_getfield(L, -1, "new");
    lua_remove(L, -2);
    lua_call(L, 0, 1);
}

/* An instance of our own: other code's settings do not reach it, nor ours theirs. */
static void open_json(lua_State *L)
{
    if (!push_editors_json(L))
        push_cjson(L);
    set_json(L, "encode_number_precision", 16, 1);
    set_json(L, "encode_invalid_numbers", 0, 0);
    set_json(L, "decode_invalid_numbers", 0, 0);
    set_json(L, "encode_keep_buffer", 0, 0);
    set_json(L, "encode_escape_forward_slash", 0, 0);
    set_json(L, "decode_max_depth", TC_PATH_DEPTH + 1, 1);
    measure_json(L);
    lua_setfield(L, LUA_REGISTRYINDEX, JSON);
}

/* ---- the library ---- */

/*
 * Keeps this library, and libcurl with it, in memory to the process's end. lua_close would unload
 * them, while a resolver thread of libcurl's may still run its code.
 */
static void pin(void)
{
#if (defined(__linux__) || defined(__APPLE__)) && defined(RTLD_NODELETE)
    static const char here = 0;
    Dl_info info;
    if (dladdr(&here, &info) && info.dli_fname)
        (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

int luaopen_thucchien(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", tc_client_lua_new},
        {"generate", tc_client_lua_generate},
        {NULL, NULL},
    };
    char libcurl[256];
    pin();
    open_json(L);
    tc_register_failure(L);
    tc_register_image(L);
    tc_register_body(L);
    tc_register_request(L);
    tc_register_client(L);
    lua_newtable(L);
    set_functions(L, functions);
    lua_pushliteral(L, "thucchien " TC_VERSION);
    lua_setfield(L, -2, "_VERSION");
    tc_client_libcurl_version(libcurl, sizeof(libcurl));
    lua_pushstring(L, libcurl);
    lua_setfield(L, -2, "libcurl");
    return 1;
}
