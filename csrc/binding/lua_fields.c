/*
 * Reading tables of named fields: see lua_fields.h. A message names the field and the value, and
 * says what would be right.
 */
#include "lua_fields.h"

#include "../base/number.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "lua_failure.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- messages ---- */

enum { QUOTED = 60 }; /* bytes of a value that a message shows */

const char *tc_push_quoted(lua_State *L, int index)
{
    char text[QUOTED + 1];
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING && lua_type(L, index) != LUA_TNUMBER)
        return lua_pushfstring(L, "a %s", luaL_typename(L, index));
    lua_pushvalue(L, index); /* lua_tolstring changes a number in its place */
    const char *value = lua_tolstring(L, -1, &size);
    tc_redact(text, sizeof(text), value, NULL);
    if (lua_type(L, index) == LUA_TNUMBER)
        lua_pushstring(L, text);
    else
        lua_pushfstring(L, "'%s'", text);
    lua_remove(L, -2);
    return lua_tostring(L, -1);
}

static bool wrong_type(lua_State *L, const char *noun, const char *name, const char *expected,
                       int index)
{
    const char *got = tc_push_quoted(L, index);
    tc_push_error(L, TC_INVALID_REQUEST, name, "%s \'%s\': %s expected, got %s", noun, name,
                  expected, got);
    return false;
}

/* ---- names ---- */

enum { LONGEST_NAME = 32 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

/* Levenshtein's distance without regard to case, one row at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST_NAME + 1], size = strlen(b);
    if (size > LONGEST_NAME || strlen(a) > LONGEST_NAME)
        return LONGEST_NAME;
    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 1; *a; i++, a++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= size; j++) {
            bool same = tolower((unsigned char)*a) == tolower((unsigned char)b[j - 1]);
            size_t replaced = diagonal + (same ? 0 : 1);
            diagonal = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[size];
}

/* The field that was probably meant by `name`, or NULL. */
static const char *nearest(const char *name, const struct tc_field *fields, size_t count)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 1; /* farther away it is another word */
    for (size_t i = 0; i < count; i++) {
        size_t this_distance = distance(name, fields[i].name);
        if (this_distance < best_distance || (!best && this_distance == best_distance)) {
            best = fields[i].name;
            best_distance = this_distance;
        }
    }
    return best;
}

static bool unknown(lua_State *L, const char *noun, int key, const struct tc_field *fields,
                    size_t count)
{
    const char *guess =
        lua_type(L, key) == LUA_TSTRING ? nearest(lua_tostring(L, key), fields, count) : NULL;
    const char *name = tc_push_quoted(L, key);
    if (guess)
        tc_push_error(L, TC_INVALID_REQUEST, guess, "unknown %s %s (did you mean '%s'?)", noun,
                      name, guess);
    else
        tc_push_error(L, TC_INVALID_REQUEST, NULL, "unknown %s %s", noun, name);
    return false;
}

static const struct tc_field *find_field(const char *name, const struct tc_field *fields,
                                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(fields[i].name, name))
            return &fields[i];
    return NULL;
}

static bool has_type(lua_State *L, int index, enum tc_type type)
{
    switch (type) {
    case TC_T_STRING:
        return lua_type(L, index) == LUA_TSTRING;
    case TC_T_WHOLE: /* a string of digits will do; tc_field_whole checks its value */
        return lua_isnumber(L, index) != 0;
    case TC_T_NUMBER:
        return lua_type(L, index) == LUA_TNUMBER;
    case TC_T_BOOLEAN:
        return lua_isboolean(L, index);
    case TC_T_TABLE:
        return lua_istable(L, index);
    case TC_T_FUNCTION:
        return lua_isfunction(L, index);
    default:
        return true;
    }
}

