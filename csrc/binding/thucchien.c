/*
 * The module: what require "thucchien" gives.
 *
 * All files of the binding keep these rules. No lua_State is stored anywhere. Nothing that may
 * raise runs while a C resource is held by a local variable alone. Functions of the user are called
 * from here only, never from inside libcurl.
 */
#include "../engine/process.h"
#include "../thucchien.h"
#include "lua_await.h"
#include "lua_body.h"
#include "lua_client.h"
#include "lua_drive.h"
#include "lua_driver.h"
#include "lua_failure.h"
#include "lua_hooks.h"
#include "lua_host.h"
#include "lua_image.h"
#include "lua_job.h"
#include "lua_json.h"
#include "lua_own.h"
#include "lua_request.h"
#include "lua_result.h"
#include "lua_take.h"

#if defined(_WIN32)
#define TC_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define TC_EXPORT __attribute__((visibility("default")))
#else
#define TC_EXPORT
#endif

TC_EXPORT int luaopen_thucchien(lua_State *L);

int luaopen_thucchien(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", tc_client_lua_new},
        {"generate", tc_client_lua_generate},
        {NULL, NULL},
    };
    char libcurl[256];
    tc_host_check_lua(L); /* before anything that this Lua may not have */
    tc_host_pin(luaopen_thucchien);
    tc_own_open(L);
    tc_json_open(L);
    tc_register_hooks(L);
    tc_register_failure(L);
    tc_register_image(L);
    tc_register_body(L);
    tc_register_job(L);
    tc_register_take(L);
    tc_register_result(L);
    tc_register_request(L);
    tc_register_await(L);
    tc_register_driver(L);
    tc_register_drive(L);
    tc_register_client(L);
    lua_newtable(L);
    tc_set_functions(L, functions);
    lua_pushliteral(L, "thucchien " TC_VERSION);
    lua_setfield(L, -2, "_VERSION");
    tc_process_libcurl_version(libcurl, sizeof(libcurl));
    lua_pushstring(L, libcurl);
    lua_setfield(L, -2, "libcurl");
    return 1;
}
