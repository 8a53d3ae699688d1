/*
 * The client userdata: its methods. Its uservalue has
 *
 *     model      the default one
 *     api_key    the user's function for the key, if that was given
 *     driver     see lua_driver.c
 *     raised     the first error of the user's functions that was not raised yet
 *     interrupt  the first error of a hook that was not raised yet
 *     warned_of_haste   true once lua_await.c has warned of a busy loop
 *
 * and, by the id of each of the engine's requests, the userdata of its job: a client holds its
 * requests until they have ended.
 */
#include "lua_client.h"

#include "../engine/client.h"
#include "lua_call.h"
#include "lua_drive.h"
#include "lua_driver.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_job.h"
#include "lua_key.h"
#include "lua_options.h"
#include "lua_own.h"
#include "lua_params.h"
#include "lua_reserve.h"
#include "lua_result.h"

#include <math.h>
#include <string.h>

/* Kept by tc_own_keep. */
#define SYNC           "sync"
#define DEFAULT_CLIENT "default_client"

/* ---- life ---- */

/* Returns nil and the error on top to Lua. */
static int refuse(lua_State *L)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static struct tc_client_box *push_client(lua_State *L)
{
    struct tc_client_box *box = lua_newuserdata(L, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->deadline = -1;
    tc_set_class(L, TC_CLIENT);
    lua_newtable(L);
    tc_push_nothing(L); /* setting a field that is there already needs no memory */
    lua_setfield(L, -2, TC_RAISED);
    tc_push_nothing(L);
    lua_setfield(L, -2, TC_INTERRUPT);
    tc_setuservalue(L, -2);
    return box;
}

/* Opens the client userdata on top with the options at `index`. False: an error table is on top. */
static bool open_client(lua_State *L, int index, struct tc_client_box *box)
{
    int userdata = lua_gettop(L);
    struct tc_options options;
    tc_getuservalue(L, userdata);
    int uservalue = lua_gettop(L);
    if (!tc_options_read(L, index, &options) || !tc_key_read(L, index, uservalue, &box->api_key))
        return false;
    box->defaults = options.defaults;
    lua_pushstring(L, options.defaults.model);
    box->defaults.model = lua_tostring(L, -1); /* the uservalue keeps the string */
    lua_setfield(L, uservalue, "model");
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

/* ---- requests ---- */

/* Pushes the error for a closed client, and returns false. */
static bool refuse_closed(lua_State *L)
{
    tc_push_error(L, TC_INVALID_REQUEST, NULL,
                  "the client is closed; make another with thucchien.new");
    return false;
}

/* Reads what the user gave at `index` into a job: see tc_params_read. */
typedef bool reader(lua_State *L, int index, int uservalue, const struct tc_defaults *defaults,
                    struct tc_job *job);

/*
 * Reads what is at `index` into a job, and puts that into the queue of the client at `client`. The
 * function at `done` (or nil) is called with its result. Pushes the request userdata. False: an
 * error table is on top.
 */
static bool submit(lua_State *L, int client, int index, int done, reader *read)
{
    struct tc_client_box *box = lua_touserdata(L, client);
    tc_checkstack(L, 40);
    if (!tc_client_box_is_open(box))
        return refuse_closed(L);
    struct tc_job *job = tc_job_push(L, client, done);
    int uservalue = lua_gettop(L), request = uservalue - 1;
    if (!read(L, index, uservalue, &box->defaults, job))
        return false;
    if (!tc_client_box_is_open(box)) /* closed by a metamethod of the params */
        return refuse_closed(L);
    tc_getuservalue(L, client);
    if (!tc_key_find(L, lua_gettop(L), box->api_key, &job->options.api_key))
        return false;
    if (!tc_client_box_is_open(box)) /* closed by the function for the key */
        return refuse_closed(L);
    tc_job_submit(L, request, client);
    lua_settop(L, request);
    return true;
}

/* tc_driver_sync_client, for the client (1). */
static int sync_client(lua_State *L)
{
    tc_driver_sync_client(L, 1);
    return 0;
}

/* Returns the request on top, which was submitted, to Lua, and tells the driver. If the driver
 * raises an error, this raises it too and abandons the request, which the caller will never see. */
static int return_request(lua_State *L)
{
    int request = lua_gettop(L);
    tc_own_push(L, SYNC);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0)) { /* the request begins when the driver's timer fires */
        tc_job_abandon(tc_job_of(L, request));
        return lua_error(L);
    }
    return 1;
}