bool tc_fields_check(lua_State *L, int index, const char *noun, const struct tc_field *fields,
                     size_t count)
{
    static const char *const expected[] = {
        [TC_T_STRING] = "a string", [TC_T_WHOLE] = "a whole number",
        [TC_T_NUMBER] = "a number", [TC_T_BOOLEAN] = "a boolean",
        [TC_T_TABLE] = "a table",   [TC_T_FUNCTION] = "a function",
        [TC_T_ANY] = "anything",
    };
    index = tc_absindex(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        bool named = lua_type(L, -2) == LUA_TSTRING;
        const struct tc_field *field =
            named ? find_field(lua_tostring(L, -2), fields, count) : NULL;
        if (!field)
            return unknown(L, noun, lua_gettop(L) - 1, fields, count);
        if (!has_type(L, -1, field->type))
            return wrong_type(L, noun, field->name, expected[field->type], lua_gettop(L));
        lua_pop(L, 1);
    }
    return true;
}

/* Replaces the table at `index` by a plain one with the values that its fields give now. */
static void make_plain(lua_State *L, int index, const struct tc_field *fields, size_t count)
{
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        lua_getfield(L, index, fields[i].name);
        if (lua_isnil(L, -1)) /* setting nil allocates in some Luas */
            lua_pop(L, 1);
        else
            lua_setfield(L, -2, fields[i].name);
    }
    lua_replace(L, index);
}

bool tc_fields_resolve(lua_State *L, int index, const struct tc_field *fields, size_t count)
{
    if (!tc_fields_check(L, index, "field", fields, count)) /* no unknown ones */
        return false;
    make_plain(L, index, fields, count);
    return tc_fields_check(L, index, "field", fields, count);
}

/* ---- values ---- */

static const double EXACT = 9007199254740992.0; /* 2^53: up to it a double has all whole numbers */

static bool out_of_range(lua_State *L, const char *noun, const char *name, double lowest,
                         double highest, int index)
{
    char range[64];
    const char *got = tc_push_quoted(L, index);
    if (highest < HUGE_VAL)
        snprintf(range, sizeof(range), "from %.16g to %.16g", lowest, highest);
    else
        snprintf(range, sizeof(range), "of at least %g", lowest);
    tc_push_error(L, TC_INVALID_REQUEST, name, "%s \'%s\': a number %s expected, got %s", noun,
                  name, range, got);
    return false;
}

bool tc_field_number(lua_State *L, int index, const char *noun, const char *name, double lowest,
                     double highest, double *number)
{
    lua_getfield(L, index, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return true;
    }
    double value = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER)
        return wrong_type(L, noun, name, "a number", lua_gettop(L));
    if (!(value >= lowest && value <= highest)) /* NaN too */
        return out_of_range(L, noun, name, lowest, highest, lua_gettop(L));
    *number = value;
    lua_pop(L, 1);
    return true;
}

bool tc_field_whole(lua_State *L, int index, const char *noun, const char *name, double lowest,
                    double highest, double *number)
{
    lua_getfield(L, index, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return true;
    }
    double value = lua_tonumber(L, -1);
    if (!lua_isnumber(L, -1) || (!tc_is_whole(value) && value < EXACT && value > -EXACT))
        return wrong_type(L, noun, name, "a whole number", lua_gettop(L));
    if (!tc_is_whole(value)) /* NaN, or more digits than a double has */
        return out_of_range(L, noun, name, lowest > -EXACT ? lowest : -EXACT,
                            highest < EXACT ? highest : EXACT, lua_gettop(L));
    if (!(value >= lowest && value <= highest))
        return out_of_range(L, noun, name, lowest, highest, lua_gettop(L));
    *number = value;
    lua_pop(L, 1);
    return true;
}

bool tc_field_retry(lua_State *L, int index, const char *noun, enum tc_retry *retry)
{
    static const char *const names[] = {
        [TC_RETRY_SAFE] = "safe", [TC_RETRY_ALL] = "all", [TC_RETRY_NONE] = "none"};
    lua_getfield(L, index, "retry");
    const char *name = lua_tostring(L, -1);
    if (!name) {
        lua_pop(L, 1);
        return true;
    }
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) {
            *retry = (enum tc_retry)i;
            lua_pop(L, 1);
            return true;
        }
    return wrong_type(L, noun, "retry", "'safe', 'all' or 'none'", lua_gettop(L));
}

