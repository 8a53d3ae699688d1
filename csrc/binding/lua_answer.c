/*
 * Answers: see lua_answer.h.
 *
 * In the decoded JSON null may be a userdata, and a picture is replaced by its number. One reader
 * serves all routes, because gateways answer one route in the shape of another: it looks for
 * `data`, `images`, `choices`, `candidates` and `output`. A response may be one document or a list
 * of them, the chunks of a stream, which make one answer.
 */
#include "lua_answer.h"

#include "../base/buffer.h"
#include "../base/number.h"
#include "../splitter/images.h"
#include "../splitter/link.h"
#include "../engine/failure.h"
#include "../engine/request.h"
#include "lua_conceal.h"
#include "lua_failure.h"
#include "lua_job.h"
#include "lua_json.h"
#include "lua_refusal.h"

#include <ctype.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What was read so far. Tables are stack indices. */
struct reading {
    const struct tc_subrequest *sub;
    int fields, slots;
    int texts;          /* lists of strings: 1 is for text outside choices, then one a choice */
    bool chunks;        /* the chunks of a stream: their strings are joined without separators */
    bool has_reason;    /* this document said why the model stopped */
    unsigned last_text; /* the largest key of `texts` */
};

/* ---- looking into tables that may be anything ---- */

/* Pushes the field of the value at `index`, or nil where that is no table. */
static void push_field(lua_State *L, int index, const char *name)
{
    if (lua_istable(L, index))
        lua_getfield(L, index, name);
    else
        lua_pushnil(L);
}

/* The same for a field with two names: Google's JSON has both. */
static void push_either(lua_State *L, int index, const char *name, const char *other)
{
    push_field(L, index, name);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    push_field(L, index, other);
}

static int length_of(lua_State *L, int index)
{
    return lua_istable(L, index) ? (int)tc_rawlen(L, index) : 0;
}

/* Is the value at `index` null? lua-cjson has a light userdata for it, Neovim a full one. */
static bool is_null(lua_State *L, int index)
{
    return lua_isnil(L, index) || lua_isuserdata(L, index);
}

/* ---- slots: where a picture belongs ---- */

/* Is the value at `index` the number of a picture in this response that is not a draft? */
static bool is_picture_number(lua_State *L, const struct reading *r, int index)
{
    double number = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
    return number >= 1 && number <= r->sub->numbered && r->sub->numbers[(unsigned)number - 1];
}

/* Pops a number or an address and adds a slot for it, with the table at `item` (0: none). Returns
 * false for another value. */
static bool add_slot(lua_State *L, const struct reading *r, int item)
{
    int value = lua_gettop(L);
    bool has_address = lua_type(L, value) == LUA_TSTRING && tc_rawlen(L, value);
    const char *name = is_picture_number(L, r, value) ? "number" : has_address ? "url" : NULL;
    if (name) {
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, value);
        lua_setfield(L, -2, name);
        if (item) {
            lua_pushvalue(L, item);
            lua_setfield(L, -2, "item");
        }
        lua_rawseti(L, r->slots, (int)tc_rawlen(L, r->slots) + 1);
    }
    lua_settop(L, value - 1);
    return name != NULL;
}

/* Pushes the picture, or its address, of a table like { url = "..." }. */
static void push_picture(lua_State *L, int index)
{
    static const char *const fields[] = {"url", "data", "fileUri", "file_uri"};
    lua_pushnil(L);
    for (size_t i = 0; i < COUNT(fields) && lua_isnil(L, -1); i++) {
        lua_pop(L, 1);
        lua_getfield(L, index, fields[i]);
    }
}

/* Adds a slot for the first picture in the fields of the table at `index`. Pictures in the response
 * come before those at addresses; addresses are looked for in the first `addresses` fields only. */
static void add_field(lua_State *L, const struct reading *r, int index, const char *const *fields,
                      size_t count, size_t addresses, int item)
{
    bool added = false;
    for (size_t i = 0; i < count + addresses && !added; i++) {
        push_field(L, index, fields[i % count]);
        if (lua_istable(L, -1)) {
            push_picture(L, lua_gettop(L));
            lua_remove(L, -2);
        }
        if (i >= count || lua_type(L, -1) == LUA_TNUMBER)
            added = add_slot(L, r, item);
        else
            lua_pop(L, 1);
    }
}

