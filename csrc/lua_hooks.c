/*
 * Debug hooks of the user's: what Ctrl-C, a debugger, or a limit on running time is made of. One
 * may raise an error, and so end whatever is running, wherever Lua calls a function.
 */
#include "binding.h"

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

void tc_hooks_run(lua_State *L)
{
    tc_own_push(L, "do_nothing");
    lua_call(L, 0, 0);
}

/* ---- errors of hooks ---- */

/* A hook of ours that takes itself away. */
static void notice(lua_State *L, lua_Debug *event)
{
    (void)event;
    lua_sethook(L, NULL, 0, 0);
}

/* Does Lua call hooks now? It does not while one runs, nor a finalizer. */
static bool are_called(lua_State *L)
{
    lua_Hook hook = lua_gethook(L);
    int mask = lua_gethookmask(L), count = lua_gethookcount(L);
    lua_sethook(L, notice, LUA_MASKCALL, 0);
    tc_hooks_run(L);
    bool called = lua_gethook(L) != notice;
    lua_sethook(L, hook, mask, count);
    return called;
}

/* Takes note, where an error was raised, whether that was in a hook. */
static int note_origin(lua_State *L)
{
    lua_pushboolean(L, !are_called(L));
    tc_own_keep(L, "interrupted");
    return 1;
}

int tc_hooks_pcall(lua_State *L, int arguments, int results)
{
    int function = lua_gettop(L) - arguments;
    tc_own_push(L, "note_origin");
    lua_insert(L, function);
    int status = lua_pcall(L, arguments, results, function);
    lua_remove(L, function);
    if (!status)
        return 0;
    tc_own_push(L, "interrupted");
    /* Inside a hook or a finalizer there are no hooks, but errors like any other. */
    bool interrupted = status != LUA_ERRRUN || (lua_toboolean(L, -1) && are_called(L));
    lua_pop(L, 1);
    return interrupted ? lua_error(L) : status;
}

void tc_register_hooks(lua_State *L)
{
    tc_own_function(L, "do_nothing", do_nothing);
    tc_own_function(L, "note_origin", note_origin);
    lua_pushboolean(L, 0);
    tc_own_keep(L, "interrupted");
}
