/*
 * The client userdata: its options, and how its requests are driven and their news handed out.
 *
 * Its uservalue has `model`; `api_key` where that is a function; `driver`; `raised`, the first
 * error that a function of the user's raised and nobody has seen; `interrupt`, the first that a
 * hook raised meanwhile; and by their ids the userdata of the requests under way: who holds a
 * client holds its requests, until they have ended.
 */
#include "lua_client.h"

#include "../base/clock.h"
#include "../engine/client.h"
#include "../engine/loop.h"
#include "../engine/request.h"
#include "lua_call.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_hooks.h"
#include "lua_key.h"
#include "lua_options.h"
#include "lua_own.h"
#include "lua_params.h"
#include "lua_request.h"
#include "lua_room.h"

#include <math.h>
#include <string.h>

#define TC_CLIENT "thucchien.client"

/* Kept by tc_own_keep. */
#define WAIT           "wait"
#define SYNC           "sync"
#define CALL_DRIVER    "call_driver"
#define NO_VALUE       "no_value"
#define DEFAULT_CLIENT "default_client"

/* Of the uservalue: the first error of each sort that nobody has seen. */
#define RAISED    "raised"
#define INTERRUPT "interrupt"

/* How long a wait may stay in libcurl before Lua's hooks get a chance: Ctrl-C is one of them. */
static const double SLICE = 0.1;

struct client_box {
    struct tc_client *client; /* closed: its multi handle is gone; NULL: all is */
    char *api_key;            /* NULL: the environment's, or a function's */
    struct tc_defaults defaults;
    double timer;   /* when the driver was told to call back; below 0: never; NaN: tell it anew */
    bool has_timer; /* the driver: one with a waiter alone has none */
    struct tc_room room; /* for the string of the next picture */
    unsigned calls;      /* of the user's functions, one inside another */
};

static struct client_box *check_client(lua_State *L, int index)
{
    return tc_check_class(L, index, TC_CLIENT);
}

/* ---- life ---- */

/* nil and the error on top. */
static int refuse(lua_State *L)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

struct tc_client *tc_client_of(lua_State *L, int index)
{
    const struct client_box *box = lua_touserdata(L, index);
    return box->client;
}

static bool is_open(const struct client_box *box)
{
    return box->client && box->client->multi;
}

unsigned *tc_client_calls(lua_State *L, int index)
{
    struct client_box *box = lua_touserdata(L, index);
    return &box->calls;
}

