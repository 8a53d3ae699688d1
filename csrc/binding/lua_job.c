/*
 * Jobs: see lua_job.h.
 *
 * The uservalue of a request userdata is a table. It has those parts of the job that are Lua
 * values:
 *
 *     box               a userdata with the struct tc_job, and with the finalizer
 *     client            the client userdata
 *     params            what was asked for, as a plain table, with the functions that take what
 *                       comes: on_image, on_progress, sink
 *     shape             the size or aspect ratio that was asked for
 *     warnings          list of warnings that are known before there is a response
 *     body, last_body   userdata of what is sent, with its pictures, until there is a result
 *     done              the function to call with the result; false once it was called
 *     waiters           list of coroutines in await, or of functions that wake them
 *     raised            the first error of the user's functions while somebody was in wait
 *     result, failed    the response, or the error if `failed` is true
 *
 * and, by the number of a picture,
 *
 *     images            tables of the pictures that are whole
 *     cuts              tables of the pictures that are not whole
 *     faults            what is wrong with those, as text
 *     items             tables of what the server says of a picture
 *
 * by the position of a subrequest,
 *
 *     answers           the fields of its response: see tc_answer
 *     failures          its error
 *     urls              the address that it fetches
 *     sequences         the numbers of its pictures in the order of its response
 *
 * and
 *
 *     samples           by the table of a picture, a hash of its bytes if they went elsewhere
 *     drafts            list of pictures that are steps on the way to others
 *     losses            list of errors for single pictures
 *     originals         while a response is read: see tc_conceal
 *
 * The finalizer belongs to the box, because the box refers to no other values. Lua keeps all that a
 * finalizer can reach until the next collection; from the request userdata that would be the
 * pictures.
 */
#include "lua_job.h"

#include "../base/alloc.h"
#include "../base/writer.h"
#include "../splitter/envelope.h"
#include "../splitter/images.h"
#include "../engine/client.h"
#include "../engine/failure.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "../engine/session.h"
#include "lua_driver.h"
#include "lua_hooks.h"
#include "lua_own.h"

#include <stdio.h>
#include <string.h>

#define BOX       "thucchien.request.box"
#define USERVALUE "thucchien.request.uservalue"

/* The request userdata itself. */
struct handle {
    struct tc_job *job; /* the box */
};

struct tc_job *tc_job_of(lua_State *L, int index)
{
    struct handle *handle = lua_touserdata(L, index);
    return handle->job;
}

struct tc_job *tc_job_check(lua_State *L, int index)
{
    struct handle *handle = tc_check_class(L, index, TC_REQUEST);
    luaL_argcheck(L, handle->job && handle->job->subrequests, index,
                  "a request that was submitted expected");
    return handle->job;
}

/* The tables in a uservalue. Each is made when something is put into it, because a hundred thousand
 * requests may wait. Until then reading it gives an empty table, which all jobs share. */
static const char *const tables[] = {"images",  "cuts",      "faults",  "items",
                                     "samples", "drafts",    "answers", "failures",
                                     "urls",    "sequences", "losses"};

/* Makes the metatable of uservalues. */
static void register_uservalue(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_newtable(L); /* the empty table; tc_job_push_table never gives it */
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, tables[i]);
    }
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "waiters");
    tc_push_nothing(L);
    lua_setfield(L, -2, "raised");
    lua_setfield(L, -2, "__index");
    tc_own_keep(L, USERVALUE);
}

void tc_job_push_param(lua_State *L, int uservalue, const char *name)
{
    lua_getfield(L, uservalue, "params");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

void tc_job_push_table(lua_State *L, int uservalue, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, uservalue);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, uservalue, name);
}

struct tc_job *tc_job_push(lua_State *L, int client, int done)
{
    struct handle *handle = lua_newuserdata(L, sizeof(*handle));
    handle->job = NULL;
    tc_set_class(L, TC_REQUEST);
    lua_createtable(L, 0, 4);
    tc_set_class(L, USERVALUE);
    struct tc_job *job = lua_newuserdata(L, sizeof(*job));
    memset(job, 0, sizeof(*job));
    tc_set_class(L, BOX);
    lua_setfield(L, -2, "box");
    lua_pushvalue(L, client);
    lua_setfield(L, -2, "client");
    if (!lua_isnil(L, done)) {
        lua_pushvalue(L, done);
        lua_setfield(L, -2, "done");
    }
    lua_pushvalue(L, -1);
    tc_setuservalue(L, -3);
    handle->job = job;
    return job;
}

