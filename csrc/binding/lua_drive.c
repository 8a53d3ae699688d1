/*
 * Driving a client: see lua_drive.h.
 */
#include "lua_drive.h"

#include "../base/clock.h"
#include "../engine/client.h"
#include "../engine/request.h"
#include "../engine/session.h"
#include "lua_await.h"
#include "lua_driver.h"
#include "lua_hooks.h"
#include "lua_job.h"
#include "lua_own.h"
#include "lua_reserve.h"
#include "lua_result.h"
#include "lua_take.h"

#include <math.h>

/* Kept by tc_own_keep. */
#define WAIT     "wait"
#define NO_VALUE "no_value"

/* Seconds that a wait stays in libcurl at most. Then Lua's hooks run, Ctrl-C's for instance. */
static const double SLICE = 0.1;

/* Pops the error on top and keeps it for whoever is in wait for the request, or else for the next
 * poll. An interrupt goes to whatever runs next. */
static void keep_error(lua_State *L, int uservalue, int request, bool interrupted)
{
    const char *name = interrupted ? TC_INTERRUPT : TC_RAISED;
    if (lua_isnil(L, -1)) { /* error(nil); a table cannot keep nil */
        lua_pop(L, 1);
        tc_own_push(L, NO_VALUE);
    }
    if (!tc_job_keep_error(L, request)) {
        lua_getfield(L, uservalue, name);
        bool first = tc_is_nothing(L, -1);
        lua_pop(L, 1);
        if (first) {
            lua_pushvalue(L, -1);
            lua_setfield(L, uservalue, name);
        }
    }
    lua_pop(L, 1);
}

/* Calls tc_job_call and keeps the error, if there is one. Returns false then. */
static bool call(lua_State *L, int uservalue, int request, const char *name,
                 struct tc_subrequest *sub)
{
    bool interrupted;
    if (!tc_job_call(L, request, name, sub, &interrupted))
        return true;
    keep_error(L, uservalue, request, interrupted);
    return false;
}

/* Is the request at `index` settled, and was everybody notified of that? */
static bool is_notified(lua_State *L, int index)
{
    int top = lua_gettop(L);
    tc_getuservalue(L, index);
    lua_getfield(L, top + 1, "done");
    bool notified = tc_job_is_settled(L, top + 1) && !lua_isfunction(L, top + 2);
    bool finalized = !tc_job_of(L, index)->subrequests; /* somebody has called __gc by hand */
    lua_settop(L, top);
    return finalized || (notified && tc_await_count(L, index) == 0);
}

/* Calls `done` of a request that is settled, and resumes the coroutines that are in await. */
static void notify(lua_State *L, int uservalue, int request)
{
    if (!call(L, uservalue, request, TC_NOTIFY, NULL) && !is_notified(L, request))
        return;
    int left = tc_await_count(L, request);
    while (left) {
        int before = left;
        call(L, uservalue, request, TC_RESUME, NULL);
        left = tc_await_count(L, request);
        if (left >= before && left) /* an interrupt prevented it, or another one began to await */
            return;
    }
}

/* Delivers what a subrequest has brought. Returns whether the job is over. */
static bool deliver_subrequest(lua_State *L, int uservalue, int request, struct tc_subrequest *sub,
                               bool ended)
{
    struct tc_job *job = tc_job_of(L, request);
    tc_job_set_busy(job, true);
    call(L, uservalue, request, TC_TAKE, sub);
    if (ended)
        call(L, uservalue, request, TC_FINISH, sub);
    bool over = ended && tc_job_is_over(job);
    bool settled = over && call(L, uservalue, request, TC_SETTLE, NULL);
    tc_job_set_busy(job, false);
    if (settled)
        notify(L, uservalue, request);
    return over;
}

/*
 * Delivers what `pending` has brought. It was just taken from the client; its userdata (or nil) is
 * at `request`. `*any` becomes true if its job is over. Returns false if the job is over but
 * somebody could not be notified of that, because a hook raised an error, or memory or Lua's stack
 * was short. Then the request is pending again, and the next delivery tries again.
 */