/* Waits for the request on top, and returns its result to Lua. */
static int return_result(lua_State *L, int client)
{
    int request = lua_gettop(L);
    if (tc_drive_wait(L, client, request, HUGE_VAL)) { /* interrupted */
        tc_job_abandon(tc_job_of(L, request));
        lua_error(L);
    }
    return tc_result_push(L, request);
}

/* client:submit(params [, done]) -> request | nil, err */
static int client_submit(lua_State *L)
{
    tc_check_client(L, 1);
    tc_params_argument(L, 2);
    lua_settop(L, 3);
    if (!lua_isnil(L, 3))
        luaL_checktype(L, 3, LUA_TFUNCTION);
    return submit(L, 1, 2, 3, tc_params_read) ? return_request(L) : refuse(L);
}

/* Submits the params at `index` to the client at `client`, and returns the result to Lua. */
static int generate(lua_State *L, int client, int index)
{
    tc_drive_check_depth(L, tc_check_client(L, client)); /* before anything is sent */
    lua_pushnil(L);                                      /* no `done` */
    bool ok = submit(L, client, index, lua_gettop(L), tc_params_read);
    return ok ? return_result(L, client) : refuse(L);
}

static int client_generate(lua_State *L)
{
    tc_check_client(L, 1);
    tc_params_argument(L, 2);
    lua_settop(L, 2);
    return generate(L, 1, 2);
}

/* client:call; the client is at 1, the request's table at 2, `done` (or nil) at 3. */
static int call(lua_State *L)
{
    bool has_done = !lua_isnil(L, 3);
    if (has_done)
        luaL_checktype(L, 3, LUA_TFUNCTION);
    else
        tc_drive_check_depth(L, tc_check_client(L, 1));
    if (!submit(L, 1, 2, 3, tc_call_read))
        return refuse(L);
    return has_done ? return_request(L) : return_result(L, 1);
}

/* client:call(request [, done]) -> table | nil, err; with done: request | nil, err */
static int client_call(lua_State *L)
{
    tc_check_client(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    return call(L);
}

/* client:call for the route at `path`, with the client at 1 and `done` (or nothing) at 2. The
 * result is the field `field` of the response. */
static int call_path(lua_State *L, const char *path, const char *field)
{
    tc_check_client(L, 1);
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
 * client:close(): cancels all requests; the next poll calls their functions. __close does the same.
 * __gc frees everything, and calls nothing.
 */
static int client_close(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
    lua_settop(L, 1);
    tc_key_wipe(&box->api_key);
    if (!tc_client_box_is_open(box))
        return 0;
    tc_client_close(box->client);
    tc_reserve_give_back(L, &box->reserve);
    tc_driver_sync_client(L, 1);
    return 0;
}

/* Lets go of the requests in the uservalue. */
static void forget_requests(lua_State *L, int uservalue)
{
    for (lua_pushnil(L); lua_next(L, uservalue); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TNUMBER)
            continue;
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, uservalue); /* lua_next allows this, as the field is there already */
    }
}

/* A user may call it by hand, and has a closed client then. */
static int client_gc(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
    struct tc_client *client = box->client;
    lua_settop(L, 1);
    box->client = NULL;
    tc_client_free(client);
    tc_reserve_give_back(L, &box->reserve);
    tc_key_wipe(&box->api_key);
    if (client) { /* else there may be no uservalue yet */
        tc_getuservalue(L, 1);
        forget_requests(L, 2);
    }
    return 0;
}

static int client_tostring(lua_State *L)
{
    struct tc_client_box *box = tc_check_client(L, 1);
    lua_pushfstring(L, TC_CLIENT ": %p%s", (void *)box,
                    tc_client_box_is_open(box) ? "" : " (closed)");
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
        {"poll", tc_drive_lua_poll},
        {"set_driver", tc_driver_lua_set},
        {"action", tc_drive_lua_action},
        {"close", client_close},
        {NULL, NULL},
    };
    tc_register_class(L, TC_CLIENT, metamethods, methods);
    tc_own_function(L, SYNC, sync_client);
}
