/*
 * The end of a job: what its parts' answers say, the pictures that those have elsewhere, and the
 * result, which is a response or an error.
 */
#include "lua_result.h"

#include "../base/writer.h"
#include "../splitter/images.h"
#include "../engine/client.h"
#include "../engine/failure.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "../engine/url.h"
#include "lua_answer.h"
#include "lua_conceal.h"
#include "lua_failure.h"
#include "lua_hooks.h"
#include "lua_job.h"
#include "lua_own.h"
#include "lua_refusal.h"
#include "lua_response.h"
#include "lua_take.h"

#include <stdio.h>
#include <string.h>

/* ---- the end of a part ---- */

/* Says in the error on top which picture could not be fetched: it is paid for, and may still be
 * had.
 */
static void name_address(lua_State *L, const char *url)
{
    char shown[160], place[160];
    size_t size = strcspn(url, "?#"); /* what follows may be a secret */
    if (!strncmp(url, "data:", 5))    /* or megabytes */
        size = strcspn(url, ",");
    snprintf(place, sizeof(place), "%.*s", (int)(size < 150 ? size : 150), url);
    tc_redact(shown, sizeof(shown), place, NULL);
    lua_getfield(L, -1, "message");
    lua_pushfstring(L, "cannot fetch %s: %s", shown, lua_tostring(L, -1));
    lua_setfield(L, -3, "message");
    lua_pop(L, 1);
    lua_pushliteral(L, "the picture was made, and may be had at err.url for a while");
    lua_setfield(L, -2, "advice");
    lua_pushstring(L, url);
    lua_setfield(L, -2, "url");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "maybe_billed");
}

/* The same for a part that was to fetch, unless it was ended from here. */
static void add_address(lua_State *L, int state, const struct tc_part *part)
{
    enum tc_kind kind = part->request->failure->kind;
    lua_getfield(L, state, "urls");
    lua_rawgeti(L, -1, (int)part->position);
    lua_pushvalue(L, -3);
    if (kind != TC_IO && kind != TC_CANCELLED)
        name_address(L, lua_isstring(L, -2) ? lua_tostring(L, -2) : part->request->url);
    lua_pushboolean(L, 1); /* the answer that it belongs to was */
    lua_setfield(L, -2, "maybe_billed");
    lua_pop(L, 3);
}

/* A picture's address that is not even asked. */
static void refuse_address(lua_State *L, int state, const char *url, const char *why)
{
    tc_push_error(L, TC_BAD_RESPONSE, NULL, "%s", why);
    name_address(L, url);
    tc_job_append(L, state, "losses");
}

/* Pushes the address as the answer had it, before the key was taken out of it. */
static const char *push_original(lua_State *L, int state, const char *url)
{
    lua_getfield(L, state, "originals");
    lua_getfield(L, -1, url);
    return lua_isstring(L, -1) ? lua_tostring(L, -1) : url;
}

/* Fetches the picture at `url`, which the answer of `part` points to, under `number`. */
static void fetch(lua_State *L, int index, int state, struct tc_part *part, const char *url,
                  unsigned number)
{
    struct tc_request_box *box = tc_request_box(L, index);
    struct tc_session *session = part->request->session;
    int top = lua_gettop(L);
    const char *place = push_original(L, state, url);
    const char *wrong =
        tc_url_check_picture(place, session->is_loopback, part->request->at_private_address);
    struct tc_request_options options = tc_job_fetch_options(part);
    options.place = place;
    if (session->closed)
        wrong = "the client was closed";
    if (box->stopped)
        wrong = "the request was cancelled";
    if (wrong) {
        refuse_address(L, state, url, wrong);
        lua_settop(L, top);
        return;
    }
    lua_getfield(L, state, "client");
    tc_getuservalue(L, -1);
    tc_job_hold(L, index, lua_gettop(L), session->client, 1);
    struct tc_request *request = tc_client_submit(session->client, &options);
    struct tc_part *added = request ? tc_job_add_part(box, number - 1, 1) : NULL;
    if (!added) {
        if (request)
            tc_client_cancel(request);
        tc_request_release(request);
        luaL_error(L, "not enough memory");
        return; /* which it never does */
    }
    added->of = part;
    added->request = request;
    request->awaited = box->awaited;
    lua_settop(L, top);
    lua_pushstring(L, url);
    tc_request_keep(L, state, "urls", added->position);
}

/* Pushes what the server says of the picture at a place, with its address if it has one, or nil. */
static void push_item(lua_State *L, int place)
{
    lua_getfield(L, place, "item");
    lua_getfield(L, place, "url");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    if (!lua_istable(L, -2)) {
        lua_newtable(L);
        lua_replace(L, -3);
    }
    lua_setfield(L, -2, "url");
}

