/*
 * The end of a job: what its subrequests' answers say, the pictures that those have elsewhere, and
 * the result, which is a response or an error.
 */
#include "lua_result.h"

#include "../base/writer.h"
#include "../splitter/images.h"
#include "../engine/failure.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "../engine/session.h"
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

/* ---- the end of a subrequest ---- */

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

/* The same for a subrequest that was to fetch, unless it was ended from here. */
static void add_address(lua_State *L, int uservalue, const struct tc_subrequest *sub)
{
    enum tc_kind kind = sub->request->failure->kind;
    lua_getfield(L, uservalue, "urls");
    lua_rawgeti(L, -1, (int)sub->position);
    lua_pushvalue(L, -3);
    if (kind != TC_IO && kind != TC_CANCELLED)
        name_address(L, lua_isstring(L, -2) ? lua_tostring(L, -2) : sub->request->url);
    lua_pushboolean(L, 1); /* the answer that it belongs to was */
    lua_setfield(L, -2, "maybe_billed");
    lua_pop(L, 3);
}

/* A picture's address that is not even asked. */
static void refuse_address(lua_State *L, int uservalue, const char *url, const char *why)
{
    tc_push_error(L, TC_BAD_RESPONSE, NULL, "%s", why);
    name_address(L, url);
    tc_job_append(L, uservalue, "losses");
}

/* Pushes the address as the answer had it, before the key was taken out of it. */
static const char *push_original(lua_State *L, int uservalue, const char *url)
{
    lua_getfield(L, uservalue, "originals");
    lua_getfield(L, -1, url);
    return lua_isstring(L, -1) ? lua_tostring(L, -1) : url;
}

/* Why the picture at `address` is not to be fetched, or NULL. */
static const char *wrong_address(const struct tc_job *job, const struct tc_request *request,
                                 const char *address)
{
    const struct tc_session *session = request->session;
    if (job->stopped)
        return "the request was cancelled";
    if (session->closed)
        return "the client was closed";
    return tc_url_check_picture(address, session->is_loopback, request->attempt.at_private_address);
}

/* Fetches the picture at `url`, which the answer of `sub` points to, under `number`. */
static void fetch(lua_State *L, int index, int uservalue, struct tc_subrequest *sub,
                  const char *url, unsigned number)
{
    int top = lua_gettop(L);
    const char *address = push_original(L, uservalue, url);
    const char *wrong = wrong_address(tc_job_of(L, index), sub->request, address);
    if (wrong) {
        refuse_address(L, uservalue, url, wrong);
    } else {
        unsigned position = tc_job_fetch(L, index, sub, address, number);
        lua_pushstring(L, url);
        tc_job_keep(L, uservalue, "urls", position);
    }
    lua_settop(L, top);
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
static unsigned take_place(lua_State *L, int index, int uservalue, struct tc_subrequest *sub)
{
    struct tc_job *job = tc_job_of(L, index);
    int place = lua_gettop(L);
    lua_getfield(L, place, "url");
    lua_getfield(L, place, "number");
    const char *url = lua_tostring(L, place + 1);
    unsigned number = 0, which = (unsigned)lua_tonumber(L, place + 2);
    if (url && sub->numbered == TC_IMAGES)
        refuse_address(L, uservalue, url, "there are too many images");
    else {
        number = tc_job_picture_number(L, job, sub, url ? sub->numbered : which - 1);
        push_item(L, place);
        tc_job_keep(L, uservalue, "items", number);
        if (url)
            fetch(L, index, uservalue, sub, url, number);
    }
    lua_settop(L, place - 1);
    return number;
}

/* Takes the places of the list on top, and keeps their order: pictures that came along have earlier
 * numbers than those that have to be fetched. */
static void take_places(lua_State *L, int index, int uservalue, struct tc_subrequest *sub)
{
    int places = lua_gettop(L), count = (int)tc_rawlen(L, places);
    lua_newtable(L);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, places, i);
        unsigned number = take_place(L, index, uservalue, sub);
        if (number) {
            tc_pushwhole(L, number);
            lua_rawseti(L, places + 1, (int)tc_rawlen(L, places + 1) + 1);
        }
    }
    tc_job_keep(L, uservalue, "orders", sub->position);
}

