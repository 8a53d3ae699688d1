/*
 * Bodies of requests: see lua_body.h.
 *
 * A body is a list of pieces. A piece that is a string is JSON. A piece that is a table is a
 * picture, for example { bytes, mime = "image/png" }; its bytes are a string, or a userdata if they
 * were read from a file. A conversation is a list of turns. A turn is a table with a `role` and a
 * list of parts, which are strings and pictures.
 */
#include "lua_body.h"

#include "../base/reader.h"
#include "../splitter/body.h"
#include "../splitter/signature.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_json.h"
#include "lua_own.h"
#include "lua_text.h"

#include <string.h>

#define BODY "thucchien.body"

/* ---- pictures that go along ---- */

/* Is the value at `index` a short text, which may be a file's name? */
static bool is_short_text(lua_State *L, int index)
{
    size_t size = 0;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &size) : NULL;
    return text && size < 200 && !tc_utf8_error(text, size);
}

static bool no_picture(lua_State *L, const char *name, int index)
{
    const char *got = tc_push_quoted(L, index);
    if (is_short_text(L, index))
        tc_push_error(
            L, TC_INVALID_REQUEST, name,
            "field '%s': a picture's bytes (PNG, JPEG, WebP or GIF) expected, got %s (for "
            "a file: { path = %s })",
            name, got, got);
    else
        tc_push_error(L, TC_INVALID_REQUEST, name,
                      "field '%s': a picture (PNG, JPEG, WebP or GIF) expected, got %s", name,
                      lua_istable(L, index)               ? "a table without bytes or path"
                      : lua_type(L, index) == LUA_TSTRING ? "other bytes"
                                                          : got);
    return false;
}

/* Replaces the path on top by a userdata with the file's bytes. */
static bool read_file(lua_State *L, const char *name)
{
    uint64_t size = 0;
    size_t length;
    int path_index = lua_gettop(L);
    const char *path = lua_tolstring(L, path_index, &length);
    const char *shown = tc_push_quoted(L, path_index), *wrong = NULL;
    int error = strlen(path) == length ? tc_reader_size(path, &size) : 0;
    if (strlen(path) != length)
        wrong = "the name has a zero byte";
    else if (!error && size == 0)
        wrong = "the file is empty";
    else if (!error && size > SIZE_MAX / 2)
        wrong = "the file is too large";
    if (!wrong && !error) {
        void *bytes = lua_newuserdata(L, (size_t)size);
        error = tc_reader_read(path, bytes, (size_t)size);
        lua_replace(L, path_index);
    }
    if (!wrong && error)
        wrong = strerror(error);
    if (wrong)
        tc_push_error(L, TC_INVALID_REQUEST, name, "field '%s': cannot read %s: %s", name, shown,
                      wrong);
    else
        lua_settop(L, path_index);
    return !wrong;
}

/* The bytes of a picture: a string's, or a userdata's. */
static const char *bytes_of(lua_State *L, int index, size_t *size)
{
    if (lua_type(L, index) == LUA_TSTRING)
        return lua_tolstring(L, index, size);
    *size = tc_rawlen(L, index);
    return lua_touserdata(L, index);
}

/* The type of the picture whose bytes are at `index` ("image/png"), or NULL. `*whole` becomes true
 * if its file is complete. */
static const char *type_of(lua_State *L, int index, bool *whole)
{
    struct tc_signature signature = {0};
    size_t size;
    const char *bytes = bytes_of(L, index, &size);
    tc_signature_feed(&signature, (const unsigned char *)bytes, size);
    *whole = tc_signature_end(&signature) == TC_END_SEEN;
    return signature.mime;
}

/* Refuses a picture that is not complete: a model cannot use it, but it would be paid for. */
static bool cut_picture(lua_State *L, const char *name, int value, const char *mime)
{
    const char *file = "";
    if (lua_istable(L, value)) {
        lua_getfield(L, value, "path");
        if (!lua_isnil(L, -1))
            file = lua_pushfstring(L, " %s", tc_push_quoted(L, lua_gettop(L)));
    }
    tc_push_error(L, TC_INVALID_REQUEST, name,
                  "field '%s': the picture%s is cut short or damaged: it does not end as %s does",
                  name, file, mime);
    return false;
}