bool tc_field_settings(lua_State *L, int index, struct tc_request_options *options)
{
    double retries = options->max_retries;
    if (!tc_field_number(L, index, "field", "timeout", 0.001, TC_LONGEST_TIMEOUT,
                         &options->timeout) ||
        !tc_field_whole(L, index, "field", "max_retries", 0, 100, &retries) ||
        !tc_field_retry(L, index, "field", &options->retry))
        return false;
    options->max_retries = (unsigned)retries;
    return true;
}

/* ---- headers ---- */

/* Is it a token of RFC 9110, 5.6.2, as a header's name must be? */
static bool is_token(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!name[i] || (!isalnum((unsigned char)name[i]) && !strchr("!#$%&'*+-.^_`|~", name[i])))
            return false;
    return size > 0;
}

static bool has_control(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return true;
    return false;
}

static bool equal_names(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b))
        a++, b++;
    return *a == *b;
}

/* Is it a header that only the module may set? */
static bool is_ours(const char *name)
{
    static const char *const ours[] = {"authorization",     "content-type", "content-length",
                                       "transfer-encoding", "expect",       "accept-encoding"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (equal_names(name, ours[i]))
            return true;
    return false;
}

/* Checks the name and the value on top. A message does not show the value, which may be a key. */
static bool check_header(lua_State *L, const char *noun, const char *field)
{
    size_t name_size, value_size;
    int pair = lua_gettop(L) - 1;
    if (lua_type(L, pair) != LUA_TSTRING || !lua_isstring(L, pair + 1)) {
        tc_push_error(L, TC_INVALID_REQUEST, field,
                      "%s \'%s\': names and values expected, got a %s for a %s", noun, field,
                      luaL_typename(L, pair + 1), luaL_typename(L, pair));
        return false;
    }
    const char *name = lua_tolstring(L, pair, &name_size);
    const char *value = lua_tolstring(L, pair + 1, &value_size);
    const char *shown = tc_push_quoted(L, pair);
    if (!is_token(name, name_size))
        tc_push_error(L, TC_INVALID_REQUEST, field, "%s \'%s\': %s is no name of a header", noun,
                      field, shown);
    else if (has_control(value, value_size))
        tc_push_error(L, TC_INVALID_REQUEST, field,
                      "%s \'%s\': the value of %s has a control character", noun, field, shown);
    else if (is_ours(name))
        tc_push_error(L, TC_INVALID_REQUEST, field,
                      "%s '%s': %s is set by the module (the key is api_key's)", noun, field,
                      shown);
    else {
        lua_pop(L, 1);
        return true;
    }
    return false;
}

bool tc_field_headers(lua_State *L, int index, const char *noun, const char *name,
                      const char *const **lines)
{
    index = tc_absindex(L, index);
    tc_checkstack(L, 10);
    lua_newtable(L); /* the lines as strings, and the array that points to them */
    int anchor = lua_gettop(L);
    lua_getfield(L, index, name);
    int table = lua_gettop(L), count = 0;
    for (lua_pushnil(L); lua_istable(L, table) && lua_next(L, table); lua_pop(L, 1)) {
        if (!check_header(L, noun, name))
            return false;
        lua_pushvalue(L, -2);
        lua_pushstring(L, tc_rawlen(L, -2) ? ": " : ";"); /* libcurl: "Name;" has no value */
        lua_pushvalue(L, -3);
        lua_concat(L, 3);
        lua_rawseti(L, anchor, ++count);
    }
    lua_settop(L, anchor);
    const char **array = lua_newuserdata(L, ((size_t)count + 1) * sizeof(*array));
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, anchor, i + 1);
        array[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    array[count] = NULL;
    lua_rawseti(L, anchor, count + 1);
    *lines = array;
    return true;
}

/* ---- lists ---- */

void tc_append(lua_State *L, int list)
{
    lua_rawseti(L, list, (int)tc_rawlen(L, list) + 1);
}

void tc_append_all(lua_State *L, int list, int table, const char *name)
{
    lua_getfield(L, table, name);
    int count = lua_istable(L, -1) ? (int)tc_rawlen(L, -1) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        tc_append(L, list);
    }
    lua_pop(L, 1);
}
