/*
 * The request userdata: what a request has given so far, as Lua values, and where it goes.
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
#include "lua_request.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/writer.h"
#include "../splitter/envelope.h"
#include "../splitter/images.h"
#include "../splitter/signature.h"
#include "../engine/client.h"
#include "../engine/failure.h"
#include "../engine/receive.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "../engine/url.h"
#include "lua_answer.h"
#include "lua_conceal.h"
#include "lua_drive.h"
#include "lua_driver.h"
#include "lua_failure.h"
#include "lua_hooks.h"
#include "lua_host.h"
#include "lua_image.h"
#include "lua_own.h"
#include "lua_params.h"
#include "lua_response.h"
#include "lua_save.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TC_REQUEST "thucchien.request"
#define BOX        "thucchien.request.box"
#define STATE      "thucchien.request.state"
#define AWAIT      "=thucchien.await" /* the name of await's code, whichever copy has loaded it */

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

/* Adds a part that has no request yet. NULL when memory is short. */
static struct tc_part *add_part(struct tc_request_box *box, unsigned first, unsigned quota)
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
    bool fruitless = part->of || request->failure->kind || !request->client->multi;
    return part->noted || (request->state == TC_DONE && fruitless);
}

bool tc_request_is_over(const struct tc_request_box *box)
{
    for (const struct tc_part *part = box->parts; part; part = part->next)
        if (!is_over(part))
            return false;
    return true;
}

/* Has the client hold the userdata at `index` for the next `count` requests that it gets: all that
 * can fail in Lua comes first, for what is in the queue is sent, and paid. */
static void hold(lua_State *L, int index, int lent, const struct tc_client *client, unsigned count)
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

/* What to send for a picture that the answer of `part` points to; its time limits are those of the
 * request itself. */
static struct tc_request_options fetch_options(const struct tc_part *part)
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
        added = add_part(box, first, alone ? TC_IMAGES : at_once) != NULL;
    struct tc_client *engine = tc_client_of(L, client);
    hold(L, index, lent, engine, added ? box->last_part->position : 0);
    if (!added || !submit_all(box, engine, order)) {
        tc_request_abandon(L, index);
        free_parts(box);
        luaL_error(L, "not enough memory");
    }
    lua_settop(L, lent - 1);
}

/* ---- taking away ---- */

void tc_request_keep(lua_State *L, int state, const char *name, unsigned number)
{
    push_table(L, state, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)number);
    lua_pop(L, 1);
}

