/*
 * Params: see lua_params.h.
 *
 * This file lists the fields that the API and LiteLLM know, with their types and the routes that
 * take them. What a model takes is in lua_models.c. A user can put any other field into extra_body,
 * whose values only have to be such that JSON can have them.
 */
#include "lua_params.h"

#include "../splitter/body.h"
#include "../splitter/images.h"
#include "../engine/request.h"
#include "lua_body.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_job.h"
#include "lua_models.h"
#include "lua_routes.h"
#include "lua_save.h"
#include "lua_text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the fields ---- */

/* The routes that take a field. */
enum { IMAGES = 1 << TC_VIA_IMAGES, CHAT = 1 << TC_VIA_CHAT, GEMINI = 1 << TC_VIA_GEMINI };
enum { EVERY = IMAGES | CHAT | GEMINI };

static const struct tc_field fields[] = {
    /* sent as they are */
    {"model", TC_T_STRING, EVERY},
    {"quality", TC_T_STRING, IMAGES},
    {"style", TC_T_STRING, IMAGES},
    {"background", TC_T_STRING, IMAGES},
    {"moderation", TC_T_STRING, IMAGES},
    {"response_format", TC_T_STRING, IMAGES},
    {"output_format", TC_T_STRING, IMAGES},
    {"output_compression", TC_T_WHOLE, IMAGES},
    {"output_options", TC_T_TABLE, IMAGES},
    {"input_fidelity", TC_T_STRING, IMAGES},
    {"user", TC_T_STRING, IMAGES | CHAT},
    {"negative_prompt", TC_T_STRING, IMAGES},
    {"seed", TC_T_WHOLE, IMAGES | CHAT},
    {"language", TC_T_STRING, IMAGES},
    {"guidance_scale", TC_T_NUMBER, IMAGES},
    {"add_watermark", TC_T_BOOLEAN, IMAGES},
    {"enhance_prompt", TC_T_BOOLEAN, IMAGES},
    {"person_generation", TC_T_STRING, IMAGES},
    {"safety_setting", TC_T_STRING, IMAGES},
    {"include_rai_reason", TC_T_BOOLEAN, IMAGES},
    {"sample_image_size", TC_T_STRING, IMAGES},
    {"drop_params", TC_T_BOOLEAN, IMAGES | CHAT},
    {"num_retries", TC_T_WHOLE, IMAGES | CHAT},
    {"request_timeout", TC_T_NUMBER, IMAGES | CHAT},
    {"cache", TC_T_TABLE, IMAGES | CHAT},
    {"metadata", TC_T_TABLE, IMAGES | CHAT},
    {"tags", TC_T_TABLE, IMAGES | CHAT},
    {"fallbacks", TC_T_TABLE, IMAGES | CHAT},
    {"mock_response", TC_T_STRING, IMAGES | CHAT},
    {"messages", TC_T_TABLE, CHAT},
    /* sent by each route in its own way */
    {"prompt", TC_T_STRING, EVERY},
    {"n", TC_T_WHOLE, EVERY},
    {"size", TC_T_STRING, IMAGES},
    {"aspect_ratio", TC_T_STRING, EVERY},
    {"images", TC_T_TABLE, CHAT | GEMINI},
    {"history", TC_T_TABLE, CHAT | GEMINI},
    /* ours */
    {"via", TC_T_STRING, EVERY},
    {"on_image", TC_T_FUNCTION, EVERY},
    {"on_progress", TC_T_FUNCTION, EVERY},
    {"sink", TC_T_FUNCTION, EVERY},
    {"save", TC_T_STRING, EVERY},
    {"if_exists", TC_T_STRING, EVERY},
    {"fsync", TC_T_BOOLEAN, EVERY},
    {"extra_body", TC_T_TABLE, EVERY},
    {"extra_headers", TC_T_TABLE, EVERY},
    {"timeout", TC_T_NUMBER, EVERY},
    {"max_retries", TC_T_WHOLE, EVERY},
    {"retry", TC_T_STRING, EVERY},
};

enum { SENT_FIELDS = 30 }; /* how many of the first ones are sent as they are */

/* ---- checks; all push an error table when false ---- */

static bool has_field(lua_State *L, int params, const char *name)
{
    lua_getfield(L, params, name);
    bool has = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return has;
}

/* `messages` are a conversation that the caller has written. It cannot go with fields from which we
 * would make one. */
