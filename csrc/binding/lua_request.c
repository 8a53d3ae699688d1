/*
 * The request userdata: see lua_request.h. (await, in Lua, is in lua_await.c.)
 */
#include "lua_request.h"

#include "../base/clock.h"
#include "../engine/request.h"
#include "lua_drive.h"
#include "lua_driver.h"
#include "lua_failure.h"
#include "lua_job.h"
#include "lua_own.h"
#include "lua_result.h"

#include <math.h>

/* request:wait([seconds]) -> response | nil, err */
static int request_wait(lua_State *L)
{
    struct tc_job *job = tc_job_check(L, 1);
    double seconds = luaL_optnumber(L, 2, HUGE_VAL);
    luaL_argcheck(L, seconds >= 0, 2, "a number of seconds expected"); /* NaN is refused too */
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "client");
    if (job->busy && !tc_job_is_settled(L, 2))
        return tc_job_raise_busy(L);
    if (!tc_job_is_over(job) && tc_drive_wait(L, 3, 1, tc_clock_now() + seconds))
        return lua_error(L);
    if (tc_job_is_over(job))
        return tc_result_push(L, 1);
    lua_pushnil(L);
    tc_push_error(L, TC_TIMEOUT, NULL, "the request goes on: wait again, or cancel it");
    return 2;
}

/* request:cancel() -> did that end it? */
static int request_cancel(lua_State *L)
{
    struct tc_job *job = tc_job_check(L, 1);
    bool ended = tc_job_cancel(job);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "client");
    tc_driver_sync_client(L, 3);
    lua_pushboolean(L, ended);
    return 1;
}

/* The state of the most advanced unfinished subrequest. */
static enum tc_state state_of(const struct tc_job *job)
{
    static const enum tc_state order[] = {TC_RECEIVING, TC_SENDING, TC_RETRYING, TC_QUEUED};
    bool over = tc_job_is_over(job);
    for (size_t i = 0; !over && i < sizeof(order) / sizeof(order[0]); i++)
        for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
            if (sub->request->state == order[i])
                return order[i];
    return over ? TC_DONE : TC_RECEIVING; /* its last response is about to be read */
}

/* request:status() -> "queued" | "sending" | "receiving" | "retrying" | "done" */
static int request_status(lua_State *L)
{
    static const char *const names[] = {
        [TC_QUEUED] = "queued",     [TC_SENDING] = "sending", [TC_RECEIVING] = "receiving",
        [TC_RETRYING] = "retrying", [TC_DONE] = "done",
    };
    lua_pushstring(L, names[state_of(tc_job_check(L, 1))]);
    return 1;
}

/* request:progress() -> received, total | nil, seconds */
static int request_progress(lua_State *L)
{
    const struct tc_job *job = tc_job_check(L, 1);
    double submitted = job->subrequests->request->timing.submitted;
    double end = tc_job_is_over(job) ? 0 : tc_clock_now();
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        end = sub->request->timing.ended > end ? sub->request->timing.ended : end;
    (void)tc_job_push_received(L, job);
    lua_pushnumber(L, end - submitted);
    return 3;
}

/* request:warnings() -> list of warnings that are known before there is a response */
static int request_warnings(lua_State *L)
{
    tc_job_check(L, 1);
    lua_settop(L, 1);
    lua_newtable(L);
    tc_getuservalue(L, 1);
    lua_getfield(L, 3, "warnings");
    int count = lua_istable(L, 4) ? (int)tc_rawlen(L, 4) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 4, i);
        lua_rawseti(L, 2, i);
    }
    lua_settop(L, 2);
    return 1;
}

static int request_tostring(lua_State *L)
{
    lua_pushfstring(L, TC_REQUEST ": %p", tc_check_class(L, 1, TC_REQUEST));
    return 1;
}

void tc_register_request(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__tostring", request_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"wait", request_wait},         {"cancel", request_cancel},     {"status", request_status},
        {"progress", request_progress}, {"warnings", request_warnings}, {NULL, NULL},
    };
    tc_register_class(L, TC_REQUEST, metamethods, methods);
}
