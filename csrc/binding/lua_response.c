/*
 * Responses as Lua sees them: what the answers say, and the pictures in their order.
 */
#include "lua_response.h"

#include "../base/buffer.h"
#include "../base/number.h"
#include "../engine/failure.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "lua_conceal.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_host.h"
#include "lua_job.h"
#include "lua_refusal.h"
#include "lua_save.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- answers ---- */

void tc_tidy(lua_State *L, int table)
{
    tc_checkstack(L, 6);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_istable(L, -1)) {
            tc_tidy(L, lua_gettop(L));
            continue;
        }
        double value = lua_tonumber(L, -1);
        if (lua_isuserdata(L, -1)) /* null */
            lua_pushnil(L);
        else if (lua_type(L, -1) == LUA_TNUMBER && tc_is_whole(value))
            tc_pushwhole(L, value);
        else
            continue;
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        lua_rawset(L, table); /* a field that is there: lua_next can bear that */
    }
}

/* Pushes the error for a success that is none. */
static void push_failed_success(lua_State *L, const struct tc_request *request,
                                struct tc_failure *failure)
{
    failure->status = request->status;
    failure->attempts = request->attempts;
    failure->maybe_billed = !request->unbilled;
    tc_push_failure(L, failure, request);
}

bool tc_push_answer(lua_State *L, const struct tc_request *request)
{
    const struct tc_buffer *text = &request->envelope->text;
    lua_pushlstring(L, (const char *)text->data, text->size);
    bool well = tc_json_convert(L, "decode");
    if (well && lua_istable(L, -1))
        return true;
    struct tc_failure failure;
    tc_failure_set(&failure, TC_BAD_RESPONSE, "the answer is not a JSON object%s%s",
                   well ? "" : ": ", well ? "" : lua_tostring(L, -1));
    push_failed_success(L, request, &failure);
    return false;
}

#define TC_MORE_TOKENS "allow more tokens (max_tokens in extra_body), or ask for less"

/* Is it why a model stops that has done all? "stop", "STOP", "completed" */
static bool is_ordinary(const char *reason)
{
    return ((*reason | 0x20) == 's' && strlen(reason) == 4) || !strcmp(reason, "completed");
}

/* Makes the failure for an answer without a picture, of a model that did not refuse. `said` and
 * `reason` (why it stopped) may be NULL. */
static void no_image(struct tc_failure *failure, const struct tc_part *part, const char *said,
                     const char *reason)
{
    const char *colon = said ? ": " : "", *words = said ? said : "";
    if (reason && tc_is_cut_off(reason)) {
        tc_failure_set(failure, TC_NO_IMAGE,
                       "the model reached its token limit before there was a picture (%s)%s%s",
                       reason, colon, words);
        failure->advice = TC_MORE_TOKENS;
    } else if (reason && !strcmp(reason, "error")) {
        tc_failure_set(failure, TC_SERVER_ERROR,
                       "the model broke off before there was a picture%s%s", colon, words);
    } else if (part->numbered) {
        tc_failure_set(failure, TC_NO_IMAGE, "the model made drafts, but no picture of them%s%s",
                       colon, words);
    } else if (said) {
        tc_failure_set(failure, TC_NO_IMAGE, "the model answered in words alone: %s", said);
        failure->advice = "ask for a picture in plain words, or another model";
    } else if (reason && !is_ordinary(reason)) {
        tc_failure_set(failure, TC_NO_IMAGE, "the answer has no image: the model stopped (%s)",
                       reason);
    } else {
        tc_failure_set(failure, TC_NO_IMAGE,
                       "the answer has no image: the model made none, or a filter held all back");
    }
}

/* Pushes a string without what a line of text cannot have, cut to a message's length; nil stays. */
static const char *push_line(lua_State *L, int index)
{
    char line[200];
    if (lua_type(L, index) != LUA_TSTRING) {
        lua_pushnil(L);
        return NULL;
    }
    tc_redact(line, sizeof(line), lua_tostring(L, index), NULL);
    lua_pushstring(L, line);
    return lua_tostring(L, -1);
}

