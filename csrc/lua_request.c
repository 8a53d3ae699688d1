/*
 * The request userdata: what a request has given so far, as Lua values.
 *
 * It counts as one holder of its struct tc_request. Its uservalue has `images` (the pictures that
 * are whole), `model`, and, once it is known, `result` (a response, or an error for which `failed`
 * is true).
 */
#include "binding.h"

#include "alloc.h"

static struct tc_request_box *check_request(lua_State *L, int index)
{
    return luaL_checkudata(L, index, TC_REQUEST);
}

struct tc_request_box *tc_push_request(lua_State *L, int model)
{
    model = tc_absindex(L, model);
    struct tc_request_box *box = lua_newuserdata(L, sizeof(*box));
    box->request = NULL;
    luaL_getmetatable(L, TC_REQUEST);
    lua_setmetatable(L, -2);
    lua_createtable(L, 0, 3);
    lua_newtable(L);
    lua_setfield(L, -2, "images");
    lua_pushvalue(L, model);
    lua_setfield(L, -2, "model");
    tc_setuservalue(L, -2);
    return box;
}

/* Frees picture `i`, of which Lua has its copy. */
static void drop_image(struct tc_envelope *envelope, unsigned i)
{
    tc_buffer_free(&envelope->images[i]->bytes);
    tc_free(envelope->images[i]);
    envelope->images[i] = NULL;
}

void tc_request_collect(lua_State *L, int index)
{
    struct tc_request_box *box = lua_touserdata(L, index);
    struct tc_envelope *envelope = &box->request->envelope;
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "images");
    for (unsigned i = 0; i < envelope->image_count; i++) {
        if (!envelope->images[i] || !envelope->images[i]->whole)
            continue;
        tc_push_image(L, envelope->images[i]);
        lua_rawseti(L, -2, (int)i + 1);
        drop_image(envelope, i);
    }
    lua_pop(L, 2);
}

/* Makes the result of a request that has ended; its uservalue is at `state`. */
static void make_result(lua_State *L, const struct tc_request *request, int state)
{
    lua_getfield(L, state, "images");
    bool succeeded = !request->failure.kind && tc_push_response(L, request, -1);
    if (request->failure.kind)
        tc_push_failure(L, &request->failure, request);
    if (succeeded) {
        lua_getfield(L, -1, "model");
        if (lua_isnil(L, -1)) {
            lua_getfield(L, state, "model");
            lua_setfield(L, -3, "model");
        }
        lua_pop(L, 1);
    }
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
        make_result(L, box->request, state);
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
