/*
 * The splitter against lua-cjson, which reads whole documents, and the naive base64 decoder.
 *
 * What the splitter accepts, lua-cjson accepts, and the envelope is the same tree as the document
 * with numbers where the pictures were, whose bytes are those of the strings that were there, and
 * prose without the data URLs that a naive search finds in the unescaped text. One object has one
 * picture.
 * The other way round, lua-cjson's own output of what it accepts is JSON to the splitter.
 *
 * Input: the document. Links Lua's library and loads cjson with require.
 */
#include "splitter/envelope.h"
#include "fuzz.h"
#include "naive.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static const struct tc_rule rules[] = {
    {TC_CAPTURE_BASE64, {"data", "[]", "b64_json"}},
    {TC_CAPTURE_TEXT, {"data", "[]", "revised_prompt"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "images", "[]", "image_url", "url"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message", "content"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message", "content", "[]", "text"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "content", "[]", "image_url"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "content", "[]", "image_url", "url"}},
    {TC_CAPTURE_BASE64, {"candidates", "[]", "content", "parts", "[]", "inlineData", "data"}},
    {TC_CAPTURE_PROSE, {NULL}},
    {TC_CAPTURE_DATA_URL, {"[]"}},
};
enum { RULES = sizeof(rules) / sizeof(rules[0]) };

/* A Lua state with the codec's functions as globals decode and encode. Made once, never closed. */
static lua_State *codec(void)
{
    static lua_State *L;
    if (L)
        return L;
    L = luaL_newstate();
    CLAIM(L);
    luaL_openlibs(L);
    int failed = luaL_dostring(L, "local json = require('cjson.safe').new()\n"
                                  "json.decode_invalid_numbers(false)\n"
                                  "json.encode_invalid_numbers(false)\n"
                                  "json.decode_max_depth(1001)\n"
                                  "json.encode_max_depth(1001)\n"
                                  "json.encode_sparse_array(true)\n"
                                  "decode, encode = json.decode, json.encode\n");
    if (failed)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    CLAIM(!failed);
    return L;
}

/* Pushes what `function` makes of the value on the top, in its place; nil when it refuses. */
static void call(lua_State *L, const char *function)
{
    lua_getglobal(L, function);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
}

static int hex4(const char *at, const char *end)
{
    int unit = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        const char *digit = at[i] ? strchr("0123456789abcdefABCDEF", at[i]) : NULL;
        if (!digit)
            return -1;
        int value = at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10;
        unit = unit * 16 + value;
    }
    return unit;
}

/* lua-cjson refuses half a surrogate pair, where the splitter has U+FFFD: writes that instead. */
static void mend_surrogates(char *text, size_t size)
{
    const char *end = text + size;
    while (text < end) {
        int unit = hex4(text, end);
        int next = unit >= 0xd800 && unit < 0xdc00 ? hex4(text + 6, end) : -1;
        if (next >= 0xdc00 && next < 0xe000)
            text += 12;
        else if (unit >= 0xd800 && unit < 0xe000)
            memcpy(text + 2, "fffd", 4);
        else
            text += *text == '\\' ? 2 : 1;
    }
}

/* Of the rules in `set`, one bit each, those whose step at `place` is the key. */
static unsigned step_along(lua_State *L, unsigned set, unsigned place, int key)
{
    size_t size = 2;
    const char *text = lua_type(L, key) == LUA_TNUMBER ? NULL : lua_tolstring(L, key, &size);
    unsigned matched = 0;
    for (unsigned i = 0; i < RULES && place < TC_PATH_STEPS; i++) {
        const char *wanted = rules[i].path[place];
        if (!(set >> i & 1) || !wanted || !text != !strcmp(wanted, "[]"))
            continue;
        if (!text || (size == strlen(wanted) && !memcmp(text, wanted, size)))
            matched |= 1U << i;
    }
    return matched;
}

/* What is captured of the value that `place` steps of those rules lead to, or -1. */
static int capture_of(unsigned set, unsigned place)
{
    for (unsigned i = 0; i < RULES; i++)
        if ((set >> i & 1) && !rules[i].path[place])
            return (int)rules[i].capture;
    return -1;
}

static bool is_decoded(const struct tc_image *image, const char *base64, size_t size)
{
    char *plain = exact_copy(base64, size);
    unsigned char *bytes = exact(TC_BASE64_ROOM(size));
    struct naive wanted = naive_decode(plain, naive_unescape(base64, size, plain), bytes);
    CLAIM(image->ended && image->size == image->bytes.size);
    bool same = wanted.size == image->size;
    if (wanted.error && wanted.size < image->size) /* what there is of the group under way */
        same = image->size - wanted.size <= 2 || tc_signature_end(&image->signature) == TC_END_SEEN;
    same = same && (wanted.error || image->fault != TC_IMAGE_DAMAGED || !wanted.size);
    same = same && !memcmp(bytes, image->bytes.data, wanted.size);
    free(bytes);
    free(plain);
    return same;
}