void tc_push_no_image(lua_State *L, const struct tc_part *part, int answer, int refusal)
{
    struct tc_failure failure;
    const char *refused = push_line(L, refusal);
    lua_getfield(L, answer, "finish_reason");
    const char *reason = push_line(L, lua_gettop(L));
    lua_getfield(L, answer, "text");
    const char *said = lua_isstring(L, -1) ? tc_push_quoted(L, lua_gettop(L)) : NULL;
    if (refused)
        tc_failure_set(&failure, TC_CONTENT_POLICY, "the model refused to draw this (%s)%s%s",
                       refused, said ? ": " : "", said ? said : "");
    else
        no_image(&failure, part, said, reason);
    push_failed_success(L, part->request, &failure);
}

/* Adds what is wrong with a picture, which is on top if there is something, to `text`. Pops it. */
static void add_fault(lua_State *L, char *text, size_t size)
{
    size_t used = strlen(text);
    if (lua_isstring(L, -1))
        snprintf(text + used, size - used, "%s%s", used ? "; " : "", lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* Why did the model of a part stop, as far as its answer is known? Pushes the string, or nil. */
static void push_reason(lua_State *L, const struct tc_part *part, int state)
{
    lua_getfield(L, state, "answers");
    lua_rawgeti(L, -1, (int)part->position);
    if (lua_istable(L, -1))
        lua_getfield(L, -1, "finish_reason");
    else
        lua_pushnil(L);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

bool tc_push_fault(lua_State *L, const struct tc_part *part, int state)
{
    struct tc_failure failure;
    char text[sizeof(failure.message)] = "";
    int top = lua_gettop(L);
    lua_getfield(L, state, "faults");
    for (unsigned i = 0; i < part->numbered; i++) {
        lua_rawgeti(L, top + 1, (int)part->numbers[i]);
        add_fault(L, text, sizeof(text));
    }
    push_reason(L, part, state);
    bool cut_off = lua_isstring(L, -1) && tc_is_cut_off(lua_tostring(L, -1));
    lua_settop(L, top);
    if (!*text)
        return false;
    tc_failure_set(&failure, TC_BAD_RESPONSE, "%s%s", text,
                   cut_off ? ": the model reached its token limit" : "");
    failure.advice =
        cut_off ? TC_MORE_TOKENS : "what came of it is in err.data; to try again may cost again";
    push_failed_success(L, part->request, &failure);
    return true;
}

/* ---- the pictures ---- */

/* Appends the value on top to the list at `list`, and pops it. */
static void append(lua_State *L, int list)
{
    lua_rawseti(L, list, (int)tc_rawlen(L, list) + 1);
}

/* Drops a field of what the server says of a picture unless it is words. */
static void check_words(lua_State *L, int item, const char *name)
{
    lua_getfield(L, item, name);
    bool right = lua_type(L, -1) == LUA_TSTRING;
    lua_pop(L, 1);
    if (right)
        return;
    lua_pushnil(L);
    lua_setfield(L, item, name);
}

/* Gives the picture at `image` what the server said of it, but nothing that we say ourselves. */
static void add_details(lua_State *L, int image, int item)
{
    static const char *const ours[] = {"b64_json", "bytes",  "size", "mime", "ext",     "width",
                                       "height",   "result", "path", "save", "complete"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, item, ours[i]);
    }
    check_words(L, item, "url"); /* it may have been the picture itself */
    check_words(L, item, "revised_prompt");
    tc_tidy(L, item);
    for (lua_pushnil(L); lua_next(L, item); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, image);
    }
}

/* Where pictures are collected: the index of their list, behind which are the tables of the images,
 * of what the server says of them, and, or nil, of those that are not whole. */
struct gathering {
    int list;
    bool *done; /* by number */
};

/* Appends the picture of a number, if it is there and was not yet appended. */
static void append_image(lua_State *L, const struct gathering *g, unsigned number)
{
    if (g->done[number])
        return;
    g->done[number] = true;
    lua_rawgeti(L, g->list + 1, (int)number);
    lua_rawgeti(L, g->list + 2, (int)number);
    int image = lua_gettop(L) - 1;
    if (lua_isnil(L, image) && lua_istable(L, g->list + 3)) {
        lua_rawgeti(L, g->list + 3, (int)number);
        lua_replace(L, image);
    }
    if (lua_istable(L, image) && lua_istable(L, image + 1))
        add_details(L, image, image + 1);
    lua_settop(L, image);
    if (lua_istable(L, image))
        append(L, g->list);
    else
        lua_pop(L, 1);
}

/* Appends the pictures of a part: first as its answer has them, then those that it only mentions.
 */
static void append_images(lua_State *L, int state, const struct gathering *g,
                          const struct tc_part *part)
{
    lua_getfield(L, state, "orders");
    lua_rawgeti(L, -1, (int)part->position);
    int order = lua_gettop(L), count = lua_istable(L, order) ? (int)tc_rawlen(L, order) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, order, i);
        unsigned number = (unsigned)lua_tonumber(L, -1);
        lua_pop(L, 1);
        append_image(L, g, number);
    }
    for (unsigned i = 0; i < part->numbered; i++)
        if (part->numbers[i])
            append_image(L, g, part->numbers[i]);
    lua_settop(L, order - 2);
}

