/*
 * Drives a client: waits for its requests, and hands out what they have brought.
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
#include "lua_result.h"
#include "lua_room.h"
#include "lua_take.h"

#include <math.h>

/* Kept by tc_own_keep. */
#define WAIT     "wait"
#define NO_VALUE "no_value"

/* How long a wait may stay in libcurl before Lua's hooks get a chance: Ctrl-C is one of them. */
static const double SLICE = 0.1;

/* Keeps the error on top, and pops it: for who waits for the request, or else for the next poll. An
 * interrupt is for whoever is running. */
static void keep_error(lua_State *L, int uservalue, int request, bool interrupted)
{
    const char *name = interrupted ? TC_INTERRUPT : TC_RAISED;
    if (lua_isnil(L, -1)) { /* which no table can keep */
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

/* As tc_job_call, but the error is kept. False: there was one. */
static bool call_for(lua_State *L, int uservalue, int request, const char *name,
                     struct tc_subrequest *sub)
{
    bool interrupted;
    if (!tc_job_call(L, request, name, sub, &interrupted))
        return true;
    keep_error(L, uservalue, request, interrupted);
    return false;
}

/* Is it settled, and is there nobody left to be told? */
static bool is_told(lua_State *L, int index)
{
    int top = lua_gettop(L);
    tc_getuservalue(L, index);
    lua_getfield(L, top + 1, "done");
    bool told = tc_job_is_settled(L, top + 1) && !lua_isfunction(L, top + 2);
    lua_settop(L, top);
    return told && tc_await_count(L, index) == 0;
}

/* Tells everybody who waits of the end of a request. */
static void tell_end(lua_State *L, int uservalue, int request)
{
    if (!call_for(L, uservalue, request, TC_FINISH, NULL) && !is_told(L, request))
        return;
    int left = tc_await_count(L, request);
    while (left) {
        int before = left;
        call_for(L, uservalue, request, TC_RESUME, NULL);
        left = tc_await_count(L, request);
        if (left >= before && left) /* an interrupt came between, or a new one waits */
            return;
    }
}

/* Hands out what a subrequest of the request has brought. Returns whether the job is over. */
static bool hand_out(lua_State *L, int uservalue, int request, struct tc_subrequest *sub,
                     bool ended)
{
    struct tc_job *job = tc_job_of(L, request);
    tc_job_set_busy(job, true);
    call_for(L, uservalue, request, TC_GIVE, sub);
    if (ended)
        call_for(L, uservalue, request, TC_NOTE, sub);
    bool over = ended && tc_job_is_over(job);
    bool settled = over && call_for(L, uservalue, request, TC_SETTLE, NULL);
    tc_job_set_busy(job, false);
    if (settled)
        tell_end(L, uservalue, request);
    return over;
}

/*
 * Hands out news that were just taken, of the request at `request`, and says whether one is over.
 * False: somebody could not be told of it, as a hook's error came between, or memory or Lua's stack
 * was short. They are told the next time.
 */
static bool tell_news(lua_State *L, struct tc_client_box *box, int uservalue, int request,
                      struct tc_request *news, bool *any)
{
    int id = (int)news->id;
    bool ended = news->state == TC_DONE, told = true;
    struct tc_subrequest *sub = NULL;
    if (lua_isuserdata(L, request)) {
        struct tc_job *job = tc_job_of(L, request);
        if (job->busy) { /* what is done for it has brought us here */
            tc_job_defer(job, news);
            return true;
        }
        sub = tc_job_subrequest(job, news);
    }
    tc_request_release(news); /* its userdata holds it too */
    if (sub && hand_out(L, uservalue, request, sub, ended)) {
        *any = true;
        told = !box->client || is_told(L, request);
    }
    if (!told)
        tc_client_put_back(sub->request);
    else if (ended && box->client) { /* else its maker has let go of all of them */
        lua_pushnil(L);
        lua_rawseti(L, uservalue, id);
    }
    return told;
}

/* Has the frame the time to hand out what is next? If not, it has spent some on getting ready. */
static bool has_time(lua_State *L, struct tc_client_box *box, bool awaited)
{
    if (!box->client->session->budget.bytes)
        return false;
    bool ready = tc_room_make(L, &box->room, tc_client_next_size(box->client, awaited));
    if (!ready)
        tc_session_spend(box->client->session, TC_BUDGET_BYTES / 2);
    return ready;
}

/* How news are handed out. */
enum manner {
    FRAME = 1,       /* no more than a turn has bytes for */
    AWAITED_ONLY = 2 /* only those of requests that functions of the user's wait for */
};

static bool has_news(lua_State *L, struct tc_client_box *box, unsigned manner)
{
    bool awaited = manner & AWAITED_ONLY;
    return box->client && tc_client_has_pending(box->client, awaited) &&
           (!(manner & FRAME) || has_time(L, box, awaited));
}

/*
 * Hands out the news of the client, whose uservalue is at `uservalue`, and returns whether a
 * request is over. An error that a function of the user's raises ends its request and does not keep
 * others from theirs: it is raised again by who waits for the request, or else by the next poll.
 * From where news are taken until they are told nothing can raise.
 */
static bool deliver(lua_State *L, struct tc_client_box *box, int uservalue, unsigned manner)
{
    bool any = false, told = true;
    tc_checkstack(L, 30);
    while (told && has_news(L, box, manner)) {
        tc_driver_sync_sockets(L, box, uservalue);
        if (!box->client)
            break;
        tc_room_give_back(L, &box->room);
        struct tc_request *news = tc_client_take_pending(box->client, manner & AWAITED_ONLY);
        if (!news)
            break;
        lua_rawgeti(L, uservalue, (int)news->id);
        told = tell_news(L, box, uservalue, lua_gettop(L), news, &any);
        lua_pop(L, 1);
    }
    return any;
}

/* Raises what was kept as `name`, if there is anything. */
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
    if (box->calls >= DEEPEST)
        luaL_error(L, "functions called from poll, wait or generate call those in turn, %d deep",
                   (int)box->calls);
}

static void serve(struct tc_client_box *box, double seconds, unsigned manner)
{
    if (box->client && manner & AWAITED_ONLY)
        tc_client_poll_awaited(box->client, seconds);
    else if (box->client)
        tc_client_poll(box->client, seconds);
}

/* Waits for the client at most `seconds`, and not for long, and hands out its news. Returns whether
 * a request has ended. */
static bool wait_slice(lua_State *L, struct tc_client_box *box, int uservalue, double seconds,
                       unsigned manner)
{
    serve(box, seconds < SLICE ? seconds : SLICE, manner);
    tc_driver_sync(L, box, uservalue);
    tc_hooks_run(L); /* one may end the wait */
    return deliver(L, box, uservalue, manner);
}

/*
 * Begins what must not take longer than a turn. A picture that was job before comes first, and
 * then a poll receives nothing more: to make its string costs as much as a job turn's bytes.
 */
static void begin_frame(lua_State *L, struct tc_client_box *box, int uservalue, unsigned manner)
{
    if (!box->client)
        return;
    tc_client_renew_budget(box->client);
    deliver(L, box, uservalue, manner | FRAME);
}

/* A poll that does not wait. Small answers are received and handed out at once. */
static void poll_frame(lua_State *L, struct tc_client_box *box, int uservalue, unsigned manner)
{
    begin_frame(L, box, uservalue, manner);
    serve(box, 0, manner);
    deliver(L, box, uservalue, manner | FRAME);
}

/* Drives the client (1) until the request (2) has ended, or until the moment (3). */
static int wait_for(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
    const struct tc_job *request = tc_job_of(L, 2);
    double until = lua_tonumber(L, 3), left = until - tc_clock_now();
    unsigned manner = box->calls ? AWAITED_ONLY : 0;
    tc_getuservalue(L, 1);
    if (left <= 0)
        poll_frame(L, box, 4, manner);
    while (!tc_job_is_over(request) && left > 0) {
        wait_slice(L, box, 4, left, manner);
        raise_kept(L, 4, TC_INTERRUPT);
        left = until - tc_clock_now();
    }
    if (left > 0)
        deliver(L, box, 4, manner);
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
    bool waited = tc_job_set_in_wait(L, request, true);
    bool awaited = tc_job_set_awaited(job, job->awaited || box->calls);
    bool interrupted;
    int status = tc_hooks_pcall(L, 3, 0, &interrupted);
    tc_job_set_awaited(job, awaited);
    tc_job_set_in_wait(L, request, waited);
    return status;
}

/* Waits until a request has ended or none is under way, but no longer than `seconds`. */
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
    luaL_argcheck(L, seconds >= 0, 2, "a number of seconds expected"); /* which NaN is not */
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
        box->timer = NAN; /* it has gone off; whatever comes next is news */
    if (timer && box->client && !box->client->loop.lent) {
        poll_frame(L, box, 2, 0); /* what is ready is for us to find out */
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
