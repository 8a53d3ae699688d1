/*
 * The driver: see lua_driver.h. It is a table of the host's, with the functions
 * watch(fd, "r" | "w" | "rw" | nil), timer(milliseconds | nil) and waiter(); the client's uservalue
 * has it as `driver`. A driver can be called when memory is short, because all strings that the
 * call needs are kept by tc_own_keep.
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

struct tc_client_box *tc_client_box(lua_State *L, int index)
{
    return lua_touserdata(L, index);
}

bool tc_client_box_is_open(const struct tc_client_box *box)
{
    return box->client && box->client->multi;
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

/* Calls the function of the driver (1) that has the name 2, with the arguments from 3 on. */
static int call_driver(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_gettable(L, 1);
    lua_replace(L, 2);
    lua_call(L, lua_gettop(L) - 2, 0);
    return 0;
}

/* Calls the function `name` of the driver that is on the stack below `count` arguments, and pops
 * all of them. False: the error that it raised is on top. */
static bool call(lua_State *L, struct tc_client_box *box, const char *name, int count)
{
    int driver = lua_gettop(L) - count;
    tc_own_push(L, CALL_DRIVER);
    lua_insert(L, driver);
    tc_own_push(L, name);
    lua_insert(L, driver + 2);
    box->call_depth++;
    bool ok = lua_pcall(L, count + 2, 0, 0) == 0;
    box->call_depth--;
    return ok;
}

/* Seconds until the driver has to call client:action(); below 0: never. A driver that watches no
 * sockets calls it at every tick while one is open. */
static double seconds_left(const struct tc_client *client)
{
    const double tick = 0.009; /* 10 ms to the driver: less than a frame */
    double left = tc_client_timer(client);
    bool ticks = !client->loop.lent && client->loop.count > 0;
    return ticks && (left < 0 || left > tick) ? tick : left;
}

/* Has the driver the right deadline? If it waits for a tick, that is not put off: otherwise a host
 * that submits all the time would never call back. */
static bool has_deadline(const struct tc_client_box *box, double deadline)
{
    const double same = 0.0005;
    double change = deadline - box->deadline;
    if (!box->client->loop.lent && box->deadline >= 0 && deadline >= 0 && change > 0)
        return true;
    return change < same && change > -same;
}

/* Gives the driver at `driver` the deadline, if it has changed. If the driver raises an error, this
 * raises it, and gives the deadline again the next time. */
static void sync_timer(lua_State *L, struct tc_client_box *box, int driver)
{
    double left = seconds_left(box->client);
    double deadline = left < 0 ? -1 : tc_clock_now() + left;
    if ((left != 0 && has_deadline(box, deadline)) || !box->has_timer)
        return;
    box->deadline = deadline;
    lua_pushvalue(L, driver);
    if (left < 0)
        lua_pushnil(L);
    else
        tc_pushwhole(L, (int64_t)(left * 1000) + (left > 0 ? 1 : 0));
    if (call(L, box, "timer", 1))
        return;
    box->deadline = NAN;
    lua_error(L);
}

/* Pops the driver on top and calls its `watch`. False: the error that it raised is on top. */
static bool watch(lua_State *L, struct tc_client_box *box, intptr_t socket, int events)
{
    tc_pushwhole(L, socket);
    push_events(L, events);
    return call(L, box, "watch", 2);
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
        if (watch(L, box, socket, events))
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

void tc_driver_sync_client(lua_State *L, int client)
{
    struct tc_client_box *box = tc_check_client(L, client);
    tc_getuservalue(L, client);
    tc_driver_sync(L, box, lua_gettop(L));
    lua_pop(L, 1);
}

bool tc_driver_push_function(lua_State *L, int client, const char *name)
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

/* Pops the error on top, and keeps it at `error` if that is nil. */
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
 * Takes the driver away from the client. Then calls it once more, so that it watches no sockets and
 * waits for no deadline. Pushes the first error that it raised, or nil.
 */
static void detach(lua_State *L, struct tc_client_box *box, int uservalue)
{
    intptr_t socket;
    int events;
    lua_getfield(L, uservalue, "driver");
    int driver = lua_gettop(L), error = driver + 1;
    bool has_timer = box->deadline >= 0;
    lua_pushnil(L);
    lua_pushnil(L);
    lua_setfield(L, uservalue, "driver");
    box->deadline = -1;
    if (box->client)
        tc_loop_lend(&box->client->loop, false);
    while (lua_istable(L, driver) && box->client && !box->client->loop.lent &&
           tc_loop_next_change(&box->client->loop, &socket, &events)) {
        lua_pushvalue(L, driver);
        if (!watch(L, box, socket, events))
            keep_first(L, error);
    }
    if (lua_istable(L, driver) && has_timer) {
        lua_pushvalue(L, driver);
        lua_pushnil(L);
        if (!call(L, box, "timer", 1))
            keep_first(L, error);
    }
    lua_remove(L, driver);
}

/* Which functions a driver has. Looked up once, as a metamethod may give another answer later. */
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
    if (lua_isnil(L, -1) && !lua_isnil(L, 2)) { /* not nil: the old driver has set another one */
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

/* Keeps a name under itself, so that it can be pushed when memory is short. */
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