/* Appends the value on top to the list `name` of the uservalue. */
static void append(lua_State *L, int state, const char *name)
{
    push_table(L, state, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)tc_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

void tc_request_stop(struct tc_request_box *box, struct tc_part *part, enum tc_kind kind,
                     const char *message)
{
    if (!box->cause)
        box->cause = part;
    box->stopped = true;
    tc_request_fail(part->request, kind, message);
    tc_writer_abort(&part->writer);
    for (struct tc_part *other = box->parts; other; other = other->next)
        if (other->request)
            tc_request_cancel(other->request);
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

/* May functions of the user's be called for a part? One of them may have ended it. */
static bool goes_on(const struct tc_request_box *box, const struct tc_part *part)
{
    return !box->stopped && part->request->failure->kind != TC_CANCELLED;
}

/* Ends the request, for what it brought could not be put away. */
static void give_up(struct tc_request_box *box, struct tc_part *part, const char *message)
{
    tc_request_stop(box, part, TC_IO, message);
}

/* Calls the sink at `sink` with the picture's number and the chunk (or nil) on top, and pops that.
 */
static void call_sink(lua_State *L, struct tc_request_box *box, struct tc_part *part, int sink,
                      unsigned number)
{
    lua_pushvalue(L, sink);
    tc_pushwhole(L, number);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 2);
    if (!lua_toboolean(L, -2) && !lua_isnil(L, -1)) {
        char message[400];
        const char *text = lua_tostring(L, -1);
        tc_redact(message, sizeof(message), text ? text : "the sink refused", part->request->key);
        give_up(box, part, message);
    }
    lua_pop(L, 3);
}

/* Chunks of this size come from memory that was used before; malloc maps larger ones anew. */
enum { CHUNK = 64 * 1024, MOST_CHUNKS = 16 };

/* Takes the bytes to the sink, chunk by chunk. All are Lua's before the sink, which may do
 * anything, is called. */
static void take_to_sink(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                         unsigned index)
{
    struct tc_image *image = part->request->envelope->images.list[index];
    unsigned number = tc_request_number(L, box, part, index);
    const char *bytes = (const char *)image->bytes.data;
    size_t size = image->bytes.size, chunk = size / MOST_CHUNKS > CHUNK ? size : CHUNK;
    tc_push_param(L, state, "sink");
    int sink = lua_gettop(L), chunks = 0;
    for (size_t at = 0; at < size; at += chunk, chunks++)
        lua_pushlstring(L, bytes + at, size - at < chunk ? size - at : chunk);
    image->bytes.size = 0;
    for (int i = 1; i <= chunks && goes_on(box, part); i++) {
        lua_pushvalue(L, sink + i);
        call_sink(L, box, part, sink, number);
    }
    lua_settop(L, sink - 1);
}

/* Looks at some of the bytes before they go elsewhere: enough to know a picture again. */
static void sample_bytes(struct tc_part *part, const struct tc_image *image)
{
    enum { EVERY = 61 };
    uint64_t position = image->size - image->bytes.size;
    for (size_t i = (size_t)((EVERY - position % EVERY) % EVERY); i < image->bytes.size; i += EVERY)
        part->sample = (part->sample ^ image->bytes.data[i]) * 16777619U;
}

static void take_bytes(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                       unsigned index)
{
    sample_bytes(part, part->request->envelope->images.list[index]);
    tc_push_param(L, state, "save");
    bool save = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (save)
        tc_save_bytes(L, state, box, part, index, tc_request_number(L, box, part, index));
    else
        take_to_sink(L, state, box, part, index);
}

/* Keeps what was seen of the bytes of the picture on top, if they went elsewhere. */
static void keep_sample(lua_State *L, int state, struct tc_part *part)
{
    if (!part->request->envelope->images.streaming)
        return;
    lua_getfield(L, state, "samples");
    lua_pushvalue(L, -2);
    lua_pushnumber(L, part->sample);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    part->sample = 0;
}

/* Tells the sink and on_image that the picture whose table is on top is whole. */
static void tell_image(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                       unsigned number)
{
    tc_push_param(L, state, "sink");
    if (lua_isfunction(L, -1)) {
        lua_pushnil(L);
        call_sink(L, box, part, lua_gettop(L) - 1, number);
    }
    lua_pop(L, 1);
    tc_push_param(L, state, "on_image");
    if (lua_isfunction(L, -1) && goes_on(box, part)) {
        lua_pushvalue(L, -2);
        tc_pushwhole(L, number);
        lua_call(L, 2, 0);
    } else {
        lua_pop(L, 1);
    }
}

/* Makes the table of a whole picture, frees the picture, and tells those who want to know. */
static void take_image(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                       unsigned index)
{
    struct tc_envelope *envelope = part->request->envelope;
    unsigned number = tc_request_number(L, box, part, index);
    tc_push_param(L, state, "save");
    bool save = !lua_isnil(L, -1);
    tc_push_image(L, envelope->images.list[index], envelope->images.streaming);
    if (save)
        tc_save_image(L, state, box, part, index, number);
    tc_images_drop(&envelope->images, index);
    keep_sample(L, state, part);
    if (!box->stopped) { /* else the file could not be finished */
        lua_pushvalue(L, -1);
        tc_request_keep(L, state, "images", number);
        tell_image(L, state, box, part, number);
    }
    lua_pop(L, 2);
}

/* Keeps a draft, a step on the model's way to a picture: it has no number, and is for nobody who
 * takes pictures. */
static void take_draft(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                       unsigned index)
{
    struct tc_envelope *envelope = part->request->envelope;
    struct tc_image *image = envelope->images.list[index];
    (void)tc_request_number(L, box, part, index); /* as long as it can be told from a picture */
    if (!envelope->images.streaming && !image->fault) {
        tc_push_image(L, image, false);
        append(L, state, "drafts");
    }
    tc_images_drop(&envelope->images, index);
}

/* Keeps what came of a picture that is not whole, for the error: its bytes, unless they went
 * elsewhere. Nobody is told of it. */
static void take_cut(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                     unsigned index)
{
    struct tc_envelope *envelope = part->request->envelope;
    struct tc_image *image = envelope->images.list[index];
    unsigned number = tc_request_number(L, box, part, index);
    if (image->ended && image->fault) { /* else the request's failure says why it is not */
        char text[160];
        tc_image_describe(image, number, text, sizeof(text));
        lua_pushstring(L, text);
        tc_request_keep(L, state, "faults", number);
    }
    bool untouched = image->bytes.size == image->size; /* it may have been held back */
    tc_push_image(L, image, envelope->images.streaming && !untouched);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "complete");
    tc_save_cut(L, part, index);
    if (image->size)
        tc_request_keep(L, state, "cuts", number);
    else
        lua_pop(L, 1); /* nothing came of it at all */
    tc_images_drop(&envelope->images, index);
    part->sample = 0;
}