static struct client_box *push_client(lua_State *L)
{
    struct client_box *box = lua_newuserdata(L, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->timer = -1;
    tc_set_class(L, TC_CLIENT);
    lua_newtable(L);
    tc_push_nothing(L); /* what is there can be set without memory */
    lua_setfield(L, -2, RAISED);
    tc_push_nothing(L);
    lua_setfield(L, -2, INTERRUPT);
    tc_setuservalue(L, -2);
    return box;
}

/* Reads the options at `index` into the userdata at the stack's top, which stays there if true. */
static bool open_client(lua_State *L, int index, struct client_box *box)
{
    int userdata = lua_gettop(L);
    struct tc_options options;
    tc_getuservalue(L, userdata);
    int lent = lua_gettop(L);
    if (!tc_options_read(L, index, &options) || !tc_key_read(L, index, lent, &box->api_key))
        return false;
    box->defaults = options.defaults;
    lua_pushstring(L, options.model);
    lua_setfield(L, lent, "model");
    box->client = tc_client_new(&options.client);
    if (!box->client)
        luaL_error(L, "not enough memory");
    lua_settop(L, userdata);
    return true;
}

/* thucchien.new([options]) -> client | nil, err */
int tc_client_lua_new(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    tc_checkstack(L, 40);
    if (open_client(L, 1, push_client(L)))
        return 1;
    return refuse(L);
}

/* ---- a host's own loop ---- */

static const char *const event_names[] = {NULL, "r", "w", "rw"};

static void push_events(lua_State *L, int events)
{
    const char *name = event_names[events & (TC_READ | TC_WRITE)];
    if (name)
        tc_own_push(L, name);
    else
        lua_pushnil(L);
}

/* Calls the function of a driver (1) whose name is 2 with the values behind them. */
static int call_driver(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_gettable(L, 1);
    lua_replace(L, 2);
    lua_call(L, lua_gettop(L) - 2, 0);
    return 0;
}

/* Calls the function `name` of a driver, which is under its `count` values on top, and pops all of
 * them. False: the error that it raised is on top. */
static bool tell(lua_State *L, struct client_box *box, const char *name, int count)
{
    int driver = lua_gettop(L) - count;
    tc_own_push(L, CALL_DRIVER);
    lua_insert(L, driver);
    tc_own_push(L, name);
    lua_insert(L, driver + 2);
    box->calls++;
    bool well = lua_pcall(L, count + 2, 0, 0) == 0;
    box->calls--;
    return well;
}

/* Seconds until the driver should call `action` without a socket; below 0: never. A driver that
 * watches no sockets calls it at every tick while one is open. */
static double timer_left(const struct tc_client *client)
{
    const double tick = 0.009; /* told as 10 ms; shorter than a frame */
    double left = tc_client_timer(client);
    bool ticks = !client->loop.lent && client->loop.count > 0;
    return ticks && (left < 0 || left > tick) ? tick : left;
}

/* Is the driver's timer right for `moment`? A tick that is set already is not moved to a later one:
 * a host that submits all the time would never be called back. */
static bool is_timer_right(const struct client_box *box, double moment)
{
    const double same = 0.0005;
    double change = moment - box->timer;
    if (!box->client->loop.lent && box->timer >= 0 && moment >= 0 && change > 0)
        return true;
    return change < same && change > -same;
}

/* Tells the driver at `driver` when to call back without a socket, if that has changed. Raises what
 * it raises: it will be told again. */
static void sync_timer(lua_State *L, struct client_box *box, int driver)
{
    double left = timer_left(box->client);
    double moment = left < 0 ? -1 : tc_clock_now() + left;
    if ((left != 0 && is_timer_right(box, moment)) || !box->has_timer)
        return;
    box->timer = moment;
    lua_pushvalue(L, driver);
    if (left < 0)
        lua_pushnil(L);
    else
        tc_pushwhole(L, (int64_t)(left * 1000) + (left > 0 ? 1 : 0));
    if (tell(L, box, "timer", 1))
        return;
    box->timer = NAN;
    lua_error(L);
}

/* Tells the driver on top of one change of a socket, and pops it. False: as tell. */
static bool tell_change(lua_State *L, struct client_box *box, intptr_t socket, int events)
{
    tc_pushwhole(L, socket);
    push_events(L, events);
    return tell(L, box, "watch", 2);
}

/*
 * Tells the driver, if there is one, which sockets to watch and which not any more. The client's
 * uservalue is at `lent`. Always before a function of the user's is called: libcurl may have closed
 * a socket, and a file that the function opens may get its number. The driver may be another one
 * after each of its functions. Raises what it raises: it will be told again.
 */
static void sync_sockets(lua_State *L, struct client_box *box, int lent)
{
    intptr_t socket;
    int events;
    for (;;) {
        lua_getfield(L, lent, "driver");
        if (!lua_istable(L, -1) || !box->client ||
            !tc_loop_next_change(&box->client->loop, &socket, &events))
            break;
        if (tell_change(L, box, socket, events))
            continue;
        if (box->client)
            tc_loop_not_told(&box->client->loop, socket);
        lua_error(L);
    }
    lua_pop(L, 1);
}

/* Tells the driver, if there is one, what has changed. */
static void sync_driver(lua_State *L, struct client_box *box, int lent)
{
    tc_checkstack(L, 10);
    sync_sockets(L, box, lent);
    lua_getfield(L, lent, "driver");
    if (lua_istable(L, -1) && box->client)
        sync_timer(L, box, lua_gettop(L));
    lua_pop(L, 1);
}

void tc_client_sync(lua_State *L, int client)
{
    struct client_box *box = check_client(L, client);
    tc_getuservalue(L, client);
    sync_driver(L, box, lua_gettop(L));
    lua_pop(L, 1);
}

bool tc_client_push_driver(lua_State *L, int client, const char *name)
{
    int top = lua_gettop(L);
    tc_getuservalue(L, client);
    lua_getfield(L, -1, "driver");
    if (lua_istable(L, -1))
        lua_getfield(L, -1, name);
    bool is_there = lua_isfunction(L, -1);
    if (is_there)
        lua_replace(L, top + 1);
    lua_settop(L, top + is_there);
    return is_there;
}

/* Keeps the error on top at `error`, unless there is one, and pops it. */
static void keep_first(lua_State *L, int error)
{
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushliteral(L, "nil (the value of an error)");
    }
    if (lua_isnil(L, error))
        lua_replace(L, error);
    else
        lua_pop(L, 1);
}

