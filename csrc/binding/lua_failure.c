/*
 * Errors as Lua sees them: see lua_failure.h.
 */
#include "lua_failure.h"

#include "../engine/failure.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "lua_own.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TC_ERROR "thucchien.error"

static void set_text(lua_State *L, const char *name, const char *text)
{
    if (!*text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* Sets `code`: as a number if it has digits only, since LiteLLM sends HTTP statuses as strings. */
static void set_code(lua_State *L, const char *code)
{
    size_t digits = strspn(code, "0123456789");
    if (!digits || code[digits] || digits > 9) {
        set_text(L, "code", code);
        return;
    }
    tc_pushwhole(L, atol(code));
    lua_setfield(L, -2, "code");
}

/* Sets the fields that the failure has. */
static void set_known(lua_State *L, const struct tc_failure *failure)
{
    if (failure->status) {
        tc_pushwhole(L, failure->status);
        lua_setfield(L, -2, "status");
    }
    if (failure->retry_after >= 0) {
        lua_pushnumber(L, failure->retry_after);
        lua_setfield(L, -2, "retry_after");
    }
    if (failure->attempts) {
        tc_pushwhole(L, failure->attempts);
        lua_setfield(L, -2, "attempts");
    }
    set_code(L, failure->code);
    set_text(L, "type", failure->type);
    set_text(L, "param", failure->param);
}

/* Sets what is known from the response, and whether it may be billed. */
static void set_response(lua_State *L, const struct tc_failure *failure,
                         const struct tc_request *request)
{
    char body[TC_HEAD_SIZE + 1];
    lua_pushboolean(L, failure->maybe_billed);
    lua_setfield(L, -2, "maybe_billed");
    set_text(L, "request_id", tc_request_gateway_id(request));
    tc_redact_body(body, sizeof(body), tc_request_head(request), request->options.api_key);
    set_text(L, "body", body);
}

static void begin_error(lua_State *L, enum tc_kind kind)
{
    lua_newtable(L);
    tc_set_class(L, TC_ERROR);
    lua_pushstring(L, tc_kind_name(kind));
    lua_setfield(L, -2, "kind");
}

void tc_push_failure(lua_State *L, const struct tc_failure *failure,
                     const struct tc_request *request)
{
    if (failure->kind == TC_NO_MEMORY)
        luaL_error(L, "not enough memory");
    tc_checkstack(L, 6);
    const char *advice = tc_failure_advice(failure);
    begin_error(L, failure->kind);
    set_text(L, "message", failure->message);
    set_text(L, "advice", advice ? advice : "");
    set_known(L, failure);
    if (request)
        set_response(L, failure, request);
}

void tc_push_failed_success(lua_State *L, const struct tc_request *request,
                            struct tc_failure *failure)
{
    failure->status = request->status;
    failure->attempts = request->attempts;
    failure->maybe_billed = !request->options.retry_safe;
    tc_push_failure(L, failure, request);
}

void tc_push_error(lua_State *L, enum tc_kind kind, const char *param, const char *format, ...)
{
    char message[512];
    va_list arguments;
    tc_checkstack(L, 6);
    begin_error(L, kind);
    va_start(arguments, format);
    tc_redact(message, sizeof(message), lua_pushvfstring(L, format, arguments), NULL);
    va_end(arguments);
    lua_pop(L, 1);
    set_text(L, "message", message);
    if (param)
        set_text(L, "param", param);
}

/* Seconds, rounded up, as an int. */
static int whole_seconds(double seconds)
{
    return seconds < 1e9 ? (int)(seconds + 0.999) : 1000000000;
}

/* Adds a fact, a format for `number`, to the string on top: " (HTTP status 429, retry after 20 s".
 */
static void add_fact(lua_State *L, const char *fact, int number)
{
    lua_pushstring(L, *lua_tostring(L, -1) ? ", " : " (");
    lua_pushfstring(L, fact, number);
    lua_concat(L, 3);
}

/* Pushes what else is known of the error (1): " (HTTP status 429)", or "". */
static void push_facts(lua_State *L)
{
    lua_getfield(L, 1, "status");
    lua_getfield(L, 1, "retry_after");
    lua_getfield(L, 1, "maybe_billed");
    int status = lua_gettop(L) - 2;
    lua_pushliteral(L, "");
    if (lua_isnumber(L, status))
        add_fact(L, "HTTP status %d", (int)lua_tonumber(L, status));
    if (lua_isnumber(L, status + 1))
        add_fact(L, "retry after %d s", whole_seconds(lua_tonumber(L, status + 1)));
    if (lua_toboolean(L, status + 2))
        add_fact(L, "may be billed", 0);
    if (*lua_tostring(L, -1)) {
        lua_pushliteral(L, ")");
        lua_concat(L, 2);
    }
    lua_replace(L, status);
    lua_settop(L, status);
}

/* "rate_limit: Rate limit exceeded (HTTP status 429, retry after 20 s) - wait, then try again" */
static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "kind");
    lua_getfield(L, 1, "message");
    const char *kind = lua_isstring(L, 2) ? lua_tostring(L, 2) : "error";
    lua_pushfstring(L, "%s: %s", kind, lua_isstring(L, 3) ? lua_tostring(L, 3) : "(no message)");
    push_facts(L);
    lua_getfield(L, 1, "advice");
    if (lua_isstring(L, -1))
        lua_pushfstring(L, " - %s", lua_tostring(L, -1));
    else
        lua_pushliteral(L, "");
    lua_remove(L, -2);
    lua_concat(L, 3);
    return 1;
}

static void push_operand(lua_State *L, int index)
{
    if (!luaL_callmeta(L, index, "__tostring"))
        lua_pushvalue(L, index);
}

/* "could not draw: " .. err */
static int error_concat(lua_State *L)
{
    push_operand(L, 1);
    push_operand(L, 2);
    lua_concat(L, 2);
    return 1;
}

void tc_register_failure(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__tostring", error_tostring},
        {"__concat", error_concat},
        {NULL, NULL},
    };
    tc_register_class(L, TC_ERROR, metamethods, NULL);
}