/* Pushes the list of the pictures that are there; those that are not whole too, if `all`. */
static void push_images(lua_State *L, const struct tc_request_box *box, int state, bool all)
{
    struct gathering g = {.list = lua_gettop(L) + 1};
    lua_newtable(L);
    lua_getfield(L, state, "images");
    lua_getfield(L, state, "items");
    if (all)
        lua_getfield(L, state, "cuts");
    else
        lua_pushnil(L);
    g.done = lua_newuserdata(L, box->last_number + 1);
    memset(g.done, 0, box->last_number + 1);
    for (const struct tc_part *part = box->parts; part; part = part->next)
        if (!part->of) /* what one was to fetch has its place in another */
            append_images(L, state, &g, part);
    lua_settop(L, g.list);
}

/* ---- several answers as one ---- */

static void add_numbers(lua_State *L, int sums, int more);

static void push_sum(lua_State *L, int a, int b)
{
    double sum = lua_tonumber(L, a) + lua_tonumber(L, b);
    if (tc_is_whole(sum))
        tc_pushwhole(L, sum);
    else
        lua_pushnumber(L, sum);
}

/* Adds the value on top to what the table at `sums` has under the key below it, and pops it. */
static void add_value(lua_State *L, int sums)
{
    int value = lua_gettop(L), key = value - 1, sum = value + 1;
    lua_pushvalue(L, key);
    lua_rawget(L, sums);
    if (lua_istable(L, sum) && lua_istable(L, value)) {
        add_numbers(L, sum, value);
    } else if (lua_type(L, sum) == LUA_TNUMBER && lua_type(L, value) == LUA_TNUMBER) {
        lua_pushvalue(L, key);
        push_sum(L, sum, value);
        lua_rawset(L, sums);
    } else if (lua_isnil(L, sum)) {
        lua_pushvalue(L, key);
        lua_pushvalue(L, value);
        lua_rawset(L, sums);
    }
    lua_settop(L, key);
}

/* Adds the numbers of the table at `more` to those of the one at `sums`, all the way down. */
static void add_numbers(lua_State *L, int sums, int more)
{
    tc_checkstack(L, 8);
    for (lua_pushnil(L); lua_next(L, more);)
        add_value(L, sums);
}

/* Adds what the answer on top says to the response: its words, and what it used. */
static void add_answer(lua_State *L, int response)
{
    int answer = lua_gettop(L);
    lua_getfield(L, response, "text");
    lua_getfield(L, answer, "text");
    if (lua_isstring(L, -1) && lua_isstring(L, -2)) {
        lua_pushliteral(L, "\n\n");
        lua_insert(L, -2);
        lua_concat(L, 3);
    }
    if (lua_isstring(L, -1))
        lua_setfield(L, response, "text");
    lua_settop(L, answer);
    lua_getfield(L, answer, "usage");
    lua_getfield(L, response, "usage");
    if (lua_istable(L, -1) && lua_istable(L, -2)) {
        add_numbers(L, answer + 2, answer + 1);
    } else if (lua_istable(L, -2)) {
        lua_pushvalue(L, -2);
        lua_setfield(L, response, "usage");
    }
    lua_settop(L, answer);
}

/* Pushes the first answer with what the others add to it; nil where there is none. */
static void push_answers(lua_State *L, const struct tc_request_box *box, int state)
{
    lua_pushnil(L);
    int response = lua_gettop(L);
    lua_getfield(L, state, "answers");
    for (const struct tc_part *part = box->parts; part; part = part->next) {
        lua_rawgeti(L, response + 1, (int)part->position);
        if (lua_istable(L, -1) && lua_isnil(L, response)) {
            lua_replace(L, response);
            continue;
        }
        if (lua_istable(L, -1))
            add_answer(L, response);
        lua_pop(L, 1);
    }
    lua_settop(L, response);
}