/*
 * Takes the client away from its driver and gives all sockets back that it watches. From here on
 * there is none, whatever its functions do: what they raise is left on top, else nil.
 */
static void detach(lua_State *L, struct client_box *box, int lent)
{
    intptr_t socket;
    int events;
    lua_getfield(L, lent, "driver");
    int driver = lua_gettop(L), error = driver + 1;
    bool has_timer = box->timer >= 0;
    lua_pushnil(L);
    lua_pushnil(L);
    lua_setfield(L, lent, "driver");
    box->timer = -1;
    if (box->client)
        tc_loop_lend(&box->client->loop, false);
    while (lua_istable(L, driver) && box->client && !box->client->loop.lent &&
           tc_loop_next_change(&box->client->loop, &socket, &events)) {
        lua_pushvalue(L, driver);
        if (!tell_change(L, box, socket, events))
            keep_first(L, error);
    }
    if (lua_istable(L, driver) && has_timer) {
        lua_pushvalue(L, driver);
        lua_pushnil(L);
        if (!tell(L, box, "timer", 1))
            keep_first(L, error);
    }
    lua_remove(L, driver);
}

/* Which functions a driver has. Looked at once, in set_driver: a metamethod may answer. */
struct abilities {
    bool watch, timer, waiter;
};

static bool check_ability(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool has = lua_isfunction(L, -1);
    if (!has && !lua_isnil(L, -1))
        luaL_argerror(L, index, lua_pushfstring(L, "a function expected as '%s'", name));
    lua_pop(L, 1);
    return has;
}

static struct abilities check_driver(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    struct abilities has;
    has.watch = check_ability(L, index, "watch");
    has.timer = check_ability(L, index, "timer");
    has.waiter = check_ability(L, index, "waiter");
    luaL_argcheck(L, has.timer || !has.watch, index,
                  "'watch' alone: a function 'timer' too expected");
    luaL_argcheck(L, has.timer || has.waiter, index,
                  "a table with functions expected: 'watch' and 'timer', 'timer', or 'waiter'");
    return has;
}

/* client:set_driver(driver | nil) */
static int client_set_driver(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    struct abilities has = {0};
    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        has = check_driver(L, 2);
    tc_checkstack(L, 10);
    tc_getuservalue(L, 1);
    detach(L, box, 3);
    lua_getfield(L, 3, "driver");
    if (lua_isnil(L, -1) && !lua_isnil(L, 2)) { /* else the old one has set another */
        lua_pushvalue(L, 2);
        lua_setfield(L, 3, "driver");
        box->has_timer = has.timer;
        if (box->client)
            tc_loop_lend(&box->client->loop, has.watch);
        sync_driver(L, box, 3);
    }
    lua_settop(L, 4);
    return lua_isnil(L, 4) ? 0 : lua_error(L);
}

/* ---- news ---- */

/* Keeps the error on top, and pops it: for who waits for the request, or else for the next poll. An
 * interrupt is for whoever is running. */
static void keep_error(lua_State *L, int lent, int request, bool interrupted)
{
    const char *name = interrupted ? INTERRUPT : RAISED;
    if (lua_isnil(L, -1)) { /* which no table can keep */
        lua_pop(L, 1);
        tc_own_push(L, NO_VALUE);
    }
    if (!tc_request_keep_error(L, request)) {
        lua_getfield(L, lent, name);
        bool first = tc_is_nothing(L, -1);
        lua_pop(L, 1);
        if (first) {
            lua_pushvalue(L, -1);
            lua_setfield(L, lent, name);
        }
    }
    lua_pop(L, 1);
}

/* As tc_request_call, but the error is kept. False: there was one. */
static bool call_for(lua_State *L, int lent, int request, const char *name, struct tc_part *part)
{
    bool interrupted;
    if (!tc_request_call(L, request, name, part, &interrupted))
        return true;
    keep_error(L, lent, request, interrupted);
    return false;
}

