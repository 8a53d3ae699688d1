/*
 * request:await(): see lua_await.h. A waiter is a coroutine in await, or the function with which a
 * scheduler wakes such a coroutine. The uservalue of a job has a list of waiters.
 */
#include "lua_await.h"

#include "../base/clock.h"
#include "lua_driver.h"
#include "lua_hooks.h"
#include "lua_host.h"
#include "lua_job.h"
#include "lua_own.h"
#include "lua_result.h"

#include <limits.h>
#include <string.h>

#define AWAIT "=thucchien.await" /* the name of await's code, whichever copy has loaded it */

/* Is the waiter at `index` in the list at `list` already? */
static bool is_attached(lua_State *L, int list, int index)
{
    int count = (int)tc_rawlen(L, list);
    bool found = false;
    for (int i = 1; i <= count && !found; i++) {
        lua_rawgeti(L, list, i);
        found = lua_rawequal(L, -1, index);
        lua_pop(L, 1);
    }
    return found;
}

/* Pushes the list of waiters, a new one if there is none. */
static void push_waiters(lua_State *L, int uservalue)
{
    lua_getfield(L, uservalue, "waiters");
    if (lua_istable(L, -1))
        return;
    lua_newtable(L); /* this may run a finalizer, which may make the list: look again */
    lua_getfield(L, uservalue, "waiters");
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, uservalue, "waiters");
}

/* Is there a result, or can it be made now? Not while something is being delivered. */
static bool has_ended(lua_State *L, const struct tc_job *job, int uservalue)
{
    return tc_job_is_settled(L, uservalue) || (tc_job_is_over(job) && !job->busy);
}

/* Warns once per client that the coroutine keeps a core busy. */
static void warn_of_haste(lua_State *L, int uservalue)
{
    lua_getfield(L, uservalue, "client");
    tc_getuservalue(L, -1);
    lua_getfield(L, -1, "warned_of_haste");
    bool warned = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (!warned) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "warned_of_haste");
        tc_host_warn(
            "request:await() is resumed again and again before its response is there, which "
            "keeps a core busy: whoever runs this coroutine resumes what has yielded at "
            "once. A driver's waiter is the way out: see client:set_driver");
    }
    lua_pop(L, 2);
}

/* Counts that a coroutine in await was resumed too early; it then goes on waiting. A scheduler that
 * at once resumes whatever has yielded makes that a busy loop, of which nobody else can warn. */
static void count_early(lua_State *L, struct tc_job *job, int uservalue)
{
    enum { MANY = 1000 };
    const double haste = 0.1; /* seconds for so many: a loop that waits for something is slower */
    if (job->early.count++ % MANY)
        return;
    double now = tc_clock_now();
    if (job->early.count > 1 && now - job->early.since < haste)
        warn_of_haste(L, uservalue);
    job->early.since = now;
}

/* attach(request, waiter) -> has the request ended? If not, the waiter is resumed, or called, when
 * it ends. */
static int request_attach(lua_State *L)
{
    struct tc_job *job = tc_job_check(L, 1);
    lua_settop(L, 2);
    tc_getuservalue(L, 1);
    push_waiters(L, 3);
    int list = lua_gettop(L); /* nothing below runs a finalizer, which could end the request */
    bool ended = has_ended(L, job, 3);
    if (!ended && is_attached(L, list, 2)) { /* it was resumed by somebody else */
        count_early(L, job, 3);
    } else if (!ended) {
        lua_pushvalue(L, 2);
        lua_rawseti(L, list, (int)tc_rawlen(L, list) + 1);
    }
    lua_pushboolean(L, ended);
    return 1;
}

/* Is await among the `frames` innermost functions of the coroutine? */
static bool has_await(lua_State *thread, int frames)
{
    lua_Debug frame;
    for (int level = 0; level < frames && lua_getstack(thread, level, &frame); level++) {
        lua_getinfo(thread, "S", &frame);
        if (!strcmp(frame.source, AWAIT))
            return true;
    }
    return false;
}

/* Is the coroutine suspended by await? It may be suspended by a yield of its own: where await
 * cannot yield, inside table.sort say, it raises, and the coroutine may go on. */
static bool is_in_await(lua_State *thread)
{
    enum {
        FRAMES = 4
    }; /* await's, below those of yield, which may be a scheduler's own function */
    return lua_status(thread) == LUA_YIELD && has_await(thread, FRAMES);
}

/* Is the coroutine about to be suspended by await? Then it is still running: a hook has interrupted
 * it inside await, and has called us. */
static bool is_entering_await(lua_State *thread)
{
    return lua_status(thread) == 0 && has_await(thread, INT_MAX);
}

int tc_await_count(lua_State *L, int index)
{
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "waiters");
    int count = lua_istable(L, -1) ? (int)tc_rawlen(L, -1) : 0;
    lua_pop(L, 2);
    return count;
}

