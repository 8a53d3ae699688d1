/*
 * A job: one request of the user's, and what it has given so far, as Lua values.
 *
 * A user's request has one or more parts, each a request of the engine's: where a model makes fewer
 * pictures at once than were asked for, and where an answer has addresses in place of pictures.
 *
 * Its uservalue has
 *
 *     box                           a userdata of the struct tc_request_box; it has the finalizer
 *     client                        its userdata
 *     images, cuts                  the tables of the pictures that are whole, and that are not, by
 *                                   number
 *     faults                        what is wrong with those that have ended and are not, by number
 *     items                         what the server says of pictures, by number
 *     samples                       of the bytes that went elsewhere, by picture
 *     drafts                        a list of pictures that are steps on the way to others
 *     answers, failures, urls       of the parts, by position
 *     orders                        numbers as an answer has them, by its part's position
 *     losses                        errors for single pictures: addresses that were not even asked,
 *                                   pictures that are not whole
 *     params                        what was asked for, and who takes what: on_image, sink, save,
 * ...; under 1 and 2 what is sent, with its pictures, until it is over done who is told of the end
 *     waiters                       coroutines in await, or functions that wake them
 *     raised                        what a function of the user's raised while somebody was in wait
 *     result, failed                the response, or the error when `failed` is true
 *
 * The finalizer is the box's, which refers to nothing: Lua keeps what a finalizer can reach until
 * the next collection, and here that would be the pictures.
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
#include "lua_driver.h"
#include "lua_hooks.h"
#include "lua_own.h"
#include "lua_params.h"

#include <stdio.h>
#include <string.h>

#define BOX   "thucchien.request.box"
#define STATE "thucchien.request.state"

/* What the userdata itself is. */
struct place {
    struct tc_request_box *box;
};

struct tc_request_box *tc_request_box(lua_State *L, int index)
{
    struct place *place = lua_touserdata(L, index);
    return place->box;
}

struct tc_request_box *tc_check_request(lua_State *L, int index)
{
    struct place *place = tc_check_class(L, index, TC_REQUEST);
    luaL_argcheck(L, place->box && place->box->parts, index,
                  "a request that was submitted expected");
    return place->box;
}

/* The tables of a uservalue, which come into being with what is in them: a hundred thousand
 * requests may wait. One that is not there reads as an empty one. */
static const char *const tables[] = {"images",  "cuts",     "faults", "items",  "samples", "drafts",
                                     "answers", "failures", "urls",   "orders", "losses"};

/* Makes the metatable of uservalues. */
static void register_state(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_newtable(L); /* the empty one: nobody writes to it */
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
    tc_own_keep(L, STATE);
}

void tc_push_param(lua_State *L, int state, const char *name)
{
    lua_getfield(L, state, "params");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* Pushes the table `name` of the uservalue at `state`, to be written to. */
static void push_table(lua_State *L, int state, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, state);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, state, name);
}

struct tc_request_box *tc_push_request(lua_State *L, int client, int params, int done,
                                       const struct tc_order *order)
{
    struct place *place = lua_newuserdata(L, sizeof(*place));
    place->box = NULL;
    tc_set_class(L, TC_REQUEST);
    lua_createtable(L, 0, 4);
    tc_set_class(L, STATE);
    struct tc_request_box *box = lua_newuserdata(L, sizeof(*box));
    memset(box, 0, sizeof(*box));
    tc_set_class(L, BOX);
    lua_setfield(L, -2, "box");
    lua_pushvalue(L, client);
    lua_setfield(L, -2, "client");
    lua_pushvalue(L, params);
    lua_setfield(L, -2, "params");
    if (!lua_isnil(L, done)) {
        lua_pushvalue(L, done);
        lua_setfield(L, -2, "done");
    }
    tc_setuservalue(L, -2);
    box->count = box->last_number = order->count;
    box->ratio = order->ratio;
    box->own_ratio = order->own_ratio;
    box->via = order->via;
    box->json = order->json;
    place->box = box;
    return box;
}

/* ---- parts ---- */

struct tc_part *tc_job_add_part(struct tc_request_box *box, unsigned first, unsigned quota)
{
    struct tc_part *part = tc_calloc(sizeof(*part));
    if (!part)
        return NULL;
    part->position = box->last_part ? box->last_part->position + 1 : 1;
    part->first = first;
    part->quota = quota;
    *(box->last_part ? &box->last_part->next : &box->parts) = part;
    box->last_part = part;
    return part;
}

static void free_parts(struct tc_request_box *box)
{
    while (box->parts) {
        struct tc_part *part = box->parts;
        box->parts = part->next;
        tc_writer_abort(&part->writer);
        tc_request_release(part->request);
        tc_free(part->numbers);
        tc_free(part);
    }
    box->last_part = NULL;
}

struct tc_part *tc_request_part(const struct tc_request_box *box, const struct tc_request *request)
{
    struct tc_part *part = box->parts;
    while (part && part->request != request)
        part = part->next;
    return part;
}

