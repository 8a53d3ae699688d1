/*
 * Params: from the table that a user wrote to the JSON that is sent.
 *
 * What the API and LiteLLM know by name is listed here, with its type; what a family of models
 * takes is one row of `families`. Whatever else is wanted goes into extra_body, unchecked but for
 * what JSON itself cannot carry.
 */
#include "binding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what there is ---- */

static const struct tc_field fields[] = {
    /* sent as they are */
    {"prompt", TC_T_STRING},
    {"model", TC_T_STRING},
    {"n", TC_T_WHOLE},
    {"size", TC_T_STRING},
    {"aspect_ratio", TC_T_STRING},
    {"quality", TC_T_STRING},
    {"style", TC_T_STRING},
    {"background", TC_T_STRING},
    {"moderation", TC_T_STRING},
    {"response_format", TC_T_STRING},
    {"output_format", TC_T_STRING},
    {"output_compression", TC_T_WHOLE},
    {"output_options", TC_T_TABLE},
    {"input_fidelity", TC_T_STRING},
    {"user", TC_T_STRING},
    {"negative_prompt", TC_T_STRING},
    {"seed", TC_T_WHOLE},
    {"language", TC_T_STRING},
    {"guidance_scale", TC_T_NUMBER},
    {"add_watermark", TC_T_BOOLEAN},
    {"enhance_prompt", TC_T_BOOLEAN},
    {"person_generation", TC_T_STRING},
    {"safety_setting", TC_T_STRING},
    {"include_rai_reason", TC_T_BOOLEAN},
    {"sample_image_size", TC_T_STRING},
    {"drop_params", TC_T_BOOLEAN},
    {"num_retries", TC_T_WHOLE},
    {"request_timeout", TC_T_NUMBER},
    {"cache", TC_T_TABLE},
    {"metadata", TC_T_TABLE},
    {"tags", TC_T_TABLE},
    {"fallbacks", TC_T_TABLE},
    {"mock_response", TC_T_STRING},
    /* ours */
    {"on_image", TC_T_FUNCTION},
    {"on_progress", TC_T_FUNCTION},
    {"sink", TC_T_FUNCTION},
    {"save", TC_T_STRING},
    {"extra_body", TC_T_TABLE},
    {"extra_headers", TC_T_TABLE},
    {"timeout", TC_T_NUMBER},
    {"max_retries", TC_T_WHOLE},
    {"retry", TC_T_STRING},
};

enum { OWN_FIELDS = 9 }; /* the last of the fields above are not sent */

enum { LONGEST_TIMEOUT = 86400 };

/* Models that share their limits. Models of no family are checked for types only. */
struct family {
    const char *prefix; /* of the model's name */
    unsigned most;      /* images at once */
    const char *sizes[4], *ratios[6];
};

static const struct family families[] = {
    {"imagen-4", 4, {"1024x1024", "1536x1024", "1024x1536"}, {"1:1", "3:4", "4:3", "16:9", "9:16"}},
};

/* Where the images route has its pictures. */
static const struct tc_rule image_rules[] = {
    {TC_CAPTURE_BASE64, {"data", "[]", "b64_json"}},
};

static const struct family *family_of(const char *model)
{
    for (size_t i = 0; i < COUNT(families); i++)
        if (!strncmp(model, families[i].prefix, strlen(families[i].prefix)))
            return &families[i];
    return NULL;
}

/* ---- checks; all push an error table when false ---- */

static bool invalid_text(lua_State *L, const char *name, size_t byte)
{
    tc_push_error(L, TC_INVALID_REQUEST, name, "field '%s': valid UTF-8 expected (byte %d is not)",
                  name, (int)byte);
    return false;
}

static bool check_text(lua_State *L, int index, const char *name)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    size_t wrong = tc_utf8_error(text, size);
    return !wrong || invalid_text(L, name, wrong);
}

/* lua-cjson would round a whole number that has more digits than it writes. */
static bool check_digits(lua_State *L, int index, const char *name)
{
    double value = lua_tonumber(L, index), exact = tc_json_exact(L);
    if ((value >= -exact && value <= exact) ||
        value - value != 0) /* infinite, NaN: cjson says so */
        return true;
    const char *shown = tc_push_quoted(L, index);
    tc_push_error(L, TC_INVALID_REQUEST, name,
                  "field '%s': %s has more digits than can be sent as a number", name, shown);
    return false;
}

