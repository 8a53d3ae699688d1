/*
 * JSON of our own: see lua_json_own.h.
 *
 * It writes tables as lua-cjson does by default. A table whose keys are all whole numbers from 1 on
 * is a list; gaps become null, but a list with more gaps than elements is refused. Any other table,
 * an empty one too, is an object. Null is a light userdata. It works in any locale.
 */
#include "lua_json_own.h"

#include "../base/number.h"
#include "../splitter/path.h"
#include "lua_host.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEEPEST = TC_PATH_DEPTH + 1,
    NUMBER_SIZE = 64, /* characters of a number that need no memory */
    SPARSE = 10,      /* a list that is longer may have no more gaps than elements */
};

/* The locale's decimal point, which may have several bytes. */
static const char *point(void)
{
    return localeconv()->decimal_point;
}

/* ---- reading ---- */

/* Reads the value at `*at`, pushes it, and moves `*at` past it. Returns false if there is none;
 * the NUL that ends the text is none. The other functions here do likewise. */
static bool read_value(lua_State *L, const char **at, unsigned depth);

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t\r\n");
}

/* Moves `*at` past `character` and white space, if that character is next. */
static bool take(const char **at, char character)
{
    if (**at != character)
        return false;
    ++*at;
    skip_space(at);
    return true;
}

/* The number that is written in the `size` characters at `text`. strtod expects the locale's point,
 * so it reads a copy that has it. */
static double number_of(lua_State *L, const char *text, size_t size)
{
    char few[NUMBER_SIZE], *copy = few;
    const char *fraction = memchr(text, '.', size);
    size_t extra = strlen(point()), whole = fraction ? (size_t)(fraction - text) : size;
    bool many = size + extra >= sizeof(few);
    if (many)
        copy = lua_newuserdata(L, size + extra + 1);
    memcpy(copy, text, whole);
    char *end = copy + whole;
    if (fraction) {
        memcpy(end, point(), extra);
        memcpy(end + extra, fraction + 1, size - whole - 1);
        end += extra + size - whole - 1;
    }
    *end = '\0';
    double number = strtod(copy, NULL);
    if (many)
        lua_pop(L, 1);
    return number;
}

/* Moves `*at` past digits, at least one. */
static bool skip_digits(const char **at)
{
    size_t count = strspn(*at, "0123456789");
    *at += count;
    return count > 0;
}

static bool read_number(lua_State *L, const char **at)
{
    const char *start = *at, *end = start;
    end += *end == '-';
    if (*end == '0')
        end++;
    else if (!skip_digits(&end))
        return false;
    if (*end == '.' && (end++, !skip_digits(&end)))
        return false;
    if (*end == 'e' || *end == 'E') {
        end++;
        end += *end == '+' || *end == '-';
        if (!skip_digits(&end))
            return false;
    }
    lua_pushnumber(L, number_of(L, start, (size_t)(end - start)));
    *at = end;
    return true;
}

/* The value of the four digits after "\u"; above 0xffff where they are none. */
static unsigned long hex4(const char *at)
{
    unsigned long unit = 0;
    for (unsigned i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = at[i] ? strchr(digits, at[i]) : NULL;
        if (!digit)
            return 0x10000;
        unsigned long value = (unsigned long)(digit - digits);
        unit = unit << 4 | (value > 15 ? value - 6 : value);
    }
    return unit;
}

static void add_utf8(luaL_Buffer *buffer, unsigned long character)
{
    if (character < 0x80) {
        luaL_addchar(buffer, (char)character);
        return;
    }
    unsigned more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    luaL_addchar(buffer, (char)(0xff00U >> (more + 1) | character >> 6 * more));
    while (more--)
        luaL_addchar(buffer, (char)(0x80U | (character >> 6 * more & 0x3f)));
}

/* Reads what follows "\u". A surrogate without its other half becomes U+FFFD. */
static bool read_unit(luaL_Buffer *buffer, const char **at)
{
    unsigned long unit = hex4(*at);
    if (unit > 0xffff)
        return false;
    *at += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        unsigned long low = hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            add_utf8(buffer, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
            return true;
        }
    }
    add_utf8(buffer, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit);
    return true;
}

/* Reads what follows a backslash. */
static bool read_escape(luaL_Buffer *buffer, const char **at)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter = **at ? strchr(letters, **at) : NULL;
    if (**at == 'u') {
        ++*at;
        return read_unit(buffer, at);
    }
    if (!letter)
        return false;
    luaL_addchar(buffer, meanings[letter - letters]);
    ++*at;
    return true;
}

