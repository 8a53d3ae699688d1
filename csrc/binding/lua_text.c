/*
 * Checks of what is to be sent: see lua_text.h.
 */
#include "lua_text.h"

#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- UTF-8 ---- */

/* The length of the well-formed sequence at `at`, 0 where there is none (RFC 3629, section 4). */
static size_t sequence_length(const unsigned char *at, size_t left)
{
    unsigned char first = at[0];
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || left < size)
        return 0;
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

size_t tc_utf8_error(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0, step; i < size; i += step) {
        step = sequence_length(bytes + i, size - i);
        if (!step)
            return i + 1;
    }
    return 0;
}

/* ---- values; all push an error table when false ---- */

static bool invalid_text(lua_State *L, const char *name, size_t byte)
{
    tc_push_error(L, TC_INVALID_REQUEST, name, "field '%s': valid UTF-8 expected (byte %d is not)",
                  name, (int)byte);
    return false;
}

bool tc_text_check(lua_State *L, int index, const char *name)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    size_t wrong = tc_utf8_error(text, size);
    return !wrong || invalid_text(L, name, wrong);
}

/* Has the number no more digits than JSON keeps? lua-cjson rounds some. */
static bool check_digits(lua_State *L, int index, const char *name)
{
    double value = lua_tonumber(L, index), exact = tc_json_exact(L);
    if ((value >= -exact && value <= exact) ||
        value - value != 0) /* infinite, NaN: the JSON encoder refuses those */
        return true;
    const char *shown = tc_push_quoted(L, index);
    tc_push_error(L, TC_INVALID_REQUEST, name,
                  "field '%s': %s has more digits than can be sent as a number", name, shown);
    return false;
}

enum { DEEPEST = 100 };

/* tc_value_check for a value that is `depth` tables deep. */
static bool check_value(lua_State *L, int index, const char *name, int depth)
{
    tc_checkstack(L, 8);
    if (lua_type(L, index) == LUA_TSTRING)
        return tc_text_check(L, index, name);
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
        if (text_key && !tc_text_check(L, -2, name))
            return false;
        if (!check_value(L, lua_gettop(L), name, depth + 1))
            return false;
    }
    return true;
}

bool tc_value_check(lua_State *L, int index, const char *name)
{
    return check_value(L, index, name, 0);
}

/* ---- what is blank ---- */

/* Reads a character of UTF-8 and moves `*text` past it. Other bytes are read as a letter. */
static unsigned long next_character(const char **text)
{
    unsigned char first = (unsigned char)*(*text)++;
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    unsigned long character = more ? first & (0x3fU >> more) : first;
    if (first >= 0x80 && first < 0xc0)
        return 'x';
    for (; more; more--) {
        if (((unsigned char)**text & 0xc0) != 0x80) /* at its end there is a NUL */
            return 'x';
        character = character << 6 | ((unsigned char)*(*text)++ & 0x3f);
    }
    return character;
}

/* Unicode's white space, control characters, and characters that are drawn as nothing
 * (Default_Ignorable_Code_Point, and the blank of braille). First and last of each range. */
static const unsigned long blanks[][2] = {
    {0, 0x20},          {0x7f, 0xa0},       {0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},
    {0x115f, 0x1160},   {0x1680, 0x1680},   {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x2000, 0x200f},
    {0x2028, 0x202f},   {0x205f, 0x206f},   {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164},
    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0}, {0xfff0, 0xfff8}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_blank(unsigned long character)
{
    for (size_t i = 0; i < COUNT(blanks); i++)
        if (character >= blanks[i][0] && character <= blanks[i][1])
            return true;
    return false;
}

bool tc_text_is_blank(const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end)
        if (!is_blank(next_character(&text)))
            return false;
    return true;
}
