/*
 * Answers, route by route: what is said around the pictures, and where those are that did not come
 * along.
 *
 * An answer is the envelope as lua-cjson decoded it: null is still a userdata, and where a picture
 * was, there is its number. Each reader leaves in the answer what a response is to have, and pushes
 *
 *     a list of places: { number = 1 } or { url = "https://..." }, with `item` where the server
 * says more of a picture why the model refused, as a string, or nil
 */
#include "binding.h"

#include <ctype.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- looking into tables that may be anything ---- */

/* Pushes the field of the value at `index`, or nil where that is no table. */
static void push_field(lua_State *L, int index, const char *name)
{
    if (lua_istable(L, index))
        lua_getfield(L, index, name);
    else
        lua_pushnil(L);
}

static int length_of(lua_State *L, int index)
{
    return lua_istable(L, index) ? (int)tc_rawlen(L, index) : 0;
}

/* ---- places ---- */

/* Adds a place to the list at `places`, for the number or the URL on top, which is popped; `item`
 * is the index of a table, or 0. Anything else that is on top is no place. */
static bool add_place(lua_State *L, int places, int item)
{
    int value = lua_gettop(L);
    const char *name = lua_type(L, value) == LUA_TNUMBER                          ? "number"
                       : lua_type(L, value) == LUA_TSTRING && tc_rawlen(L, value) ? "url"
                                                                                  : NULL;
    if (name) {
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, value);
        lua_setfield(L, -2, name);
        if (item) {
            lua_pushvalue(L, item);
            lua_setfield(L, -2, "item");
        }
        lua_rawseti(L, places, (int)tc_rawlen(L, places) + 1);
    }
    lua_settop(L, value - 1);
    return name != NULL;
}

/* Adds the place in `image_url`, which is on top: a URL, or a table with one. Pops it. */
static void add_image_url(lua_State *L, int places)
{
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "url");
        lua_remove(L, -2);
    }
    add_place(L, places, 0);
}

/* ---- text ---- */

/* The end of an image's link without an address, "![...]()", at `at`; NULL where there is none. A
 * picture was in it. */
static const char *empty_link(const char *at, const char *end)
{
    if (end - at < 5 || at[0] != '!' || at[1] != '[')
        return NULL;
    at += 2;
    while (at < end && *at != ']' && *at != '\n')
        at++;
    return end - at >= 3 && !memcmp(at, "]()", 3) ? at + 3 : NULL;
}

/* Adds the string at `index` to the field `text` of the answer. */
static void add_text(lua_State *L, int answer, int index)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size), *end = text + size, *link;
    luaL_Buffer buffer;
    lua_getfield(L, answer, "text");
    bool first = lua_type(L, -1) != LUA_TSTRING;
    if (first) {
        lua_pop(L, 1);
        lua_pushliteral(L, "");
    }
    luaL_buffinit(L, &buffer);
    while (text < end && isspace((unsigned char)*text))
        text++;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    if (!first && text < end)
        luaL_addstring(&buffer, "\n\n");
    while (text < end) {
        link = empty_link(text, end);
        if (link)
            text = link;
        else
            luaL_addchar(&buffer, *text++);
    }
    luaL_pushresult(&buffer);
    lua_concat(L, 2);
    if (tc_rawlen(L, -1) == 0)
        lua_pop(L, 1);
    else
        lua_setfield(L, answer, "text");
}

/* Adds the value on top, if it is text, and pops it. */
static void take_text(lua_State *L, int answer)
{
    if (lua_type(L, -1) == LUA_TSTRING)
        add_text(L, answer, lua_gettop(L));
    lua_pop(L, 1);
}

/* Is the value at `index` null? lua-cjson has a light userdata for it, Neovim a full one. */
static bool is_null(lua_State *L, int index)
{
    return lua_isnil(L, index) || lua_isuserdata(L, index);
}

/* Gives the answer the value on top as a field that it does not have yet, and pops it. */
static void take_field(lua_State *L, int answer, const char *name)
{
    lua_getfield(L, answer, name);
    bool wanted = is_null(L, -1) && !is_null(L, -2);
    lua_pop(L, 1);
    if (wanted)
        lua_setfield(L, answer, name);
    else
        lua_pop(L, 1);
}

/* Gives a field of the answer the name that it has on other routes. */
static void move_field(lua_State *L, int answer, const char *from, const char *to)
{
    lua_getfield(L, answer, from);
    take_field(L, answer, to);
    lua_pushnil(L);
    lua_setfield(L, answer, from);
}

static void drop_field(lua_State *L, int answer, const char *name)
{
    lua_pushnil(L);
    lua_setfield(L, answer, name);
}

/* ---- images ---- */

