/*
 * The response of a job that is over: see lua_response.h. It is the answer to the first subrequest;
 * text, usage and cost of the others are added to it.
 */
#include "lua_response.h"

#include "../base/number.h"
#include "../engine/failure.h"
#include "../engine/request.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_job.h"
#include "lua_json.h"
#include "lua_warnings.h"

#include <math.h>
#include <string.h>

/* ---- the pictures ---- */

/* Drops a field of what the server says of a picture unless it is a string. */
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

/* Copies what the server says of a picture to its table, except fields derived from the bytes. */
static void add_details(lua_State *L, int image, int item)
{
    static const char *const ours[] = {"b64_json", "bytes",  "size", "mime", "ext",     "width",
                                       "height",   "result", "path", "save", "complete"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, item, ours[i]);
    }
    check_words(L, item, "url"); /* a number if the picture itself was there */
    check_words(L, item, "revised_prompt");
    tc_json_tidy(L, item);
    for (lua_pushnil(L); lua_next(L, item); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, image);
    }
}

/* A list of pictures while it is being made. */
struct gathering {
    int list;          /* stack index of the list itself */
    int images, items; /* stack indices of these tables of the uservalue */
    int cuts;          /* the same, or 0: pictures that are not whole are left out */
    bool *done;        /* by a picture's number: it was appended, or is not there */
};

/* Appends the picture of a number, if it is there and was not yet appended. */
static void append_image(lua_State *L, const struct gathering *g, unsigned number)
{
    if (g->done[number])
        return;
    g->done[number] = true;
    lua_rawgeti(L, g->images, (int)number);
    int image = lua_gettop(L), item = image + 1;
    if (lua_isnil(L, image) && g->cuts) {
        lua_rawgeti(L, g->cuts, (int)number);
        lua_replace(L, image);
    }
    lua_rawgeti(L, g->items, (int)number);
    if (lua_istable(L, image) && lua_istable(L, item))
        add_details(L, image, item);
    lua_settop(L, image);
    if (lua_istable(L, image))
        tc_append(L, g->list);
    else
        lua_pop(L, 1);
}

/* Appends the pictures of a subrequest: first those that its answer has slots for, in that order.
 */
static void append_images(lua_State *L, int uservalue, const struct gathering *g,
                          const struct tc_subrequest *sub)
{
    int top = lua_gettop(L);
    lua_getfield(L, uservalue, "sequences");
    lua_rawgeti(L, -1, (int)sub->position);
    int order = lua_gettop(L), count = lua_istable(L, order) ? (int)tc_rawlen(L, order) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, order, i);
        unsigned number = (unsigned)lua_tonumber(L, -1);
        lua_pop(L, 1);
        append_image(L, g, number);
    }
    for (unsigned i = 0; i < sub->numbered; i++)
        if (sub->numbers[i])
            append_image(L, g, sub->numbers[i]);
    lua_settop(L, top);
}