/* Takes one place of an answer, which is on top, and pops it: what the server says of the picture
 * is kept for it, and a picture that is elsewhere is fetched. Returns its number, 0 for none. */
static unsigned take_place(lua_State *L, int index, int state, struct tc_part *part)
{
    struct tc_request_box *box = tc_request_box(L, index);
    int place = lua_gettop(L);
    lua_getfield(L, place, "url");
    lua_getfield(L, place, "number");
    const char *url = lua_tostring(L, place + 1);
    unsigned number = 0, which = (unsigned)lua_tonumber(L, place + 2);
    if (url && part->numbered == TC_IMAGES)
        refuse_address(L, state, url, "there are too many images");
    else {
        number = tc_request_number(L, box, part, url ? part->numbered : which - 1);
        push_item(L, place);
        tc_request_keep(L, state, "items", number);
        if (url)
            fetch(L, index, state, part, url, number);
    }
    lua_settop(L, place - 1);
    return number;
}

/* Takes the places of the list on top, and keeps their order: pictures that came along have earlier
 * numbers than those that have to be fetched. */
static void take_places(lua_State *L, int index, int state, struct tc_part *part)
{
    int places = lua_gettop(L), count = (int)tc_rawlen(L, places);
    lua_newtable(L);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, places, i);
        unsigned number = take_place(L, index, state, part);
        if (number) {
            tc_pushwhole(L, number);
            lua_rawseti(L, places + 1, (int)tc_rawlen(L, places + 1) + 1);
        }
    }
    tc_request_keep(L, state, "orders", part->position);
}

/* Reads the answer of a part that succeeded. False: an error table is on top. */
static bool read_answer(lua_State *L, int index, int state, struct tc_part *part)
{
    struct tc_request_box *box = tc_request_box(L, index);
    unsigned images = part->request->envelope->images.count;
    if (!tc_push_answer(L, part->request))
        return false;
    int document = lua_gettop(L), answer = document + 1, places = document + 2;
    tc_conceal(L, document, part->request->key);
    lua_setfield(L, state, "originals");
    if (images)
        (void)tc_request_number(L, box, part, images - 1);
    tc_read_answer(L, document, part);
    if (part->given == 0 && tc_rawlen(L, places) == 0) {
        tc_push_no_image(L, part, answer, places + 1);
        return false;
    }
    lua_pushvalue(L, answer);
    tc_request_keep(L, state, "answers", part->position);
    lua_settop(L, places);
    take_places(L, index, state, part);
    lua_pushnil(L);
    lua_setfield(L, state, "originals");
    lua_settop(L, document - 1);
    return true;
}

static bool read_json(lua_State *L, int state, struct tc_part *part)
{
    tc_push_param(L, state, "field");
    if (!tc_push_json_answer(L, part->request, lua_tostring(L, -1)))
        return false;
    tc_request_keep(L, state, "answers", part->position);
    return true;
}

/* Adds what came of pictures of the part that are not whole to the error on top. */
static void add_cuts(lua_State *L, int state, const struct tc_part *part)
{
    int error = lua_gettop(L);
    lua_getfield(L, state, "cuts");
    lua_newtable(L);
    for (unsigned i = 0; i < part->numbered; i++) {
        lua_rawgeti(L, error + 1, (int)part->numbers[i]);
        if (lua_istable(L, -1))
            lua_rawseti(L, error + 2, (int)tc_rawlen(L, error + 2) + 1);
        else
            lua_pop(L, 1);
    }
    if (tc_rawlen(L, error + 2))
        lua_setfield(L, error, "data");
    lua_settop(L, error);
}

/* Takes note of the end of a part of the request at `index`, whose uservalue is at `state`. */
static void note_end(lua_State *L, int index, int state, struct tc_part *part)
{
    struct tc_request_box *box = tc_request_box(L, index);
    const struct tc_request *request = part->request;
    int top = lua_gettop(L);
    if (part->noted)
        return;
    box->reading = part;
    tc_take_all(L, index, part);
    part->noted = true;
    tc_take_rest(L, box, part, state);
    tc_writer_abort(&part->writer); /* of a picture that nobody wants any more */
    bool well = !request->failure->kind;
    if (part->of && tc_push_fault(L, part, state)) /* it knows the picture's number */
        well = false;
    else if (!well)
        tc_push_failure(L, request->failure, request);
    else if (box->json)
        well = read_json(L, state, part);
    else if (!part->of)
        well = read_answer(L, index, state, part);
    if (!well) {
        add_cuts(L, state, part);
        if (part->of)
            add_address(L, state, part);
        tc_request_keep(L, state, "failures", part->position);
    } else if (tc_push_fault(L, part, state)) { /* others of its pictures may be whole */
        add_cuts(L, state, part);
        tc_job_append(L, state, "losses");
    }
    lua_settop(L, top);
    tc_request_free_answer(part->request); /* Lua has what was worth keeping */
    box->reading = NULL;
}