static bool check_messages(lua_State *L, int params)
{
    static const char *const others[] = {"prompt", "images", "history"};
    for (size_t i = 0; i < COUNT(others); i++)
        if (has_field(L, params, others[i])) {
            tc_push_error(L, TC_INVALID_REQUEST, others[i],
                          "field '%s': cannot go with 'messages', leave one out", others[i]);
            return false;
        }
    return true;
}

static bool check_prompt(lua_State *L, int params)
{
    size_t size = 0;
    if (has_field(L, params, "messages"))
        return check_messages(L, params);
    lua_getfield(L, params, "prompt");
    if (lua_isnil(L, -1)) {
        tc_push_error(L, TC_INVALID_REQUEST, "prompt",
                      "field 'prompt': what to draw, as a string, expected");
        return false;
    }
    const char *prompt = lua_tolstring(L, -1, &size);
    if (tc_text_is_blank(prompt, size)) {
        tc_push_error(L, TC_INVALID_REQUEST, "prompt",
                      "field 'prompt': what to draw expected, got %s",
                      size ? "nothing but white space" : "an empty string");
        return false;
    }
    if (!tc_text_check(L, -1, "prompt"))
        return false;
    lua_pop(L, 1);
    return true;
}

/* Pushes the values as a message lists them: "'1:1', '3:4' or '16:9'". */
static const char *push_choice(lua_State *L, const char *const *values)
{
    lua_pushfstring(L, "'%s'", values[0]);
    for (size_t i = 1; values[i]; i++) {
        lua_pushfstring(L, values[i + 1] ? ", '%s'" : " or '%s'", values[i]);
        lua_concat(L, 2);
    }
    return lua_tostring(L, -1);
}

static bool check_choice(lua_State *L, int body, const char *name, const char *const *values)
{
    lua_getfield(L, body, name);
    const char *value = lua_tostring(L, -1);
    for (size_t i = 0; value && values[i]; i++)
        if (!strcmp(values[i], value))
            value = NULL;
    if (!value || !values[0]) {
        lua_pop(L, 1);
        return true;
    }
    const char *got = tc_push_quoted(L, lua_gettop(L));
    const char *choice = push_choice(L, values);
    tc_push_error(L, TC_INVALID_REQUEST, name, "field '%s': %s expected, got %s", name, choice,
                  got);
    return false;
}

/* ---- the model and its route ---- */

/* Finds the route: `via`, or what the model's family has. */
static bool find_route(lua_State *L, int params, const struct tc_family *family, struct tc_job *job)
{
    job->via = family ? family->via : TC_VIA_IMAGES;
    lua_getfield(L, params, "via");
    const char *name = lua_tostring(L, -1);
    if (name && !tc_via_of(name, &job->via)) {
        const char *shown = tc_push_quoted(L, lua_gettop(L));
        tc_push_error(L, TC_INVALID_REQUEST, "via",
                      "field 'via': 'images', 'chat' or 'gemini' expected, got %s", shown);
        return false;
    }
    lua_pop(L, 1);
    return true;
}

/* Does the route take all fields that the params have? */
static bool check_route(lua_State *L, int params, enum tc_via via)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        lua_getfield(L, params, fields[i].name);
        bool wrong = !lua_isnil(L, -1) && !(fields[i].routes >> via & 1);
        lua_pop(L, 1);
        if (!wrong)
            continue;
        lua_getfield(L, params, "model");
        const char *model = tc_push_quoted(L, lua_gettop(L));
        const char *name = fields[i].name;
        if (fields[i].routes & IMAGES)
            tc_push_error(L, TC_INVALID_REQUEST, name,
                          "field '%s': model %s is asked via '%s', which does not take it "
                          "(extra_body sends anything)",
                          name, model, tc_route(via)->name);
        else
            tc_push_error(L, TC_INVALID_REQUEST, name,
                          "field '%s': model %s is asked via '%s', which does not take it (a model "
                          "for chat does: 'gemini-2.5-flash-image-preview', or via = 'chat')",
                          name, model, tc_route(via)->name);
        return false;
    }
    return true;
}