/* Is what the answer has at `index` a draft? */
static bool is_draft(const struct tc_part *part, unsigned index)
{
    const struct tc_envelope *envelope = part->request->envelope;
    return index < envelope->images.count && envelope->images.list[index] &&
           envelope->images.list[index]->draft;
}

unsigned tc_request_number(lua_State *L, struct tc_request_box *box, struct tc_part *part,
                           unsigned index)
{
    if (!part->numbers)
        part->numbers = tc_calloc(TC_IMAGES * sizeof(*part->numbers));
    if (!part->numbers) {
        luaL_error(L, "not enough memory");
        return 0; /* which it never does */
    }
    while (part->numbered <= index) {
        unsigned number = 0;
        if (!is_draft(part, part->numbered)) {
            number =
                part->given < part->quota ? part->first + part->given + 1 : box->last_number + 1;
            part->given++;
        }
        if (number > box->last_number)
            box->last_number = number;
        part->numbers[part->numbered++] = number;
    }
    return part->numbers[index];
}

/* Has its request ended, and is nothing to follow from that? */
static bool is_over(const struct tc_part *part)
{
    const struct tc_request *request = part->request;
    bool fruitless = part->of || request->failure->kind || request->session->closed;
    return part->noted || (request->state == TC_DONE && fruitless);
}

bool tc_request_is_over(const struct tc_request_box *box)
{
    for (const struct tc_part *part = box->parts; part; part = part->next)
        if (!is_over(part))
            return false;
    return true;
}

void tc_job_hold(lua_State *L, int index, int lent, const struct tc_client *client, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        lua_pushvalue(L, index);
        lua_rawseti(L, lent, (int)(client->last_id + i));
    }
}

/* Puts the requests of all parts into the queue. False when memory is short. */
static bool submit_all(struct tc_request_box *box, struct tc_client *client,
                       const struct tc_order *order)
{
    struct tc_request_options options = order->options;
    unsigned rest = order->count;
    for (struct tc_part *part = box->parts; part; part = part->next) {
        options.body = rest < order->at_once ? order->last_body : order->body;
        part->request = tc_client_submit(client, &options);
        if (!part->request)
            return false;
        rest -= rest < order->at_once ? rest : order->at_once;
    }
    return true;
}

struct tc_request_options tc_job_fetch_options(const struct tc_part *part)
{
    static const char *const no_headers[] = {NULL};
    const struct tc_request *request = part->request;
    return (struct tc_request_options){
        .method = "GET",
        .base = TC_BASE_NONE,
        .credentials = TC_NO_CREDENTIALS,
        .unbilled = true,
        .picture = true,
        .trusted = request->at_private_address,
        .api_key = request->key, /* to be kept out of messages: it is not sent */
        .headers = no_headers,
        .timeout = request->timeout,
        .connect_timeout = request->connect_timeout,
        .max_retries = request->max_retries,
        .retry = request->retry,
        .streaming = request->streaming,
        .progress = request->progress,
    };
}

void tc_request_submit(lua_State *L, int index, int client, const struct tc_order *order)
{
    index = tc_absindex(L, index);
    struct tc_request_box *box = tc_request_box(L, index);
    unsigned at_once = order->at_once ? order->at_once : 1;
    bool alone = order->count <= at_once, added = true;
    tc_getuservalue(L, client);
    int lent = lua_gettop(L);
    for (unsigned first = 0; added && (first < order->count || first == 0); first += at_once)
        added = tc_job_add_part(box, first, alone ? TC_IMAGES : at_once) != NULL;
    struct tc_client *engine = tc_client_of(L, client);
    tc_job_hold(L, index, lent, engine, added ? box->last_part->position : 0);
    if (!added || !submit_all(box, engine, order)) {
        tc_request_abandon(L, index);
        free_parts(box);
        luaL_error(L, "not enough memory");
    }
    lua_settop(L, lent - 1);
}

uint64_t tc_job_received(const struct tc_request_box *box, uint64_t *total)
{
    uint64_t received = 0;
    bool known = true;
    *total = 0;
    for (const struct tc_part *part = box->parts; part; part = part->next) {
        received += part->request->received;
        *total += part->request->expected;
        known = known && part->request->expected;
    }
    *total = known ? *total : 0;
    return received;
}

void tc_job_push_received(lua_State *L, uint64_t received, uint64_t total)
{
    tc_pushwhole(L, received);
    if (total)
        tc_pushwhole(L, total);
    else
        lua_pushnil(L);
}

/* ---- what it has given ---- */

void tc_request_keep(lua_State *L, int state, const char *name, unsigned number)
{
    push_table(L, state, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)number);
    lua_pop(L, 1);
}

