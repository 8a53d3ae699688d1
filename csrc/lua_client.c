/*
 * The client userdata: its options, and the one way from params to a result.
 *
 * Its uservalue has `model`, `api_key` where that is a function, and by their ids the userdata of
 * the requests under way: who holds a client holds its requests, until they have ended.
 */
#include "binding.h"
#include "version.h"

#include "alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CLIENT   "thucchien.default_client"
#define DEFAULT_BASE_URL "https://api.thucchien.ai"
#define DEFAULT_MODEL    "imagen-4"

enum { MIB = 1024 * 1024, LONGEST_TIMEOUT = 86400 };

/* How long a wait may stay in libcurl before Lua's hooks get a chance: Ctrl-C is one of them. */
static const double SLICE = 0.1;

struct client_box {
    struct tc_client *client; /* NULL once closed */
    char *api_key;            /* NULL: the environment's, or a function's */
    struct tc_defaults defaults;
};

static struct client_box *check_client(lua_State *L, int index)
{
    return luaL_checkudata(L, index, TC_CLIENT);
}

/* ---- options; all push an error table when false ---- */

static const struct tc_field fields[] = {
    {"api_key", TC_T_ANY},    {"base_url", TC_T_STRING},        {"model", TC_T_STRING},
    {"timeout", TC_T_NUMBER}, {"connect_timeout", TC_T_NUMBER}, {"max_retries", TC_T_WHOLE},
    {"retry", TC_T_STRING},   {"max_concurrency", TC_T_WHOLE},  {"max_response_bytes", TC_T_WHOLE},
    {"headers", TC_T_TABLE},  {"proxy", TC_T_STRING},           {"ca_file", TC_T_STRING},
    {"http2", TC_T_BOOLEAN},  {"allow_http", TC_T_BOOLEAN},     {"user_agent", TC_T_STRING},
};

static bool read_boolean(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* Reads a string that goes to libcurl: not empty, no control characters. It stays on the stack. */
static bool read_text(lua_State *L, int index, const char *name, const char **text)
{
    size_t size;
    lua_getfield(L, index, name);
    *text = lua_tolstring(L, -1, &size);
    if (!*text)
        return true;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)(*text)[i] < 0x20 || (*text)[i] == 0x7f) {
            tc_push_error(L, TC_INVALID_REQUEST, name,
                          "option '%s': no control characters expected (byte %d is one)", name,
                          (int)i + 1);
            return false;
        }
    if (size)
        return true;
    tc_push_error(L, TC_INVALID_REQUEST, name, "option '%s': got an empty string", name);
    return false;
}

static bool check_base_url(lua_State *L, const char *url, bool allow_http)
{
    const char *wrong = tc_client_check_url(url, allow_http);
    if (!wrong)
        return true;
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
    *defaults = (struct tc_defaults){300, 15, 2, TC_RETRY_SAFE};
    return tc_field_number(L, index, "timeout", 0.001, LONGEST_TIMEOUT, &defaults->timeout) &&
           tc_field_number(L, index, "connect_timeout", 0.001, LONGEST_TIMEOUT,
                           &defaults->connect_timeout) &&
           tc_field_whole(L, index, "max_retries", 0, 100, &defaults->max_retries) &&
           tc_field_retry(L, index, &defaults->retry);
}

static bool read_limits(lua_State *L, int index, struct tc_client_options *options)
{
    double concurrency = 8, bytes = 256.0 * MIB;
    if (!tc_field_whole(L, index, "max_concurrency", 1, 10000, &concurrency) ||
        !tc_field_whole(L, index, "max_response_bytes", 1, 9007199254740992.0, &bytes))
        return false;
    options->max_concurrency = (unsigned)concurrency;
    options->max_response_bytes = (uint64_t)bytes;
    options->http2 = read_boolean(L, index, "http2");
    return true;
}

/* ---- the key ---- */

/* Why `key` cannot be one, or NULL. The key itself is never shown. */
static const char *wrong_key(const char *key, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)key[i] <= 0x20 || key[i] == 0x7f)
            return "the API key has a space or a control character";
    return size ? NULL : "the API key is an empty string";
}