void tc_read_images(lua_State *L, int answer)
{
    lua_newtable(L);
    int places = lua_gettop(L);
    lua_getfield(L, answer, "data");
    int data = lua_gettop(L), count = length_of(L, data);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, data, i);
        int item = lua_gettop(L);
        push_field(L, item, "b64_json");
        if (!add_place(L, places, item)) {
            push_field(L, item, "url");
            add_place(L, places, item);
        }
        lua_settop(L, data);
    }
    drop_field(L, answer, "data");
    lua_settop(L, places);
    lua_pushnil(L);
}

/* ---- chat ---- */

/* A message's content: text, or a list of parts. It is on top, and popped. */
static void read_content(lua_State *L, int answer, int places)
{
    int content = lua_gettop(L), count = length_of(L, content);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, content, i);
        push_field(L, content + 1, "text");
        take_text(L, answer);
        push_field(L, content + 1, "image_url");
        add_image_url(L, places);
        lua_settop(L, content);
    }
    take_text(L, answer);
}

static void read_message(lua_State *L, int answer, int message, int places)
{
    push_field(L, message, "images");
    int images = lua_gettop(L), count = length_of(L, images);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, images, i);
        push_field(L, images + 1, "image_url");
        add_image_url(L, places);
        lua_settop(L, images);
    }
    push_field(L, message, "image");
    add_image_url(L, places);
    push_field(L, message, "content");
    read_content(L, answer, places);
    push_field(L, message, "refusal");
    take_text(L, answer);
}

void tc_read_chat(lua_State *L, int answer)
{
    lua_newtable(L);
    int places = lua_gettop(L);
    lua_getfield(L, answer, "choices");
    int choices = lua_gettop(L), count = length_of(L, choices);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, choices, i);
        push_field(L, choices + 1, "message");
        read_message(L, answer, choices + 2, places);
        push_field(L, choices + 1, "finish_reason");
        take_field(L, answer, "finish_reason");
        lua_settop(L, choices);
    }
    drop_field(L, answer, "choices");
    lua_settop(L, places);
    lua_getfield(L, answer, "finish_reason");
    const char *reason = lua_tostring(L, -1);
    bool refused = reason && !strcmp(reason, "content_filter");
    if (!refused) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

/* ---- Gemini ---- */

/* The reasons for which a model ends that are refusals. */
static bool is_refusal(const char *reason)
{
    static const char *const refusals[] = {
        "SAFETY",       "RECITATION",         "BLOCKLIST",        "SPII",
        "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_PROHIBITED_CONTENT"};
    for (size_t i = 0; i < COUNT(refusals); i++)
        if (!strcmp(reason, refusals[i]))
            return true;
    return false;
}

/* A candidate's parts, which are on top, and popped. What the model only thought is not said. */
static void read_parts(lua_State *L, int answer)
{
    int parts = lua_gettop(L), count = length_of(L, parts);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, parts, i);
        push_field(L, parts + 1, "thought");
        bool thought = lua_type(L, -1) == LUA_TBOOLEAN && lua_toboolean(L, -1);
        push_field(L, parts + 1, "text");
        if (!thought)
            take_text(L, answer);
        lua_settop(L, parts);
    }
    lua_pop(L, 1);
}

/* Pushes why the prompt was blocked or the model stopped, where that is a refusal, or nil. */
static void push_gemini_refusal(lua_State *L, int answer)
{
    lua_getfield(L, answer, "promptFeedback");
    push_field(L, lua_gettop(L), "blockReason");
    lua_remove(L, -2);
    if (lua_type(L, -1) == LUA_TSTRING)
        return;
    lua_pop(L, 1);
    lua_getfield(L, answer, "finish_reason");
    if (lua_type(L, -1) == LUA_TSTRING && is_refusal(lua_tostring(L, -1)))
        return;
    lua_pop(L, 1);
    lua_pushnil(L);
}

void tc_read_gemini(lua_State *L, int answer)
{
    lua_newtable(L); /* of places: there are no addresses */
    int places = lua_gettop(L);
    lua_getfield(L, answer, "candidates");
    int candidates = lua_gettop(L), count = length_of(L, candidates);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, candidates, i);
        push_field(L, candidates + 1, "content");
        push_field(L, candidates + 2, "parts");
        read_parts(L, answer);
        push_field(L, candidates + 1, "finishReason");
        take_field(L, answer, "finish_reason");
        lua_settop(L, candidates);
    }
    drop_field(L, answer, "candidates");
    move_field(L, answer, "modelVersion", "model");
    move_field(L, answer, "usageMetadata", "usage");
    lua_settop(L, places);
    push_gemini_refusal(L, answer);
}
