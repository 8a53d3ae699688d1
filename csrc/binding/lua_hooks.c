/*
 * Debug hooks of the user's: see lua_hooks.h. A hook may raise an error wherever Lua calls a
 * function, and so end whatever is running.
 */
#include "lua_hooks.h"

#include "lua_own.h"

/* Kept by tc_own_keep. */
#define DO_NOTHING  "do_nothing"
#define NOTE_ORIGIN "note_origin"
#define INTERRUPTED "interrupted"    /* has a hook raised the last error? */
#define INTERRUPT   "last_interrupt" /* the last error that a hook raised */
#define HOOKED      "hooked"         /* a light userdata of the innermost struct hooked, or false */

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

/* A hook of our own: it removes itself, which shows that it was called. */
static void notice(lua_State *L, lua_Debug *event)
{
    (void)event;
    lua_sethook(L, NULL, 0, 0);
}

/* Does Lua call hooks now? It does not while a hook or a finalizer runs. */
static bool hooks_are_called(lua_State *L)
{
    lua_Hook hook = lua_gethook(L);
    int mask = lua_gethookmask(L), count = lua_gethookcount(L);
    lua_sethook(L, notice, LUA_MASKCALL, 0);
    tc_hooks_run(L);
    bool called = lua_gethook(L) != notice;
    lua_sethook(L, hook, mask, count);
    return called;
}

/* The message handler: notes whether the error was raised inside a hook, or is the last error of a
 * hook, raised again. */
static int note_origin(lua_State *L)
{
    tc_own_push(L, INTERRUPT);
    bool again = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    lua_pushboolean(L, again || !hooks_are_called(L));
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
    /* If we ourselves run inside a hook or a finalizer, Lua calls no hooks: the error is an
     * ordinary one. A status other than LUA_ERRRUN is a finalizer's error, of which Lua does not
     * tell the message handler. */
    *interrupted = status != LUA_ERRRUN || (lua_toboolean(L, -1) && hooks_are_called(L));
    lua_pop(L, 1);
    if (*interrupted) {
        lua_pushvalue(L, -1);
        tc_own_keep(L, INTERRUPT);
    }
    return status;
}

/* ---- has a call begun? ---- */

/* The user's hook, while on_call replaces it. */
struct hooked {
    lua_Hook hook;
    int mask, count;
    bool called; /* the hook has returned, so the function is called */
};

/* Replaces the user's hook for one event, the call of the function: puts the user's hook back, runs
 * it, and notes that it has not raised an error. */
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
    if (!hooked.hook || !(hooked.mask & LUA_MASKCALL) || !hooks_are_called(L))
        return tc_hooks_pcall(L, arguments, 0, &interrupted);
    int outer = lua_gettop(L) - arguments; /* where the outer call's HOOKED is kept meanwhile */
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

/* Keeps false as `name`: setting a field that is there already needs no memory. */
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