static void set_string(lua_State *L, int table, const char *name, const char *text)
{
    lua_pushstring(L, text); /* nil for NULL */
    lua_setfield(L, table, name);
}

/* The earlier one of two moments, of which 0 is none. */
static double earlier(double a, double b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* The moments of all as those of one. */
static struct tc_timing timing_of(const struct tc_request_box *box)
{
    struct tc_timing all = box->parts->request->timing;
    for (const struct tc_part *part = box->parts->next; part; part = part->next) {
        const struct tc_timing *one = &part->request->timing;
        all.ended = one->ended > all.ended ? one->ended : all.ended;
        if (part->of) /* a picture that is fetched only takes more time */
            continue;
        all.started = earlier(all.started, one->started);
        all.sent = earlier(all.sent, one->sent);
        all.answered = earlier(all.answered, one->answered);
    }
    return all;
}

static void set_timing(lua_State *L, int response, const struct tc_timing *timing)
{
    const double from = timing->submitted;
    const struct {
        const char *name;
        double moment;
    } moments[] = {
        {"queued", timing->started},
        {"connected", timing->sent},
        {"first_byte", timing->answered},
        {"total", timing->ended},
    };
    lua_createtable(L, 0, 4);
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        if (moments[i].moment < from)
            continue;
        lua_pushnumber(L, moments[i].moment - from);
        lua_setfield(L, -2, moments[i].name);
    }
    lua_setfield(L, response, "timing");
}

/* An amount of money that the value on top may be, below 0 where it is none. Pops it. */
static double pop_amount(lua_State *L)
{
    double amount = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    lua_pop(L, 1);
    return amount >= 0 && amount < HUGE_VAL ? amount : -1;
}

/* What an answer's `usage`, which is on top, says that it cost, below 0 where it says nothing:
 * OpenRouter has `cost`, Perplexity `cost.total_cost`, DeepInfra `estimated_cost`. Pops it. */
static double pop_usage_cost(lua_State *L)
{
    double cost = -1;
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "cost");
        if (lua_istable(L, -1)) {
            lua_getfield(L, -1, "total_cost");
            lua_remove(L, -2);
        }
        cost = pop_amount(L);
        lua_getfield(L, -1, "estimated_cost");
        double estimate = pop_amount(L);
        cost = cost < 0 ? estimate : cost;
    }
    lua_pop(L, 1);
    return cost;
}

/* What a part has cost, below 0 where that is not known. The gateway's header wins. */
static double part_cost(lua_State *L, const struct tc_part *part, int state)
{
    if (part->of || part->request->cost >= 0)
        return part->of ? -1 : part->request->cost;
    lua_getfield(L, state, "answers");
    lua_rawgeti(L, -1, (int)part->position);
    lua_remove(L, -2);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "usage");
        lua_remove(L, -2);
    }
    return pop_usage_cost(L);
}

/* The same for all of them. */
static double whole_cost(lua_State *L, const struct tc_request_box *box, int state)
{
    double cost = -1;
    for (const struct tc_part *part = box->parts; part; part = part->next) {
        double more = part_cost(L, part, state);
        cost = more < 0 ? cost : cost < 0 ? more : cost + more;
    }
    return cost;
}

/* Sets what we know into the response. */
static void set_known(lua_State *L, const struct tc_request_box *box, int response, double cost)
{
    const char *request_id = NULL;
    unsigned attempts = 0;
    for (const struct tc_part *part = box->parts; part; part = part->next) {
        const struct tc_request *request = part->request;
        if (part->of)
            continue;
        attempts += request->attempts;
        if (!request_id && *tc_request_gateway_id(request))
            request_id = tc_request_gateway_id(request);
    }
    set_string(L, response, "request_id", request_id);
    if (cost >= 0)
        lua_pushnumber(L, cost);
    else
        lua_pushnil(L);
    lua_setfield(L, response, "cost");
    tc_pushwhole(L, attempts);
    lua_setfield(L, response, "attempts");
    struct tc_timing timing = timing_of(box);
    set_timing(L, response, &timing);
}