/* Takes a picture, or a draft, of which nothing more will come. */
static void take_ended(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                       unsigned index)
{
    const struct tc_image *image = part->request->envelope->images.list[index];
    if (image->draft)
        take_draft(L, state, box, part, index);
    else if (image->fault)
        take_cut(L, state, box, part, index);
    else
        take_image(L, state, box, part, index);
}

/* Has a picture under way bytes to give? Not before it is known what they are: a file's name
 * depends on that, and what is no picture at all, or a draft, is to reach nobody. */
static bool has_bytes(const struct tc_request *request, const struct tc_image *image)
{
    const struct tc_signature *signature = &image->signature;
    bool known = signature->mime || signature->settled; /* else the request has failed */
    return request->envelope->images.streaming && image->bytes.size && known;
}

/* The first picture that has something to give, or `images.count`. There is none where another
 * attempt follows: what came is not what will be. */
static unsigned next_image(const struct tc_request *request)
{
    const struct tc_envelope *envelope = request->envelope;
    bool lasts = request->state != TC_RETRYING;
    for (unsigned i = 0; lasts && i < envelope->images.count; i++) {
        const struct tc_image *image = envelope->images.list[i];
        if (image && !image->held && (image->ended || has_bytes(request, image)))
            return i;
    }
    return envelope->images.count;
}

/* Sums up the bytes of all parts; `*total` is 0 where one does not know how many it will be. */
static uint64_t received_bytes(const struct tc_request_box *box, uint64_t *total)
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

/* Pushes both. */
static void push_bytes_received(lua_State *L, uint64_t received, uint64_t total)
{
    tc_pushwhole(L, received);
    if (total)
        tc_pushwhole(L, total);
    else
        lua_pushnil(L);
}

/* Has all that was sent ended? There may be pictures to fetch. */
static bool all_ended(const struct tc_request_box *box)
{
    for (const struct tc_part *part = box->parts; part; part = part->next)
        if (part->request->state != TC_DONE)
            return false;
    return true;
}

/* Tells how much has come, now and then and at the end. */
static void tell_progress(lua_State *L, int state, struct tc_request_box *box)
{
    double now = tc_clock_now();
    uint64_t total, received = received_bytes(box, &total);
    bool due = now - box->told_at >= TC_PROGRESS_EVERY || all_ended(box);
    tc_push_param(L, state, "on_progress");
    if (!lua_isfunction(L, -1) || received == box->told || !due) {
        lua_pop(L, 1);
        return;
    }
    box->told = received;
    box->told_at = now;
    push_bytes_received(L, received, total);
    lua_call(L, 2, 0);
}

/* Gives what a part (3) of the request (1), whose uservalue is 2, has brought away piece by piece.
 */
static int give_all(lua_State *L)
{
    struct tc_request_box *box = tc_request_box(L, 1);
    struct tc_part *part = lua_touserdata(L, 3);
    struct tc_envelope *envelope = part->request->envelope;
    unsigned i;
    tc_checkstack(L, 20 + MOST_CHUNKS);
    while (goes_on(box, part) && (i = next_image(part->request)) < envelope->images.count) {
        const struct tc_image *image = envelope->images.list[i];
        if (envelope->images.streaming && image->bytes.size && !image->draft)
            take_bytes(L, 2, box, part, i);
        else
            take_ended(L, 2, box, part, i);
    }
    if (goes_on(box, part))
        tell_progress(L, 2, box);
    return 0;
}