/* ---- subrequests ---- */

/* Adds a subrequest that has no request yet. NULL when memory is short. */
static struct tc_subrequest *add_subrequest(struct tc_job *job, unsigned first, unsigned quota)
{
    struct tc_subrequest *sub = tc_calloc(sizeof(*sub));
    if (!sub)
        return NULL;
    sub->position = job->last_subrequest ? job->last_subrequest->position + 1 : 1;
    sub->first = first;
    sub->quota = quota;
    *(job->last_subrequest ? &job->last_subrequest->next : &job->subrequests) = sub;
    job->last_subrequest = sub;
    return sub;
}

static void free_subrequests(struct tc_job *job)
{
    while (job->subrequests) {
        struct tc_subrequest *sub = job->subrequests;
        job->subrequests = sub->next;
        tc_writer_abort(&sub->writer);
        tc_request_release(sub->request);
        tc_free(sub->numbers);
        tc_free(sub);
    }
    job->last_subrequest = NULL;
}

struct tc_subrequest *tc_job_subrequest(const struct tc_job *job, const struct tc_request *request)
{
    struct tc_subrequest *sub = job->subrequests;
    while (sub && sub->request != request)
        sub = sub->next;
    return sub;
}

/* Is picture `index` of the envelope a draft? */
static bool is_draft(const struct tc_subrequest *sub, unsigned index)
{
    const struct tc_envelope *envelope = sub->request->envelope;
    return index < envelope->images.count && envelope->images.list[index] &&
           envelope->images.list[index]->draft;
}

unsigned tc_job_picture_number(lua_State *L, struct tc_job *job, struct tc_subrequest *sub,
                               unsigned index)
{
    if (!sub->numbers)
        sub->numbers = tc_calloc(TC_IMAGES * sizeof(*sub->numbers));
    if (!sub->numbers) {
        luaL_error(L, "not enough memory");
        return 0; /* not reached */
    }
    while (sub->numbered <= index) {
        unsigned number = 0;
        if (!is_draft(sub, sub->numbered)) {
            number =
                sub->pictures < sub->quota ? sub->first + sub->pictures + 1 : job->last_number + 1;
            sub->pictures++;
        }
        if (number > job->last_number)
            job->last_number = number;
        sub->numbers[sub->numbered++] = number;
    }
    return sub->numbers[index];
}

/* Is a subrequest over? If it succeeded, it is not before its response was read: that may add
 * subrequests, which fetch pictures. */
static bool is_over(const struct tc_subrequest *sub)
{
    const struct tc_request *request = sub->request;
    bool fetches_nothing = sub->parent || request->failure->kind || request->session->closed;
    return sub->finished || (request->state == TC_DONE && fetches_nothing);
}

bool tc_job_is_over(const struct tc_job *job)
{
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        if (!is_over(sub))
            return false;
    return true;
}

/*
 * Makes the client userdata at `client` hold the request userdata at `index`, once for each of the
 * next `count` requests of the engine's. Call this before submitting those: it may raise an error,
 * and a request that is in the queue already would be sent and paid for.
 */
static void hold(lua_State *L, int index, int client, unsigned count)
{
    unsigned last_id = tc_client_box(L, client)->client->last_id;
    tc_getuservalue(L, client);
    for (unsigned i = 1; i <= count; i++) {
        lua_pushvalue(L, index);
        lua_rawseti(L, -2, (int)(last_id + i));
    }
    lua_pop(L, 1);
}

/* Adds as many subrequests as the pictures need. A single one takes any number of pictures that the
 * server sends. False when memory is short. */
static bool add_subrequests(struct tc_job *job)
{
    bool alone = job->count <= job->per_request, added = true;
    for (unsigned first = 0; added && first < job->count; first += job->per_request)
        added = add_subrequest(job, first, alone ? TC_IMAGES : job->per_request) != NULL;
    return added;
}

/* Puts all subrequests into the queue. False when memory is short. */
static bool submit_all(struct tc_job *job, struct tc_client *client)
{
    unsigned left = job->count;
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        if (left < job->per_request)
            job->options.body = job->last_body;
        sub->request = tc_client_submit(client, &job->options);
        if (!sub->request)
            return false;
        left -= left < job->per_request ? left : job->per_request;
    }
    return true;
}

