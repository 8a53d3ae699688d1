/*
 * Answers without the API key. A server may send it back anywhere: in the model's text, in a
 * reason, in an address. Responses and errors, which users print and log, are made from the
 * answer's table, so the key is taken out of that table at once. (In comments here "the key" is the
 * API key; what leads to a value in a table is a name.)
 */
#include "lua_conceal.h"

#include "../engine/redact.h"

/* Has the text the key in it? */
static bool has_key(struct tc_redaction *redaction, const char *text, size_t size)
{
    const char *piece;
    size_t length;
    tc_redact_text(redaction, text, size);
    while ((piece = tc_redact_next(redaction, &length)))
        if (piece < text || piece >= text + size) /* not a part of the text: it replaces the key */
            return true;
    return false;
}

/* Pushes the text without the key. */
static void push_concealed(lua_State *L, struct tc_redaction *redaction, const char *text,
                           size_t size)
{
    luaL_Buffer buffer;
    const char *piece;
    size_t length;
    luaL_buffinit(L, &buffer);
    tc_redact_text(redaction, text, size);
    while ((piece = tc_redact_next(redaction, &length)))
        luaL_addlstring(&buffer, piece, length);
    luaL_pushresult(&buffer);
}

/* The string on top is the value in `table` of the name below it. If it has the key in it, replaces
 * it there, and notes the original. */
static void conceal_value(lua_State *L, int table, struct tc_redaction *redaction, int originals)
{
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (!has_key(redaction, text, size))
        return;
    push_concealed(L, redaction, text, size);
    lua_pushvalue(L, -1);
    lua_pushvalue(L, -3);
    lua_rawset(L, originals);
    lua_pushvalue(L, -3);
    lua_insert(L, -2);
    lua_rawset(L, table); /* lua_next allows this, as the field is there already */
}

/* Has the field name at `index` the key in it? */
static bool name_has_key(lua_State *L, int index, struct tc_redaction *redaction)
{
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING)
        return false;
    const char *name = lua_tolstring(L, index, &size);
    return has_key(redaction, name, size);
}

/* Adds the name below the top to the list at `names`, which is nil before the first one. */
static void keep_name(lua_State *L, int names, int number)
{
    if (number == 1) {
        lua_newtable(L);
        lua_replace(L, names);
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, names, number);
}

/* Pops a field's name and renames the field, without the key. */
static void rename_field(lua_State *L, int table, struct tc_redaction *redaction)
{
    size_t size;
    const char *name = lua_tolstring(L, -1, &size);
    push_concealed(L, redaction, name, size);
    lua_pushvalue(L, -2);
    lua_rawget(L, table);
    lua_rawset(L, table);
    lua_pushnil(L);
    lua_rawset(L, table);
}

static void conceal(lua_State *L, int table, struct tc_redaction *redaction, int originals)
{
    int count = 0;
    tc_checkstack(L, 10);
    lua_pushnil(L); /* becomes a list of names to change later: lua_next allows no new fields */
    int names = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_istable(L, -1))
            conceal(L, lua_gettop(L), redaction, originals);
        else if (lua_type(L, -1) == LUA_TSTRING)
            conceal_value(L, table, redaction, originals);
        if (name_has_key(L, -2, redaction))
            keep_name(L, names, ++count);
    }
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, names, i);
        rename_field(L, table, redaction);
    }
    lua_pop(L, 1);
}

void tc_conceal(lua_State *L, int table, const char *key)
{
    struct tc_redaction redaction;
    table = tc_absindex(L, table);
    tc_checkstack(L, 8);
    lua_newtable(L);
    tc_redact_begin(&redaction, TC_REDACT_VERBATIM, key);
    if (*key)
        conceal(L, table, &redaction, lua_gettop(L));
}