/* Takes away what a part of the request at `index` has brought, and gives it to those who want it.
 * Its transfer stands still meanwhile: what is looked at here stays where it is. */
static void collect(lua_State *L, int index, struct tc_part *part)
{
    if (tc_request_box(L, index)->stopped)
        return;
    unsigned giving = part->request->easy != NULL;
    lua_pushcfunction(L, give_all);
    lua_pushvalue(L, index);
    tc_getuservalue(L, index);
    lua_pushlightuserdata(L, part);
    bool interrupted;
    part->request->client->giving += giving;
    tc_request_hold(part->request, true);
    int status = tc_hooks_pcall(L, 3, 0, &interrupted);
    tc_request_hold(part->request, false);
    part->request->client->giving -= giving;
    if (status)
        lua_error(L);
}

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

/* Is a picture under way worth keeping though nothing more of it will come? Not for who did not
 * want it any more, and not where it may be none. */
static bool is_worth_keeping(const struct tc_request *request, const struct tc_image *image)
{
    enum tc_kind kind = request->failure->kind;
    bool unwanted = kind == TC_CANCELLED || kind == TC_IO;
    return !unwanted && image->size && (image->signature.mime || !request->picture);
}

/* Adds the pictures that nobody was given, as none of the user's functions is called any more, and
 * what came of the one under way. */
static void take_rest(lua_State *L, struct tc_request_box *box, struct tc_part *part, int state)
{
    struct tc_envelope *envelope = part->request->envelope;
    for (unsigned i = 0; i < envelope->images.count; i++) {
        struct tc_image *image = envelope->images.list[i];
        bool over = image && image->ended && !image->held;
        if (!image || (over && envelope->images.streaming))
            continue;
        if (over && tc_image_is_whole(image)) {
            tc_push_image(L, image, false);
            tc_request_keep(L, state, "images", tc_request_number(L, box, part, i));
            tc_images_drop(&envelope->images, i);
        } else if (image->draft) {
            take_draft(L, state, box, part, i);
        } else if (over || is_worth_keeping(part->request, image)) {
            take_cut(L, state, box, part, i);
        }
    }
}

