/*
 * The end of a job: see lua_result.h.
 *
 * All functions here take the stack index of the request userdata, its uservalue's, or both.
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
#include "lua_fields.h"
#include "lua_hooks.h"
#include "lua_job.h"
#include "lua_own.h"
#include "lua_refusal.h"
#include "lua_response.h"
#include "lua_take.h"

#include <stdio.h>
#include <string.h>

/* ---- the end of a subrequest ---- */

/* Adds to the error on top the address of the picture that could not be fetched. The picture is
 * paid for, and the address works for a while. */
static void name_address(lua_State *L, const char *url)
{
    char shown[160], part[160];
    size_t size = strcspn(url, "?#"); /* what follows may be a secret */
    if (!strncmp(url, "data:", 5))    /* or megabytes */
        size = strcspn(url, ",");
    snprintf(part, sizeof(part), "%.*s", (int)(size < 150 ? size : 150), url);
    tc_redact(shown, sizeof(shown), part, NULL);
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

/* The same for a subrequest that fetches a picture, unless the caller has ended it. */
static void add_address(lua_State *L, int uservalue, const struct tc_subrequest *sub)
{
    enum tc_kind kind = sub->request->failure->kind;
    lua_getfield(L, uservalue, "urls");
    lua_rawgeti(L, -1, (int)sub->position);
    lua_pushvalue(L, -3);
    if (kind != TC_IO && kind != TC_CANCELLED)
        name_address(L, lua_isstring(L, -2) ? lua_tostring(L, -2) : sub->request->url);
    lua_pushboolean(L, 1); /* the response that has the address was billed */
    lua_setfield(L, -2, "maybe_billed");
    lua_pop(L, 3);
}

/* Keeps the error for a picture at an address that is not to be asked. */
static void refuse_address(lua_State *L, int uservalue, const char *url, const char *why)
{
    tc_push_error(L, TC_BAD_RESPONSE, NULL, "%s", why);
    name_address(L, url);
    tc_job_append(L, uservalue, "losses");
}

/* Pushes the address as it was in the response, before the key was taken out of it. */
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

/* Fetches picture `number` from `url`, which the response of `sub` has. */
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

/* Pushes what the server says of the picture of a slot, with its address if it has one, or nil. */
static void push_item(lua_State *L, int slot)
{
    lua_getfield(L, slot, "item");
    lua_getfield(L, slot, "url");
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

/* Pops a slot of tc_answer, keeps what the server says of its picture, and fetches the picture
 * unless it came along. Returns the picture's number, 0 for none. */
static unsigned take_slot(lua_State *L, int index, int uservalue, struct tc_subrequest *sub)
{
    struct tc_job *job = tc_job_of(L, index);
    int slot = lua_gettop(L);
    lua_getfield(L, slot, "url");
    lua_getfield(L, slot, "number");
    const char *url = lua_tostring(L, -2);
    unsigned number = 0, came = (unsigned)lua_tonumber(L, -1);
    if (url && sub->numbered == TC_IMAGES)
        refuse_address(L, uservalue, url, "there are too many images");
    else {
        number = tc_job_picture_number(L, job, sub, url ? sub->numbered : came - 1);
        push_item(L, slot);
        tc_job_keep(L, uservalue, "items", number);
        if (url)
            fetch(L, index, uservalue, sub, url, number);
    }
    lua_settop(L, slot - 1);
    return number;
}

/* Takes all slots of the list at `slots`, and keeps their order. The numbers do not have it: those
 * of pictures that have to be fetched are larger than those of pictures in the response. */
static void take_slots(lua_State *L, int index, int uservalue, struct tc_subrequest *sub, int slots)
{
    int count = (int)tc_rawlen(L, slots);
    lua_newtable(L);
    int order = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, slots, i);
        unsigned number = take_slot(L, index, uservalue, sub);
        if (number) {
            tc_pushwhole(L, number);
            tc_append(L, order);
        }
    }
    tc_job_keep(L, uservalue, "sequences", sub->position);
}

