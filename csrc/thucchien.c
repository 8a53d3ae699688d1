/*
 * The module: what require "thucchien" gives.
 */
#include "binding.h"
#include "version.h"

#if defined(_WIN32)
#define TC_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define TC_EXPORT __attribute__((visibility("default")))
#else
#define TC_EXPORT
#endif

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

/* ---- the library ---- */

int luaopen_thucchien(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", tc_client_lua_new},
        {"generate", tc_client_lua_generate},
        {NULL, NULL},
    };
    char libcurl[256];
    tc_host_check_lua(L); /* before anything that this Lua may not have */
    tc_host_pin();
    tc_host_open_json(L);
    tc_register_failure(L);
    tc_register_image(L);
    tc_register_save(L);
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