/* Reads how many pictures are wanted, and how many of them per request. */
static bool read_count(lua_State *L, int params, const struct tc_family *family, struct tc_job *job)
{
    double most = family && family->limit ? family->limit : TC_IMAGES, count = 1;
    if (!tc_field_whole(L, params, "field", "n", 1, most, &count))
        return false;
    job->count = (unsigned)count;
    job->per_request = job->via == TC_VIA_IMAGES ? job->count : 1;
    if (family && job->per_request > family->most)
        job->per_request = family->most;
    return true;
}

/* Width by height of "16:9" or "1536x1024"; 0 where it is neither. */
static double ratio_of(const char *text)
{
    unsigned width, height;
    char between, after;
    if (!text || sscanf(text, "%5u%c%5u%c", &width, &between, &height, &after) != 3)
        return 0;
    return (between == ':' || between == 'x') && width && height ? (double)width / height : 0;
}

/* Reads the shape that was asked for, and the ratio that the model makes of it. */
static void read_ratio(lua_State *L, int params, int uservalue, const struct tc_family *family,
                       struct tc_job *job)
{
    lua_getfield(L, params, "aspect_ratio");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_getfield(L, params, "size");
    }
    const char *text = lua_tostring(L, -1);
    const struct tc_shape *own = text ? tc_shape_of(family, text) : NULL;
    job->ratio = ratio_of(text);
    job->own_ratio = own ? (double)own->width / own->height : job->ratio;
    lua_setfield(L, uservalue, "shape");
}

/* Does the model take the aspect ratio? */
static bool check_ratio(lua_State *L, int params, const struct tc_family *family)
{
    enum { MOST = 15 };
    const char *ratios[MOST + 1] = {NULL};
    for (size_t i = 0; family->shapes && i < MOST && family->shapes[i].ratio; i++)
        ratios[i] = family->shapes[i].ratio;
    return check_choice(L, params, "aspect_ratio", ratios);
}

/* Does extra_body set the size or the aspect ratio? */
static bool extra_has_shape(lua_State *L, int params)
{
    lua_getfield(L, params, "extra_body");
    int extra = lua_gettop(L);
    bool own = lua_istable(L, extra) &&
               (has_field(L, extra, "size") || has_field(L, extra, "aspect_ratio") ||
                has_field(L, extra, "aspectRatio"));
    lua_pop(L, 1);
    return own;
}

/* Sets `warnings`: what is known, before anything is sent, to differ from what was asked for. */
static void set_warnings(lua_State *L, int params, int uservalue, const struct tc_family *family,
                         enum tc_via via)
{
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_getfield(L, params, "size");
    const char *size = lua_tostring(L, -1);
    const char *ratio = size && via == TC_VIA_IMAGES ? tc_ratio_for_squared(family, size) : NULL;
    if (ratio && !has_field(L, params, "aspect_ratio") && !extra_has_shape(L, params)) {
        lua_getfield(L, params, "model");
        const char *model = tc_push_quoted(L, lua_gettop(L));
        lua_pushfstring(L, "size %s comes out square from %s: aspect_ratio '%s' does not", size,
                        model, ratio);
        lua_rawseti(L, list, 1);
    }
    lua_settop(L, list);
    if (tc_rawlen(L, list))
        lua_setfield(L, uservalue, "warnings");
    else
        lua_pop(L, 1);
}

/* Reads the model, the route and the number of pictures. */
static bool read_job(lua_State *L, int params, int uservalue, const char *model, struct tc_job *job)
{
    lua_getfield(L, params, "model");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushstring(L, model);
        lua_pushvalue(L, -1);
        lua_setfield(L, params, "model");
    }
    model = lua_tostring(L, -1);
    if (!*model) {
        tc_push_error(L, TC_INVALID_REQUEST, "model", "field 'model': got an empty string");
        return false;
    }
    const struct tc_family *family = tc_family_of(model);
    lua_pop(L, 1);
    if (!find_route(L, params, family, job) || !check_route(L, params, job->via) ||
        !read_count(L, params, family, job))
        return false;
    read_ratio(L, params, uservalue, family, job);
    set_warnings(L, params, uservalue, family, job->via);
    return !family ||
           (check_choice(L, params, "size", family->sizes) && check_ratio(L, params, family));
}

/* ---- the body ---- */

/* Sets a whole number in the body. 2.0 and "2" are sent as 2. */
static bool set_whole(lua_State *L, int params, int body, const char *name)
{
    double value = NAN;
    if (!tc_field_whole(L, params, "field", name, -HUGE_VAL, HUGE_VAL, &value))
        return false;
    if (value == value) {
        tc_pushwhole(L, value);
        lua_setfield(L, body, name);
    }
    return true;
}