enum { DEEPEST = 100 };

/* Is all that is in the value at `index` fit to be sent? `name` is the field that it is in. */
static bool check_value(lua_State *L, int index, const char *name, int depth)
{
    tc_checkstack(L, 8);
    if (lua_type(L, index) == LUA_TSTRING)
        return check_text(L, index, name);
    if (lua_type(L, index) == LUA_TNUMBER)
        return check_digits(L, index, name);
    if (!lua_istable(L, index))
        return true;
    if (depth == DEEPEST) {
        tc_push_error(L, TC_INVALID_REQUEST, name, "field '%s': nested deeper than %d", name,
                      DEEPEST);
        return false;
    }
    index = tc_absindex(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        bool text_key = lua_type(L, -2) == LUA_TSTRING;
        if (text_key && !check_text(L, -2, name))
            return false;
        if (!check_value(L, lua_gettop(L), name, depth + 1))
            return false;
    }
    return true;
}

static bool check_prompt(lua_State *L, int params)
{
    size_t size = 0;
    lua_getfield(L, params, "prompt");
    if (lua_isnil(L, -1)) {
        tc_push_error(L, TC_INVALID_REQUEST, "prompt",
                      "field 'prompt': what to draw, as a string, expected");
        return false;
    }
    const char *prompt = lua_tolstring(L, -1, &size);
    if (strspn(prompt, " \t\r\n\v\f") == size) {
        tc_push_error(L, TC_INVALID_REQUEST, "prompt",
                      "field 'prompt': what to draw expected, got %s",
                      size ? "nothing but white space" : "an empty string");
        return false;
    }
    lua_pop(L, 1);
    return true;
}

/* Pushes "'1:1', '3:4' or '16:9'". */
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
    if (!value) {
        lua_pop(L, 1);
        return true;
    }
    const char *got = tc_push_quoted(L, lua_gettop(L));
    const char *choice = push_choice(L, values);
    tc_push_error(L, TC_INVALID_REQUEST, name, "field '%s': %s expected, got %s", name, choice,
                  got);
    return false;
}

static bool check_family(lua_State *L, int body)
{
    lua_getfield(L, body, "model");
    const char *model = lua_tostring(L, -1);
    if (!*model) {
        tc_push_error(L, TC_INVALID_REQUEST, "model", "field 'model': got an empty string");
        return false;
    }
    const struct family *family = family_of(model);
    lua_pop(L, 1);
    double n = 1;
    if (!family)
        return true;
    return tc_field_whole(L, body, "n", 1, family->most, &n) &&
           check_choice(L, body, "size", family->sizes) &&
           check_choice(L, body, "aspect_ratio", family->ratios);
}

/* ---- the body ---- */

/* Sets a whole number in the body as one: 2, where 2.0 or "2" was given. */
static bool set_whole(lua_State *L, int params, int body, const char *name)
{
    double value = NAN;
    if (!tc_field_whole(L, params, name, -HUGE_VAL, HUGE_VAL, &value))
        return false;
    if (value == value) {
        tc_pushwhole(L, value);
        lua_setfield(L, body, name);
    }
    return true;
}

static bool copy_fields(lua_State *L, int params, int body)
{
    for (size_t i = 0; i < COUNT(fields) - OWN_FIELDS; i++) {
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

static void set_default(lua_State *L, int body, const char *name, int value)
{
    lua_getfield(L, body, name);
    bool absent = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!absent)
        return;
    lua_pushvalue(L, value);
    lua_setfield(L, body, name);
}

static void set_defaults(lua_State *L, int body, int lent)
{
    lua_getfield(L, lent, "model");
    set_default(L, body, "model", lua_gettop(L));
    lua_pushinteger(L, 1); /* always sent: older gateways make, and bill, four without it */
    set_default(L, body, "n", lua_gettop(L));
    lua_pop(L, 2);
    lua_getfield(L, body, "aspect_ratio");
    if (!lua_isnil(L, -1)) { /* the ratio overrides the size: only it is sent */
        lua_pushnil(L);
        lua_setfield(L, body, "size");
    }
    lua_pop(L, 1);
}

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
        if (!check_text(L, -2, "extra_body")) /* its names: ours are well */
            return false;
        if (!check_value(L, lua_gettop(L), lua_tostring(L, -2), 0))
            return false;
    }
    return true;
}