/* Reads what follows the quote that begins a string. */
static bool read_string(lua_State *L, const char **at)
{
    static const char stops[] = "\"\\";
    size_t plain = strcspn(*at, stops);
    luaL_Buffer buffer;
    if ((*at)[plain] == '"') { /* most have no escape */
        lua_pushlstring(L, *at, plain);
        *at += plain + 1;
        return true;
    }
    luaL_buffinit(L, &buffer);
    for (; **at != '"'; plain = strcspn(*at, stops)) {
        luaL_addlstring(&buffer, *at, plain);
        *at += plain;
        if (**at == '\\' && (++*at, !read_escape(&buffer, at)))
            return false;
        if (**at == '\0')
            return false;
    }
    ++*at;
    luaL_pushresult(&buffer);
    return true;
}

static bool read_list(lua_State *L, const char **at, unsigned depth)
{
    lua_newtable(L);
    if (take(at, ']'))
        return true;
    for (int i = 1;; i++) {
        if (!read_value(L, at, depth))
            return false;
        lua_rawseti(L, -2, i);
        if (take(at, ']'))
            return true;
        if (!take(at, ','))
            return false;
    }
}

static bool read_object(lua_State *L, const char **at, unsigned depth)
{
    lua_newtable(L);
    if (take(at, '}'))
        return true;
    do {
        if (**at != '"' || (++*at, !read_string(L, at)))
            return false;
        skip_space(at);
        if (!take(at, ':') || !read_value(L, at, depth))
            return false;
        lua_rawset(L, -3);
        if (take(at, '}'))
            return true;
    } while (take(at, ','));
    return false;
}

static bool read_word(const char **at, const char *word)
{
    size_t size = strlen(word);
    bool is_next = !strncmp(*at, word, size);
    *at += is_next ? size : 0;
    return is_next;
}

static bool read_other(lua_State *L, const char **at)
{
    if (read_word(at, "true") || read_word(at, "false")) {
        lua_pushboolean(L, (*at)[-2] == 'u');
        return true;
    }
    if (!read_word(at, "null"))
        return read_number(L, at);
    lua_pushlightuserdata(L, NULL);
    return true;
}

static bool read_value(lua_State *L, const char **at, unsigned depth)
{
    bool ok;
    tc_checkstack(L, 8);
    if (**at == '{' || **at == '[') {
        bool is_object = *(*at)++ == '{';
        skip_space(at);
        ok = depth < DEEPEST &&
             (is_object ? read_object(L, at, depth + 1) : read_list(L, at, depth + 1));
    } else if (**at == '"') {
        ++*at;
        ok = read_string(L, at);
    } else {
        ok = read_other(L, at);
    }
    if (ok)
        skip_space(at);
    return ok;
}

int tc_json_own_decode(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size), *at = text;
    lua_settop(L, 1);
    skip_space(&at);
    if (read_value(L, &at, 0) && at == text + size)
        return 1;
    lua_settop(L, 1);
    lua_pushnil(L);
    lua_pushfstring(L, "no JSON at byte %d", (int)(at - text) + 1);
    return 2;
}

/* ---- writing ---- */

/* What was written so far. The bytes are a userdata on the stack, which Lua frees. */
struct output {
    lua_State *L;
    int slot; /* of that userdata */
    char *bytes;
    size_t size, capacity;
    const char *wrong; /* what cannot be written */
};

static bool write_value(struct output *out, int index, unsigned depth);

static void add(struct output *out, const char *bytes, size_t size)
{
    if (out->capacity - out->size < size) {
        size_t capacity = 2 * out->capacity + size;
        char *larger = lua_newuserdata(out->L, capacity);
        if (out->size)
            memcpy(larger, out->bytes, out->size);
        out->bytes = larger;
        out->capacity = capacity;
        lua_replace(out->L, out->slot);
    }
    if (size)
        memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

static void add_text(struct output *out, const char *text)
{
    add(out, text, strlen(text));
}

/* Writes the escape of a character into `escape`; returns NULL for one that needs none. */
static const char *escape_of(unsigned char character, char escape[8])
{
    static const char letters[] = "btn\0fr"; /* of 8 to 13 */
    escape[0] = '\\', escape[2] = '\0';
    if (character == '"' || character == '\\')
        escape[1] = (char)character;
    else if (character >= 8 && character <= 13 && letters[character - 8])
        escape[1] = letters[character - 8];
    else if (character < 0x20)
        snprintf(escape + 1, 6, "u%04x", character);
    else
        return NULL;
    return escape;
}

static void write_string(struct output *out, int index)
{
    size_t size, done = 0;
    const char *text = lua_tolstring(out->L, index, &size);
    char buffer[8];
    add(out, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        const char *escape = escape_of((unsigned char)text[i], buffer);
        if (!escape)
            continue;
        add(out, text + done, i - done);
        add_text(out, escape);
        done = i + 1;
    }
    add(out, text + done, size - done);
    add(out, "\"", 1);
}

/* Writes a number with as few digits as it needs, and with a point in every locale. */
static bool write_number(struct output *out, double number)
{
    char text[NUMBER_SIZE];
    if (number - number != 0) {
        out->wrong = "a number that is infinite or none";
        return false;
    }
    if (tc_is_whole(number))
        snprintf(text, sizeof(text), "%.0f", number);
    else
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof(text), "%.*g", digits, number);
            if (strtod(text, NULL) == number)
                break;
        }
    char *fraction = strstr(text, point());
    size_t whole = fraction ? (size_t)(fraction - text) : strlen(text);
    add(out, text, whole);
    if (fraction) {
        add(out, ".", 1);
        add_text(out, fraction + strlen(point()));
    }
    return true;
}