/* Pushes the list of the pictures that are there; those that are not whole too, if `all`. */
static void push_images(lua_State *L, const struct tc_job *job, int uservalue, bool all)
{
    lua_newtable(L);
    struct gathering g = {.list = lua_gettop(L)};
    lua_getfield(L, uservalue, "images");
    g.images = lua_gettop(L);
    lua_getfield(L, uservalue, "items");
    g.items = lua_gettop(L);
    lua_getfield(L, uservalue, "cuts");
    g.cuts = all ? lua_gettop(L) : 0;
    g.done = lua_newuserdata(L, job->last_number + 1);
    memset(g.done, 0, job->last_number + 1);
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        if (!sub->parent) /* a fetched picture is in the parent's order */
            append_images(L, uservalue, &g, sub);
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

/* Pops a value and adds it to what the table at `sums` has by the key, which is now on top. */
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

/* Adds the numbers of the table at `more` to those of the table at `sums`, at all depths. */
static void add_numbers(lua_State *L, int sums, int more)
{
    tc_checkstack(L, 8);
    for (lua_pushnil(L); lua_next(L, more);)
        add_value(L, sums);
}

/* Adds the text and the usage of the answer on top to the response. */
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

/* Pushes the first answer with what the others add to it, or nil if there is none. */
static void push_answers(lua_State *L, const struct tc_job *job, int uservalue)
{
    lua_pushnil(L);
    int response = lua_gettop(L);
    lua_getfield(L, uservalue, "answers");
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        lua_rawgeti(L, response + 1, (int)sub->position);
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

/* The earlier one of two moments; 0 is none. */
static double earlier(double a, double b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* The timing of the whole job. */
static struct tc_timing timing_of(const struct tc_job *job)
{
    struct tc_timing all = job->subrequests->request->timing;
    for (const struct tc_subrequest *sub = job->subrequests->next; sub; sub = sub->next) {
        const struct tc_timing *one = &sub->request->timing;
        all.ended = one->ended > all.ended ? one->ended : all.ended;
        if (sub->parent) /* fetching a picture counts for the end only */
            continue;
        all.started = earlier(all.started, one->started);
        all.sent = earlier(all.sent, one->sent);
        all.first_byte = earlier(all.first_byte, one->first_byte);
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
        {"first_byte", timing->first_byte},
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

/* Pops an amount of money; below 0 where the value is none. */
static double pop_amount(lua_State *L)
{
    double amount = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    lua_pop(L, 1);
    return amount >= 0 && amount < HUGE_VAL ? amount : -1;
}

/* Pops the value of `usage` and returns the cost in it, below 0 if there is none. OpenRouter has
 * `cost`, Perplexity `cost.total_cost`, DeepInfra `estimated_cost`. */
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

/* The cost of a subrequest, below 0 where it is not known. The gateway's header wins. */
static double subrequest_cost(lua_State *L, const struct tc_subrequest *sub, int uservalue)
{
    if (sub->parent || sub->request->cost >= 0)
        return sub->parent ? -1 : sub->request->cost;
    lua_getfield(L, uservalue, "answers");
    lua_rawgeti(L, -1, (int)sub->position);
    lua_remove(L, -2);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "usage");
        lua_remove(L, -2);
    }
    return pop_usage_cost(L);
}

/* The cost of the whole job. */
static double job_cost(lua_State *L, const struct tc_job *job, int uservalue)
{
    double cost = -1;
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        double more = subrequest_cost(L, sub, uservalue);
        cost = more < 0 ? cost : cost < 0 ? more : cost + more;
    }
    return cost;
}

/* Sets the fields that the engine knows. */
static void set_known(lua_State *L, const struct tc_job *job, int response, double cost)
{
    const char *request_id = NULL;
    unsigned attempts = 0;
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        const struct tc_request *request = sub->request;
        if (sub->parent)
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
    struct tc_timing timing = timing_of(job);
    set_timing(L, response, &timing);
}

/* Sets model and prompt as they were asked for; the model only where the answer has none. */
static void set_asked(lua_State *L, int response, int uservalue)
{
    lua_getfield(L, response, "model");
    if (lua_type(L, -1) != LUA_TSTRING) {
        tc_job_push_param(L, uservalue, "model");
        lua_setfield(L, response, "model");
    }
    lua_pop(L, 1);
    tc_job_push_param(L, uservalue, "prompt");
    lua_setfield(L, response, "prompt");
}

/* Sets the drafts, if there are any. */
static void set_drafts(lua_State *L, int response, int uservalue)
{
    lua_getfield(L, uservalue, "drafts");
    if (tc_rawlen(L, -1))
        lua_setfield(L, response, "drafts");
    else
        lua_pop(L, 1);
}

/* ---- the whole ---- */

/* Pushes the list of errors, in the order of the requests. */
static void push_failures(lua_State *L, const struct tc_job *job, int uservalue)
{
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_getfield(L, uservalue, "failures");
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        lua_rawgeti(L, list + 1, (int)sub->position);
        if (lua_istable(L, -1))
            tc_append(L, list);
        else
            lua_pop(L, 1);
    }
    tc_append_all(L, list, uservalue, "losses");
    lua_settop(L, list);
}

/* Has the job failed as a whole? A failed subrequest among others only adds to `errors`. */
static bool is_lost(lua_State *L, const struct tc_job *job, int uservalue, int images)
{
    bool alone = !job->subrequests->next || job->subrequests->next->parent;
    if (images == 0 || job->culprit || !alone)
        return images == 0 || job->culprit;
    lua_getfield(L, uservalue, "failures");
    lua_rawgeti(L, -1, 1);
    bool failed = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return failed;
}

/* May any of its subrequests be billed? One that succeeded is. */
static bool may_be_billed(const struct tc_job *job)
{
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next) {
        const struct tc_failure *failure = sub->request->failure;
        if (!sub->parent && (!failure->kind || failure->maybe_billed))
            return true;
    }
    return false;
}

/* Pushes the error of the whole job: that of the subrequest that stopped it, or else the first of
 * the list at `failures`. Its `maybe_billed` is true if any subrequest may be billed. */
static void push_error(lua_State *L, const struct tc_job *job, int uservalue, int failures)
{
    const struct tc_subrequest *culprit = job->culprit ? job->culprit : job->subrequests;
    lua_getfield(L, uservalue, "failures");
    lua_rawgeti(L, -1, (int)culprit->position);
    if (lua_isnil(L, -1) && !job->culprit) {
        lua_pop(L, 1);
        lua_rawgeti(L, failures, 1);
    }
    if (lua_isnil(L, -1)) { /* it was cancelled while its response was read */
        lua_pop(L, 1);
        tc_push_failure(L, culprit->request->failure, culprit->request);
    }
    if (may_be_billed(job)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "maybe_billed");
    }
    lua_replace(L, -2);
}

bool tc_push_response(lua_State *L, const struct tc_job *job, int uservalue)
{
    tc_checkstack(L, 20);
    push_images(L, job, uservalue, false);
    int data = lua_gettop(L), failures = data + 1, response = data + 2;
    push_failures(L, job, uservalue);
    if (is_lost(L, job, uservalue, (int)tc_rawlen(L, data))) {
        push_error(L, job, uservalue, failures);
        push_images(L, job, uservalue, true);
        if (tc_rawlen(L, -1)) /* these pictures are paid for, so they are not lost */
            lua_setfield(L, response, "data");
        lua_settop(L, response);
        return false;
    }
    double cost = job_cost(L, job, uservalue); /* push_answers changes the first answer's usage */
    push_answers(L, job, uservalue);
    if (lua_isnil(L, response)) { /* each subrequest failed after it had brought a picture */
        lua_newtable(L);
        lua_replace(L, response);
    }
    lua_pushvalue(L, data);
    lua_setfield(L, response, "data");
    if (tc_rawlen(L, failures)) {
        lua_pushvalue(L, failures);
        lua_setfield(L, response, "errors");
    }
    set_drafts(L, response, uservalue);
    set_asked(L, response, uservalue);
    set_known(L, job, response, cost);
    tc_set_warnings(L, job, uservalue, response, data);
    return true;
}
