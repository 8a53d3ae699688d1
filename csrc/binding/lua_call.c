/*
 * Requests that are not for pictures: see lua_call.h.
 */
#include "lua_call.h"

#include "../engine/request.h"
#include "lua_body.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_job.h"
#include "lua_text.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct tc_field fields[] = {
    {"path", TC_T_STRING, 0},       {"method", TC_T_STRING, 0},       {"body", TC_T_ANY, 0},
    {"field", TC_T_STRING, 0},      {"extra_headers", TC_T_TABLE, 0}, {"timeout", TC_T_NUMBER, 0},
    {"max_retries", TC_T_WHOLE, 0}, {"retry", TC_T_STRING, 0},
};

/* Reads the path, which begins at the gateway's root and is sent as it is. */
static bool read_path(lua_State *L, int index, struct tc_request_options *options)
{
    size_t size = 0;
    lua_getfield(L, index, "path");
    const char *path = lua_tolstring(L, -1, &size);
    bool ok = path && *path == '/' && path[1] != '/';
    for (size_t i = 0; ok && i < size; i++) /* no spaces, no fragment, ASCII */
        ok = path[i] > 0x20 && path[i] < 0x7f && path[i] != '#';
    if (ok) {
        options->path = path;
        return true;
    }
    const char *shown = tc_push_quoted(L, lua_gettop(L));
    tc_push_error(L, TC_INVALID_REQUEST, "path",
                  "field 'path': a path such as '/key/info' expected, got %s", shown);
    return false;
}

static bool read_method(lua_State *L, int index, struct tc_request_options *options)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    lua_getfield(L, index, "method");
    const char *method = lua_tostring(L, -1);
    options->method = options->body ? "POST" : "GET";
    options->retry_safe = !options->body && !method;
    if (!method)
        return true;
    for (size_t i = 0; i < COUNT(methods); i++)
        if (!strcmp(method, methods[i])) {
            options->method = methods[i];
            options->retry_safe = i == 0;
            return true;
        }
    const char *shown = tc_push_quoted(L, lua_gettop(L));
    tc_push_error(L, TC_INVALID_REQUEST, "method",
                  "field 'method': 'GET', 'POST', 'PUT', 'PATCH' or 'DELETE' expected, got %s",
                  shown);
    return false;
}

/* Makes the body, if there is one, from a table or from the caller's JSON. */
static bool make_body(lua_State *L, int index, int uservalue, struct tc_job *job)
{
    lua_getfield(L, index, "body");
    int body = lua_gettop(L);
    if (lua_isnil(L, body))
        return true;
    if (lua_type(L, body) != LUA_TSTRING && !lua_istable(L, body)) {
        tc_push_error(L, TC_INVALID_REQUEST, "body",
                      "field 'body': a table, or JSON as a string, expected, got a %s",
                      luaL_typename(L, body));
        return false;
    }
    if (!tc_value_check(L, body, "body"))
        return false;
    lua_newtable(L);
    if (lua_istable(L, body) && !tc_push_encoded(L, body))
        return false;
    if (!lua_istable(L, body))
        lua_pushvalue(L, body);
    lua_rawseti(L, body + 1, 1);
    job->options.body = tc_push_body(L, body + 1);
    lua_setfield(L, uservalue, "body");
    return true;
}

bool tc_call_read(lua_State *L, int index, int uservalue, const struct tc_defaults *defaults,
                  struct tc_job *job)
{
    struct tc_request_options *options = &job->options;
    index = tc_absindex(L, index);
    *options = defaults->options;
    if (!tc_fields_resolve(L, index, fields, COUNT(fields)) || !read_path(L, index, options) ||
        !tc_field_settings(L, index, options) || !make_body(L, index, uservalue, job) ||
        !read_method(L, index, options) ||
        !tc_field_headers(L, index, "field", "extra_headers", &options->headers))
        return false;
    options->base = TC_BASE_ROOT;
    options->credentials = TC_BEARER;
    options->may_be_empty = true;
    job->json = true;
    job->count = job->per_request = 1;
    lua_pushvalue(L, index);
    lua_setfield(L, uservalue, "params");
    return true;
}