/* Replaces the value on top by a picture. The value is a string of bytes, an image of a response,
 * or { path = }. `name` is the field's, for errors. */
static bool push_picture(lua_State *L, const char *name)
{
    int value = lua_gettop(L);
    bool from_file = false;
    if (lua_istable(L, value)) {
        lua_getfield(L, value, "bytes");
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_getfield(L, value, "path");
            from_file = true;
        }
    } else {
        lua_pushvalue(L, value);
    }
    if (lua_type(L, -1) != LUA_TSTRING)
        return no_picture(L, name, value);
    if (from_file && !read_file(L, name))
        return false;
    bool whole;
    const char *mime = type_of(L, value + 1, &whole);
    if (!mime && from_file) {
        lua_getfield(L, value, "path");
        const char *shown = tc_push_quoted(L, lua_gettop(L));
        tc_push_error(L, TC_INVALID_REQUEST, name,
                      "field '%s': the file %s is no picture (PNG, JPEG, WebP or GIF expected)",
                      name, shown);
        return false;
    }
    if (!mime)
        return no_picture(L, name, value + 1);
    if (!whole)
        return cut_picture(L, name, value, mime);
    lua_createtable(L, 1, 1);
    lua_insert(L, value + 1);
    lua_rawseti(L, value + 1, 1);
    lua_pushstring(L, mime);
    lua_setfield(L, value + 1, "mime");
    lua_replace(L, value);
    return true;
}

/* ---- the conversation ---- */

/* Begins a turn: pushes it, empty. */
static void begin_turn(lua_State *L, const char *role)
{
    lua_newtable(L);
    lua_pushstring(L, role);
    lua_setfield(L, -2, "role");
}

/* Is the table at `index` a list and nothing else? Otherwise `images = { path = "a.png" }` would
 * send, and pay for, a request without the picture. */
static bool check_list(lua_State *L, int index, const char *name)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        count++;
    if (count == tc_rawlen(L, index)) /* remaining nils fail in push_picture */
        return true;
    tc_push_error(L, TC_INVALID_REQUEST, name,
                  "field '%s': a list expected, without names and holes: { first, second }", name);
    return false;
}

/* Pops a list of pictures, the field `name`, and appends them to the turn at `turn`. */
static bool append_pictures(lua_State *L, int turn, const char *name)
{
    int list = lua_gettop(L), count = (int)tc_rawlen(L, list);
    if (!check_list(L, list, name))
        return false;
    for (int i = 1; i <= count; i++) {
        const char *element = lua_pushfstring(L, "%s[%d]", name, i);
        lua_rawgeti(L, list, i);
        if (!push_picture(L, element))
            return false;
        tc_append(L, turn);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return true;
}

/* Is the value at `index` no string, or one of UTF-8? */
static bool is_utf8(lua_State *L, int index)
{
    size_t size;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &size) : NULL;
    return !text || !tc_utf8_error(text, size);
}

static bool no_response(lua_State *L, int number)
{
    tc_push_error(L, TC_INVALID_REQUEST, "history",
                  "field 'history[%d]': an earlier response expected, got %s", number,
                  lua_istable(L, -1) ? "a table without prompt and data" : luaL_typename(L, -1));
    return false;
}

/*
 * Appends the earlier response on top as two turns: its prompt is the user's, its text the model's.
 * Its pictures go into the user's next turn, at `next`, because all models take pictures from a
 * user, but only some from themselves.
 */
