/*
 * What differs between Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT, under names of our own. The names of Lua
 * 5.2 would clash: LuaJIT has some of its functions, but not all.
 */
#ifndef TC_LUA_COMPAT_H
#define TC_LUA_COMPAT_H

/* If another Lua loads the module than it was built for, functions are missing. With weak symbols
 * the module can say so. */
#if defined(TC_MODULE) && defined(__ELF__) && defined(__GNUC__)
#include <luaconf.h>
#undef LUA_API
#define LUA_API extern __attribute__((weak))
#endif

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM >= 504
#define tc_getuservalue(L, index) lua_getiuservalue(L, index, 1)
#define tc_setuservalue(L, index) lua_setiuservalue(L, index, 1)
#elif LUA_VERSION_NUM >= 502
#define tc_getuservalue(L, index) lua_getuservalue(L, index)
#define tc_setuservalue(L, index) lua_setuservalue(L, index)
#else
#define tc_getuservalue(L, index) lua_getfenv(L, index)
#define tc_setuservalue(L, index) lua_setfenv(L, index)
#endif

#if LUA_VERSION_NUM >= 502
#define tc_rawlen(L, index) lua_rawlen(L, index)
#else
#define tc_rawlen(L, index) lua_objlen(L, index)
#endif

#if LUA_VERSION_NUM >= 502
#define tc_pushglobals(L) lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS)
#else
#define tc_pushglobals(L) lua_pushvalue(L, LUA_GLOBALSINDEX)
#endif

/* Resumes a coroutine; `results` gets how many values it left on its stack. */
#if LUA_VERSION_NUM >= 504
#define tc_resume(thread, from, count, results) lua_resume(thread, from, count, results)
#elif LUA_VERSION_NUM >= 502
#define tc_resume(thread, from, count, results) (*(results) = 0, lua_resume(thread, from, count))
#else
#define tc_resume(thread, from, count, results) (*(results) = 0, lua_resume(thread, count))
#endif

/* A stack index that stays right when values are pushed. */
#define tc_absindex(L, index)                                                                      \
    ((index) > 0 || (index) <= LUA_REGISTRYINDEX ? (index) : lua_gettop(L) + (index) + 1)

/* Pushes a whole number: an integer where Lua has those. (Elsewhere lua_Integer may have 32 bits.)
 */
#if LUA_VERSION_NUM >= 503
#define tc_pushwhole(L, number) lua_pushinteger(L, (lua_Integer)(number))
#else
#define tc_pushwhole(L, number) lua_pushnumber(L, (lua_Number)(number))
#endif

/* Makes sure that so many values can be pushed, or raises. (luaL_checkstack would call it an
 * overflow, where mostly memory is short.) */
#define tc_checkstack(L, count)                                                                    \
    ((void)(lua_checkstack(L, count) || luaL_error(L, "not enough memory for Lua's stack")))

#endif