void tc_job_append(lua_State *L, int state, const char *name)
{
    push_table(L, state, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)tc_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

bool tc_job_is_settled(lua_State *L, int state)
{
    lua_getfield(L, state, "result");
    bool settled = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return settled;
}

/* ---- its end ---- */

void tc_request_stop(struct tc_request_box *box, struct tc_part *part, enum tc_kind kind,
                     const char *message)
{
    if (!box->cause)
        box->cause = part;
    box->stopped = true;
    tc_client_fail(part->request, kind, message);
    tc_writer_abort(&part->writer);
    for (struct tc_part *other = box->parts; other; other = other->next)
        if (other->request)
            tc_client_cancel(other->request);
}

static bool is_about_memory(const char *text)
{
    return text && (strstr(text, "not enough memory") || strstr(text, "emory allocation error"));
}

void tc_request_stop_by_error(lua_State *L, struct tc_request_box *box, struct tc_part *part)
{
    static const char raised[] = "a function of the caller's raised an error: ";
    char text[300], message[400];
    const char *error = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    size_t size = error ? sizeof(raised) - 1 : sizeof(raised) - 3;
    tc_redact(text, sizeof(text), error ? error : "", part->request->key);
    snprintf(message, sizeof(message), "%.*s%s", (int)size, raised, text);
    tc_request_stop(box, part, TC_CANCELLED,
                    is_about_memory(error) ? "not enough memory" : message);
}

bool tc_job_goes_on(const struct tc_request_box *box, const struct tc_part *part)
{
    return !box->stopped && part->request->failure->kind != TC_CANCELLED;
}

/* Is there nothing left of a part that could be cancelled? While its answer is read there is. */
static bool is_beyond(const struct tc_request_box *box, const struct tc_part *part)
{
    return part == box->reading ? part->request->failure->kind != TC_NONE : is_over(part);
}

bool tc_job_cancel(struct tc_request_box *box)
{
    bool any = false;
    for (struct tc_part *part = box->parts; part; part = part->next) {
        if (is_beyond(box, part))
            continue;
        if (!box->cause)
            box->cause = part;
        box->stopped = any = true;
        tc_client_fail(part->request, TC_CANCELLED, "the request was cancelled");
    }
    return any;
}

void tc_request_abandon(lua_State *L, int index)
{
    struct tc_request_box *box = tc_request_box(L, index);
    for (struct tc_part *part = box->parts; part; part = part->next) {
        if (part->request)
            tc_client_cancel(part->request);
        tc_writer_abort(&part->writer);
    }
}

/* ---- calls of the user's functions ---- */

/* Has those told again that had to wait. Of one that has ended, and whose end is not here, the
 * client has that still, or has let go of it. */
static void tell_put_off(struct tc_request_box *box)
{
    for (struct tc_part *part = box->parts; part; part = part->next) {
        struct tc_request *request = part->request;
        if (part->put_off && (part->kept || request->state != TC_DONE))
            tc_request_notify(request);
        part->put_off = part->kept = false;
    }
}

void tc_request_set_busy(struct tc_request_box *box, bool busy)
{
    box->busy = busy;
    if (!busy)
        tell_put_off(box);
}

void tc_request_put_off(const struct tc_request_box *box, struct tc_request *news)
{
    struct tc_part *part = tc_request_part(box, news);
    bool keep = part && news->state == TC_DONE && !part->kept;
    if (part)
        part->put_off = true;
    if (keep)
        part->kept = true; /* the client's reference, for the next time */
    else
        tc_request_release(news);
}

int tc_request_call(lua_State *L, int index, const char *name, struct tc_part *part,
                    bool *interrupted)
{
    struct tc_request_box *box = tc_request_box(L, index);
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "client");
    unsigned *calls = tc_client_calls(L, -1); /* the request holds it */
    lua_pop(L, 2);
    tc_own_push(L, name);
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, part);
    ++*calls;
    int status = tc_hooks_pcall(L, 2, 0, interrupted);
    --*calls;
    struct tc_part *lost = box->reading ? box->reading : part;
    if (status && lost)
        tc_request_stop_by_error(L, box, lost);
    box->reading = NULL;
    return status;
}

int tc_job_raise_busy(lua_State *L)
{
    return luaL_error(L, "a request cannot be waited for by its own functions");
}

/* ---- who waits ---- */

bool tc_request_keep_error(lua_State *L, int index)
{
    if (!tc_request_box(L, index)->waited)
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

bool tc_request_set_waited(lua_State *L, int index, bool waited)
{
    struct tc_request_box *box = tc_request_box(L, index);
    bool before = box->waited;
    if (waited) { /* what is there can be set without memory */
        tc_getuservalue(L, index);
        lua_getfield(L, -1, "raised");
        lua_setfield(L, -2, "raised");
        lua_pop(L, 1);
    }
    box->waited = waited;
    return before;
}

bool tc_request_set_awaited(struct tc_request_box *box, bool awaited)
{
    bool before = box->awaited;
    box->awaited = awaited;
    for (struct tc_part *part = box->parts; part; part = part->next)
        part->request->awaited = awaited;
    return before;
}

static int box_gc(lua_State *L)
{
    struct tc_request_box *box = tc_check_class(L, 1, BOX);
    if (!box->busy) /* else somebody has got hold of it, and calls this by hand */
        free_parts(box);
    return 0;
}

void tc_register_job(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", box_gc}, {NULL, NULL}};
    tc_register_class(L, BOX, metamethods, NULL);
    register_state(L);
}