/* The number in the envelope is that of the picture with this base64. */
static void compare_image(lua_State *L, int number, const char *base64, size_t size,
                          const struct tc_envelope *e)
{
    const char *quote = memchr(base64, '\'', size); /* ends Python's b'...' */
    CLAIM(lua_type(L, number) == LUA_TNUMBER);
    size = quote ? (size_t)(quote - base64) : size;
    lua_Number n = lua_tonumber(L, number);
    CLAIM(n >= 1 && n <= e->images.count && n == (unsigned)n);
    CLAIM(is_decoded(e->images.list[(unsigned)n - 1], base64, size));
}

/* Are the pictures from `image` on those of the text, as many as it has? */
static bool are_decoded(const struct tc_envelope *e, unsigned image, const char *text, size_t size)
{
    struct naive_url url;
    for (size_t from = 0; naive_find_url(text, size, from, &url); from = url.end, image++)
        if (image >= e->images.count ||
            !is_decoded(e->images.list[image], text + url.payload, url.end - url.payload))
            return false;
    return true;
}

/* The prose in the envelope is the text without its pictures, which are there in a row. */
static void compare_prose(lua_State *L, int string, int left, const struct tc_envelope *e)
{
    struct naive_url url;
    size_t size, left_size, from = 0;
    unsigned first = 0;
    const char *text = lua_tolstring(L, string, &size);
    CLAIM(lua_type(L, left) == LUA_TSTRING);
    const char *rest = lua_tolstring(L, left, &left_size);
    for (; naive_find_url(text, size, from, &url); from = url.end) {
        size_t kept = url.start - from;
        CLAIM(kept <= left_size && !memcmp(rest, text + from, kept));
        rest += kept;
        left_size -= kept;
    }
    CLAIM(left_size == size - from && !memcmp(rest, text + from, left_size));
    while (!are_decoded(e, first, text, size))
        CLAIM(++first < e->images.count);
}

static bool is_address(const char *text, size_t size)
{
    return naive_follows(text, size, 0, "data:") || naive_follows(text, size, 0, "http:") ||
           naive_follows(text, size, 0, "https:") || naive_follows(text, size, 0, "image/");
}

/* The length of what does not count in front of a picture. */
static size_t naive_front(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        bool quoted =
            size - at >= 2 && text[at] == 'b' && strchr("'\"", text[at + 1]) && text[at + 1];
        if (quoted)
            at += 2;
        else if ((unsigned char)text[at] >= 0x80 || memchr(" \t\r\n'\"", text[at], 6))
            at++;
        else
            break;
    }
    return at;
}

static bool is_nothing(const char *text, size_t size, bool base64)
{
    static const char *const words[] = {"null",  "none", "nil",       "true",
                                        "false", "n/a",  "undefined", "nan"};
    while (base64 && size && memchr(" \t\r\n", text[size - 1], 4))
        size--;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (size == strlen(words[i]) && naive_follows(text, size, 0, words[i]))
            return true;
    return false;
}