/* Sets what was asked for, where the answer does not say. */
static void set_asked(lua_State *L, int response, int state)
{
    lua_getfield(L, response, "model");
    if (lua_type(L, -1) != LUA_TSTRING) {
        tc_push_param(L, state, "model");
        lua_setfield(L, response, "model");
    }
    lua_pop(L, 1);
    tc_push_param(L, state, "prompt");
    lua_setfield(L, response, "prompt");
}

/* Sets what were steps on the way to the pictures, if there are any. */
static void set_drafts(lua_State *L, int response, int state)
{
    lua_getfield(L, state, "drafts");
    if (tc_rawlen(L, -1))
        lua_setfield(L, response, "drafts");
    else
        lua_pop(L, 1);
}

/* ---- warnings ---- */

/* Appends what the list `name` of the table at `table` has. */
static void append_all(lua_State *L, int list, int table, const char *name)
{
    lua_getfield(L, table, name);
    int count = lua_istable(L, -1) ? (int)tc_rawlen(L, -1) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        append(L, list);
    }
    lua_pop(L, 1);
}

static double number_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* Have the pixels visibly another ratio than was asked for, and than the model makes of that? */
static bool is_other_shape(const struct tc_request_box *box, double width, double height)
{
    static const double tolerance = 0.02;
    if (!(width > 0 && height > 0 && box->ratio > 0))
        return false;
    double ratio = width / height;
    return fabs(ratio / box->ratio - 1) > tolerance && fabs(ratio / box->own_ratio - 1) > tolerance;
}

/* Warns of a picture whose shape is not the one that was asked for. */
static void warn_of_shape(lua_State *L, const struct tc_request_box *box, int list, int image,
                          int number, const char *shape)
{
    double width = number_field(L, image, "width"), height = number_field(L, image, "height");
    if (!is_other_shape(box, width, height))
        return;
    lua_pushfstring(L, "image %d is %dx%d pixels, %s was asked for", number, (int)width,
                    (int)height, shape);
    append(L, list);
}

/* Pushes what two pictures that are the same have in common: their bytes, or what was seen of them
 * while they went elsewhere. */
static void push_identity(lua_State *L, int state, int data, int index)
{
    lua_rawgeti(L, data, index);
    lua_getfield(L, -1, "bytes");
    lua_remove(L, -2);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_getfield(L, state, "samples");
    lua_rawgeti(L, data, index);
    lua_rawget(L, -2); /* they are by picture, too */
    lua_remove(L, -2);
}

/* Are two pictures the same? */
static bool are_same(lua_State *L, int state, int data, int a, int b)
{
    lua_rawgeti(L, data, a);
    lua_rawgeti(L, data, b);
    int top = lua_gettop(L);
    bool same = number_field(L, top - 1, "size") == number_field(L, top, "size");
    if (same) {
        push_identity(L, state, data, a);
        push_identity(L, state, data, b);
        same = !lua_isnil(L, -1) && lua_rawequal(L, -1, -2);
    }
    lua_settop(L, top - 2);
    return same;
}

/* Warns of a picture that has come before: who asks for several wants several. */
static void warn_of_repetition(lua_State *L, int list, int state, int data, int number)
{
    int other = 1;
    while (other < number && !are_same(L, state, data, other, number))
        other++;
    if (other == number)
        return;
    lua_pushfstring(L, "image %d is the same as image %d: a cache may have answered", number,
                    other);
    append(L, list);
}

/* Warns of picture `number`, at `image`, if its file's name says another format. */
static void warn_of_name(lua_State *L, int list, int image, int number)
{
    lua_getfield(L, image, "path");
    lua_getfield(L, image, "ext");
    const char *path = lua_tostring(L, -2), *ext = lua_tostring(L, -1);
    if (path && ext && tc_is_misnamed(path, ext)) {
        lua_pushfstring(L, "image %d is a %s file, whatever its name says: %s", number, ext, path);
        append(L, list);
    }
    lua_settop(L, image);
}

/* Sets the list of what was asked for and is visibly not there; the images are at `data`. */
static void set_warnings(lua_State *L, const struct tc_request_box *box, int state, int response,
                         int data)
{
    int count = (int)tc_rawlen(L, data);
    tc_push_param(L, state, "shape");
    const char *shape = lua_tostring(L, -1);
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_getfield(L, state, "params");
    append_all(L, list, lua_gettop(L), "warnings");
    lua_pop(L, 1);
    if (count < (int)box->count) {
        lua_pushfstring(L, "%d images were asked for, %d came", (int)box->count, count);
        append(L, list);
    }
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, data, i);
        warn_of_shape(L, box, list, list + 1, i, shape);
        warn_of_name(L, list, list + 1, i);
        lua_settop(L, list);
        if (box->count > 1)
            warn_of_repetition(L, list, state, data, i);
    }
    lua_setfield(L, response, "warnings");
    lua_pop(L, 1);
}