void tc_job_submit(lua_State *L, int index, int client)
{
    struct tc_job *job = tc_job_of(L, index);
    bool added = add_subrequests(job);
    job->last_number = job->count;
    hold(L, index, client, added ? job->last_subrequest->position : 0);
    if (!added || !submit_all(job, tc_client_box(L, client)->client)) {
        tc_job_abandon(job);
        free_subrequests(job);
        luaL_error(L, "not enough memory");
    }
    job->options = (struct tc_request_options){0};
}

/* What to send to fetch a picture from `address`, which the response of `parent` has. The time
 * limits are those of the user's request. */
static struct tc_request_options fetch_options(const struct tc_subrequest *parent,
                                               const char *address)
{
    static const char *const no_headers[] = {NULL};
    struct tc_request_options options = parent->request->options;
    options.method = "GET";
    options.base = TC_BASE_NONE;
    options.path = address;
    options.credentials = TC_NO_CREDENTIALS; /* api_key stays, to be kept out of messages */
    options.retry_safe = true;
    options.raw_image = true;
    options.may_be_empty = false;
    options.allow_private = parent->request->attempt.at_private_address;
    options.body = NULL;
    options.headers = no_headers;
    options.rules = NULL;
    options.rule_count = 0;
    return options;
}

unsigned tc_job_fetch(lua_State *L, int index, const struct tc_subrequest *parent,
                      const char *address, unsigned number)
{
    struct tc_job *job = tc_job_of(L, index);
    struct tc_client *client = parent->request->session->client;
    struct tc_request_options options = fetch_options(parent, address);
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "client");
    hold(L, index, lua_gettop(L), 1);
    lua_pop(L, 2);
    struct tc_request *request = tc_client_submit(client, &options);
    struct tc_subrequest *sub = request ? add_subrequest(job, number - 1, 1) : NULL;
    if (!sub) {
        if (request)
            tc_client_cancel(request);
        tc_request_release(request);
        luaL_error(L, "not enough memory");
        return 0; /* not reached */
    }
    sub->parent = parent;
    sub->request = request;
    request->awaited = job->awaited;
    return sub->position;
}

/* Sums up the bytes that all subrequests have received. `*total` is how many there will be, or 0 if
 * that is not known of one of them. */
static uint64_t sum_received(const struct tc_job *job, uint64_t *total)
{
    uint64_t received = 0;
    bool known = true;
    *total = 0;
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        received += sub->request->received;
        *total += sub->request->expected;
        known = known && sub->request->expected;
    }
    *total = known ? *total : 0;
    return received;
}

uint64_t tc_job_push_received(lua_State *L, const struct tc_job *job)
{
    uint64_t total, received = sum_received(job, &total);
    tc_pushwhole(L, received);
    if (total)
        tc_pushwhole(L, total);
    else
        lua_pushnil(L);
    return received;
}

/* ---- the uservalue ---- */

void tc_job_keep(lua_State *L, int uservalue, const char *name, unsigned number)
{
    tc_job_push_table(L, uservalue, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)number);
    lua_pop(L, 1);
}

void tc_job_append(lua_State *L, int uservalue, const char *name)
{
    tc_job_push_table(L, uservalue, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)tc_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

bool tc_job_is_settled(lua_State *L, int uservalue)
{
    lua_getfield(L, uservalue, "result");
    bool settled = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return settled;
}

/* ---- ending it ---- */

void tc_job_stop(struct tc_job *job, struct tc_subrequest *sub, enum tc_kind kind,
                 const char *message)
{
    if (!job->culprit)
        job->culprit = sub;
    job->stopped = true;
    tc_client_fail(sub->request, kind, message);
    tc_writer_abort(&sub->writer);
    for (struct tc_subrequest *other = job->subrequests; other; other = other->next)
        if (other->request)
            tc_client_cancel(other->request);
}

static bool is_about_memory(const char *text)
{
    return text && (strstr(text, "not enough memory") || strstr(text, "emory allocation error"));
}

void tc_job_stop_by_error(lua_State *L, struct tc_job *job, struct tc_subrequest *sub)
{
    static const char raised[] = "a function of the caller's raised an error: ";
    char text[300], message[400];
    const char *error = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    size_t size = error ? sizeof(raised) - 1 : sizeof(raised) - 3;
    tc_redact(text, sizeof(text), error ? error : "", sub->request->options.api_key);
    snprintf(message, sizeof(message), "%.*s%s", (int)size, raised, text);
    tc_job_stop(job, sub, TC_CANCELLED, is_about_memory(error) ? "not enough memory" : message);
}

bool tc_job_goes_on(const struct tc_job *job, const struct tc_subrequest *sub)
{
    return !job->stopped && sub->request->failure->kind != TC_CANCELLED;
}

/* Is it too late to cancel a subrequest? It is not while its response is being read. */
static bool is_past_cancelling(const struct tc_job *job, const struct tc_subrequest *sub)
{
    return sub == job->finishing ? sub->request->failure->kind != TC_NONE : is_over(sub);
}

bool tc_job_cancel(struct tc_job *job)
{
    bool any = false;
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        if (is_past_cancelling(job, sub))
            continue;
        if (!job->culprit)
            job->culprit = sub;
        job->stopped = any = true;
        tc_client_fail(sub->request, TC_CANCELLED, "the request was cancelled");
    }
    return any;
}