/* Pops a picture, or a table that has one in a field, and adds its slot. `detailed`: the table's
 * other fields describe the picture. */
static void add_item(lua_State *L, const struct reading *r, bool detailed)
{
    static const char *const fields[] = {"b64_json", "url",    "image_url",  "result",     "image",
                                         "base64",   "source", "inlineData", "inline_data"};
    int item = lua_gettop(L);
    size_t size = 0;
    const char *text = lua_type(L, item) == LUA_TSTRING ? lua_tolstring(L, item, &size) : NULL;
    if (lua_istable(L, item))
        add_field(L, r, item, fields, COUNT(fields), 4, detailed ? item : 0);
    if (!text || tc_link_is_address(text, size)) {
        lua_pushvalue(L, item);
        add_slot(L, r, 0);
    }
    lua_settop(L, item - 1);
}

/* The same for a list of them, or for a single one. */
static void add_items(lua_State *L, const struct reading *r, bool detailed)
{
    int list = lua_gettop(L), count = length_of(L, list);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i);
        add_item(L, r, detailed);
    }
    if (count == 0)
        add_item(L, r, detailed);
    lua_settop(L, list - 1);
}

/* ---- text ---- */

/* Pops a value and, if it is a string, adds it to the list of a choice. */
static void take_text(lua_State *L, struct reading *r, unsigned choice)
{
    int value = lua_gettop(L);
    size_t size = 0;
    const char *text = lua_type(L, value) == LUA_TSTRING ? lua_tolstring(L, value, &size) : "";
    while (!r->chunks && size && isspace((unsigned char)text[size - 1]))
        size--;
    while (!r->chunks && size && isspace((unsigned char)*text))
        text++, size--;
    if (size) {
        lua_rawgeti(L, r->texts, (int)choice);
        if (lua_isnil(L, -1)) {
            lua_newtable(L);
            lua_pushvalue(L, -1);
            lua_rawseti(L, r->texts, (int)choice);
            r->last_text = choice > r->last_text ? choice : r->last_text;
        }
        if (size == tc_rawlen(L, value))
            lua_pushvalue(L, value);
        else
            lua_pushlstring(L, text, size);
        lua_rawseti(L, -2, (int)tc_rawlen(L, -2) + 1);
    }
    lua_settop(L, value - 1);
}

static void take_text_field(lua_State *L, struct reading *r, unsigned choice, int index,
                            const char *name)
{
    push_field(L, index, name);
    take_text(L, r, choice);
}

/* Pushes the strings of the list at `list`, joined. */
static void push_joined(lua_State *L, int list, const char *separator)
{
    luaL_Buffer buffer;
    int count = (int)tc_rawlen(L, list);
    if (count == 1) {
        lua_rawgeti(L, list, 1);
        return;
    }
    luaL_buffinit(L, &buffer);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addstring(&buffer, separator);
        lua_rawgeti(L, list, i);
        luaL_addvalue(&buffer);
    }
    luaL_pushresult(&buffer);
}

/* Adds the slot of the picture that a link points to. */
static void add_link(lua_State *L, const struct reading *r, const struct tc_link *link)
{
    char *address = lua_newuserdata(L, link->size);
    size_t size = tc_link_unescape(address, link->address, link->size);
    lua_pushlstring(L, address, size);
    lua_remove(L, -2);
    add_slot(L, r, 0);
}

/* Is the picture of a link fetched? If there are other pictures, `fetches` is false. */
static bool is_wanted(const struct tc_link *link, bool fetches)
{
    return fetches && tc_link_is_address(link->address, link->size);
}

/* Takes links to pictures out of the text on top, and adds slots for those that are fetched. Other
 * addresses stay in the text. */