static bool deliver_one(lua_State *L, struct tc_client_box *box, int uservalue, int request,
                        struct tc_request *pending, bool *any)
{
    int id = (int)pending->id;
    bool ended = pending->state == TC_DONE, notified = true;
    struct tc_subrequest *sub = NULL;
    if (lua_isuserdata(L, request)) {
        struct tc_job *job = tc_job_of(L, request);
        if (job->busy) { /* one of its own functions has polled the client */
            tc_job_defer(job, pending);
            return true;
        }
        sub = tc_job_subrequest(job, pending);
    }
    tc_request_release(pending); /* the job holds it too */
    if (sub && deliver_subrequest(L, uservalue, request, sub, ended)) {
        *any = true;
        notified = !box->client || is_notified(L, request);
    }
    if (!notified)
        tc_client_put_back(sub->request);
    else if (ended && box->client) { /* without a client, client_gc has forgotten all of them */
        lua_pushnil(L);
        lua_rawseti(L, uservalue, id);
    }
    return notified;
}

/* May this frame deliver what is next? If not, it spends its budget on preparing memory for it. */
static bool has_budget(lua_State *L, struct tc_client_box *box, bool awaited)
{
    if (!box->client->session->budget.bytes)
        return false;
    bool ready = tc_reserve_make(L, &box->reserve, tc_client_next_size(box->client, awaited));
    if (!ready)
        tc_session_spend(box->client->session, TC_BUDGET_BYTES / 2);
    return ready;
}

/* What is delivered; flags. */
enum {
    FRAME = 1,       /* no more than the budget allows */
    AWAITED_ONLY = 2 /* only for requests that functions of the user's wait for */
};

static bool has_pending(lua_State *L, struct tc_client_box *box, unsigned flags)
{
    bool awaited = flags & AWAITED_ONLY;
    return box->client && tc_client_has_pending(box->client, awaited) &&
           (!(flags & FRAME) || has_budget(L, box, awaited));
}

/*
 * Delivers what the client's requests have brought; its uservalue is at `uservalue`. Returns
 * whether a job is over. If a user's function raises an error, that ends its own request only, and
 * is raised again by the wait for that request, or else by the next poll. Nothing here may raise an
 * error between taking a request from the client and delivering it.
 */
static bool deliver(lua_State *L, struct tc_client_box *box, int uservalue, unsigned flags)
{
    bool any = false, notified = true;
    tc_checkstack(L, 30);
    while (notified && has_pending(L, box, flags)) {
        tc_driver_sync_sockets(L, box, uservalue);
        if (!box->client)
            break;
        tc_reserve_give_back(L, &box->reserve);
        struct tc_request *pending = tc_client_take_pending(box->client, flags & AWAITED_ONLY);
        if (!pending)
            break;
        lua_rawgeti(L, uservalue, (int)pending->id);
        notified = deliver_one(L, box, uservalue, lua_gettop(L), pending, &any);
        lua_pop(L, 1);
    }
    return any;
}

