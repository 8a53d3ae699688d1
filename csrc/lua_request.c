/*
 * The request userdata: what a request has given so far, as Lua values, and where it goes.
 *
 * Its uservalue has
 *
 *     box                           a userdata of the struct tc_request_box; it has the finalizer
 *     client                        its userdata
 *     images                        the tables of the pictures that are whole
 *     model                         for the response, where the answer names none
 *     on_image, on_progress, sink, save, done     who takes what
 *     waiters                       coroutines in await, or functions that wake them
 *     waited, raised                somebody is in wait; what a function of the user's raised then
 *     result, failed                the response, or the error when `failed` is true
 *
 * The finalizer is the box's, which refers to nothing: Lua keeps what a finalizer can reach until
 * the next collection, and here that would be the pictures.
 */
#include "binding.h"

#include "clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BOX "thucchien.request.box"

static const char *const takers[] = {"on_image", "on_progress", "sink", "save"};

/* What the userdata itself is. */
struct place {
    struct tc_request_box *box;
};

struct tc_request_box *tc_request_box(lua_State *L, int index)
{
    struct place *place = lua_touserdata(L, index);
    return place->box;
}

static struct tc_request_box *check_request(lua_State *L, int index)
{
    struct place *place = luaL_checkudata(L, index, TC_REQUEST);
    luaL_argcheck(L, place->box && place->box->request, index,
                  "a request that was submitted expected");
    return place->box;
}

struct tc_request_box *tc_push_request(lua_State *L, int client, int params, int model, int done)
{
    struct place *place = lua_newuserdata(L, sizeof(*place));
    place->box = NULL;
    luaL_getmetatable(L, TC_REQUEST);
    lua_setmetatable(L, -2);
    lua_createtable(L, 0, 8);
    struct tc_request_box *box = lua_newuserdata(L, sizeof(*box));
    memset(box, 0, sizeof(*box));
    luaL_getmetatable(L, BOX);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "box");
    lua_newtable(L);
    lua_setfield(L, -2, "images");
    lua_pushvalue(L, client);
    lua_setfield(L, -2, "client");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "waited");
    lua_pushvalue(L, done);
    lua_setfield(L, -2, "done");
    lua_pushvalue(L, model);
    lua_setfield(L, -2, "model");
    for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
        lua_getfield(L, params, takers[i]);
        lua_setfield(L, -2, takers[i]);
    }
    tc_setuservalue(L, -2);
    place->box = box;
    return box;
}

/* ---- taking away ---- */

/* Ends the request, for what it brought could not be put away. */
static void give_up(struct tc_request_box *box, const char *message)
{
    box->stopped = true;
    tc_request_fail(box->request, TC_IO, message);
    tc_writer_abort(&box->writer);
}

static void cannot_write(struct tc_request_box *box, const char *path, int error)
{
    char message[400];
    snprintf(message, sizeof(message), "cannot write '%s': %s", path, strerror(error));
    give_up(box, message);
}

/* Calls the sink at `sink` with the picture's number and the chunk (or nil) on top, and pops that.
 */
static void call_sink(lua_State *L, struct tc_request_box *box, int sink, unsigned number)
{
    lua_pushvalue(L, sink);
    tc_pushwhole(L, number);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 2);
    if (!lua_toboolean(L, -2) && !lua_isnil(L, -1)) {
        char message[400];
        const char *text = lua_tostring(L, -1);
        tc_redact(message, sizeof(message), text ? text : "the sink refused", NULL);
        give_up(box, message);
    }
    lua_pop(L, 3);
}

/* Chunks of this size come from memory that was used before; malloc maps larger ones anew. */
enum { CHUNK = 64 * 1024, MOST_CHUNKS = 16 };

/* Takes the bytes to the sink, chunk by chunk. All are Lua's before the sink, which may do
 * anything, is called. */
static void take_to_sink(lua_State *L, int state, struct tc_request_box *box, unsigned index)
{
    struct tc_image *image = box->request->envelope.images[index];
    const char *bytes = (const char *)image->bytes.data;
    size_t size = image->bytes.size, chunk = size / MOST_CHUNKS > CHUNK ? size : CHUNK;
    lua_getfield(L, state, "sink");
    int sink = lua_gettop(L), chunks = 0;
    for (size_t at = 0; at < size; at += chunk, chunks++)
        lua_pushlstring(L, bytes + at, size - at < chunk ? size - at : chunk);
    image->bytes.size = 0;
    for (int i = 1; i <= chunks && !box->stopped; i++) {
        lua_pushvalue(L, sink + i);
        call_sink(L, box, sink, index + 1);
    }
    lua_settop(L, sink - 1);
}