/* Reads the answer of a subrequest that succeeded. False: an error table is on top. */
static bool read_answer(lua_State *L, int index, int uservalue, struct tc_subrequest *sub)
{
    struct tc_job *job = tc_job_of(L, index);
    unsigned images = sub->request->envelope->images.count;
    if (!tc_push_answer(L, sub->request))
        return false;
    int document = lua_gettop(L), answer = document + 1, places = document + 2;
    tc_conceal(L, document, sub->request->options.api_key);
    lua_setfield(L, uservalue, "originals");
    if (images)
        (void)tc_job_picture_number(L, job, sub, images - 1);
    tc_read_answer(L, document, sub);
    if (sub->pictures == 0 && tc_rawlen(L, places) == 0) {
        tc_push_no_image(L, sub, answer, places + 1);
        return false;
    }
    lua_pushvalue(L, answer);
    tc_job_keep(L, uservalue, "answers", sub->position);
    lua_settop(L, places);
    take_places(L, index, uservalue, sub);
    lua_pushnil(L);
    lua_setfield(L, uservalue, "originals");
    lua_settop(L, document - 1);
    return true;
}

static bool read_json(lua_State *L, int uservalue, struct tc_subrequest *sub)
{
    tc_job_push_param(L, uservalue, "field");
    if (!tc_push_json_answer(L, sub->request, lua_tostring(L, -1)))
        return false;
    tc_job_keep(L, uservalue, "answers", sub->position);
    return true;
}

/* Adds what came of pictures of the subrequest that are not whole to the error on top. */
static void add_cuts(lua_State *L, int uservalue, const struct tc_subrequest *sub)
{
    int error = lua_gettop(L);
    lua_getfield(L, uservalue, "cuts");
    lua_newtable(L);
    for (unsigned i = 0; i < sub->numbered; i++) {
        lua_rawgeti(L, error + 1, (int)sub->numbers[i]);
        if (lua_istable(L, -1))
            lua_rawseti(L, error + 2, (int)tc_rawlen(L, error + 2) + 1);
        else
            lua_pop(L, 1);
    }
    if (tc_rawlen(L, error + 2))
        lua_setfield(L, error, "data");
    lua_settop(L, error);
}

/* Takes note of the end of a subrequest of the request at `index`, whose uservalue is at
 * `uservalue`. */
static void note_end(lua_State *L, int index, int uservalue, struct tc_subrequest *sub)
{
    struct tc_job *job = tc_job_of(L, index);
    const struct tc_request *request = sub->request;
    int top = lua_gettop(L);
    if (sub->finished)
        return;
    job->finishing = sub;
    tc_take_all(L, index, sub);
    sub->finished = true;
    tc_take_rest(L, job, sub, uservalue);
    tc_writer_abort(&sub->writer); /* of a picture that nobody wants any more */
    bool ok = !request->failure->kind;
    if (sub->parent && tc_push_fault(L, sub, uservalue)) /* it knows the picture's number */
        ok = false;
    else if (!ok)
        tc_push_failure(L, request->failure, request);
    else if (job->json)
        ok = read_json(L, uservalue, sub);
    else if (!sub->parent)
        ok = read_answer(L, index, uservalue, sub);
    if (!ok) {
        add_cuts(L, uservalue, sub);
        if (sub->parent)
            add_address(L, uservalue, sub);
        tc_job_keep(L, uservalue, "failures", sub->position);
    } else if (tc_push_fault(L, sub, uservalue)) { /* others of its pictures may be whole */
        add_cuts(L, uservalue, sub);
        tc_job_append(L, uservalue, "losses");
    }
    lua_settop(L, top);
    tc_request_free_answer(sub->request); /* Lua has what was worth keeping */
    job->finishing = NULL;
}