/* Tells everybody who waits of the end of a request. */
static void tell_end(lua_State *L, int lent, int request)
{
    if (!call_for(L, lent, request, TC_FINISH, NULL) && !tc_request_is_told(L, request))
        return;
    int left = tc_request_waiters(L, request);
    while (left) {
        int before = left;
        call_for(L, lent, request, TC_RESUME, NULL);
        left = tc_request_waiters(L, request);
        if (left >= before && left) /* an interrupt came between, or a new one waits */
            return;
    }
}

/* Hands out what a part of the request has brought. Returns whether the whole is over. */
static bool hand_out(lua_State *L, int lent, int request, struct tc_part *part, bool ended)
{
    struct tc_request_box *whole = tc_request_box(L, request);
    tc_request_set_busy(whole, true);
    call_for(L, lent, request, TC_GIVE, part);
    if (ended)
        call_for(L, lent, request, TC_NOTE, part);
    bool over = ended && tc_request_is_over(whole);
    bool settled = over && call_for(L, lent, request, TC_SETTLE, NULL);
    tc_request_set_busy(whole, false);
    if (settled)
        tell_end(L, lent, request);
    return over;
}

/*
 * Hands out news that were just taken, of the request at `request`, and says whether one is over.
 * False: somebody could not be told of it, as a hook's error came between, or memory or Lua's stack
 * was short. They are told the next time.
 */
static bool tell_news(lua_State *L, struct client_box *box, int lent, int request,
                      struct tc_request *news, bool *any)
{
    int id = (int)news->id;
    bool ended = news->state == TC_DONE, told = true;
    struct tc_part *part = NULL;
    if (lua_isuserdata(L, request)) {
        struct tc_request_box *whole = tc_request_box(L, request);
        if (whole->busy) { /* what is done for it has brought us here */
            tc_request_put_off(whole, news);
            return true;
        }
        part = tc_request_part(whole, news);
    }
    tc_request_release(news); /* its userdata holds it too */
    if (part && hand_out(L, lent, request, part, ended)) {
        *any = true;
        told = !box->client || tc_request_is_told(L, request);
    }
    if (!told)
        tc_client_tell_again(box->client, part->request);
    else if (ended && box->client) { /* else its maker has let go of all of them */
        lua_pushnil(L);
        lua_rawseti(L, lent, id);
    }
    return told;
}

/* Has the frame the time to hand out what is next? If not, it has spent some on getting ready. */
static bool has_time(lua_State *L, struct client_box *box, bool awaited)
{
    if (!box->client->turn_left)
        return false;
    bool ready = tc_room_make(L, &box->room, tc_client_next_size(box->client, awaited));
    if (!ready)
        tc_client_use_turn(box->client, TC_TURN / 2);
    return ready;
}

/* How news are handed out. */
enum manner {
    FRAME = 1,       /* no more than a turn has bytes for */
    AWAITED_ONLY = 2 /* only those of requests that functions of the user's wait for */
};

static bool has_news(lua_State *L, struct client_box *box, unsigned manner)
{
    bool awaited = manner & AWAITED_ONLY;
    return box->client && tc_client_has_ready(box->client, awaited) &&
           (!(manner & FRAME) || has_time(L, box, awaited));
}

/*
 * Hands out the news of the client, whose uservalue is at `lent`, and returns whether a request is
 * over. An error that a function of the user's raises ends its request and does not keep others
 * from theirs: it is raised again by who waits for the request, or else by the next poll. From
 * where news are taken until they are told nothing can raise.
 */
static bool deliver(lua_State *L, struct client_box *box, int lent, unsigned manner)
{
    bool any = false, told = true;
    tc_checkstack(L, 30);
    while (told && has_news(L, box, manner)) {
        sync_sockets(L, box, lent);
        if (!box->client)
            break;
        tc_room_give_back(L, &box->room);
        struct tc_request *news = tc_client_take_ready(box->client, manner & AWAITED_ONLY);
        if (!news)
            break;
        lua_rawgeti(L, lent, (int)news->id);
        told = tell_news(L, box, lent, lua_gettop(L), news, &any);
        lua_pop(L, 1);
    }
    return any;
}