/* ---- the whole ---- */

/* Pushes the list of errors, in the order of the requests. */
static void push_failures(lua_State *L, const struct tc_request_box *box, int state)
{
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_getfield(L, state, "failures");
    for (const struct tc_part *part = box->parts; part; part = part->next) {
        lua_rawgeti(L, list + 1, (int)part->position);
        if (lua_istable(L, -1))
            append(L, list);
        else
            lua_pop(L, 1);
    }
    append_all(L, list, state, "losses");
    lua_settop(L, list);
}

/* Is one failure enough for the whole to have failed? Else there are pictures all the same. */
static bool is_lost(lua_State *L, const struct tc_request_box *box, int state, int images)
{
    bool alone = !box->parts->next || box->parts->next->of;
    if (images == 0 || box->cause || !alone)
        return images == 0 || box->cause;
    lua_getfield(L, state, "failures");
    lua_rawgeti(L, -1, 1);
    bool failed = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return failed;
}

/* May any of its requests have to be paid for? One with a success is. */
static bool may_be_billed(const struct tc_request_box *box)
{
    for (const struct tc_part *part = box->parts; part; part = part->next) {
        const struct tc_failure *failure = part->request->failure;
        if (!part->of && (!failure->kind || failure->maybe_billed))
            return true;
    }
    return false;
}

/* Pushes the error that tells why all has failed: the cause's, or the first of the list. That of
 * one request speaks for all: what another of them may cost is not hidden. */
static void push_cause(lua_State *L, const struct tc_request_box *box, int state, int failures)
{
    const struct tc_part *cause = box->cause ? box->cause : box->parts;
    lua_getfield(L, state, "failures");
    lua_rawgeti(L, -1, (int)cause->position);
    if (lua_isnil(L, -1) && !box->cause) {
        lua_pop(L, 1);
        lua_rawgeti(L, failures, 1);
    }
    if (lua_isnil(L, -1)) { /* it was ended while its answer was read */
        lua_pop(L, 1);
        tc_push_failure(L, cause->request->failure, cause->request);
    }
    if (may_be_billed(box)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "maybe_billed");
    }
    lua_replace(L, -2);
}

bool tc_push_response(lua_State *L, const struct tc_request_box *box, int state)
{
    tc_checkstack(L, 20);
    push_images(L, box, state, false);
    int data = lua_gettop(L), failures = data + 1, response = data + 2;
    push_failures(L, box, state);
    if (is_lost(L, box, state, (int)tc_rawlen(L, data))) {
        push_cause(L, box, state, failures);
        push_images(L, box, state, true);
        if (tc_rawlen(L, -1)) /* they are paid for */
            lua_setfield(L, response, "data");
        lua_settop(L, response);
        return false;
    }
    double cost = whole_cost(L, box, state); /* before what they used is added up */
    push_answers(L, box, state);
    if (lua_isnil(L, response)) { /* the pictures are of requests that failed later */
        lua_newtable(L);
        lua_replace(L, response);
    }
    lua_pushvalue(L, data);
    lua_setfield(L, response, "data");
    if (tc_rawlen(L, failures)) {
        lua_pushvalue(L, failures);
        lua_setfield(L, response, "errors");
    }
    set_drafts(L, response, state);
    set_asked(L, response, state);
    set_known(L, box, response, cost);
    set_warnings(L, box, state, response, data);
    return true;
}

bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field)
{
    if (!tc_push_answer(L, request))
        return false;
    tc_tidy(L, lua_gettop(L));
    tc_conceal(L, lua_gettop(L), request->key);
    lua_pop(L, 1);
    if (!field)
        return true;
    lua_getfield(L, -1, field);
    if (lua_istable(L, -1))
        return true;
    struct tc_failure failure;
    tc_failure_set(&failure, TC_BAD_RESPONSE, "the answer has no '%s'", field);
    push_failed_success(L, request, &failure);
    return false;
}