static bool copy_fields(lua_State *L, int params, int body)
{
    for (size_t i = 0; i < SENT_FIELDS; i++) {
        if (fields[i].type == TC_T_WHOLE) {
            if (!set_whole(L, params, body, fields[i].name))
                return false;
            continue;
        }
        lua_getfield(L, params, fields[i].name);
        lua_setfield(L, body, fields[i].name); /* nil sets nothing */
    }
    return true;
}

/* Pops a value and sets it as the one field of a new table in the body. */
static void set_inside(lua_State *L, int body, const char *table, const char *name)
{
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_setfield(L, body, table);
}

static void set_images_fields(lua_State *L, int params, int body, unsigned n)
{
    lua_getfield(L, params, "prompt");
    lua_setfield(L, body, "prompt");
    lua_pushinteger(L, (lua_Integer)n); /* always: without it older gateways make, and bill, four */
    lua_setfield(L, body, "n");
    lua_getfield(L, params, "aspect_ratio"); /* it wins over the size, which is not sent then */
    bool shaped = !lua_isnil(L, -1);
    lua_setfield(L, body, "aspect_ratio");
    lua_getfield(L, params, shaped ? "aspect_ratio" : "size");
    lua_getfield(L, params, "model");
    const struct tc_family *family = tc_family_of(lua_tostring(L, -1));
    lua_pop(L, 1);
    if (!shaped)
        lua_setfield(L, body, "size");
    else if (family && family->spells_ratio_twice && !extra_has_shape(L, params))
        lua_setfield(L, body, "aspectRatio");
    else
        lua_pop(L, 1);
}

static void set_chat_fields(lua_State *L, int params, int body)
{
    lua_createtable(L, 1, 0);
    lua_pushliteral(L, "image");
    lua_rawseti(L, -2, 1);
    lua_setfield(L, body, "modalities");
    lua_getfield(L, params, "aspect_ratio");
    if (lua_isnil(L, -1))
        lua_pop(L, 1);
    else
        set_inside(L, body, "imageConfig", "aspectRatio");
}

static void set_gemini_fields(lua_State *L, int params, int body)
{
    lua_pushnil(L); /* the path has it */
    lua_setfield(L, body, "model");
    lua_getfield(L, params, "aspect_ratio");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    set_inside(L, body, "imageConfig", "aspectRatio");
    lua_getfield(L, body, "imageConfig");
    set_inside(L, body, "generationConfig", "imageConfig");
    lua_pushnil(L);
    lua_setfield(L, body, "imageConfig");
}

static void set_route_fields(lua_State *L, int params, int body, enum tc_via via, unsigned n)
{
    if (via == TC_VIA_IMAGES)
        set_images_fields(L, params, body, n);
    else if (via == TC_VIA_CHAT)
        set_chat_fields(L, params, body);
    else
        set_gemini_fields(L, params, body);
}

/* Copies the fields of extra_body into the body. */
static bool merge_extra(lua_State *L, int params, int body)
{
    lua_getfield(L, params, "extra_body");
    int extra = lua_gettop(L);
    if (!lua_istable(L, extra)) {
        lua_pop(L, 1);
        return true;
    }
    for (lua_pushnil(L); lua_next(L, extra); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            tc_push_error(L, TC_INVALID_REQUEST, "extra_body",
                          "field 'extra_body': names and values expected, got a %s for a name",
                          luaL_typename(L, -2));
            return false;
        }
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_settable(L, body);
    }
    lua_pop(L, 1);
    return true;
}

static bool check_body(lua_State *L, int body)
{
    for (lua_pushnil(L); lua_next(L, body); lua_pop(L, 1)) {
        if (!tc_text_check(L, -2, "extra_body")) /* its names */
            return false;
        if (!tc_value_check(L, lua_gettop(L), lua_tostring(L, -2)))
            return false;
    }
    return true;
}

/* Makes the body of a request for `n` pictures, and pushes the userdata that holds it. */
static bool push_body(lua_State *L, int params, int turns, enum tc_via via, unsigned n,
                      struct tc_body **made)
{
    lua_newtable(L);
    int body = lua_gettop(L);
    if (!copy_fields(L, params, body))
        return false;
    set_route_fields(L, params, body, via, n);
    if (!merge_extra(L, params, body) || !check_body(L, body) ||
        !tc_route(via)->write(L, body, turns))
        return false;
    *made = tc_push_body(L, lua_gettop(L));
    lua_replace(L, body);
    lua_settop(L, body);
    return true;
}