static void take_links(lua_State *L, const struct reading *r, bool fetches)
{
    size_t size;
    const char *text = lua_tolstring(L, -1, &size), *end = text + size;
    unsigned tries = TC_LINK_TRIES;
    struct tc_link link;
    luaL_Buffer buffer;
    if (fetches && tc_link_whole(text, size, &link)) {
        add_link(L, r, &link);
        lua_pop(L, 1);
        lua_pushliteral(L, "");
        return;
    }
    if (!tc_link_next(text, end, &tries, &link))
        return;
    luaL_buffinit(L, &buffer);
    do {
        bool wanted = is_wanted(&link, fetches);
        if (wanted)
            add_link(L, r, &link);
        bool stays = link.size && !wanted;
        luaL_addlstring(&buffer, text, (size_t)((stays ? link.end : link.start) - text));
        text = link.end;
    } while (tc_link_next(text, end, &tries, &link));
    luaL_addlstring(&buffer, text, (size_t)(end - text));
    luaL_pushresult(&buffer);
    lua_remove(L, -2);
}

/* Sets `text` of the answer, choice by choice. */
static void set_text(lua_State *L, struct reading *r)
{
    bool fetches = !r->sub->pictures && tc_rawlen(L, r->slots) == 0;
    lua_newtable(L);
    struct reading whole = {.texts = lua_gettop(L)}; /* for take_text, which trims */
    for (unsigned choice = 1; choice <= r->last_text; choice++) {
        lua_rawgeti(L, r->texts, (int)choice);
        if (!lua_istable(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        push_joined(L, lua_gettop(L), r->chunks ? "" : "\n\n");
        lua_remove(L, -2);
        take_links(L, r, fetches);
        take_text(L, &whole, 1);
    }
    if (whole.last_text) {
        lua_rawgeti(L, whole.texts, 1);
        push_joined(L, whole.texts + 1, "\n\n");
        lua_setfield(L, r->fields, "text");
    }
    lua_settop(L, whole.texts - 1);
}

/* ---- choices and candidates ---- */

/* The key in `texts` for the choice at `choice`, which is number `position` (from 1) of its list.
 * If it has a field `index`, that counts: a chunk of a stream has one choice, which is not always
 * the first one. */
static unsigned text_key(lua_State *L, int choice, int position)
{
    push_field(L, choice, "index");
    double index = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : position - 1;
    lua_pop(L, 1);
    return index >= 0 && index < TC_IMAGES ? (unsigned)index + 2 : 2;
}

/* Pops the reason why the model stopped. In a document the first reason counts; in a stream, the
 * last document that has one. */
static void take_reason(lua_State *L, struct reading *r)
{
    if (lua_type(L, -1) != LUA_TSTRING || r->has_reason) {
        lua_pop(L, 1);
        return;
    }
    r->has_reason = true;
    lua_setfield(L, r->fields, "finish_reason");
}

/* Adds a slot for the picture of a part of a message. Only fields for pictures are looked at, as
 * parts have other addresses too, those of sources that they cite, for instance. */
static void add_part(lua_State *L, const struct reading *r, int part)
{
    static const char *const fields[] = {"image_url", "fileData", "file_data",  "b64_json",
                                         "url",       "source",   "inlineData", "inline_data"};
    add_field(L, r, part, fields, COUNT(fields), 3, 0);
}

/* Pops the parts of a message and takes what they have. Thoughts of the model are left out. */
static void take_parts(lua_State *L, struct reading *r, unsigned choice)
{
    int parts = lua_gettop(L), count = length_of(L, parts);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, parts, i);
        push_field(L, parts + 1, "thought");
        bool thought = lua_type(L, -1) == LUA_TBOOLEAN && lua_toboolean(L, -1);
        if (!thought)
            take_text_field(L, r, choice, parts + 1, "text");
        take_text_field(L, r, choice, parts + 1, "refusal");
        if (!thought)
            add_part(L, r, parts + 1);
        lua_settop(L, parts);
    }
    lua_settop(L, parts - 1);
}

/* Reads a message, or what a chunk adds to one. */
static void read_message(lua_State *L, struct reading *r, int message, unsigned choice)
{
    push_field(L, message, "images");
    add_items(L, r, false);
    push_field(L, message, "image");
    add_item(L, r, false);
    push_field(L, message, "content");
    lua_pushvalue(L, -1);
    take_text(L, r, choice);
    take_parts(L, r, choice);
    push_field(L, message, "parts");
    take_parts(L, r, choice);
    take_text_field(L, r, choice, message, "refusal");
}