/* A picture's address that is not even asked. */
static void refuse_address(lua_State *L, int state, const char *url, const char *why)
{
    tc_push_error(L, TC_BAD_RESPONSE, NULL, "%s", why);
    name_address(L, url);
    append(L, state, "losses");
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
    struct tc_client *client = part->request->client;
    int top = lua_gettop(L);
    const char *place = push_original(L, state, url);
    const char *wrong =
        tc_url_check_picture(place, client->is_loopback, part->request->at_private_address);
    struct tc_request_options options = fetch_options(part);
    options.place = place;
    if (!client->multi)
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
    hold(L, index, lua_gettop(L), client, 1);
    struct tc_request *request = tc_client_submit(client, &options);
    struct tc_part *added = request ? add_part(box, number - 1, 1) : NULL;
    if (!added) {
        if (request)
            tc_request_cancel(request);
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
    collect(L, index, part);
    part->noted = true;
    take_rest(L, box, part, state);
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
        append(L, state, "losses");
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

/* Is the result made? From here on nothing changes any more. */
static bool is_settled(lua_State *L, int state)
{
    lua_getfield(L, state, "result");
    bool settled = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return settled;
}

/* Makes the result of the request (1), which is over. */
static int request_settle(lua_State *L)
{
    struct tc_request_box *box = tc_request_box(L, 1);
    tc_checkstack(L, 10);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    if (is_settled(L, 2))
        return 0;
    if (!box->parts)
        return luaL_error(L, "a request that was submitted expected");
    for (struct tc_part *part = box->parts; part; part = part->next)
        note_end(L, 1, 2, part);
    make_result(L, box, 2);
    return 0;
}

static int raise_own(lua_State *L)
{
    return luaL_error(L, "a request cannot be waited for by its own functions");
}

/* The same for who asks for the result, and is not told of it. */
static void settle(lua_State *L, int index, int state)
{
    struct tc_request_box *box = tc_request_box(L, index);
    if (is_settled(L, state))
        return;
    if (box->busy)
        raise_own(L);
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

static int request_give(lua_State *L)
{
    collect(L, 1, lua_touserdata(L, 2));
    return 0;
}

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

bool tc_request_is_told(lua_State *L, int index)
{
    int top = lua_gettop(L);
    tc_getuservalue(L, index);
    lua_getfield(L, top + 1, "done");
    bool told = is_settled(L, top + 1) && !lua_isfunction(L, top + 2);
    lua_settop(L, top);
    return told && tc_request_waiters(L, index) == 0;
}

/* Has those told again that had to wait. Of one that has ended, and whose end is not here, the
 * client has that still, or has let go of it. */
static void tell_put_off(struct tc_request_box *box)
{
    for (struct tc_part *part = box->parts; part; part = part->next) {
        struct tc_request *request = part->request;
        if (part->put_off && (part->kept || request->state != TC_DONE))
            tc_client_tell(request->client, request);
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

/* ---- who waits ---- */

/* Is the waiter at `index` in the list at `list` already? */
static bool is_attached(lua_State *L, int list, int index)
{
    int count = (int)tc_rawlen(L, list);
    bool found = false;
    for (int i = 1; i <= count && !found; i++) {
        lua_rawgeti(L, list, i);
        found = lua_rawequal(L, -1, index);
        lua_pop(L, 1);
    }
    return found;
}

/* Pushes the list of those who wait, made now if there is none. */
static void need_waiters(lua_State *L, int state)
{
    lua_getfield(L, state, "waiters");
    if (lua_istable(L, -1))
        return;
    lua_newtable(L); /* a finalizer may make one meanwhile */
    lua_getfield(L, state, "waiters");
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, state, "waiters");
}

/* Is its result there, or can it be made? While what came is being given or read it is not. */
static bool has_ended(lua_State *L, const struct tc_request_box *box, int state)
{
    return is_settled(L, state) || (tc_request_is_over(box) && !box->busy);
}

/* Says once for the client of the request, whose uservalue is at `state`, that a core is kept busy.
 */
static void warn_of_haste(lua_State *L, int state)
{
    lua_getfield(L, state, "client");
    tc_getuservalue(L, -1);
    lua_getfield(L, -1, "warned_of_haste");
    bool warned = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (!warned) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "warned_of_haste");
        tc_host_warn("request:await() is resumed again and again before its answer is there, which "
                     "keeps a core busy: whoever runs this coroutine resumes what has yielded at "
                     "once. A driver's waiter is the way out: see client:set_driver");
    }
    lua_pop(L, 2);
}

/* A coroutine in await was resumed too early. It waits on; but a scheduler that resumes whatever
 * has yielded makes a busy loop of that, with nobody to tell but whoever runs the program. */
static void note_early(lua_State *L, struct tc_request_box *box, int state)
{
    enum { MANY = 1000 };
    const double haste =
        0.1; /* seconds for so many: no loop that waits for something is that fast */
    if (box->early++ % MANY)
        return;
    double now = tc_clock_now();
    if (box->early > 1 && now - box->early_since < haste)
        warn_of_haste(L, state);
    box->early_since = now;
}

/* attach(request, waiter) -> has it ended? If not, the waiter, a coroutine or a function that wakes
 * one, is resumed or called when it has. */
static int request_attach(lua_State *L)
{
    struct tc_request_box *box = check_request(L, 1);
    lua_settop(L, 2);
    tc_getuservalue(L, 1);
    need_waiters(L, 3);
    int list = lua_gettop(L); /* from here on no finalizer runs, which might end it */
    bool ended = has_ended(L, box, 3);
    if (!ended && is_attached(L, list, 2)) { /* resumed by somebody else, and here again */
        note_early(L, box, 3);
    } else if (!ended) {
        lua_pushvalue(L, 2);
        lua_rawseti(L, list, (int)tc_rawlen(L, list) + 1);
    }
    lua_pushboolean(L, ended);
    return 1;
}

/* Is await among the first so many functions that the coroutine is in? */
static bool has_await(lua_State *thread, int frames)
{
    lua_Debug frame;
    for (int level = 0; level < frames && lua_getstack(thread, level, &frame); level++) {
        lua_getinfo(thread, "S", &frame);
        if (!strcmp(frame.source, AWAIT))
            return true;
    }
    return false;
}

/* Is the coroutine suspended by await, and not by a yield of its own? It may have called await
 * where it could not yield, inside table.sort say, and have gone on with the error. */
static bool is_in_await(lua_State *thread)
{
    enum { FRAMES = 4 }; /* await's is right under those of yield, which may be a scheduler's own */
    return lua_status(thread) == LUA_YIELD && has_await(thread, FRAMES);
}

/* Is it about to be? It runs, a hook between two steps of await has brought us here. */
static bool is_entering_await(lua_State *thread)
{
    return lua_status(thread) == 0 && has_await(thread, INT_MAX);
}

int tc_request_waiters(lua_State *L, int index)
{
    tc_getuservalue(L, index);
    lua_getfield(L, -1, "waiters");
    int count = lua_istable(L, -1) ? (int)tc_rawlen(L, -1) : 0;
    lua_pop(L, 2);
    return count;
}

/* Pushes the first value of the list at `list`, and takes it away. */
static void take_first(lua_State *L, int list)
{
    int count = (int)tc_rawlen(L, list);
    lua_rawgeti(L, list, 1);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i + 1);
        lua_rawseti(L, list, i);
    }
}