/* Raises the error that was kept as `name`, if there is one. */
static void raise_kept(lua_State *L, int uservalue, const char *name)
{
    lua_getfield(L, uservalue, name);
    if (tc_is_nothing(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    tc_push_nothing(L);
    lua_setfield(L, uservalue, name);
    lua_error(L);
}

void tc_drive_check_depth(lua_State *L, const struct tc_client_box *box)
{
    enum { DEEPEST = 20 };
    if (box->call_depth >= DEEPEST)
        luaL_error(L, "functions called from poll, wait or generate call those in turn, %d deep",
                   (int)box->call_depth);
}

/* Moves the transfers on, waiting at most `seconds`. */
static void transfer(struct tc_client_box *box, double seconds, unsigned flags)
{
    if (box->client && flags & AWAITED_ONLY)
        tc_client_poll_awaited(box->client, seconds);
    else if (box->client)
        tc_client_poll(box->client, seconds);
}

/* Waits at most `seconds`, or a slice, and delivers. Returns whether a job is over. */
static bool wait_slice(lua_State *L, struct tc_client_box *box, int uservalue, double seconds,
                       unsigned flags)
{
    transfer(box, seconds < SLICE ? seconds : SLICE, flags);
    tc_driver_sync(L, box, uservalue);
    tc_hooks_run(L); /* which may raise, to end the wait */
    return deliver(L, box, uservalue, flags);
}

/*
 * Begins a call that must not take longer than the budget allows. First it delivers pictures that
 * were whole before. If there was one, its string has used up the budget: nothing more is received
 * in this call.
 */
static void begin_frame(lua_State *L, struct tc_client_box *box, int uservalue, unsigned flags)
{
    if (!box->client)
        return;
    tc_client_renew_budget(box->client);
    deliver(L, box, uservalue, flags | FRAME);
}

/* Polls without waiting. Small responses are received and delivered at once. */
static void poll_frame(lua_State *L, struct tc_client_box *box, int uservalue, unsigned flags)
{
    begin_frame(L, box, uservalue, flags);
    transfer(box, 0, flags);
    deliver(L, box, uservalue, flags | FRAME);
}

/* Drives the client (1) until the request (2) has ended, or until the moment (3). */
static int wait_for(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
    const struct tc_job *job = tc_job_of(L, 2);
    double until = lua_tonumber(L, 3), left = until - tc_clock_now();
    unsigned flags = box->call_depth ? AWAITED_ONLY : 0;
    tc_getuservalue(L, 1);
    if (left <= 0)
        poll_frame(L, box, 4, flags);
    while (!tc_job_is_over(job) && left > 0) {
        wait_slice(L, box, 4, left, flags);
        raise_kept(L, 4, TC_INTERRUPT);
        left = until - tc_clock_now();
    }
    if (left > 0)
        deliver(L, box, 4, flags);
    tc_driver_sync(L, box, 4);
    raise_kept(L, 4, TC_INTERRUPT);
    return 0;
}

int tc_drive_wait(lua_State *L, int client, int request, double until)
{
    client = tc_absindex(L, client);
    request = tc_absindex(L, request);
    const struct tc_client_box *box = tc_check_client(L, client);
    struct tc_job *job = tc_job_of(L, request);
    tc_drive_check_depth(L, box);
    tc_own_push(L, WAIT);
    lua_pushvalue(L, client);
    lua_pushvalue(L, request);
    lua_pushnumber(L, until);
    bool in_wait = tc_job_set_in_wait(L, request, true);
    bool awaited = tc_job_set_awaited(job, job->awaited || box->call_depth);
    bool interrupted;
    int status = tc_hooks_pcall(L, 3, 0, &interrupted);
    tc_job_set_awaited(job, awaited);
    tc_job_set_in_wait(L, request, in_wait);
    return status;
}

/* Waits until a job is over or no request is under way, at most `seconds`. */
static void poll_for(lua_State *L, struct tc_client_box *box, int uservalue, double seconds)
{
    double left = seconds, until = tc_clock_now() + seconds;
    while (!wait_slice(L, box, uservalue, left, 0) && left > 0 && box->client &&
           box->client->active)
        left = until - tc_clock_now();
}

int tc_drive_lua_poll(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
    double seconds = luaL_optnumber(L, 2, 0);
    luaL_argcheck(L, seconds >= 0, 2, "a number of seconds expected"); /* NaN is refused too */
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    tc_drive_check_depth(L, box);
    if (seconds > 0)
        poll_for(L, box, 2, seconds);
    else
        poll_frame(L, box, 2, 0);
    tc_driver_sync(L, box, 2);
    raise_kept(L, 2, TC_INTERRUPT);
    raise_kept(L, 2, TC_RAISED);
    tc_pushwhole(L, box->client ? tc_client_count(box->client) : 0);
    return 1;
}

/* Reads "r", "w" or "rw". */
static int check_events(lua_State *L, int index)
{
    static const char *const names[] = {"", "r", "w", "rw", NULL};
    return luaL_checkoption(L, index, NULL, names);
}

int tc_drive_lua_action(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
    bool timer = lua_isnoneornil(L, 2);
    intptr_t socket = timer ? -1 : (intptr_t)luaL_checkinteger(L, 2);
    int events = timer ? 0 : check_events(L, 3);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    tc_drive_check_depth(L, box);
    if (timer)
        box->deadline = NAN; /* it is past: the driver has to be given the next one */
    if (timer && box->client && !box->client->loop.lent) {
        poll_frame(L, box, 2, 0); /* the driver watches no sockets: look at all of them */
    } else {
        begin_frame(L, box, 2, 0);
        if (box->client)
            tc_client_action(box->client, socket, events);
        deliver(L, box, 2, FRAME);
    }
    tc_driver_sync(L, box, 2);
    raise_kept(L, 2, TC_INTERRUPT);
    raise_kept(L, 2, TC_RAISED);
    tc_pushwhole(L, box->client ? tc_client_count(box->client) : 0);
    return 1;
}

void tc_register_drive(lua_State *L)
{
    tc_own_function(L, WAIT, wait_for);
    lua_pushliteral(L, "nil (the value of an error)");
    tc_own_keep(L, NO_VALUE);
}
