/*
 * Which JSON is used: see lua_json.h.
 */
#include "lua_json.h"

#include "../base/number.h"
#include "../splitter/path.h"
#include "lua_host.h"
#include "lua_json_own.h"
#include "lua_own.h"

#include <locale.h>
#include <string.h>

#define JSON "json"

/*
 * Would lua-cjson go wrong in this process? If the host exports functions with the same names,
 * lua-cjson calls those in place of its own. LuaTeX has such functions for its buffers; Neovim has
 * a lua-cjson with other structures.
 */
static bool breaks_cjson(void)
{
    static const char *const names[] = {
        "strbuf_init",          "strbuf_new",
        "strbuf_free",          "strbuf_free_to_string",
        "strbuf_resize",        "strbuf_append_string",
        "strbuf_append_fmt",    "strbuf_append_fmt_retry",
        "strbuf_set_increment", "fpconv_init",
        "fpconv_strtod",        "fpconv_g_fmt",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (tc_host_exports(names[i]))
            return true;
    return strlen(localeconv()->decimal_point) != 1; /* lua-cjson ends the process then */
}

/* Calls a setting of the instance on top, if its version has it. It may refuse the value. */
static void set_json(lua_State *L, const char *setting, int value, int is_number)
{
    lua_getfield(L, -1, setting);
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    if (is_number)
        lua_pushinteger(L, value);
    else
        lua_pushboolean(L, value);
    if (lua_pcall(L, 1, 0, 0))
        lua_pop(L, 1);
}

/* Replaces the module on top by what its `new` returns. If that fails, returns false, and pops it.
 */
static bool instantiate(lua_State *L)
{
    tc_enter_field(L, "new");
    if (!lua_pcall(L, 0, 1, 0) && lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* Pushes an instance of lua-cjson that shares no settings with other code's. Returns false, and
 * pushes nothing, if there is none. */
static bool push_cjson(lua_State *L)
{
    tc_push_loaded(L, "cjson.safe");
    if (lua_istable(L, -1))
        return instantiate(L);
    lua_pop(L, 1);
    tc_push_loader(L, "cjson.safe");
    if (!lua_pcall(L, 1, 1, 0))
        return instantiate(L);
    lua_pop(L, 1);
    return false;
}

/*
 * Is the message on top about JSON? lua-cjson's safe functions catch other errors too: those that a
 * hook or a finalizer raises meanwhile, or that memory is short, or that Lua's stack is full.
 */
static bool is_of_json(lua_State *L)
{
    static const char *const beginnings[] = {
        "Expected ",        "Found too many nested", "JSON parser does not support",
        "Cannot serialise", "no JSON at byte",       "JSON has no place for"};
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
        if (!strncmp(text, beginnings[i], strlen(beginnings[i])))
            return true;
    return false;
}

/* Calls the function below the value on top with that value. If it fails, returns false, with the
 * message on top. Errors that are not about JSON are raised. */
static bool convert(lua_State *L)
{
    lua_call(L, 1, 2);
    bool ok = !lua_isnil(L, -2);
    if (!ok && !is_of_json(L))
        lua_error(L);
    lua_remove(L, ok ? -1 : -2);
    return ok;
}

/* Does the function on top, one of lua-cjson's, use the decimal point of the present locale?
 * lua-cjson asks for the point only once, when the process makes its first instance. */
static bool knows_point(lua_State *L, bool reads)
{
    static const char half[] = "0.5";
    lua_pushvalue(L, -1);
    if (reads)
        lua_pushstring(L, half);
    else
        lua_pushnumber(L, 0.5);
    bool ok = convert(L), is_number = ok && reads && lua_type(L, -1) == LUA_TNUMBER;
    bool knows = reads ? is_number && lua_tonumber(L, -1) == 0.5
                       : ok && lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), half);
    lua_pop(L, 1);
    return knows;
}

/* Pushes the function "encode" or "decode", lua-cjson's or our own. The function returns nil and a
 * message if it fails. */
static void push_json(lua_State *L, const char *name)
{
    bool reads = *name == 'd';
    tc_own_push(L, JSON);
    tc_enter_field(L, name);
    if (lua_isfunction(L, -1) && knows_point(L, reads))
        return;
    lua_pop(L, 1);
    lua_pushcfunction(L, reads ? tc_json_own_decode : tc_json_own_encode);
}

/* Finds out whether whole numbers are written with all digits: some releases of lua-cjson write 14.
 */
static void measure_json(lua_State *L)
{
    static const char all_digits[] = "9007199254740991"; /* 2^53 - 1 */
    push_json(L, "encode");
    lua_pushnumber(L, 9007199254740991.0);
    lua_call(L, 1, 1);
    const char *text = lua_tostring(L, -1);
    double exact = text && !strcmp(text, all_digits) ? 9007199254740991.0 : 1e14;
    lua_pop(L, 1);
    lua_pushnumber(L, exact);
    lua_setfield(L, -2, "exact");
}

/* Keeps the library of the instance on top: see tc_host_pin. */
static void pin(lua_State *L)
{
    lua_getfield(L, -1, "encode");
    tc_host_pin(lua_tocfunction(L, -1));
    lua_pop(L, 1);
}

void tc_json_open(lua_State *L)
{
    if (breaks_cjson() || !push_cjson(L))
        lua_newtable(L); /* no functions in it: push_json takes our own */
    pin(L);
    set_json(L, "encode_number_precision", 16, 1);
    set_json(L, "encode_invalid_numbers", 0, 0);
    set_json(L, "decode_invalid_numbers", 0, 0);
    set_json(L, "encode_keep_buffer", 0, 0);
    set_json(L, "encode_escape_forward_slash", 0, 0);
    set_json(L, "decode_max_depth", TC_PATH_DEPTH + 1, 1);
    lua_pushvalue(L, -1);
    tc_own_keep(L, JSON);
    measure_json(L);
    lua_pop(L, 1);
}

double tc_json_exact(lua_State *L)
{
    tc_own_push(L, JSON);
    tc_enter_field(L, "exact");
    double exact = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return exact;
}

bool tc_json_convert(lua_State *L, const char *name)
{
    push_json(L, name);
    lua_insert(L, -2);
    return convert(L);
}

void tc_json_tidy(lua_State *L, int table)
{
    tc_checkstack(L, 6);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_istable(L, -1)) {
            tc_json_tidy(L, lua_gettop(L));
            continue;
        }
        double value = lua_tonumber(L, -1);
        if (lua_isuserdata(L, -1)) /* null */
            lua_pushnil(L);
        else if (lua_type(L, -1) == LUA_TNUMBER && tc_is_whole(value))
            tc_pushwhole(L, value);
        else
            continue;
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        lua_rawset(L, table); /* lua_next allows this, as the field is there already */
    }
}