static bool begins_picture(const char *text, size_t size)
{
    static const char *const beginnings[] = {"iVBORw0KGgo", "/9j/", "R0lGODlh", "R0lGODdh",
                                             "UklGR"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
        if (size >= strlen(beginnings[i]) && !memcmp(text, beginnings[i], strlen(beginnings[i])))
            return true;
    return false;
}

/* The same for a string that is a picture, or the address of one. */
static void compare_place(lua_State *L, int other, const char *text, size_t size, bool base64,
                          const struct tc_envelope *e)
{
    size_t front = naive_front(text, size);
    text += front;
    size -= front;
    if (is_nothing(text, size, base64))
        size = 0;
    bool address = is_address(text, size);
    size_t payload = naive_follows(text, size, 0, "image/") ? naive_head(text, size, 0, 0)
                     : address                              ? naive_payload(text, size, 0)
                                                            : 0;
    bool bare = size && !address && (base64 || begins_picture(text, size));
    bool picture = bare || (payload && payload < size);
    if (picture && lua_isuserdata(L, other)) /* null: its object has another one */
        return;
    if (picture) {
        compare_image(L, other, text + payload, size - payload, e);
        return;
    }
    lua_pushlstring(L, text, size);
    CLAIM(lua_rawequal(L, -1, other));
    lua_pop(L, 1);
}

/* Compares a string that becomes something else. False when it is kept as it was. */
static bool compare_string(lua_State *L, int one, int other, int capture,
                           const struct tc_envelope *e)
{
    size_t size;
    const char *text = lua_tolstring(L, one, &size);
    if (capture == TC_CAPTURE_PROSE && !begins_picture(text, size))
        compare_prose(L, one, other, e);
    else if (capture == TC_CAPTURE_PROSE)
        compare_image(L, other, text, size, e);
    else if (capture == TC_CAPTURE_BASE64 || capture == TC_CAPTURE_DATA_URL)
        compare_place(L, other, text, size, capture == TC_CAPTURE_BASE64, e);
    else
        return false;
    return true;
}

/* Is the field whose key and value are at `value` - 1 and `value` a root inside a root? */
static bool is_root(lua_State *L, int value)
{
    bool named = lua_type(L, value - 1) == LUA_TSTRING &&
                 !strcmp(lua_tostring(L, value - 1), "response") && lua_istable(L, value);
    if (!named)
        return false;
    lua_rawgeti(L, value, 1);
    bool object = lua_isnil(L, -1);
    lua_pop(L, 1);
    return object;
}

static lua_Integer count_keys(lua_State *L, int table)
{
    lua_Integer count = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        count++;
    return count;
}

/*
 * The value `one` of the document and `other` of the envelope, both absolute stack indices, at the
 * end of so many steps of the rules in `set`.
 */
static void compare(lua_State *L, int one, int other, unsigned set, unsigned place,
                    const struct tc_envelope *e)
{
    static bool inside; /* a root that is inside another */
    int capture = capture_of(set, place);
    if (lua_type(L, one) == LUA_TSTRING && compare_string(L, one, other, capture, e))
        return;
    if (lua_type(L, one) == LUA_TNUMBER &&
        (capture == TC_CAPTURE_BASE64 || capture == TC_CAPTURE_DATA_URL)) {
        CLAIM(lua_isuserdata(L, other)); /* null */
        return;
    }
    CLAIM(lua_type(L, one) == lua_type(L, other));
    if (lua_type(L, one) != LUA_TTABLE) {
        CLAIM(lua_rawequal(L, one, other));
        return;
    }
    luaL_checkstack(L, 8, NULL);
    CLAIM(count_keys(L, one) == count_keys(L, other));
    for (lua_pushnil(L); lua_next(L, one); lua_pop(L, 2)) {
        int value = lua_gettop(L);
        lua_pushvalue(L, value - 1);
        lua_rawget(L, other);
        if (one == 1 && lua_type(L, value - 1) == LUA_TNUMBER) /* a list of documents */
            compare(L, value, value + 1, set, place, e);
        else if (place == 0 && !inside && is_root(L, value)) {
            inside = true;
            compare(L, value, value + 1, (1U << RULES) - 1, 0, e);
            inside = false;
        } else
            compare(L, value, value + 1, step_along(L, set, place, value - 1), place + 1, e);
    }
}

static void split(struct tc_envelope *e, const char *text, size_t size)
{
    char *copy = exact_copy(text, size);
    tc_envelope_init(e, rules, RULES);
    tc_envelope_feed(e, copy, size);
    tc_envelope_finish(e);
    free(copy);
}

/* The length of the white space, comment lines and byte order marks in front of a document. */
static size_t in_front(const char *text, size_t size)
{
    size_t at = 0, before;
    do {
        before = at;
        at += naive_spaces(text, size, at);
        if (size - at >= 3 && !memcmp(text + at, "\xef\xbb\xbf", 3))
            at += 3;
        if (at < size && text[at] == ':')
            while (at < size && text[at] != '\n' && text[at] != '\r')
                at++;
    } while (at > before);
    return at;
}

/* The envelope of an accepted document is that document. */
static void check_tree(lua_State *L, const struct tc_envelope *e, const char *text, size_t size)
{
    size_t front = in_front(text, size);
    char *mended = exact_copy(text + front, size - front);
    mend_surrogates(mended, size - front);
    lua_pushlstring(L, mended, size - front);
    free(mended);
    call(L, "decode");
    CLAIM(!lua_isnil(L, -1));
    lua_pushlstring(L, (const char *)e->text.data, e->text.size);
    call(L, "decode");
    CLAIM(!lua_isnil(L, -1));
    compare(L, 1, 2, (1U << RULES) - 1, 0, e);
}

/* What lua-cjson writes is JSON to the splitter, whatever it thinks of the pictures. */
static void check_encoded(lua_State *L, const char *text, size_t size)
{
    static struct tc_envelope e;
    lua_pushlstring(L, text, size);
    call(L, "decode");
    if (!lua_isnil(L, -1))
        call(L, "encode");
    if (lua_isnil(L, -1))
        return;
    const char *again = lua_tolstring(L, -1, &size);
    split(&e, again, size);
    CLAIM(!e.error || e.error == TC_ENVELOPE_TOO_DEEP || e.error == TC_ENVELOPE_TOO_MANY_IMAGES);
    tc_envelope_free(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tc_envelope e;
    const char *text = (const char *)data;
    lua_State *L = codec();
    split(&e, text, size);
    lua_settop(L, 0);
    if (!e.error && !e.documents.count && !e.framing.picture)
        check_tree(L, &e, text, size);
    tc_envelope_free(&e);
    lua_settop(L, 0);
    check_encoded(L, text, size);
    lua_settop(L, 0);
    return 0;
}