/* Puts the value at `index` back to where it was. */
static void put_first(lua_State *L, int list, int index)
{
    for (int i = (int)tc_rawlen(L, list); i >= 1; i--) {
        lua_rawgeti(L, list, i);
        lua_rawseti(L, list, i + 1);
    }
    lua_pushvalue(L, index);
    lua_rawseti(L, list, 1);
}

/* What came of an attempt to have somebody go on. */
enum outcome {
    WENT_ON,
    NOT_YET, /* it has to be tried again */
    FAILED   /* the same, and the error on top says why */
};

static enum outcome resume(lua_State *L, lua_State *thread)
{
    int results;
    if (!is_in_await(thread)) /* else somebody has resumed it meanwhile */
        return is_entering_await(thread) ? NOT_YET : WENT_ON;
    int status = tc_resume(thread, L, 0, &results);
    if (status == LUA_YIELD || status == 0) {
        lua_settop(thread, status == 0 ? 0 : lua_gettop(thread) - results);
        return WENT_ON;
    }
    lua_xmove(thread, L, 1);
    if (lua_status(thread) == LUA_YIELD) /* it did not begin: Lua's stack is full */
        return FAILED;
    lua_error(L);   /* its own */
    return WENT_ON; /* which it never does */
}

/* Calls the function at `index`, which has a scheduler wake its coroutine. */
static enum outcome wake(lua_State *L, int index)
{
    bool called;
    lua_pushvalue(L, index);
    int status = tc_hooks_call(L, 0, &called);
    if (status && called)
        lua_error(L);
    return called ? WENT_ON : FAILED;
}

/* Resumes the first coroutine that waits, or has it woken up: once, though an error may come
 * between. */
static int request_resume(lua_State *L)
{
    tc_checkstack(L, 20);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "waiters");
    tc_hooks_run(L);
    take_first(L, 3);
    lua_State *thread = lua_tothread(L, 4);
    enum outcome outcome = thread ? resume(L, thread) : wake(L, 4);
    if (outcome != WENT_ON)
        put_first(L, 3, 4);
    return outcome == FAILED ? lua_error(L) : 0;
}

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