static void read_choice(lua_State *L, struct reading *r, int choice, int position)
{
    unsigned key = text_key(L, choice, position);
    push_either(L, choice, "message", "delta");
    read_message(L, r, choice + 1, key);
    push_field(L, choice, "finish_reason");
    take_reason(L, r);
}

/* Pops a string that says why there is no picture. If there is no picture, it is taken as text. */
static void take_excuse(lua_State *L, struct reading *r, unsigned choice)
{
    if (r->sub->pictures)
        lua_pop(L, 1);
    else
        take_text(L, r, choice);
}

static void read_candidate(lua_State *L, struct reading *r, int candidate, int position)
{
    unsigned key = text_key(L, candidate, position);
    push_field(L, candidate, "content");
    push_field(L, candidate + 1, "parts");
    take_parts(L, r, key);
    push_either(L, candidate, "finishReason", "finish_reason");
    take_reason(L, r);
    push_either(L, candidate, "finishMessage", "finish_message");
    take_excuse(L, r, key);
}

/* Reads an element of OpenAI's responses route: a picture, or a message with parts. */
static void read_output(lua_State *L, struct reading *r, int output, int position)
{
    (void)position;
    push_field(L, output, "content");
    take_parts(L, r, 1);
    lua_pushvalue(L, output);
    add_item(L, r, true);
}

/* Calls `read` for each element of the list that is a field of the document, up to TC_IMAGES. */
static void read_list(lua_State *L, struct reading *r, int document, const char *name,
                      void (*read)(lua_State *L, struct reading *r, int element, int position))
{
    push_field(L, document, name);
    int list = lua_gettop(L), count = length_of(L, list);
    for (int i = 1; i <= count && i <= TC_IMAGES; i++) {
        lua_rawgeti(L, list, i);
        read(L, r, list + 1, i);
        lua_settop(L, list);
    }
    lua_pop(L, 1);
}

/* ---- documents ---- */

/* Is a field of a document read by the functions above, or does our response set it itself? */
static bool is_taken(const char *name)
{
    static const char *const names[] = {
        "b64_json",  "candidates", "choices", "data",       "image",  "predictions",
        "artifacts", "images",     "output",  "attempts",   "cost",   "drafts",
        "errors",    "prompt",     "text",    "request_id", "timing", "warnings",
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Copies the other fields of a document to the answer. In a stream the last chunk wins. */
static void copy_fields(lua_State *L, const struct reading *r, int document)
{
    for (lua_pushnil(L); lua_next(L, document); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || is_null(L, -1) || is_taken(lua_tostring(L, -2)))
            continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, r->fields);
    }
}

/* Reads pictures that are a level deeper: {"data": {"images": [...]}}. */
static void read_inner(lua_State *L, struct reading *r, int document)
{
    static const char *const fields[] = {"data", "result", "output"};
    for (size_t i = 0; i < COUNT(fields); i++) {
        lua_getfield(L, document, fields[i]);
        push_field(L, lua_gettop(L), "images");
        add_items(L, r, true);
        lua_pop(L, 1);
    }
}

static void read_document(lua_State *L, struct reading *r, int document)
{
    r->has_reason = false;
    if (!lua_istable(L, document))
        return;
    copy_fields(L, r, document);
    take_text_field(L, r, 1, document, "text");
    lua_getfield(L, document, "b64_json");
    add_slot(L, r, 0);
    lua_getfield(L, document, "data");
    add_items(L, r, true);
    lua_getfield(L, document, "images");
    add_items(L, r, true);
    lua_getfield(L, document, "image");
    add_item(L, r, true);
    push_either(L, document, "promptFeedback", "prompt_feedback");
    push_either(L, lua_gettop(L), "blockReasonMessage", "block_reason_message");
    take_excuse(L, r, 1);
    lua_pop(L, 1);
    read_list(L, r, document, "choices", read_choice);
    read_list(L, r, document, "candidates", read_candidate);
    read_list(L, r, document, "output", read_output);
    read_inner(L, r, document);
}

