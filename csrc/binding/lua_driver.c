/*
 * The client userdata, and the driver: a host's own event loop, which watches the client's sockets
 * and its timer.
 */
#include "lua_driver.h"

#include "../base/clock.h"
#include "../engine/client.h"
#include "../engine/loop.h"
#include "lua_own.h"

#include <math.h>

#define CALL_DRIVER "call_driver" /* kept by tc_own_keep */

struct tc_client_box *tc_check_client(lua_State *L, int index)
{
    return tc_check_class(L, index, TC_CLIENT);
}

struct tc_client *tc_client_of(lua_State *L, int index)
{
    const struct tc_client_box *box = lua_touserdata(L, index);
    return box->client;
}

bool tc_client_is_open(const struct tc_client_box *box)
{
    return box->client && box->client->multi;
}

unsigned *tc_client_calls(lua_State *L, int index)
{
    struct tc_client_box *box = lua_touserdata(L, index);
    return &box->calls;
}

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
static bool tell(lua_State *L, struct tc_client_box *box, const char *name, int count)
{
    int driver = lua_gettop(L) - count;
    tc_own_push(L, CALL_DRIVER);
    lua_insert(L, driver);
    tc_own_push(L, name);
    lua_insert(L, driver + 2);
    box->calls++;
    bool ok = lua_pcall(L, count + 2, 0, 0) == 0;
    box->calls--;
    return ok;
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
static bool is_timer_right(const struct tc_client_box *box, double moment)
{
    const double same = 0.0005;
    double change = moment - box->timer;
    if (!box->client->loop.lent && box->timer >= 0 && moment >= 0 && change > 0)
        return true;
    return change < same && change > -same;
}

/* Tells the driver at `driver` when to call back without a socket, if that has changed. Raises what
 * it raises: it will be told again. */
static void sync_timer(lua_State *L, struct tc_client_box *box, int driver)
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
static bool tell_change(lua_State *L, struct tc_client_box *box, intptr_t socket, int events)
{
    tc_pushwhole(L, socket);
    push_events(L, events);
    return tell(L, box, "watch", 2);
}

void tc_driver_sync_sockets(lua_State *L, struct tc_client_box *box, int uservalue)
{
    intptr_t socket;
    int events;
    for (;;) {
        lua_getfield(L, uservalue, "driver");
        if (!lua_istable(L, -1) || !box->client ||
            !tc_loop_next_change(&box->client->loop, &socket, &events))
            break;
        if (tell_change(L, box, socket, events))
            continue;
        if (box->client)
            tc_loop_report_again(&box->client->loop, socket);
        lua_error(L);
    }
    lua_pop(L, 1);
}

void tc_driver_sync(lua_State *L, struct tc_client_box *box, int uservalue)
{
    tc_checkstack(L, 10);
    tc_driver_sync_sockets(L, box, uservalue);
    lua_getfield(L, uservalue, "driver");
    if (lua_istable(L, -1) && box->client)
        sync_timer(L, box, lua_gettop(L));
    lua_pop(L, 1);
}

void tc_client_sync(lua_State *L, int client)
{
    struct tc_client_box *box = tc_check_client(L, client);
    tc_getuservalue(L, client);
    tc_driver_sync(L, box, lua_gettop(L));
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
static void detach(lua_State *L, struct tc_client_box *box, int uservalue)
{
    intptr_t socket;
    int events;
    lua_getfield(L, uservalue, "driver");
    int driver = lua_gettop(L), error = driver + 1;
    bool has_timer = box->timer >= 0;
    lua_pushnil(L);
    lua_pushnil(L);
    lua_setfield(L, uservalue, "driver");
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

int tc_driver_lua_set(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
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
        tc_driver_sync(L, box, 3);
    }
    lua_settop(L, 4);
    return lua_isnil(L, 4) ? 0 : lua_error(L);
}

/* Keeps a name under itself: it can be pushed without memory. */
static void keep_name(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    tc_own_keep(L, name);
}

void tc_register_driver(lua_State *L)
{
    tc_own_function(L, CALL_DRIVER, call_driver);
    keep_name(L, "watch");
    keep_name(L, "timer");
    for (int i = 1; i <= 3; i++)
        keep_name(L, event_names[i]);
}