/* The length of the list at `index`; 0 if the table is not a list. */
static int list_length(struct output *out, int index)
{
    lua_State *L = out->L;
    double last = 0;
    int count = 0;
    for (lua_pushnil(L); lua_next(L, index); count++) {
        double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        lua_pop(L, 1);
        if (!(key >= 1) || !tc_is_whole(key)) {
            lua_pop(L, 1);
            return 0;
        }
        last = key > last ? key : last;
    }
    if (last <= SPARSE || last <= 2.0 * count)
        return (int)last;
    out->wrong = "a list that is mostly gaps";
    return 0;
}

static bool write_list(struct output *out, int index, int length, unsigned depth)
{
    for (int i = 1; i <= length; i++) {
        add(out, i == 1 ? "[" : ",", 1);
        lua_rawgeti(out->L, index, i);
        if (!write_value(out, lua_gettop(out->L), depth))
            return false;
        lua_pop(out->L, 1);
    }
    add(out, "]", 1);
    return true;
}

static bool write_key(struct output *out, int index)
{
    int type = lua_type(out->L, index);
    if (type == LUA_TSTRING) {
        write_string(out, index);
    } else if (type == LUA_TNUMBER) {
        add(out, "\"", 1);
        if (!write_number(out, lua_tonumber(out->L, index)))
            return false;
        add(out, "\"", 1);
    } else {
        out->wrong = "a name that is neither a string nor a number";
        return false;
    }
    add(out, ":", 1);
    return true;
}

static bool write_object(struct output *out, int index, unsigned depth)
{
    lua_State *L = out->L;
    const char *before = "{";
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), before = ",") {
        add(out, before, 1);
        if (!write_key(out, lua_gettop(L) - 1) || !write_value(out, lua_gettop(L), depth))
            return false;
    }
    add_text(out, *before == '{' ? "{}" : "}");
    return true;
}

static bool write_table(struct output *out, int index, unsigned depth)
{
    if (depth == DEEPEST) {
        out->wrong = "tables inside each other, too deep or in a circle";
        return false;
    }
    int length = list_length(out, index);
    if (out->wrong)
        return false;
    return length ? write_list(out, index, length, depth + 1) : write_object(out, index, depth + 1);
}

/* Is it null? Neovim has a userdata of its own for that. */
static bool is_null(lua_State *L, int index)
{
    if (lua_islightuserdata(L, index))
        return !lua_touserdata(L, index);
    tc_push_field_of_global(L, "vim", "NIL");
    bool same = lua_isuserdata(L, -1) && lua_rawequal(L, index, -1);
    lua_pop(L, 1);
    return same;
}

static bool write_value(struct output *out, int index, unsigned depth)
{
    lua_State *L = out->L;
    tc_checkstack(L, 10);
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        write_string(out, index);
        return true;
    case LUA_TNUMBER:
        return write_number(out, lua_tonumber(L, index));
    case LUA_TBOOLEAN:
        add_text(out, lua_toboolean(L, index) ? "true" : "false");
        return true;
    case LUA_TTABLE:
        return write_table(out, index, depth);
    default:
        if (lua_isnil(L, index) || is_null(L, index)) {
            add_text(out, "null");
            return true;
        }
        out->wrong = luaL_typename(L, index);
        return false;
    }
}

int tc_json_own_encode(lua_State *L)
{
    struct output out = {.L = L, .slot = 2};
    lua_settop(L, 1);
    lua_pushnil(L); /* the output's slot */
    if (write_value(&out, 1, 0)) {
        lua_pushlstring(L, out.bytes, out.size);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "JSON has no place for %s", out.wrong);
    return 2;
}