/* Takes the bytes to the file. */
static void take_to_file(const char *path, struct tc_request_box *box, unsigned index)
{
    struct tc_image *image = box->request->envelope.images[index];
    int error = box->writer.file ? 0 : tc_writer_open(&box->writer, path);
    if (!error)
        error = tc_writer_write(&box->writer, image->bytes.data, image->bytes.size);
    image->bytes.size = 0;
    if (error)
        cannot_write(box, path, error);
}

static void take_bytes(lua_State *L, int state, struct tc_request_box *box, unsigned index)
{
    lua_getfield(L, state, "save");
    const char *path = lua_tostring(L, -1);
    if (path)
        take_to_file(path, box, index);
    else
        take_to_sink(L, state, box, index);
    lua_pop(L, 1);
}

/* Gives the file of a whole picture its name, and its table, on top, the `path`. */
static void finish_file(lua_State *L, const char *path, struct tc_request_box *box, unsigned index)
{
    const char *ext = box->request->envelope.images[index]->signature.ext;
    unsigned number = index + 1;
    const char *final = tc_push_path(L, path, ext, number);
    while (tc_writer_check(final) && number < index + 100) { /* the picture is paid for */
        lua_pop(L, 1);
        number += TC_ENVELOPE_IMAGES;
        final = tc_push_path(L, path, ext, number);
    }
    int error = box->writer.file ? tc_writer_commit(&box->writer, final) : 0;
    if (error)
        cannot_write(box, final, error);
    lua_setfield(L, -2, "path");
}

/* Tells the sink and on_image that the picture whose table is on top is whole. */
static void tell_image(lua_State *L, int state, struct tc_request_box *box, unsigned index)
{
    lua_getfield(L, state, "sink");
    if (lua_isfunction(L, -1)) {
        lua_pushnil(L);
        call_sink(L, box, lua_gettop(L) - 1, index + 1);
    }
    lua_pop(L, 1);
    lua_getfield(L, state, "on_image");
    if (lua_isfunction(L, -1) && !box->stopped) {
        lua_pushvalue(L, -2);
        tc_pushwhole(L, index + 1);
        lua_call(L, 2, 0);
    } else {
        lua_pop(L, 1);
    }
}

/* Makes the table of a whole picture, frees the picture, and tells those who want to know. */
static void take_image(lua_State *L, int state, struct tc_request_box *box, unsigned index)
{
    struct tc_envelope *envelope = &box->request->envelope;
    lua_getfield(L, state, "save");
    const char *path = lua_tostring(L, -1);
    tc_push_image(L, envelope->images[index], envelope->streaming);
    if (path)
        finish_file(L, path, box, index);
    tc_envelope_drop_image(envelope, index);
    if (!box->stopped) { /* else the file could not be finished */
        lua_getfield(L, state, "images");
        lua_pushvalue(L, -2);
        lua_rawseti(L, -2, (int)index + 1);
        lua_pop(L, 1);
        tell_image(L, state, box, index);
    }
    lua_pop(L, 2);
}

/* The first picture that has something to give, or `image_count`. */
static unsigned next_image(const struct tc_envelope *envelope)
{
    for (unsigned i = 0; i < envelope->image_count; i++) {
        const struct tc_image *image = envelope->images[i];
        if (image && (image->whole || (envelope->streaming && image->bytes.size)))
            return i;
    }
    return envelope->image_count;
}

static void tell_progress(lua_State *L, int state, struct tc_request_box *box)
{
    const struct tc_request *request = box->request;
    lua_getfield(L, state, "on_progress");
    if (!lua_isfunction(L, -1) || request->received == box->told) {
        lua_pop(L, 1);
        return;
    }
    box->told = request->received;
    tc_pushwhole(L, request->received);
    if (request->expected)
        tc_pushwhole(L, request->expected);
    else
        lua_pushnil(L);
    lua_call(L, 2, 0);
}