/* Takes the key where it is a string; a function is kept in the uservalue. */
static bool read_key(lua_State *L, int index, struct client_box *box, int lent)
{
    size_t size;
    lua_getfield(L, index, "api_key");
    if (lua_isfunction(L, -1)) {
        lua_setfield(L, lent, "api_key");
        return true;
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        const char *key = lua_tolstring(L, -1, &size), *wrong = wrong_key(key, size);
        if (wrong) {
            tc_push_error(L, TC_INVALID_REQUEST, "api_key", "option 'api_key': %s", wrong);
            return false;
        }
        box->api_key = tc_strndup(key, size);
        if (!box->api_key)
            luaL_error(L, "not enough memory");
    } else if (!lua_isnil(L, -1)) {
        tc_push_error(L, TC_INVALID_REQUEST, "api_key",
                      "option 'api_key': a string or a function expected, got a %s",
                      luaL_typename(L, -1));
        return false;
    }
    lua_pop(L, 1);
    return true;
}

/* Calls the user's function for the key, whose result stays on the stack. */
static bool call_for_key(lua_State *L, const char **key)
{
    size_t size;
    if (lua_pcall(L, 0, 1, 0)) {
        const char *text = lua_tostring(L, -1);
        tc_push_error(L, TC_AUTHENTICATION, "api_key", "the function for the API key failed: %s",
                      text ? text : "(no message)");
        return false;
    }
    *key = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
    const char *wrong =
        *key ? wrong_key(*key, size) : "the function for the API key gave no string";
    if (wrong)
        tc_push_error(L, TC_AUTHENTICATION, "api_key", "%s", wrong);
    return !wrong;
}

/* Finds the key for one request. */
static bool find_key(lua_State *L, const struct client_box *box, int lent, const char **key)
{
    *key = box->api_key;
    if (*key)
        return true;
    lua_getfield(L, lent, "api_key");
    if (lua_isfunction(L, -1))
        return call_for_key(L, key);
    *key = getenv("THUCCHIEN_API_KEY");
    const char *wrong = *key
                            ? wrong_key(*key, strlen(*key))
                            : "no API key: set THUCCHIEN_API_KEY, or give api_key to thucchien.new";
    if (wrong)
        tc_push_error(L, TC_AUTHENTICATION, "api_key", "%s", wrong);
    return !wrong;
}

/* ---- life ---- */

static struct client_box *push_client(lua_State *L)
{
    struct client_box *box = lua_newuserdata(L, sizeof(*box));
    memset(box, 0, sizeof(*box));
    luaL_getmetatable(L, TC_CLIENT);
    lua_setmetatable(L, -2);
    lua_newtable(L);
    tc_setuservalue(L, -2);
    return box;
}

/* Reads the options at `index` into the userdata at the stack's top, which stays there if true. */
static bool open_client(lua_State *L, int index, struct client_box *box)
{
    int userdata = lua_gettop(L);
    struct tc_client_options options;
    memset(&options, 0, sizeof(options));
    tc_getuservalue(L, userdata);
    int lent = lua_gettop(L);
    const char *model;
    if (!tc_fields_check(L, index, fields, sizeof(fields) / sizeof(fields[0])) ||
        !read_base_url(L, index, &options.base_url) || !read_key(L, index, box, lent) ||
        !read_text(L, index, "model", &model) || !read_text(L, index, "proxy", &options.proxy) ||
        !read_text(L, index, "ca_file", &options.ca_file) ||
        !read_text(L, index, "user_agent", &options.user_agent) ||
        !read_defaults(L, index, &box->defaults) || !read_limits(L, index, &options) ||
        !tc_field_headers(L, index, "headers", &options.headers))
        return false;
    lua_pushstring(L, model ? model : DEFAULT_MODEL);
    lua_setfield(L, lent, "model");
    if (!options.user_agent)
        options.user_agent = "thucchien/" TC_VERSION;
    box->client = tc_client_new(&options);
    if (!box->client)
        luaL_error(L, "not enough memory");
    lua_settop(L, userdata);
    return true;
}

/* thucchien.new([options]) -> client | nil, err */
int tc_client_lua_new(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 40, NULL);
    if (open_client(L, 1, push_client(L)))
        return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* client:close(), __gc and __close are one: what is in flight is cancelled, the key is wiped. */
static int client_close(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    struct tc_client *client = box->client;
    box->client = NULL;
    tc_client_free(client);
    if (box->api_key)
        tc_wipe(box->api_key, strlen(box->api_key));
    tc_free(box->api_key);
    box->api_key = NULL;
    return 0;
}

static int client_tostring(lua_State *L)
{
    struct client_box *box = check_client(L, 1);
    lua_pushfstring(L, TC_CLIENT ": %p%s", (void *)box, box->client ? "" : " (closed)");
    return 1;
}

/* ---- requests ---- */

