/*
 * Responses as Lua sees them: what the answers say, and the pictures in their order.
 */
#include "binding.h"
#include "number.h"

#include <math.h>
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
    const struct tc_buffer *text = &request->envelope.text;
    tc_push_json(L, "decode");
    lua_pushlstring(L, (const char *)text->data, text->size);
    lua_call(L, 1, 2);
    if (!lua_istable(L, -2)) {
        struct tc_failure failure;
        tc_failure_set(&failure, TC_BAD_RESPONSE, "the answer is not a JSON object%s%s",
                       lua_isstring(L, -1) ? ": " : "",
                       lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
        push_failed_success(L, request, &failure);
        return false;
    }
    lua_pop(L, 1);
    return true;
}

void tc_push_no_image(lua_State *L, const struct tc_request *request, int answer, int refusal)
{
    struct tc_failure failure;
    lua_getfield(L, answer, "text");
    const char *reason = lua_tostring(L, refusal);
    const char *said = lua_isstring(L, -1) ? tc_push_quoted(L, lua_gettop(L)) : NULL;
    if (reason) {
        tc_failure_set(&failure, TC_CONTENT_POLICY, "the model refused to draw this (%s)%s%s",
                       reason, said ? ": " : "", said ? said : "");
    } else if (said) {
        tc_failure_set(&failure, TC_NO_IMAGE, "the model answered in words alone: %s", said);
        failure.advice = "ask for a picture in plain words, or another model";
    } else {
        tc_failure_set(&failure, TC_NO_IMAGE,
                       "the answer has no image: the model made none, or a filter held all back");
    }
    push_failed_success(L, request, &failure);
}

/* ---- the pictures ---- */

/* Gives the picture at `image` what the server said of it, but nothing that the bytes tell better.
 */
static void add_details(lua_State *L, int image, int item)
{
    static const char *const ours[] = {"b64_json", "bytes",  "size", "mime", "ext",
                                       "width",    "height", "path", "save"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, item, ours[i]);
    }
    lua_getfield(L, item, "url"); /* it may have been the picture itself */
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pushnil(L);
        lua_setfield(L, item, "url");
    }
    lua_pop(L, 1);
    tc_tidy(L, item);
    for (lua_pushnil(L); lua_next(L, item); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, image);
    }
}

/* Appends the picture of a number to the list at `list`, if it is there and was not yet appended.
 * The tables of the images and of what the server says of them are behind the list. */
static void append_image(lua_State *L, int list, bool *done, unsigned number)
{
    if (done[number])
        return;
    done[number] = true;
    lua_rawgeti(L, list + 1, (int)number);
    lua_rawgeti(L, list + 2, (int)number);
    int image = lua_gettop(L) - 1;
    if (lua_istable(L, image) && lua_istable(L, image + 1))
        add_details(L, image, image + 1);
    lua_settop(L, image);
    if (lua_istable(L, image))
        lua_rawseti(L, list, (int)tc_rawlen(L, list) + 1);
    else
        lua_pop(L, 1);
}

/* Appends the pictures of a part: first as its answer has them, then those that it only mentions.
 */
static void append_images(lua_State *L, int state, int list, bool *done, const struct tc_part *part)
{
    lua_getfield(L, state, "orders");
    lua_rawgeti(L, -1, (int)part->position);
    int order = lua_gettop(L), count = lua_istable(L, order) ? (int)tc_rawlen(L, order) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, order, i);
        unsigned number = (unsigned)lua_tonumber(L, -1);
        lua_pop(L, 1);
        append_image(L, list, done, number);
    }
    for (unsigned i = 0; i < part->numbered; i++)
        append_image(L, list, done, part->numbers[i]);
    lua_settop(L, order - 2);
}

/* Pushes the list of the pictures that are there. */
static void push_images(lua_State *L, const struct tc_request_box *box, int state)
{
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_getfield(L, state, "images");
    lua_getfield(L, state, "items");
    bool *done = lua_newuserdata(L, box->last_number + 1);
    memset(done, 0, box->last_number + 1);
    for (const struct tc_part *part = box->parts; part; part = part->next)
        if (!part->of) /* what one was to fetch has its place in another */
            append_images(L, state, list, done, part);
    lua_settop(L, list);
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

/* Sets what we know into the response. */
static void set_known(lua_State *L, const struct tc_request_box *box, int response)
{
    const char *request_id = NULL;
    unsigned attempts = 0;
    double cost = -1;
    for (const struct tc_part *part = box->parts; part; part = part->next) {
        const struct tc_request *request = part->request;
        if (part->of)
            continue;
        attempts += request->attempts;
        if (request->cost >= 0)
            cost = cost < 0 ? request->cost : cost + request->cost;
        if (!request_id && *request->request_id)
            request_id = request->request_id;
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
        lua_getfield(L, state, "model");
        lua_setfield(L, response, "model");
    }
    lua_pop(L, 1);
    lua_getfield(L, state, "prompt");
    lua_setfield(L, response, "prompt");
}

/* ---- warnings ---- */

/* Appends the string on top to the list at `list`, and pops it. */
static void append(lua_State *L, int list)
{
    lua_rawseti(L, list, (int)tc_rawlen(L, list) + 1);
}

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

/* Sets the list of what was asked for and is visibly not there; the images are at `data`. */
static void set_warnings(lua_State *L, const struct tc_request_box *box, int state, int response,
                         int data)
{
    int count = (int)tc_rawlen(L, data);
    lua_getfield(L, state, "shape");
    const char *shape = lua_tostring(L, -1);
    lua_newtable(L);
    int list = lua_gettop(L);
    append_all(L, list, state, "warnings");
    if (count < (int)box->count) {
        lua_pushfstring(L, "%d images were asked for, %d came", (int)box->count, count);
        append(L, list);
    }
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, data, i);
        double width = number_field(L, list + 1, "width");
        double height = number_field(L, list + 1, "height");
        if (is_other_shape(box, width, height)) {
            lua_pushfstring(L, "image %d is %dx%d pixels, %s was asked for", i, (int)width,
                            (int)height, shape);
            append(L, list);
        }
        lua_settop(L, list);
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
    lua_getfield(L, state, "refused");
    int refused = lua_gettop(L), count = (int)tc_rawlen(L, refused);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, refused, i);
        append(L, list);
    }
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
        const struct tc_failure *failure = &part->request->failure;
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
        tc_push_failure(L, &cause->request->failure, cause->request);
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
    push_images(L, box, state);
    int data = lua_gettop(L), failures = data + 1, response = data + 2;
    int count = (int)tc_rawlen(L, data);
    push_failures(L, box, state);
    if (is_lost(L, box, state, count)) {
        push_cause(L, box, state, failures);
        if (count) { /* they are paid for */
            lua_pushvalue(L, data);
            lua_setfield(L, response, "data");
        }
        return false;
    }
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
    set_asked(L, response, state);
    set_known(L, box, response);
    set_warnings(L, box, state, response, data);
    return true;
}

bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field)
{
    if (!tc_push_answer(L, request))
        return false;
    tc_tidy(L, lua_gettop(L));
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