/* Replaces the table on top by its JSON. */
static bool encode(lua_State *L)
{
    tc_push_json(L, "encode");
    lua_insert(L, -2);
    lua_call(L, 1, 2);
    if (lua_isstring(L, -2)) {
        lua_pop(L, 1);
        return true;
    }
    tc_push_error(L, TC_INVALID_REQUEST, NULL, "these params cannot be sent as JSON: %s",
                  lua_tostring(L, -1));
    return false;
}

/* Leaves the model's name and the JSON on the stack. */
static bool make_body(lua_State *L, int params, int lent)
{
    lua_newtable(L);
    int body = lua_gettop(L);
    if (!copy_fields(L, params, body))
        return false;
    set_defaults(L, body, lent);
    if (!check_family(L, body) || !merge_extra(L, params, body) || !check_body(L, body))
        return false;
    lua_getfield(L, body, "model");
    lua_insert(L, body);
    return encode(L);
}

/* ---- the whole ---- */

static bool read_settings(lua_State *L, int params, const struct tc_defaults *defaults,
                          struct tc_request_options *options)
{
    double retries = defaults->max_retries;
    options->timeout = defaults->timeout;
    options->connect_timeout = defaults->connect_timeout;
    options->retry = defaults->retry;
    if (!tc_field_number(L, params, "timeout", 0.001, LONGEST_TIMEOUT, &options->timeout) ||
        !tc_field_whole(L, params, "max_retries", 0, 100, &retries) ||
        !tc_field_retry(L, params, &options->retry))
        return false;
    options->max_retries = (unsigned)retries;
    return true;
}

static bool has_field(lua_State *L, int params, const char *name)
{
    lua_getfield(L, params, name);
    bool has = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return has;
}

/* Where the pictures go, and who watches. */
static bool read_takers(lua_State *L, int params, struct tc_request_options *options)
{
    bool sink = has_field(L, params, "sink"), save = has_field(L, params, "save");
    options->streaming = sink || save;
    options->progress = has_field(L, params, "on_progress");
    if (sink && save)
        tc_push_error(L, TC_INVALID_REQUEST, "sink",
                      "field 'sink': cannot go with 'save', leave one out");
    return !(sink && save) && (!save || tc_check_save(L, params));
}

void tc_params_argument(lua_State *L, int index)
{
    if (lua_istable(L, index) || lua_type(L, index) == LUA_TSTRING)
        return;
    const char *text =
        lua_pushfstring(L, "table or string expected, got %s", luaL_typename(L, index));
    luaL_argerror(L, index, text);
}

/* Makes the string at `index` the table that it is short for. */
static void expand(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return;
    lua_newtable(L);
    lua_pushvalue(L, index);
    lua_setfield(L, -2, "prompt");
    lua_replace(L, index);
}

/* Replaces the table at `index` by a plain one of the fields that can be had from it: what is
 * looked at from here on is what was checked, whatever a metatable would say the next time. */
static void resolve(lua_State *L, int index)
{
    lua_createtable(L, 0, COUNT(fields));
    for (size_t i = 0; i < COUNT(fields); i++) {
        lua_getfield(L, index, fields[i].name);
        lua_setfield(L, -2, fields[i].name);
    }
    lua_replace(L, index);
}

static bool check_fields(lua_State *L, int index)
{
    return tc_fields_check(L, index, fields, COUNT(fields));
}

bool tc_params_read(lua_State *L, int index, int lent, const struct tc_defaults *defaults,
                    struct tc_request_options *options)
{
    index = tc_absindex(L, index);
    expand(L, index);
    if (!check_fields(L, index)) /* no unknown ones */
        return false;
    resolve(L, index);
    if (!check_fields(L, index) || !check_prompt(L, index) ||
        !read_settings(L, index, defaults, options) || !read_takers(L, index, options) ||
        !tc_field_headers(L, index, "extra_headers", &options->headers) ||
        !make_body(L, index, lent))
        return false;
    options->path = "/images/generations";
    options->rules = image_rules;
    options->rule_count = COUNT(image_rules);
    return true;
}