/* Gives the request (1), whose uservalue is 2, away piece by piece. */
static int give_all(lua_State *L)
{
    struct tc_request_box *box = tc_request_box(L, 1);
    struct tc_envelope *envelope = &box->request->envelope;
    unsigned i;
    tc_checkstack(L, 20 + MOST_CHUNKS);
    while (!box->stopped && (i = next_image(envelope)) < envelope->image_count) {
        if (envelope->streaming && envelope->images[i]->bytes.size)
            take_bytes(L, 2, box, i);
        else
            take_image(L, 2, box, i);
    }
    if (!box->stopped)
        tell_progress(L, 2, box);
    return 0;
}

/*
 * Takes away what the request at `index` has brought, and gives it to those who want it. While one
 * of them is called, nothing more is given, though it may drive the client: things come in order.
 */
static void collect(lua_State *L, int index)
{
    struct tc_request_box *box = tc_request_box(L, index);
    if (box->giving || box->stopped)
        return;
    box->giving = true;
    lua_pushcfunction(L, give_all);
    lua_pushvalue(L, index);
    tc_getuservalue(L, index);
    int status = lua_pcall(L, 2, 0, 0);
    box->giving = false;
    if (box->put_off)
        tc_client_tell(box->request->client, box->request);
    box->put_off = false;
    if (status)
        lua_error(L);
}

/* ---- the result ---- */

/* Sets the pictures that were whole before it failed into the error on top: they are paid for. */
static void add_images(lua_State *L, int images)
{
    if (tc_rawlen(L, images) == 0)
        return;
    lua_pushvalue(L, images);
    lua_setfield(L, -2, "data");
}

/* Gives the response on top the model that was asked for where the answer names none. */
static void add_model(lua_State *L, int state)
{
    lua_getfield(L, -1, "model");
    if (lua_isnil(L, -1)) {
        lua_getfield(L, state, "model");
        lua_setfield(L, -3, "model");
    }
    lua_pop(L, 1);
}

/* Adds the whole pictures that nobody was given, as none of the user's functions is called any
 * more. */
static void add_rest(lua_State *L, struct tc_envelope *envelope, int images)
{
    for (unsigned i = 0; i < envelope->image_count && !envelope->streaming; i++) {
        if (!envelope->images[i] || !envelope->images[i]->whole)
            continue;
        tc_push_image(L, envelope->images[i], false);
        lua_rawseti(L, images, (int)tc_rawlen(L, images) + 1);
        tc_envelope_drop_image(envelope, i);
    }
}

/* Makes the result of a request that has ended; its uservalue is at `state`. */
static void make_result(lua_State *L, struct tc_request_box *box, int state)
{
    const struct tc_request *request = box->request;
    lua_getfield(L, state, "images");
    int images = lua_gettop(L);
    add_rest(L, &box->request->envelope, images);
    bool succeeded = !request->failure.kind && tc_push_response(L, request, images);
    if (request->failure.kind)
        tc_push_failure(L, &request->failure, request);
    if (succeeded)
        add_model(L, state);
    else
        add_images(L, images);
    tc_writer_abort(&box->writer); /* of a picture that did not become whole */
    lua_pushboolean(L, !succeeded);
    lua_setfield(L, state, "failed");
    lua_setfield(L, state, "result");
}

/* Makes the result if there is none yet. The request has ended. */
static void need_result(lua_State *L, int index, int state)
{
    lua_getfield(L, state, "result");
    bool known = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (known)
        return;
    collect(L, index);
    make_result(L, tc_request_box(L, index), state);
    lua_settop(L, state);
}

/* Pushes the response, or nil and the error; the uservalue is at `state`. Returns how many. */
static int push_result(lua_State *L, int state)
{
    lua_getfield(L, state, "failed");
    bool failed = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (failed)
        lua_pushnil(L);
    lua_getfield(L, state, "result");
    return failed ? 2 : 1;
}

int tc_request_push_result(lua_State *L, int index)
{
    tc_checkstack(L, 10);
    tc_getuservalue(L, index);
    int state = lua_gettop(L);
    lua_getfield(L, state, "raised");
    if (!lua_isnil(L, -1)) {
        lua_pushnil(L);
        lua_setfield(L, state, "raised");
        lua_error(L);
    }
    lua_pop(L, 1);
    need_result(L, index, state);
    return push_result(L, state);
}