void tc_job_abandon(struct tc_job *job)
{
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        if (sub->request)
            tc_client_cancel(sub->request);
        tc_writer_abort(&sub->writer);
    }
}

/* ---- calling the user's functions ---- */

/* Makes the client deliver again what was deferred. A request that has ended can only be pending
 * again with the reference that tc_job_defer kept: `holds_end`. */
static void redeliver(struct tc_job *job)
{
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        struct tc_request *request = sub->request;
        if (sub->deferred && (sub->holds_end || request->state != TC_DONE))
            tc_request_notify(request);
        sub->deferred = sub->holds_end = false;
    }
}

void tc_job_set_busy(struct tc_job *job, bool busy)
{
    job->busy = busy;
    if (!busy)
        redeliver(job);
}

void tc_job_defer(const struct tc_job *job, struct tc_request *request)
{
    struct tc_subrequest *sub = tc_job_subrequest(job, request);
    bool keep = sub && request->state == TC_DONE && !sub->holds_end;
    if (sub)
        sub->deferred = true;
    if (keep)
        sub->holds_end = true;
    else
        tc_request_release(request);
}

int tc_job_call(lua_State *L, int index, const char *name, struct tc_subrequest *sub,
                bool *interrupted)
{
    struct tc_job *job = tc_job_of(L, index);
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "client");
    unsigned *depth = &tc_client_box(L, -1)->call_depth; /* the request keeps the client alive */
    lua_pop(L, 2);
    tc_own_push(L, name);
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, sub);
    ++*depth;
    int status = tc_hooks_pcall(L, 2, 0, interrupted);
    --*depth;
    struct tc_subrequest *culprit = job->finishing ? job->finishing : sub;
    if (status && culprit)
        tc_job_stop_by_error(L, job, culprit);
    job->finishing = NULL;
    return status;
}

int tc_job_raise_busy(lua_State *L)
{
    return luaL_error(L, "a request cannot be waited for by its own functions");
}

/* ---- who waits ---- */

bool tc_job_keep_error(lua_State *L, int index)
{
    if (!tc_job_of(L, index)->in_wait)
        return false;
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "raised");
    bool first = tc_is_nothing(L, -1);
    lua_pop(L, 1);
    if (first) {
        lua_pushvalue(L, -2);
        lua_setfield(L, -2, "raised");
    }
    lua_pop(L, 1);
    return true;
}

bool tc_job_set_in_wait(lua_State *L, int index, bool in_wait)
{
    struct tc_job *job = tc_job_of(L, index);
    bool before = job->in_wait;
    if (in_wait) { /* makes the field now, so that setting it later needs no memory */
        tc_getuservalue(L, index);
        lua_getfield(L, -1, "raised");
        lua_setfield(L, -2, "raised");
        lua_pop(L, 1);
    }
    job->in_wait = in_wait;
    return before;
}

bool tc_job_set_awaited(struct tc_job *job, bool awaited)
{
    bool before = job->awaited;
    job->awaited = awaited;
    for (struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        sub->request->awaited = awaited;
    return before;
}

static int box_gc(lua_State *L)
{
    struct tc_job *job = tc_check_class(L, 1, BOX);
    if (job->busy) /* somebody calls this by hand */
        return 0;
    /* Nobody would take what its requests bring, and each would count as in flight for ever. */
    tc_job_abandon(job);
    free_subrequests(job);
    return 0;
}

void tc_register_job(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", box_gc}, {NULL, NULL}};
    tc_register_class(L, BOX, metamethods, NULL);
    register_uservalue(L);
}