/* Removes the first value of the list at `list` and pushes it. */
static void take_first(lua_State *L, int list)
{
    int count = (int)tc_rawlen(L, list);
    lua_rawgeti(L, list, 1);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i + 1);
        lua_rawseti(L, list, i);
    }
}

/* Puts the value at `index` before the first one of the list. */
static void put_first(lua_State *L, int list, int index)
{
    for (int i = (int)tc_rawlen(L, list); i >= 1; i--) {
        lua_rawgeti(L, list, i);
        lua_rawseti(L, list, i + 1);
    }
    lua_pushvalue(L, index);
    lua_rawseti(L, list, 1);
}

/* What became of a waiter that was to go on. */
enum outcome {
    WENT_ON,
    NOT_YET, /* it could not; try again the next time */
    FAILED   /* the same, and an error is on top */
};

/* Resumes a coroutine; raises its error, if it ends with one. */
static enum outcome resume(lua_State *L, lua_State *thread)
{
    int results;
    if (!is_in_await(thread)) /* it is not suspended yet, or somebody else has resumed it */
        return is_entering_await(thread) ? NOT_YET : WENT_ON;
    int status = tc_resume(thread, L, 0, &results);
    if (status == LUA_YIELD || status == 0) {
        lua_settop(thread, status == 0 ? 0 : lua_gettop(thread) - results);
        return WENT_ON;
    }
    lua_xmove(thread, L, 1);
    if (lua_status(thread) == LUA_YIELD) /* it did not begin: Lua's stack is full */
        return FAILED;
    lua_error(L);   /* the coroutine's own */
    return WENT_ON; /* not reached */
}

/* Calls the function at `index`, with which a scheduler wakes its coroutine. */
static enum outcome wake(lua_State *L, int index)
{
    bool called;
    lua_pushvalue(L, index);
    int status = tc_hooks_call(L, 0, &called);
    if (status && called)
        lua_error(L);
    return called ? WENT_ON : FAILED;
}

/* TC_RESUME, for the request (1): resumes or wakes the first waiter. It stays in the list if that
 * could not begin. */
static int resume_first(lua_State *L)
{
    tc_checkstack(L, 20);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "waiters");
    tc_hooks_run(L);
    take_first(L, 3);
    lua_State *thread = lua_tothread(L, 4);
    enum outcome outcome = thread ? resume(L, thread) : wake(L, 4);
    if (outcome != WENT_ON)
        put_first(L, 3, 4);
    return outcome == FAILED ? lua_error(L) : 0;
}

/* waiter(request) -> suspend, wake: the functions that the client's driver has for the running
 * coroutine, or nothing for one that yields and is resumed. */
static int request_waiter(lua_State *L)
{
    tc_job_check(L, 1);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "client");
    if (!tc_driver_push_function(L, 3, "waiter"))
        return 0;
    lua_call(L, 0, 2);
    if (!lua_isnil(L, -2) && !(lua_isfunction(L, -2) && lua_isfunction(L, -1)))
        return luaL_error(L, "two functions expected from a driver's 'waiter', or nil");
    return 2;
}

static int request_result(lua_State *L)
{
    tc_job_check(L, 1);
    lua_settop(L, 1);
    return tc_result_push(L, 1);
}

/*
 * request:await() is in Lua, as not in every Lua a C function can yield and go on. A coroutine that
 * is resumed too early is suspended again.
 */
static const char await_code[] = "local running, yield, waiter, attach, result, wait = ...\n"
                                 "return function(request)\n"
                                 "    local thread, is_main = running()\n"
                                 "    if not thread or is_main then return wait(request) end\n"
                                 "    local suspend, wake = waiter(request)\n"
                                 "    if not suspend then suspend, wake = yield, thread end\n"
                                 "    while not attach(request, wake) do suspend() end\n"
                                 "    return result(request)\n"
                                 "end";

void tc_register_await(lua_State *L)
{
    tc_own_push(L, TC_REQUEST);
    lua_getfield(L, -1, "__index");
    int methods = lua_gettop(L);
    tc_push_field_of_global(L, "coroutine", NULL); /* some schedulers replace it by their own */
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        tc_push_loaded(L, "coroutine");
    }
    if (!lua_istable(L, -1) || luaL_loadbuffer(L, await_code, sizeof(await_code) - 1, AWAIT))
        luaL_error(L, "thucchien needs Lua's coroutine library");
    lua_getfield(L, -2, "running");
    lua_getfield(L, -3, "yield");
    lua_pushcfunction(L, request_waiter);
    lua_pushcfunction(L, request_attach);
    lua_pushcfunction(L, request_result);
    lua_getfield(L, methods, "wait");
    lua_call(L, 6, 1);
    lua_setfield(L, methods, "await");
    lua_pop(L, 3);
    tc_own_function(L, TC_RESUME, resume_first);
}