/* ---- the result ---- */

/* Pushes what a request that is not for pictures gives. False: an error table is on top. */
static bool push_json_result(lua_State *L, const struct tc_request_box *box, int state)
{
    lua_getfield(L, state, "answers");
    lua_rawgeti(L, -1, 1);
    if (!lua_isnil(L, -1))
        return true;
    lua_getfield(L, state, "failures");
    lua_rawgeti(L, -1, 1);
    if (lua_isnil(L, -1)) /* it was ended while its answer was read */
        tc_push_failure(L, box->parts->request->failure, box->parts->request);
    return false;
}

/* What was sent may be large, and is not needed any more. */
static void forget_sent(lua_State *L, int state)
{
    static const char *const large[] = {"images", "history", "messages", "extra_body", "body"};
    lua_getfield(L, state, "params");
    for (int i = 1; i <= 2; i++) { /* the bodies */
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, large[i]);
    }
    lua_pop(L, 1);
}

/* Makes the result of a request that is over. */
static void make_result(lua_State *L, const struct tc_request_box *box, int state)
{
    bool well = box->json ? push_json_result(L, box, state) : tc_push_response(L, box, state);
    for (struct tc_part *part = box->parts; part; part = part->next)
        tc_request_forget_key(part->request);
    lua_setfield(L, state, "result");
    lua_pushboolean(L, !well);
    lua_setfield(L, state, "failed");
    forget_sent(L, state);
    lua_pushnil(L); /* the error has them, for as long as somebody wants them */
    lua_setfield(L, state, "cuts");
}

/* Makes the result of the request (1), which is over. */
static int request_settle(lua_State *L)
{
    struct tc_request_box *box = tc_request_box(L, 1);
    tc_checkstack(L, 10);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    if (tc_job_is_settled(L, 2))
        return 0;
    if (!box->parts)
        return luaL_error(L, "a request that was submitted expected");
    for (struct tc_part *part = box->parts; part; part = part->next)
        note_end(L, 1, 2, part);
    make_result(L, box, 2);
    return 0;
}

/* The same for who asks for the result, and is not told of it. */
static void settle(lua_State *L, int index, int state)
{
    struct tc_request_box *box = tc_request_box(L, index);
    if (tc_job_is_settled(L, state))
        return;
    if (box->busy)
        tc_job_raise_busy(L);
    bool interrupted;
    tc_request_set_busy(box, true);
    int status = tc_request_call(L, index, TC_SETTLE, NULL, &interrupted);
    tc_request_set_busy(box, false);
    if (status)
        lua_error(L);
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
    tc_checkstack(L, 20);
    tc_getuservalue(L, index);
    int state = lua_gettop(L);
    lua_getfield(L, state, "raised");
    if (!tc_is_nothing(L, -1)) {
        tc_push_nothing(L);
        lua_setfield(L, state, "raised");
        lua_error(L);
    }
    lua_pop(L, 1);
    settle(L, index, state);
    return push_result(L, state);
}

/* ---- for the client, when there is news ---- */

static int request_note(lua_State *L)
{
    struct tc_part *part = lua_touserdata(L, 2);
    tc_getuservalue(L, 1);
    note_end(L, 1, lua_gettop(L), part);
    return 0;
}

/* An interrupt that is due comes before `done` is taken for called, and so does whatever else could
 * keep it from beginning. */
static int request_finish(lua_State *L)
{
    enum { LARGEST_FRAME = 260 };
    bool called;
    tc_checkstack(L, LARGEST_FRAME);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "done");
    if (!lua_isfunction(L, 3))
        return 0;
    tc_hooks_run(L);
    lua_pushboolean(L, 0);
    lua_setfield(L, 2, "done"); /* once */
    lua_pushvalue(L, 3);
    int status = tc_hooks_call(L, push_result(L, 2), &called);
    if (!called) {
        lua_pushvalue(L, 3);
        lua_setfield(L, 2, "done");
    }
    return status ? lua_error(L) : 0;
}

void tc_register_result(lua_State *L)
{
    tc_own_function(L, TC_NOTE, request_note);
    tc_own_function(L, TC_SETTLE, request_settle);
    tc_own_function(L, TC_FINISH, request_finish);
}