/* ---- the result ---- */

/* Pushes what a request that is not for pictures gives. False: an error table is on top. */
static bool push_json_result(lua_State *L, const struct tc_job *job, int uservalue)
{
    lua_getfield(L, uservalue, "answers");
    lua_rawgeti(L, -1, 1);
    if (!lua_isnil(L, -1))
        return true;
    lua_getfield(L, uservalue, "failures");
    lua_rawgeti(L, -1, 1);
    if (lua_isnil(L, -1)) /* it was ended while its answer was read */
        tc_push_failure(L, job->subrequests->request->failure, job->subrequests->request);
    return false;
}

/* What was sent may be large, and is not needed any more. */
static void forget_sent(lua_State *L, int uservalue)
{
    static const char *const large[] = {"images", "history", "messages", "extra_body", "body"};
    lua_pushnil(L);
    lua_setfield(L, uservalue, "body");
    lua_pushnil(L);
    lua_setfield(L, uservalue, "last_body");
    lua_getfield(L, uservalue, "params");
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, large[i]);
    }
    lua_pop(L, 1);
}

/* Makes the result of a request that is over. */
static void make_result(lua_State *L, const struct tc_job *job, int uservalue)
{
    bool ok = job->json ? push_json_result(L, job, uservalue) : tc_push_response(L, job, uservalue);
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        tc_request_forget_key(sub->request);
    lua_setfield(L, uservalue, "result");
    lua_pushboolean(L, !ok);
    lua_setfield(L, uservalue, "failed");
    forget_sent(L, uservalue);
    lua_pushnil(L); /* the error has them, for as long as somebody wants them */
    lua_setfield(L, uservalue, "cuts");
}

/* Makes the result of the request (1), which is over. */
static int request_settle(lua_State *L)
{
    struct tc_job *job = tc_job_of(L, 1);
    tc_checkstack(L, 10);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    if (tc_job_is_settled(L, 2))
        return 0;
    if (!job->subrequests)
        return luaL_error(L, "a request that was submitted expected");
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        note_end(L, 1, 2, sub);
    make_result(L, job, 2);
    return 0;
}

/* The same for who asks for the result, and is not told of it. */
static void settle(lua_State *L, int index, int uservalue)
{
    struct tc_job *job = tc_job_of(L, index);
    if (tc_job_is_settled(L, uservalue))
        return;
    if (job->busy)
        tc_job_raise_busy(L);
    bool interrupted;
    tc_job_set_busy(job, true);
    int status = tc_job_call(L, index, TC_SETTLE, NULL, &interrupted);
    tc_job_set_busy(job, false);
    if (status)
        lua_error(L);
}

/* Pushes the response, or nil and the error; the uservalue is at `uservalue`. Returns how many. */
static int push_result(lua_State *L, int uservalue)
{
    lua_getfield(L, uservalue, "failed");
    bool failed = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (failed)
        lua_pushnil(L);
    lua_getfield(L, uservalue, "result");
    return failed ? 2 : 1;
}

int tc_result_push(lua_State *L, int index)
{
    tc_checkstack(L, 20);
    tc_getuservalue(L, index);
    int uservalue = lua_gettop(L);
    lua_getfield(L, uservalue, "raised");
    if (!tc_is_nothing(L, -1)) {
        tc_push_nothing(L);
        lua_setfield(L, uservalue, "raised");
        lua_error(L);
    }
    lua_pop(L, 1);
    settle(L, index, uservalue);
    return push_result(L, uservalue);
}

/* ---- for the client, when there is news ---- */

static int request_note(lua_State *L)
{
    struct tc_subrequest *sub = lua_touserdata(L, 2);
    tc_getuservalue(L, 1);
    note_end(L, 1, lua_gettop(L), sub);
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