/* Reads a document that may be inside another: {"response": {"candidates": [...]}}. */
static void read_wrapped(lua_State *L, struct reading *r, int document)
{
    read_document(L, r, document);
    push_field(L, document, "response");
    int inner = lua_gettop(L);
    if (lua_istable(L, inner)) {
        lua_pushnil(L);
        lua_setfield(L, r->fields, "response");
        read_document(L, r, inner);
    }
    lua_settop(L, inner - 1);
}

/* Reads a document, or each of a list of them. */
static void read_documents(lua_State *L, struct reading *r, int index)
{
    int count = (int)tc_rawlen(L, index), top = lua_gettop(L);
    if (count == 0)
        read_wrapped(L, r, index);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, index, i);
        read_wrapped(L, r, top + 1);
        lua_settop(L, top);
    }
}

/* ---- the answer ---- */

/* Renames a field of the answer to what other routes call it. */
static void move_field(lua_State *L, int answer, const char *from, const char *to, int type)
{
    lua_getfield(L, answer, to);
    lua_getfield(L, answer, from);
    if (lua_type(L, -2) != type && lua_type(L, -1) == type)
        lua_setfield(L, answer, to);
    else
        lua_pop(L, 1);
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_setfield(L, answer, from);
}

/* Drops a field that has another type than it should, or a number with a fraction. */
static void drop_mistyped(lua_State *L, int answer, const char *name, int type)
{
    lua_getfield(L, answer, name);
    bool right =
        lua_type(L, -1) == type && (type != LUA_TNUMBER || tc_is_whole(lua_tonumber(L, -1)));
    lua_pop(L, 1);
    if (right)
        return;
    lua_pushnil(L);
    lua_setfield(L, answer, name);
}

struct tc_answer tc_read_answer(lua_State *L, int document, const struct tc_subrequest *sub)
{
    tc_checkstack(L, 24);
    struct reading r = {.sub = sub, .fields = lua_gettop(L) + 1};
    r.slots = r.fields + 1;
    r.texts = r.fields + 2;
    r.chunks = tc_rawlen(L, document) > 1;
    lua_newtable(L);
    lua_newtable(L);
    lua_newtable(L);
    read_documents(L, &r, document);
    set_text(L, &r);
    lua_settop(L, r.slots);
    move_field(L, r.fields, "modelVersion", "model", LUA_TSTRING);
    move_field(L, r.fields, "usageMetadata", "usage", LUA_TTABLE);
    drop_mistyped(L, r.fields, "model", LUA_TSTRING);
    drop_mistyped(L, r.fields, "usage", LUA_TTABLE);
    drop_mistyped(L, r.fields, "created", LUA_TNUMBER);
    drop_mistyped(L, r.fields, "finish_reason", LUA_TSTRING);
    tc_json_tidy(L, r.fields);
    if (sub->pictures || tc_rawlen(L, r.slots))
        lua_pushnil(L);
    else
        tc_push_refusal(L, document);
    return (struct tc_answer){r.fields, r.slots, r.slots + 1};
}

/* ---- decoding the response of one request ---- */

bool tc_push_answer(lua_State *L, const struct tc_request *request)
{
    const struct tc_buffer *text = &request->envelope->text;
    lua_pushlstring(L, (const char *)text->data, text->size);
    bool ok = tc_json_convert(L, "decode");
    if (ok && lua_istable(L, -1))
        return true;
    struct tc_failure failure;
    tc_failure_set(&failure, TC_BAD_RESPONSE, "the response is not a JSON object%s%s",
                   ok ? "" : ": ", ok ? "" : lua_tostring(L, -1));
    tc_push_failed_success(L, request, &failure);
    return false;
}

bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field)
{
    if (!tc_push_answer(L, request))
        return false;
    tc_json_tidy(L, lua_gettop(L));
    tc_conceal(L, lua_gettop(L), request->options.api_key);
    lua_pop(L, 1);
    if (!field)
        return true;
    lua_getfield(L, -1, field);
    if (lua_istable(L, -1))
        return true;
    struct tc_failure failure;
    tc_failure_set(&failure, TC_BAD_RESPONSE, "the response has no '%s'", field);
    tc_push_failed_success(L, request, &failure);
    return false;
}
