/*
 * Debug hooks of the user's: see lua_hooks.h. A hook may raise an error wherever Lua calls a
 * function, and so end whatever is running.
 */
#include "lua_hooks.h"

#include "lua_own.h"

/* Kept by tc_own_keep. */
#define DO_NOTHING  "do_nothing"
#define NOTE_ORIGIN "note_origin"
#define INTERRUPTED "interrupted" /* was the last error of a hook? */
#define INTERRUPT   "last_interrupt"
#define HOOKED      "hooked"

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

void tc_hooks_run(lua_State *L)
{
    tc_own_push(L, DO_NOTHING);
    lua_call(L, 0, 0);
}

/* ---- errors of hooks ---- */

/* A hook of ours that removes itself. */
static void notice(lua_State *L, lua_Debug *event)
{
    (void)event;
    lua_sethook(L, NULL, 0, 0);
}

/* Does Lua call hooks now? Not while a hook or a finalizer runs. */
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

/* The message handler: notes whether the error is raised inside a hook, or is the last such error
 * raised again. */
static int note_origin(lua_State *L)
{
    tc_own_push(L, INTERRUPT);
    bool again = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    lua_pushboolean(L, again || !are_called(L));
    tc_own_keep(L, INTERRUPTED);
    return 1;
}

int tc_hooks_pcall(lua_State *L, int arguments, int results, bool *interrupted)
{
    int function = lua_gettop(L) - arguments;
    tc_own_push(L, NOTE_ORIGIN);
    lua_insert(L, function);
    int status = lua_pcall(L, arguments, results, function);
    lua_remove(L, function);
    *interrupted = false;
    if (!status || status == LUA_ERRMEM || status == LUA_ERRERR)
        return status;
    tc_own_push(L, INTERRUPTED);
    /* Inside a hook or a finalizer there are no hooks, but errors like any other. Another status is
     * of a finalizer's error, for which Lua asks no handler. */
    *interrupted = status != LUA_ERRRUN || (lua_toboolean(L, -1) && are_called(L));
    lua_pop(L, 1);
    if (*interrupted) {
        lua_pushvalue(L, -1);
        tc_own_keep(L, INTERRUPT);
    }
    return status;
}

/* ---- a call that is made ---- */

/* The user's hook, while on_call stands in its place. */
struct hooked {
    lua_Hook hook;
    int mask, count;
    bool called; /* it returned, so the call is made */
};

/* Runs the user's hook for one event, the call, in its place. */
static void on_call(lua_State *L, lua_Debug *event)
{
    tc_own_push(L, HOOKED);
    struct hooked *hooked = lua_touserdata(L, -1);
    lua_pop(L, 1);
    lua_sethook(L, hooked->hook, hooked->mask, hooked->count); /* a new coroutine inherits it */
    hooked->hook(L, event); /* may raise, and may set another hook */
    hooked->called = true;
}

int tc_hooks_call(lua_State *L, int arguments, bool *called)
{
    struct hooked hooked = {lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L), false};
    bool interrupted;
    *called = true;
    if (!hooked.hook || !(hooked.mask & LUA_MASKCALL) || !are_called(L))
        return tc_hooks_pcall(L, arguments, 0, &interrupted);
    int outer = lua_gettop(L) - arguments; /* HOOKED of an outer call */
    tc_own_push(L, HOOKED);
    lua_insert(L, outer);
    lua_pushlightuserdata(L, &hooked);
    tc_own_keep(L, HOOKED);
    lua_sethook(L, on_call, hooked.mask, hooked.count);
    int status = tc_hooks_pcall(L, arguments, 0, &interrupted);
    if (lua_gethook(L) == on_call)
        lua_sethook(L, hooked.hook, hooked.mask, hooked.count);
    lua_pushvalue(L, outer);
    tc_own_keep(L, HOOKED);
    lua_remove(L, outer);
    *called = hooked.called;
    return status;
}

/* A field that is there can be set when memory is short. */
static void keep_false(lua_State *L, const char *name)
{
    lua_pushboolean(L, 0);
    tc_own_keep(L, name);
}

void tc_register_hooks(lua_State *L)
{
    tc_own_function(L, DO_NOTHING, do_nothing);
    tc_own_function(L, NOTE_ORIGIN, note_origin);
    keep_false(L, INTERRUPTED);
    keep_false(L, HOOKED);
    tc_push_nothing(L);
    tc_own_keep(L, INTERRUPT);
}