/*
 * Checks the params at `index` and puts the request into the queue of the client at `client`.
 * Pushes its userdata, or an error table when false.
 */
static bool submit(lua_State *L, int client, int index)
{
    struct client_box *box = lua_touserdata(L, client);
    struct tc_request_options options;
    luaL_checkstack(L, 40, NULL);
    memset(&options, 0, sizeof(options));
    if (!box->client) {
        tc_push_error(L, TC_INVALID_REQUEST, NULL, "the client is closed");
        return false;
    }
    tc_getuservalue(L, client);
    int lent = lua_gettop(L);
    if (!tc_params_read(L, index, lent, &box->defaults, &options))
        return false;
    int model = lua_gettop(L) - 1;
    if (!find_key(L, box, lent, &options.api_key))
        return false;
    struct tc_request_box *request = tc_push_request(L, index, model);
    if (!box->client) { /* by the function for the key, or a metamethod of the params */
        tc_push_error(L, TC_INVALID_REQUEST, NULL, "the client is closed");
        return false;
    }
    request->request = tc_client_submit(box->client, &options);
    if (!request->request)
        return luaL_error(L, "not enough memory") != 0;
    lua_pushvalue(L, -1);
    lua_rawseti(L, lent, (int)request->request->id);
    return true;
}

/* Takes over what the requests of the client at `client` have given since the last time. */
static void deliver(lua_State *L, int client)
{
    struct client_box *box = lua_touserdata(L, client);
    struct tc_request *news;
    tc_getuservalue(L, client);
    int lent = lua_gettop(L);
    while (box->client && (news = tc_client_take_ready(box->client))) {
        bool ended = news->state == TC_DONE;
        int id = (int)news->id;
        tc_request_release(news); /* its userdata holds it too */
        lua_rawgeti(L, lent, id);
        if (lua_isuserdata(L, -1)) {
            int request = lua_gettop(L);
            if (ended) {
                lua_pushnil(L);
                lua_rawseti(L, lent, id);
            }
            tc_request_collect(L, request);
        }
        lua_settop(L, lent);
    }
    lua_pop(L, 1);
}

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

/* Calls a function, any function, so that a hook that was set meanwhile is run: Ctrl-C's, say. */
static void run_hooks(lua_State *L)
{
    lua_pushcfunction(L, do_nothing);
    lua_call(L, 0, 0);
}

/* Drives the client (1) until the request (2) has ended. */
static int wait_for(lua_State *L)
{
    struct client_box *box = lua_touserdata(L, 1);
    struct tc_request_box *request = lua_touserdata(L, 2);
    while (request->request->state != TC_DONE) {
        tc_client_poll(box->client, SLICE);
        run_hooks(L);
        deliver(L, 1);
    }
    return 0;
}

/* Submits the params at `index` to the client at `client` and waits. Returns how much it pushed. */
static int generate(lua_State *L, int client, int index)
{
    if (!submit(L, client, index)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    int request = lua_gettop(L);
    struct tc_request_box *box = lua_touserdata(L, request);
    lua_pushcfunction(L, wait_for);
    lua_pushvalue(L, client);
    lua_pushvalue(L, request);
    if (lua_pcall(L, 2, 0, 0)) { /* interrupted: nobody will ask for the picture any more */
        tc_request_cancel(box->request);
        tc_writer_abort(&box->writer);
        lua_error(L);
    }
    return tc_request_push_result(L, request);
}

static int client_generate(lua_State *L)
{
    check_client(L, 1);
    tc_params_argument(L, 2);
    lua_settop(L, 2);
    return generate(L, 1, 2);
}

/* Pushes the client that thucchien.generate uses, made at the first call. */
static bool push_default_client(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, DEFAULT_CLIENT);
    if (!lua_isnil(L, -1))
        return true;
    lua_newtable(L); /* no options: all from the environment */
    int options = lua_gettop(L);
    if (!open_client(L, options, push_client(L)))
        return false;
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, DEFAULT_CLIENT);
    return true;
}

/* thucchien.generate(params) -> response | nil, err */
int tc_client_lua_generate(lua_State *L)
{
    tc_params_argument(L, 1);
    lua_settop(L, 1);
    luaL_checkstack(L, 40, NULL);
    if (push_default_client(L))
        return generate(L, lua_gettop(L), 1);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

void tc_register_client(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", client_close},
        {"__close", client_close},
        {"__tostring", client_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"generate", client_generate},
        {"close", client_close},
        {NULL, NULL},
    };
    tc_register_class(L, TC_CLIENT, metamethods, methods);
}