/* Raises what was kept as `name`, if there is anything. */
static void raise_kept(lua_State *L, int lent, const char *name)
{
    lua_getfield(L, lent, name);
    if (tc_is_nothing(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    tc_push_nothing(L);
    lua_setfield(L, lent, name);
    lua_error(L);
}

/* Raises where functions of the user's that were called from here call this, over and over: Lua's
 * stack has an end, and nothing is lost as long as that is not reached. */
static void check_depth(lua_State *L, const struct client_box *box)
{
    enum { DEEPEST = 20 };
    if (box->calls >= DEEPEST)
        luaL_error(L, "functions called from poll, wait or generate call those in turn, %d deep",
                   (int)box->calls);
}

static void serve(struct client_box *box, double seconds, unsigned manner)
{
    if (box->client && manner & AWAITED_ONLY)
        tc_client_poll_awaited(box->client, seconds);
    else if (box->client)
        tc_client_poll(box->client, seconds);
}

/* Waits for the client at most `seconds`, and not for long, and hands out its news. Returns whether
 * a request has ended. */
static bool wait_slice(lua_State *L, struct client_box *box, int lent, double seconds,
                       unsigned manner)
{
    serve(box, seconds < SLICE ? seconds : SLICE, manner);
    sync_driver(L, box, lent);
    tc_hooks_run(L); /* one may end the wait */
    return deliver(L, box, lent, manner);
}

/*
 * Begins what must not take longer than a turn. A picture that was whole before comes first, and
 * then a poll receives nothing more: to make its string costs as much as a whole turn's bytes.
 */
static void begin_frame(lua_State *L, struct client_box *box, int lent, unsigned manner)
{
    if (!box->client)
        return;
    tc_client_begin_turn(box->client);
    deliver(L, box, lent, manner | FRAME);
}

/* A poll that does not wait. Small answers are received and handed out at once. */
static void poll_frame(lua_State *L, struct client_box *box, int lent, unsigned manner)
{
    begin_frame(L, box, lent, manner);
    serve(box, 0, manner);
    deliver(L, box, lent, manner | FRAME);
}

/* Drives the client (1) until the request (2) has ended, or until the moment (3). */
static int wait_for(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    const struct tc_request_box *request = tc_request_box(L, 2);
    double until = lua_tonumber(L, 3), left = until - tc_clock_now();
    unsigned manner = box->calls ? AWAITED_ONLY : 0;
    tc_getuservalue(L, 1);
    if (left <= 0)
        poll_frame(L, box, 4, manner);
    while (!tc_request_is_over(request) && left > 0) {
        wait_slice(L, box, 4, left, manner);
        raise_kept(L, 4, INTERRUPT);
        left = until - tc_clock_now();
    }
    if (left > 0)
        deliver(L, box, 4, manner);
    sync_driver(L, box, 4);
    raise_kept(L, 4, INTERRUPT);
    return 0;
}

int tc_client_wait(lua_State *L, int client, int request, double until)
{
    client = tc_absindex(L, client);
    request = tc_absindex(L, request);
    const struct client_box *box = check_client(L, client);
    struct tc_request_box *whole = tc_request_box(L, request);
    check_depth(L, box);
    tc_own_push(L, WAIT);
    lua_pushvalue(L, client);
    lua_pushvalue(L, request);
    lua_pushnumber(L, until);
    bool waited = tc_request_set_waited(L, request, true);
    bool awaited = tc_request_set_awaited(whole, whole->awaited || box->calls);
    bool interrupted;
    int status = tc_hooks_pcall(L, 3, 0, &interrupted);
    tc_request_set_awaited(whole, awaited);
    tc_request_set_waited(L, request, waited);
    return status;
}

/* Waits until a request has ended or none is under way, but no longer than `seconds`. */
static void poll_for(lua_State *L, struct client_box *box, int lent, double seconds)
{
    double left = seconds, until = tc_clock_now() + seconds;
    while (!wait_slice(L, box, lent, left, 0) && left > 0 && box->client && box->client->active)
        left = until - tc_clock_now();
}

/* client:poll([seconds]) -> active */
static int client_poll(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    double seconds = luaL_optnumber(L, 2, 0);
    luaL_argcheck(L, seconds >= 0, 2, "a number of seconds expected"); /* which NaN is not */
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    check_depth(L, box);
    if (seconds > 0)
        poll_for(L, box, 2, seconds);
    else
        poll_frame(L, box, 2, 0);
    sync_driver(L, box, 2);
    raise_kept(L, 2, INTERRUPT);
    raise_kept(L, 2, RAISED);
    tc_pushwhole(L, box->client ? tc_client_pending(box->client) : 0);
    return 1;
}

/* Reads "r", "w" or "rw". */
static int check_events(lua_State *L, int index)
{
    static const char *const names[] = {"", "r", "w", "rw", NULL};
    return luaL_checkoption(L, index, NULL, names);
}

/* client:action([fd, events]) -> active: for a driver, in place of poll */
static int client_action(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    bool timer = lua_isnoneornil(L, 2);
    intptr_t socket = timer ? -1 : (intptr_t)luaL_checkinteger(L, 2);
    int events = timer ? 0 : check_events(L, 3);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    check_depth(L, box);
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
    sync_driver(L, box, 2);
    raise_kept(L, 2, INTERRUPT);
    raise_kept(L, 2, RAISED);
    tc_pushwhole(L, box->client ? tc_client_pending(box->client) : 0);
    return 1;
}

/* ---- requests ---- */

static bool closed(lua_State *L)
{
    tc_push_error(L, TC_INVALID_REQUEST, NULL,
                  "the client is closed; make another with thucchien.new");
    return false;
}

/* Reads what the user gave at `index` for an order. */
typedef bool reader(lua_State *L, int index, int lent, const struct tc_defaults *defaults,
                    struct tc_order *order);

/*
 * Has `read` make an order of what is at `index`, and puts its requests into the queue of the
 * client at `client`; the function at `done` (nil for none) will be told of their end. Pushes the
 * userdata, or an error table when false.
 */
static bool submit(lua_State *L, int client, int index, int done, reader *read)
{
    struct client_box *box = lua_touserdata(L, client);
    struct tc_order order;
    tc_checkstack(L, 40);
    memset(&order, 0, sizeof(order));
    if (!is_open(box))
        return closed(L);
    tc_getuservalue(L, client);
    int lent = lua_gettop(L);
    if (!read(L, index, lent, &box->defaults, &order))
        return false;
    if (!is_open(box)) /* closed by a metamethod of the params */
        return closed(L);
    if (!tc_key_find(L, lent, box->api_key, &order.options.api_key))
        return false;
    (void)tc_push_request(L, client, index, done, &order);
    if (!is_open(box)) /* closed by the function for the key */
        return closed(L);
    tc_request_submit(L, lua_gettop(L), client, &order);
    return true;
}

/* Tells the driver of the client (1) what has changed. */
static int sync_client(lua_State *L)
{
    tc_client_sync(L, 1);
    return 0;
}

/* submit's userdata is on top: what follows when the caller does not wait. Where the driver raises,
 * nothing is sent: whoever called takes it for lost. */
static int go_on(lua_State *L)
{
    int request = lua_gettop(L);
    tc_own_push(L, SYNC);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0)) { /* a driver's timer begins it all */
        tc_request_abandon(L, request);
        return lua_error(L);
    }
    return 1;
}