/* ---- for the client, when there is news ---- */

int tc_request_give(lua_State *L)
{
    collect(L, 1);
    return 0;
}

int tc_request_finish(lua_State *L)
{
    tc_getuservalue(L, 1);
    need_result(L, 1, 2);
    lua_getfield(L, 2, "done");
    if (!lua_isfunction(L, -1))
        return 0;
    lua_pushnil(L);
    lua_setfield(L, 2, "done"); /* once */
    lua_call(L, push_result(L, 2), 0);
    return 0;
}

bool tc_request_put_off(lua_State *L, int index, struct tc_request *news)
{
    struct tc_request_box *box = tc_request_box(L, index);
    if (!box->giving)
        return false;
    box->put_off = true;
    if (news->state != TC_DONE) /* else the client's reference is kept for the next time */
        tc_request_release(news);
    return true;
}

bool tc_request_has_waiter(lua_State *L, int index)
{
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "waiters");
    bool has = lua_istable(L, -1) && tc_rawlen(L, -1) > 0;
    lua_pop(L, 2);
    return has;
}

int tc_request_resume_waiter(lua_State *L)
{
    int results;
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "waiters");
    int last = (int)tc_rawlen(L, 3);
    lua_rawgeti(L, 3, 1); /* first come, first served */
    for (int i = 1; i <= last; i++) {
        lua_rawgeti(L, 3, i + 1);
        lua_rawseti(L, 3, i);
    }
    if (lua_isfunction(L, 4)) { /* a scheduler's coroutine, which only that may resume */
        lua_call(L, 0, 0);
        return 0;
    }
    lua_State *thread = lua_tothread(L, 4);
    if (!thread || lua_status(thread) != LUA_YIELD) /* somebody else resumed it meanwhile */
        return 0;
    int status = tc_resume(thread, L, 0, &results);
    if (status == LUA_YIELD || status == 0) {
        lua_settop(thread, status == 0 ? 0 : lua_gettop(thread) - results);
        return 0;
    }
    lua_xmove(thread, L, 1); /* its error */
    return lua_error(L);
}

bool tc_request_keep_error(lua_State *L, int index)
{
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "waited");
    bool waited = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (waited) {
        lua_pushvalue(L, -2);
        lua_setfield(L, -2, "raised");
    }
    lua_pop(L, waited ? 2 : 1);
    return waited;
}

void tc_request_set_waited(lua_State *L, int index, bool waited)
{
    tc_getuservalue(L, index);
    lua_pushboolean(L, waited);
    lua_setfield(L, -2, "waited");
    lua_pop(L, 1);
}

void tc_request_abandon(lua_State *L, int index)
{
    struct tc_request_box *box = tc_request_box(L, index);
    tc_request_cancel(box->request);
    tc_writer_abort(&box->writer);
}

/* ---- methods ---- */

/* request:wait([seconds]) -> response | nil, err */
static int request_wait(lua_State *L)
{
    struct tc_request_box *box = check_request(L, 1);
    double seconds = luaL_optnumber(L, 2, HUGE_VAL);
    luaL_argcheck(L, seconds >= 0, 2, "a number of seconds expected"); /* which NaN is not */
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "client");
    if (box->giving)
        return luaL_error(L, "a request cannot be waited for by its own functions");
    if (box->request->state != TC_DONE && tc_client_wait(L, 3, 1, tc_clock_now() + seconds))
        return lua_error(L);
    if (box->request->state == TC_DONE)
        return tc_request_push_result(L, 1);
    lua_pushnil(L);
    tc_push_error(L, TC_TIMEOUT, NULL, "the request goes on: wait again, or cancel it");
    return 2;
}

/* waiter(request) -> what the client's driver says of the running coroutine: functions that suspend
 * it and wake it up again, or nothing for a coroutine like any other. */
static int request_waiter(lua_State *L)
{
    check_request(L, 1);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "client");
    if (!tc_client_push_driver(L, 3, "waiter"))
        return 0;
    lua_call(L, 0, 2);
    if (!lua_isnil(L, -2) && !(lua_isfunction(L, -2) && lua_isfunction(L, -1)))
        return luaL_error(L, "two functions expected from a driver's 'waiter', or nil");
    return 2;
}