static bool append_response(lua_State *L, int turns, int next, int number)
{
    int response = lua_gettop(L);
    if (!lua_istable(L, response))
        return no_response(L, number);
    lua_getfield(L, response, "prompt");
    lua_getfield(L, response, "data");
    lua_getfield(L, response, "text");
    if (lua_type(L, response + 1) != LUA_TSTRING || !lua_istable(L, response + 2)) {
        lua_settop(L, response);
        return no_response(L, number);
    }
    if (!is_utf8(L, response + 1) || !is_utf8(L, response + 3)) {
        tc_push_error(L, TC_INVALID_REQUEST, "history",
                      "field 'history[%d]': prompt and text in valid UTF-8 expected", number);
        return false;
    }
    lua_pushvalue(L, response + 1);
    tc_append(L, next);
    lua_pushvalue(L, next);
    tc_append(L, turns); /* this turn has the pictures of the response before this one */
    begin_turn(L, "assistant");
    if (lua_type(L, response + 3) == LUA_TSTRING)
        lua_pushvalue(L, response + 3);
    else
        lua_pushliteral(L, "Here is the picture.");
    tc_append(L, lua_gettop(L) - 1);
    tc_append(L, turns);
    begin_turn(L, "user");
    lua_replace(L, next);
    lua_settop(L, response + 2);
    const char *name = lua_pushfstring(L, "history[%d].data", number);
    lua_insert(L, -2);
    bool ok = append_pictures(L, next, name);
    if (ok)
        lua_settop(L, response);
    return ok;
}

bool tc_push_turns(lua_State *L, int params)
{
    lua_newtable(L);
    int turns = lua_gettop(L), turn = turns + 1;
    begin_turn(L, "user");
    lua_getfield(L, params, "history");
    int history = lua_gettop(L), count = lua_istable(L, history) ? (int)tc_rawlen(L, history) : 0;
    if (lua_istable(L, history) && !check_list(L, history, "history"))
        return false;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, history, i);
        if (!append_response(L, turns, turn, i))
            return false;
        lua_pop(L, 1);
    }
    lua_getfield(L, params, "images");
    if (!lua_istable(L, -1))
        lua_pop(L, 1);
    else if (!append_pictures(L, turn, "images"))
        return false;
    lua_getfield(L, params, "prompt");
    tc_append(L, turn);
    lua_settop(L, turn);
    tc_append(L, turns);
    return true;
}

/* ---- JSON with gaps ---- */

/* How a route writes a conversation. */
struct dialect {
    const char *field;                       /* of the body */
    const char *assistant;                   /* the model's role */
    const char *turn;                        /* "%s" for the role; a list of parts follows */
    const char *text, *text_end;             /* around a string */
    const char *picture, *picture_end;       /* around base64; "%s" for its type */
    const char *plain_turn, *plain_turn_end; /* around the string of a turn that is nothing else */
};

static const struct dialect chat = {
    "messages",
    "assistant",
    "{\"role\":\"%s\",\"content\":[",
    "{\"type\":\"text\",\"text\":",
    "}",
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:%s;base64,",
    "\"}}",
    "{\"role\":\"%s\",\"content\":",
    "}",
};

static const struct dialect gemini = {
    "contents",   "model", "{\"role\":\"%s\",\"parts\":[",
    "{\"text\":", "}",     "{\"inline_data\":{\"mime_type\":\"%s\",\"data\":\"",
    "\"}}",       NULL,    NULL,
};

/* Appends JSON: `format`, whose "%s" stands for `text`. */
static void append_text(lua_State *L, int pieces, const char *format, const char *text)
{
    lua_pushfstring(L, format, text);
    tc_append(L, pieces);
}

bool tc_push_encoded(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    if (tc_json_convert(L, "encode"))
        return true;
    tc_push_error(L, TC_INVALID_REQUEST, NULL, "these params cannot be sent as JSON: %s",
                  lua_tostring(L, -1));
    return false;
}

/* Appends the value at `index` as JSON. */
static bool append_encoded(lua_State *L, int pieces, int index)
{
    if (!tc_push_encoded(L, index))
        return false;
    tc_append(L, pieces);
    return true;
}

/* Pops a part and appends it. */
static bool append_part(lua_State *L, int pieces, const struct dialect *dialect)
{
    int part = lua_gettop(L);
    if (!lua_istable(L, part)) {
        append_text(L, pieces, "%s", dialect->text);
        if (!append_encoded(L, pieces, part))
            return false;
        append_text(L, pieces, "%s", dialect->text_end);
    } else {
        lua_getfield(L, part, "mime");
        append_text(L, pieces, dialect->picture, lua_tostring(L, -1));
        lua_pushvalue(L, part);
        tc_append(L, pieces);
        append_text(L, pieces, "%s", dialect->picture_end);
    }
    lua_settop(L, part - 1);
    return true;
}