/* submit's userdata is on top: waits for it. Returns how much it pushed. */
static int wait_for_result(lua_State *L, int client)
{
    int request = lua_gettop(L);
    if (tc_client_wait(L, client, request, HUGE_VAL)) { /* interrupted: nobody asks any more */
        tc_request_abandon(L, request);
        lua_error(L);
    }
    return tc_request_push_result(L, request);
}

/* client:submit(params [, done]) -> request | nil, err */
static int client_submit(lua_State *L)
{
    check_client(L, 1);
    tc_params_argument(L, 2);
    lua_settop(L, 3);
    if (!lua_isnil(L, 3))
        luaL_checktype(L, 3, LUA_TFUNCTION);
    return submit(L, 1, 2, 3, tc_params_read) ? go_on(L) : refuse(L);
}

/* Submits the params at `index` to the client at `client` and waits. Returns how much it pushed. */
static int generate(lua_State *L, int client, int index)
{
    check_depth(L, check_client(L, client)); /* before anything is sent */
    lua_pushnil(L);                          /* nobody is told */
    bool well = submit(L, client, index, lua_gettop(L), tc_params_read);
    return well ? wait_for_result(L, client) : refuse(L);
}

static int client_generate(lua_State *L)
{
    check_client(L, 1);
    tc_params_argument(L, 2);
    lua_settop(L, 2);
    return generate(L, 1, 2);
}

