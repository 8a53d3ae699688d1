/*
 * The request userdata: what a request has given so far, as Lua values, and where it goes.
 *
 * It counts as one holder of its struct tc_request. Its uservalue has `images` (the tables of the
 * pictures that are whole), `model`, the takers that the params brought (`on_image`, `on_progress`,
 * `sink`, `save`), and, once it is known, `result`: a response, or an error when `failed` is true.
 */
#include "binding.h"

#include "alloc.h"

#include <string.h>

static const char *const takers[] = {"on_image", "on_progress", "sink", "save"};

static struct tc_request_box *check_request(lua_State *L, int index)
{
    return luaL_checkudata(L, index, TC_REQUEST);
}

struct tc_request_box *tc_push_request(lua_State *L, int params, int model)
{
    params = tc_absindex(L, params);
    model = tc_absindex(L, model);
    struct tc_request_box *box = lua_newuserdata(L, sizeof(*box));
    memset(box, 0, sizeof(*box));
    luaL_getmetatable(L, TC_REQUEST);
    lua_setmetatable(L, -2);
    lua_createtable(L, 0, 6);
    lua_newtable(L);
    lua_setfield(L, -2, "images");
    lua_pushvalue(L, model);
    lua_setfield(L, -2, "model");
    for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
        lua_getfield(L, params, takers[i]);
        lua_setfield(L, -2, takers[i]);
    }
    tc_setuservalue(L, -2);
    return box;
}

/* ---- taking away ---- */

/* Ends the request, for what it brought could not be put away. */
static void give_up(struct tc_request_box *box, const char *message)
{
    tc_request_fail(box->request, TC_IO, message);
    tc_writer_abort(&box->writer);
}

static void cannot_write(struct tc_request_box *box, const char *path, int error)
{
    char message[400];
    snprintf(message, sizeof(message), "cannot write '%s': %s", path, strerror(error));
    give_up(box, message);
}

/* Calls the sink on top with the image's number and the chunk (or nil) below it, and pops all. */
static void call_sink(lua_State *L, struct tc_request_box *box, unsigned number)
{
    lua_insert(L, -2);
    tc_pushwhole(L, number);
    lua_insert(L, -2);
    lua_call(L, 2, 2);
    if (!lua_toboolean(L, -2) && !lua_isnil(L, -1)) {
        char message[400];
        const char *text = lua_tostring(L, -1);
        tc_redact(message, sizeof(message), text ? text : "the sink refused", NULL);
        give_up(box, message);
    }
    lua_pop(L, 2);
}

/* Takes the bytes that are there to the sink, or to the file. */
static void take_bytes(lua_State *L, int state, struct tc_request_box *box, unsigned index)
{
    struct tc_image *image = box->request->envelope.images[index];
    size_t size = image->bytes.size;
    lua_getfield(L, state, "save");
    const char *path = lua_tostring(L, -1);
    if (path) {
        int error = box->writer.file ? 0 : tc_writer_open(&box->writer, path);
        if (!error)
            error = tc_writer_write(&box->writer, image->bytes.data, size);
        image->bytes.size = 0;
        if (error)
            cannot_write(box, path, error);
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    lua_pushlstring(L, (const char *)image->bytes.data, size);
    image->bytes.size = 0; /* before the call: the sink may do anything */
    lua_getfield(L, state, "sink");
    call_sink(L, box, index + 1);
}

/* Gives the file of a whole picture its name, and its table, on top, the `path`. */
static void finish_file(lua_State *L, const char *path, struct tc_request_box *box, unsigned index)
{
    const char *ext = box->request->envelope.images[index]->signature.ext;
    const char *final = tc_push_path(L, path, ext, index + 1);
    int error = box->writer.file ? tc_writer_commit(&box->writer, final) : 0;
    if (error)
        cannot_write(box, final, error);
    lua_setfield(L, -2, "path");
}

/* Makes the table of a whole picture, frees the picture, and tells those who want to know. */
static void take_image(lua_State *L, int state, struct tc_request_box *box, unsigned index)
{
    struct tc_envelope *envelope = &box->request->envelope;
    tc_push_image(L, envelope->images[index], envelope->streaming);
    lua_getfield(L, state, "save");
    lua_insert(L, -2);
    if (lua_isstring(L, -2))
        finish_file(L, lua_tostring(L, -2), box, index);
    tc_envelope_drop_image(envelope, index);
    if (box->request->failure.kind == TC_IO) { /* the file could not be finished */
        lua_pop(L, 2);
        return;
    }
    lua_getfield(L, state, "images");
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (int)index + 1);
    lua_pop(L, 1);
    lua_getfield(L, state, "sink");
    if (lua_isfunction(L, -1)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        call_sink(L, box, index + 1);
    } else {
        lua_pop(L, 1);
    }
    lua_getfield(L, state, "on_image");
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, -2);
        tc_pushwhole(L, index + 1);
        lua_call(L, 2, 0);
    } else {
        lua_pop(L, 1);
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

void tc_request_collect(lua_State *L, int index)
{
    struct tc_request_box *box = lua_touserdata(L, index);
    struct tc_envelope *envelope = &box->request->envelope;
    unsigned i;
    luaL_checkstack(L, 20, NULL);
    tc_getuservalue(L, index);
    int state = lua_gettop(L);
    /* A function of the user's may come back here; so each turn looks anew and takes one thing. */
    while (box->request->failure.kind != TC_IO &&
           (i = next_image(envelope)) < envelope->image_count) {
        if (envelope->streaming && envelope->images[i]->bytes.size)
            take_bytes(L, state, box, i);
        else
            take_image(L, state, box, i);
    }
    tell_progress(L, state, box);
    lua_settop(L, state - 1);
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

/* Makes the result of a request that has ended; its uservalue is at `state`. */
static void make_result(lua_State *L, struct tc_request_box *box, int state)
{
    const struct tc_request *request = box->request;
    lua_getfield(L, state, "images");
    int images = lua_gettop(L);
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

int tc_request_push_result(lua_State *L, int index)
{
    struct tc_request_box *box = lua_touserdata(L, index);
    tc_getuservalue(L, index);
    int state = lua_gettop(L);
    lua_getfield(L, state, "result");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        tc_request_collect(L, index);
        make_result(L, box, state);
        lua_settop(L, state);
        lua_getfield(L, state, "result");
    }
    lua_getfield(L, state, "failed");
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushvalue(L, state + 1);
    return 2;
}

static int request_gc(lua_State *L)
{
    struct tc_request_box *box = check_request(L, 1);
    tc_writer_abort(&box->writer);
    tc_request_release(box->request);
    box->request = NULL;
    return 0;
}

static int request_tostring(lua_State *L)
{
    lua_pushfstring(L, TC_REQUEST ": %p", (void *)check_request(L, 1));
    return 1;
}

void tc_register_request(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", request_gc},
        {"__tostring", request_tostring},
        {NULL, NULL},
    };
    tc_register_class(L, TC_REQUEST, metamethods, NULL);
}
