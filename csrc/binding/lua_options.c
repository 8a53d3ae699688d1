/*
 * A client's options: see lua_options.h. Functions that return false have pushed an error table.
 */
#include "lua_options.h"

#include "../engine/request.h"
#include "../engine/session.h"
#include "../engine/url.h"
#include "../thucchien.h"
#include "lua_failure.h"
#include "lua_fields.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_BASE_URL "https://api.thucchien.ai"
#define DEFAULT_MODEL    "imagen-4"

enum { MIB = 1024 * 1024 };

static const struct tc_field fields[] = {
    {"api_key", TC_T_ANY, 0},
    {"base_url", TC_T_STRING, 0},
    {"model", TC_T_STRING, 0},
    {"timeout", TC_T_NUMBER, 0},
    {"connect_timeout", TC_T_NUMBER, 0},
    {"max_retries", TC_T_WHOLE, 0},
    {"retry", TC_T_STRING, 0},
    {"max_concurrency", TC_T_WHOLE, 0},
    {"requests_per_minute", TC_T_WHOLE, 0},
    {"max_response_bytes", TC_T_WHOLE, 0},
    {"headers", TC_T_TABLE, 0},
    {"proxy", TC_T_STRING, 0},
    {"ca_file", TC_T_STRING, 0},
    {"http2", TC_T_BOOLEAN, 0},
    {"allow_http", TC_T_BOOLEAN, 0},
    {"user_agent", TC_T_STRING, 0},
};

static bool read_boolean(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static bool check_characters(lua_State *L, const char *name, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            tc_push_error(L, TC_INVALID_REQUEST, name,
                          "option '%s': no control characters expected (byte %d is one)", name,
                          (int)i + 1);
            return false;
        }
    return true;
}

/* Reads a string that goes to libcurl: not empty, no control characters. It stays on the stack. */
static bool read_text(lua_State *L, int index, const char *name, const char **text)
{
    size_t size;
    lua_getfield(L, index, name);
    *text = lua_tolstring(L, -1, &size);
    if (!*text)
        return true;
    if (!check_characters(L, name, *text, size))
        return false;
    if (size)
        return true;
    tc_push_error(L, TC_INVALID_REQUEST, name, "option '%s': got an empty string", name);
    return false;
}

static bool read_model(lua_State *L, int index, const char **model)
{
    if (!read_text(L, index, "model", model))
        return false;
    if (!*model)
        *model = getenv("THUCCHIEN_MODEL");
    if (!*model || !**model)
        *model = DEFAULT_MODEL;
    return check_characters(L, "model", *model, strlen(*model));
}

static bool read_user_agent(lua_State *L, int index, const char **agent)
{
    if (!read_text(L, index, "user_agent", agent))
        return false;
    if (!*agent)
        *agent = "thucchien/" TC_VERSION;
    return true;
}

static bool check_base_url(lua_State *L, const char *url, bool allow_http)
{
    const char *wrong = tc_url_check_base(url, allow_http);
    if (!wrong)
        return true;
    if (wrong == tc_url_no_memory)
        return luaL_error(L, wrong) != 0;
    lua_pushstring(L, url);
    const char *shown = tc_push_quoted(L, lua_gettop(L));
    tc_push_error(L, TC_INVALID_REQUEST, "base_url", "option 'base_url': %s, got %s", wrong, shown);
    return false;
}

static bool read_base_url(lua_State *L, int index, const char **url)
{
    if (!read_text(L, index, "base_url", url))
        return false;
    if (!*url)
        *url = getenv("THUCCHIEN_BASE_URL");
    if (!*url || !**url)
        *url = DEFAULT_BASE_URL;
    return check_base_url(L, *url, read_boolean(L, index, "allow_http"));
}

static bool read_defaults(lua_State *L, int index, struct tc_defaults *defaults)
{
    struct tc_request_options *options = &defaults->options;
    double retries = 2;
    options->timeout = 300;
    options->connect_timeout = 15;
    options->retry = TC_RETRY_SAFE;
    if (!read_model(L, index, &defaults->model) ||
        !tc_field_number(L, index, "option", "timeout", 0.001, TC_LONGEST_TIMEOUT,
                         &options->timeout) ||
        !tc_field_number(L, index, "option", "connect_timeout", 0.001, TC_LONGEST_TIMEOUT,
                         &options->connect_timeout) ||
        !tc_field_whole(L, index, "option", "max_retries", 0, 100, &retries) ||
        !tc_field_retry(L, index, "option", &options->retry))
        return false;
    options->max_retries = (unsigned)retries;
    return true;
}

static bool read_limits(lua_State *L, int index, struct tc_settings *options)
{
    double concurrency = 8, bytes = 256.0 * MIB, per_minute = 0;
    if (!tc_field_whole(L, index, "option", "max_concurrency", 1, 10000, &concurrency) ||
        !tc_field_whole(L, index, "option", "requests_per_minute", 1, 1000000, &per_minute) ||
        !tc_field_whole(L, index, "option", "max_response_bytes", 1, 9007199254740992.0, &bytes))
        return false;
    options->max_concurrency = (unsigned)concurrency;
    options->requests_per_minute = (unsigned)per_minute;
    options->max_response_bytes = (uint64_t)bytes;
    options->http2 = read_boolean(L, index, "http2");
    return true;
}

bool tc_options_read(lua_State *L, int index, struct tc_options *options)
{
    struct tc_settings *client = &options->client;
    memset(options, 0, sizeof(*options));
    return tc_fields_check(L, index, "option", fields, sizeof(fields) / sizeof(fields[0])) &&
           read_base_url(L, index, &client->base_url) &&
           read_text(L, index, "proxy", &client->proxy) &&
           read_text(L, index, "ca_file", &client->ca_file) &&
           read_user_agent(L, index, &client->user_agent) &&
           read_defaults(L, index, &options->defaults) && read_limits(L, index, client) &&
           tc_field_headers(L, index, "option", "headers", &client->headers);
}