/* Reads the response of a subrequest that succeeded. False: an error table is on top. */
static bool read_answer(lua_State *L, int index, int uservalue, struct tc_subrequest *sub)
{
    struct tc_job *job = tc_job_of(L, index);
    unsigned images = sub->request->envelope->images.count;
    if (!tc_push_answer(L, sub->request))
        return false;
    int document = lua_gettop(L);
    tc_conceal(L, document, sub->request->options.api_key);
    lua_setfield(L, uservalue, "originals");
    if (images)
        (void)tc_job_picture_number(L, job, sub, images - 1);
    struct tc_answer answer = tc_read_answer(L, document, sub);
    if (sub->pictures == 0 && tc_rawlen(L, answer.slots) == 0) {
        tc_push_no_image(L, sub, answer.fields, answer.refusal);
        return false;
    }
    lua_pushvalue(L, answer.fields);
    tc_job_keep(L, uservalue, "answers", sub->position);
    take_slots(L, index, uservalue, sub, answer.slots);
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

/* Adds the pictures of the subrequest that are not whole to the error on top. */
static void add_cuts(lua_State *L, int uservalue, const struct tc_subrequest *sub)
{
    int error = lua_gettop(L);
    lua_getfield(L, uservalue, "cuts");
    int cuts = lua_gettop(L), list = cuts + 1;
    lua_newtable(L);
    for (unsigned i = 0; i < sub->numbered; i++) {
        lua_rawgeti(L, cuts, (int)sub->numbers[i]);
        if (lua_istable(L, -1))
            tc_append(L, list);
        else
            lua_pop(L, 1);
    }
    if (tc_rawlen(L, list))
        lua_setfield(L, error, "data");
    lua_settop(L, error);
}

/* Processes the end of a subrequest: takes what it has brought and reads its response. */
static void finish(lua_State *L, int index, int uservalue, struct tc_subrequest *sub)
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
    tc_writer_abort(&sub->writer); /* of a picture that nobody takes any more */
    bool ok = !request->failure->kind;
    if (sub->parent && tc_push_fault(L, sub, uservalue)) /* it names the picture */
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
    } else if (tc_push_fault(L, sub, uservalue)) { /* other pictures of it may be whole */
        add_cuts(L, uservalue, sub);
        tc_job_append(L, uservalue, "losses");
    }
    lua_settop(L, top);
    tc_request_free_response(sub->request); /* all that is needed of it are Lua values now */
    job->finishing = NULL;
}

/* ---- the result ---- */

/* Pushes the response of a job that is not for pictures. False: an error table is on top. */
static bool push_json_result(lua_State *L, const struct tc_job *job, int uservalue)
{
    lua_getfield(L, uservalue, "answers");
    lua_rawgeti(L, -1, 1);
    if (!lua_isnil(L, -1))
        return true;
    lua_getfield(L, uservalue, "failures");
    lua_rawgeti(L, -1, 1);
    if (lua_isnil(L, -1)) /* it was cancelled while its response was read */
        tc_push_failure(L, job->subrequests->request->failure, job->subrequests->request);
    return false;
}

/* Forgets what was sent, which may be large. */
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

/* Makes the result of a job that is over. */
static void make_result(lua_State *L, const struct tc_job *job, int uservalue)
{
    bool ok = job->json ? push_json_result(L, job, uservalue) : tc_push_response(L, job, uservalue);
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        tc_request_forget_key(sub->request);
    lua_setfield(L, uservalue, "result");
    lua_pushboolean(L, !ok);
    lua_setfield(L, uservalue, "failed");
    forget_sent(L, uservalue);
    lua_pushnil(L); /* the errors have them */
    lua_setfield(L, uservalue, "cuts");
}

/* TC_SETTLE, for the request (1). */
static int settle(lua_State *L)
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
        finish(L, 1, 2, sub);
    make_result(L, job, 2);
    return 0;
}

/* Settles a request whose result is asked for before it is delivered. */
static void settle_now(lua_State *L, int index, int uservalue)
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

/* Pushes the response, or nil and the error. Returns how many values that is. */
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
    settle_now(L, index, uservalue);
    return push_result(L, uservalue);
}

/* ---- called by name ---- */

/* TC_FINISH, for a subrequest (2) of the request (1). */
static int finish_subrequest(lua_State *L)
{
    struct tc_subrequest *sub = lua_touserdata(L, 2);
    tc_getuservalue(L, 1);
    finish(L, 1, lua_gettop(L), sub);
    return 0;
}

/* TC_NOTIFY, for the request (1). `done` is called once. If it could not begin, because a hook
 * raised an error before it or Lua's stack was full, it is kept for the next time. A full stack
 * shows in tc_checkstack, before `done` counts as called. */
static int notify(lua_State *L)
{
    enum { LARGEST_FRAME = 260 }; /* stack slots that a Lua function may need */
    bool called;
    tc_checkstack(L, LARGEST_FRAME);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "done");
    if (!lua_isfunction(L, 3))
        return 0;
    tc_hooks_run(L);
    lua_pushboolean(L, 0);
    lua_setfield(L, 2, "done");
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
    tc_own_function(L, TC_FINISH, finish_subrequest);
    tc_own_function(L, TC_SETTLE, settle);
    tc_own_function(L, TC_NOTIFY, notify);
}