/* Makes the body of a request, and that of the last one if that is for fewer pictures. */
static bool make_bodies(lua_State *L, int params, int uservalue, struct tc_job *job)
{
    unsigned rest = job->count % job->per_request;
    if (job->via == TC_VIA_IMAGES)
        lua_pushnil(L);
    else if (!tc_push_turns(L, params))
        return false;
    int turns = lua_gettop(L);
    if (!push_body(L, params, turns, job->via, job->per_request, &job->options.body))
        return false;
    lua_setfield(L, uservalue, "body");
    if (rest && !push_body(L, params, turns, job->via, rest, &job->last_body))
        return false;
    if (rest)
        lua_setfield(L, uservalue, "last_body");
    lua_pop(L, 1);
    return true;
}

/* Pushes the path of the route; the model's name replaces "{model}". */
static const char *push_path(lua_State *L, int params, const char *path)
{
    static const char here[] = "{model}", hex[] = "0123456789ABCDEF";
    const char *gap = strstr(path, here);
    if (!gap)
        return path;
    luaL_Buffer buffer;
    lua_getfield(L, params, "model");
    const char *model = lua_tostring(L, -1);
    luaL_buffinit(L, &buffer);
    luaL_addlstring(&buffer, path, (size_t)(gap - path));
    for (; *model; model++) { /* RFC 3986, 2.1 */
        unsigned char character = (unsigned char)*model;
        if (isalnum(character) || strchr("-._~", character)) {
            luaL_addchar(&buffer, *model);
            continue;
        }
        luaL_addchar(&buffer, '%');
        luaL_addchar(&buffer, hex[character >> 4]);
        luaL_addchar(&buffer, hex[character & 15]);
    }
    luaL_addstring(&buffer, gap + sizeof(here) - 1);
    luaL_pushresult(&buffer);
    return lua_tostring(L, -1);
}

/* ---- the whole ---- */

/* Notes whether bytes of pictures, or reports, are wanted while the response arrives. */
static bool read_streaming(lua_State *L, int params, struct tc_request_options *options)
{
    bool sink = has_field(L, params, "sink"), save = has_field(L, params, "save");
    options->streaming = sink || save;
    options->progress = has_field(L, params, "on_progress");
    if (sink && save)
        tc_push_error(L, TC_INVALID_REQUEST, "sink",
                      "field 'sink': cannot go with 'save', leave one out");
    return !(sink && save);
}

void tc_params_argument(lua_State *L, int index)
{
    if (lua_istable(L, index) || lua_type(L, index) == LUA_TSTRING)
        return;
    const char *text =
        lua_pushfstring(L, "table or string expected, got %s", luaL_typename(L, index));
    luaL_argerror(L, index, text);
}

/* Replaces a string at `index` by the table that it is short for. */
static void expand(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return;
    lua_newtable(L);
    lua_pushvalue(L, index);
    lua_setfield(L, -2, "prompt");
    lua_replace(L, index);
}

bool tc_params_read(lua_State *L, int index, int uservalue, const struct tc_defaults *defaults,
                    struct tc_job *job)
{
    struct tc_request_options *options = &job->options;
    index = tc_absindex(L, index);
    *options = defaults->options;
    expand(L, index);
    if (!tc_fields_resolve(L, index, fields, COUNT(fields)) || !check_prompt(L, index) ||
        !tc_field_settings(L, index, options) || !read_streaming(L, index, options) ||
        !read_job(L, index, uservalue, defaults->model, job) ||
        !tc_save_check(L, index, job->count) ||
        !tc_field_headers(L, index, "field", "extra_headers", &options->headers) ||
        !make_bodies(L, index, uservalue, job))
        return false;
    const struct tc_route *route = tc_route(job->via);
    options->method = "POST";
    options->base = route->base;
    options->path = push_path(L, index, route->path);
    options->credentials = route->credentials;
    options->rules = tc_picture_rules;
    options->rule_count = TC_PICTURE_RULES;
    lua_pushvalue(L, index);
    lua_setfield(L, uservalue, "params");
    return true;
}