void tc_request_abandon(lua_State *L, int index)
{
    struct tc_request_box *box = tc_request_box(L, index);
    for (struct tc_part *part = box->parts; part; part = part->next) {
        if (part->request)
            tc_request_cancel(part->request);
        tc_writer_abort(&part->writer);
    }
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
    if (box->busy && !is_settled(L, 2))
        return raise_own(L);
    if (!tc_request_is_over(box) && tc_drive_wait(L, 3, 1, tc_clock_now() + seconds))
        return lua_error(L);
    if (tc_request_is_over(box))
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

static int request_result(lua_State *L)
{
    check_request(L, 1);
    lua_settop(L, 1);
    return tc_request_push_result(L, 1);
}

/* Is there nothing left of a part that could be cancelled? While its answer is read there is. */
static bool is_beyond(const struct tc_request_box *box, const struct tc_part *part)
{
    return part == box->reading ? part->request->failure->kind != TC_NONE : is_over(part);
}

/* Cancels it as a whole: what has come goes along with the error. False: it had ended. */
static bool cancel_parts(struct tc_request_box *box)
{
    bool any = false;
    for (struct tc_part *part = box->parts; part; part = part->next) {
        if (is_beyond(box, part))
            continue;
        if (!box->cause)
            box->cause = part;
        box->stopped = any = true;
        tc_request_fail(part->request, TC_CANCELLED, "the request was cancelled");
    }
    return any;
}

/* request:cancel() -> did that end it? */
static int request_cancel(lua_State *L)
{
    struct tc_request_box *box = check_request(L, 1);
    bool ended = cancel_parts(box);
    lua_settop(L, 1);
    tc_getuservalue(L, 1);
    lua_getfield(L, 2, "client");
    tc_client_sync(L, 3);
    lua_pushboolean(L, ended);
    return 1;
}

/* How far the part is that is furthest on and not over yet. */
static enum tc_state state_of(const struct tc_request_box *box)
{
    static const enum tc_state order[] = {TC_RECEIVING, TC_SENDING, TC_RETRYING, TC_QUEUED};
    bool over = tc_request_is_over(box);
    for (size_t i = 0; !over && i < sizeof(order) / sizeof(order[0]); i++)
        for (const struct tc_part *part = box->parts; part; part = part->next)
            if (part->request->state == order[i])
                return order[i];
    return over ? TC_DONE : TC_RECEIVING; /* its last answer is about to be read */
}

/* request:status() -> "queued" | "sending" | "receiving" | "retrying" | "done" */
static int request_status(lua_State *L)
{
    static const char *const names[] = {
        [TC_QUEUED] = "queued",     [TC_SENDING] = "sending", [TC_RECEIVING] = "receiving",
        [TC_RETRYING] = "retrying", [TC_DONE] = "done",
    };
    lua_pushstring(L, names[state_of(check_request(L, 1))]);
    return 1;
}

/* request:progress() -> received, total | nil, seconds */
static int request_progress(lua_State *L)
{
    const struct tc_request_box *box = check_request(L, 1);
    uint64_t total, received = received_bytes(box, &total);
    double end = tc_request_is_over(box) ? 0 : tc_clock_now();
    for (const struct tc_part *part = box->parts; part; part = part->next)
        end = part->request->timing.ended > end ? part->request->timing.ended : end;
    push_bytes_received(L, received, total);
    lua_pushnumber(L, end - box->parts->request->timing.submitted);
    return 3;
}

/* request:warnings() -> what is known, before anything has come, to come out otherwise than asked
 * for: a list */
static int request_warnings(lua_State *L)
{
    check_request(L, 1);
    lua_settop(L, 1);
    lua_newtable(L);
    tc_getuservalue(L, 1);
    tc_push_param(L, 3, "warnings");
    int count = lua_istable(L, 4) ? (int)tc_rawlen(L, 4) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 4, i);
        lua_rawseti(L, 2, i);
    }
    lua_settop(L, 2);
    return 1;
}

static int box_gc(lua_State *L)
{
    struct tc_request_box *box = tc_check_class(L, 1, BOX);
    if (!box->busy) /* else somebody has got hold of it, and calls this by hand */
        free_parts(box);
    return 0;
}

static int request_tostring(lua_State *L)
{
    lua_pushfstring(L, TC_REQUEST ": %p", tc_check_class(L, 1, TC_REQUEST));
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
    tc_own_push(L, TC_REQUEST);
    lua_getfield(L, -1, "__index");
    tc_push_field_of_global(L, "coroutine", NULL); /* a scheduler may have put its own there */
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        tc_push_loaded(L, "coroutine");
    }
    if (!lua_istable(L, -1) || luaL_loadbuffer(L, await_code, sizeof(await_code) - 1, AWAIT))
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
        {"wait", request_wait},         {"cancel", request_cancel},     {"status", request_status},
        {"progress", request_progress}, {"warnings", request_warnings}, {NULL, NULL},
    };
    tc_register_class(L, BOX, box_metamethods, NULL);
    tc_register_class(L, TC_REQUEST, metamethods, methods);
    register_state(L);
    register_await(L);
    tc_own_function(L, TC_GIVE, request_give);
    tc_own_function(L, TC_NOTE, request_note);
    tc_own_function(L, TC_SETTLE, request_settle);
    tc_own_function(L, TC_FINISH, request_finish);
    tc_own_function(L, TC_RESUME, request_resume);
}