/* Sends what is at 2, with the function at 3 to be told, or waits where that is nil. */
static int call(lua_State *L)
{
    bool tells = !lua_isnil(L, 3);
    if (tells)
        luaL_checktype(L, 3, LUA_TFUNCTION);
    else
        check_depth(L, check_client(L, 1));
    if (!submit(L, 1, 2, 3, tc_call_read))
        return refuse(L);
    return tells ? go_on(L) : wait_for_result(L, 1);
}

/* client:call(request [, done]) -> table | nil, err; with done: request | nil, err */
static int client_call(lua_State *L)
{
    check_client(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    return call(L);
}

/* Calls a route by its path; `field` of its answer is the result. */
static int call_path(lua_State *L, const char *path, const char *field)
{
    check_client(L, 1);
    lua_settop(L, 2);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, path);
    lua_setfield(L, 3, "path");
    lua_pushstring(L, field);
    lua_setfield(L, 3, "field");
    lua_insert(L, 2);
    return call(L);
}

/* client:key_info([done]) -> info | nil, err */
static int client_key_info(lua_State *L)
{
    return call_path(L, "/key/info", "info");
}

/* client:models([done]) -> list | nil, err */
static int client_models(lua_State *L)
{
    return call_path(L, "/v1/models", "data");
}

/*
 * client:close(): ends what is in flight; the next poll tells those who asked. __close is the same,
 * and __gc frees what is left without telling anyone.
 */
static int client_close(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    lua_settop(L, 1);
    tc_key_wipe(&box->api_key);
    if (!is_open(box))
        return 0;
    tc_client_close(box->client);
    tc_room_give_back(L, &box->room);
    tc_client_sync(L, 1);
    return 0;
}

/* Lets go of the requests: nobody will hear of them. The client's uservalue is at `lent`. */
static void forget_requests(lua_State *L, int lent)
{
    for (lua_pushnil(L); lua_next(L, lent); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TNUMBER)
            continue;
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, lent); /* a field that is there: lua_next can bear that */
    }
}

/* May be called by hand, as anything may: whoever does so has a client that is closed. */
static int client_gc(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    struct tc_client *client = box->client;
    lua_settop(L, 1);
    box->client = NULL;
    tc_client_free(client);
    tc_room_give_back(L, &box->room);
    tc_key_wipe(&box->api_key);
    if (client) { /* else there may be no uservalue yet */
        tc_getuservalue(L, 1);
        forget_requests(L, 2);
    }
    return 0;
}

static int client_tostring(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    lua_pushfstring(L, TC_CLIENT ": %p%s", (void *)box, is_open(box) ? "" : " (closed)");
    return 1;
}

/* Pushes the client that thucchien.generate uses, made at the first call. */
static bool push_default_client(lua_State *L)
{
    tc_own_push(L, DEFAULT_CLIENT);
    if (!lua_isnil(L, -1))
        return true;
    lua_newtable(L); /* no options: all from the environment */
    int options = lua_gettop(L);
    if (!open_client(L, options, push_client(L)))
        return false;
    lua_pushvalue(L, -1);
    tc_own_keep(L, DEFAULT_CLIENT);
    return true;
}

/* thucchien.generate(params) -> response | nil, err */
int tc_client_lua_generate(lua_State *L)
{
    tc_params_argument(L, 1);
    lua_settop(L, 1);
    tc_checkstack(L, 40);
    if (push_default_client(L))
        return generate(L, lua_gettop(L), 1);
    return refuse(L);
}

/* Keeps a name under itself: it can be pushed without memory. */
static void keep_name(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    tc_own_keep(L, name);
}

void tc_register_client(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", client_gc},
        {"__close", client_close},
        {"__tostring", client_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"generate", client_generate},
        {"submit", client_submit},
        {"call", client_call},
        {"key_info", client_key_info},
        {"models", client_models},
        {"poll", client_poll},
        {"set_driver", client_set_driver},
        {"action", client_action},
        {"close", client_close},
        {NULL, NULL},
    };
    tc_register_class(L, TC_CLIENT, metamethods, methods);
    tc_own_function(L, WAIT, wait_for);
    tc_own_function(L, SYNC, sync_client);
    tc_own_function(L, CALL_DRIVER, call_driver);
    keep_name(L, "watch");
    keep_name(L, "timer");
    for (int i = 1; i <= 3; i++)
        keep_name(L, event_names[i]);
    lua_pushliteral(L, "nil (the value of an error)");
    tc_own_keep(L, NO_VALUE);
}