/* Pops a turn and appends it. */
static bool append_turn(lua_State *L, int pieces, const struct dialect *dialect)
{
    int turn = lua_gettop(L), count = (int)tc_rawlen(L, turn);
    lua_getfield(L, turn, "role");
    const char *role = lua_tostring(L, -1);
    if (!strcmp(role, "assistant"))
        role = dialect->assistant;
    lua_rawgeti(L, turn, 1);
    bool plain = dialect->plain_turn && count == 1 && lua_type(L, -1) == LUA_TSTRING;
    append_text(L, pieces, plain ? dialect->plain_turn : dialect->turn, role);
    if (plain && !append_encoded(L, pieces, lua_gettop(L)))
        return false;
    for (int i = 1; i <= count && !plain; i++) {
        if (i > 1)
            append_text(L, pieces, "%s", ",");
        lua_rawgeti(L, turn, i);
        if (!append_part(L, pieces, dialect))
            return false;
    }
    append_text(L, pieces, "%s", plain ? dialect->plain_turn_end : "]}");
    lua_settop(L, turn - 1);
    return true;
}

/* Appends the table at `body` as JSON, with the conversation at `turns` as one more field. */
static bool append_all(lua_State *L, int pieces, int body, int turns, const struct dialect *dialect)
{
    size_t size;
    if (!tc_push_encoded(L, body))
        return false;
    const char *json = lua_tolstring(L, -1, &size);
    bool empty = !strcmp(json, "{}");
    lua_pushlstring(L, json, size - 1); /* without the last brace */
    lua_remove(L, -2);
    tc_append(L, pieces);
    append_text(L, pieces, empty ? "\"%s\":[" : ",\"%s\":[", dialect->field);
    int count = (int)tc_rawlen(L, turns);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            append_text(L, pieces, "%s", ",");
        lua_rawgeti(L, turns, i);
        if (!append_turn(L, pieces, dialect))
            return false;
    }
    append_text(L, pieces, "%s", "]}");
    return true;
}

/* Pushes the pieces of a body with the conversation at `turns`, unless the body has the caller's
 * own conversation. */
static bool write_conversation(lua_State *L, int body, int turns, const struct dialect *dialect)
{
    lua_newtable(L);
    int pieces = lua_gettop(L);
    lua_getfield(L, body, dialect->field);
    bool own = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return own ? append_encoded(L, pieces, body) : append_all(L, pieces, body, turns, dialect);
}

bool tc_write_images(lua_State *L, int body, int turns)
{
    (void)turns; /* nil: this route takes a prompt alone */
    lua_newtable(L);
    return append_encoded(L, lua_gettop(L), body);
}

bool tc_write_chat(lua_State *L, int body, int turns)
{
    return write_conversation(L, body, turns, &chat);
}

bool tc_write_gemini(lua_State *L, int body, int turns)
{
    return write_conversation(L, body, turns, &gemini);
}

/* ---- the body as the engine takes it ---- */

struct body_box {
    struct tc_body *body;
};

static int body_gc(lua_State *L)
{
    struct body_box *box = tc_check_class(L, 1, BODY);
    tc_body_release(box->body);
    box->body = NULL;
    return 0;
}

struct tc_body *tc_push_body(lua_State *L, int pieces)
{
    pieces = tc_absindex(L, pieces);
    size_t count = tc_rawlen(L, pieces);
    struct body_box *box = lua_newuserdata(L, sizeof(*box));
    box->body = NULL;
    tc_set_class(L, BODY);
    lua_pushvalue(L, pieces); /* its strings and pictures stay as long as the body */
    tc_setuservalue(L, -2);
    struct tc_piece *list = lua_newuserdata(L, (count ? count : 1) * sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, pieces, (int)i + 1);
        list[i].base64 = lua_istable(L, -1);
        if (list[i].base64) {
            lua_rawgeti(L, -1, 1);
            lua_replace(L, -2);
        }
        list[i].bytes = bytes_of(L, -1, &list[i].size);
        lua_pop(L, 1);
    }
    box->body = tc_body_new(list, count);
    if (!box->body)
        luaL_error(L, "not enough memory");
    lua_pop(L, 1);
    return box->body;
}

void tc_register_body(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", body_gc}, {NULL, NULL}};
    tc_register_class(L, BODY, metamethods, NULL);
}