/* attach(request, waiter) -> has it ended? If not, the waiter, a coroutine or a function that wakes
 * one, is resumed or called when it has. */
static int request_attach(lua_State *L)
{
    struct tc_request_box *box = check_request(L, 1);
    lua_settop(L, 2);
    bool ended = box->request->state == TC_DONE;
    lua_pushboolean(L, ended);
    if (ended)
        return 1;
    tc_getuservalue(L, 1);
    lua_getfield(L, 4, "waiters");
    if (lua_isnil(L, 5)) {
        lua_newtable(L);
        lua_replace(L, 5);
        lua_pushvalue(L, 5);
        lua_setfield(L, 4, "waiters");
    }
    int count = (int)tc_rawlen(L, 5);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 5, i);
        if (lua_rawequal(L, -1, 2)) { /* resumed by somebody else, and here again */
            lua_settop(L, 3);
            return 1;
        }
        lua_pop(L, 1);
    }
    lua_pushvalue(L, 2);
    lua_rawseti(L, 5, count + 1);
    lua_settop(L, 3);
    return 1;
}

static int request_result(lua_State *L)
{
    check_request(L, 1);
    lua_settop(L, 1);
    return tc_request_push_result(L, 1);
}

/* request:cancel() -> did that end it? */
static int request_cancel(lua_State *L)
{
    struct tc_request_box *box = check_request(L, 1);
    bool ended = tc_request_cancel(box->request);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "client");
    tc_client_sync(L, 3);
    lua_pushboolean(L, ended);
    return 1;
}

/* request:status() -> "queued" | "sending" | "receiving" | "retrying" | "done" */
static int request_status(lua_State *L)
{
    static const char *const names[] = {
        [TC_QUEUED] = "queued",     [TC_SENDING] = "sending", [TC_RECEIVING] = "receiving",
        [TC_RETRYING] = "retrying", [TC_DONE] = "done",
    };
    lua_pushstring(L, names[check_request(L, 1)->request->state]);
    return 1;
}

/* request:progress() -> received, total | nil, seconds */
static int request_progress(lua_State *L)
{
    const struct tc_request *request = check_request(L, 1)->request;
    double end = request->state == TC_DONE ? request->timing.ended : tc_clock_now();
    tc_pushwhole(L, request->received);
    if (request->expected)
        tc_pushwhole(L, request->expected);
    else
        lua_pushnil(L);
    lua_pushnumber(L, end - request->timing.submitted);
    return 3;
}

static int box_gc(lua_State *L)
{
    struct tc_request_box *box = luaL_checkudata(L, 1, BOX);
    tc_writer_abort(&box->writer);
    tc_request_release(box->request);
    box->request = NULL;
    return 0;
}

static int request_tostring(lua_State *L)
{
    lua_pushfstring(L, TC_REQUEST ": %p", luaL_checkudata(L, 1, TC_REQUEST));
    return 1;
}

/*
 * request:await(), in Lua, for a C function cannot yield and go on in every Lua. A coroutine that
 * is resumed before its time, by somebody else, is suspended again.
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

static void register_await(lua_State *L)
{
    luaL_getmetatable(L, TC_REQUEST);
    lua_getfield(L, -1, "__index");
    lua_getglobal(L, "coroutine");
    if (!lua_istable(L, -1) || luaL_loadbuffer(L, await_code, sizeof(await_code) - 1, "=await"))
        luaL_error(L, "thucchien needs Lua's coroutine library");
    lua_getfield(L, -2, "running");
    lua_getfield(L, -3, "yield");
    lua_pushcfunction(L, request_waiter);
    lua_pushcfunction(L, request_attach);
    lua_pushcfunction(L, request_result);
    lua_pushcfunction(L, request_wait);
    lua_call(L, 6, 1);
    lua_setfield(L, -3, "await");
    lua_pop(L, 3);
}

void tc_register_request(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__tostring", request_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg box_metamethods[] = {{"__gc", box_gc}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"wait", request_wait},
        {"cancel", request_cancel},
        {"status", request_status},
        {"progress", request_progress},
        {NULL, NULL},
    };
    tc_register_class(L, BOX, box_metamethods, NULL);
    tc_register_class(L, TC_REQUEST, metamethods, methods);
    register_await(L);
}
