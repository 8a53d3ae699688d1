/*
 * Every allocation fails once, and from every one on all fail: ours, Lua's and libcurl's.
 *
 * A program with csrc/ compiled in, so that it can put its own functions behind all three. The
 * scenarios and the server they talk to are Lua's: scenarios.lua gives a list of functions, each
 * one request in all its parts, and `check`, which raises unless an ordinary request succeeds.
 *
 *     torture [STEP]    takes every STEP-th allocation; 1 takes all. Without it a sample is taken.
 *
 * It passes when nothing crashes, every scenario ends in a result or a clean error, the next
 * request succeeds, and allocations of all three have failed. Leaks are the sanitizer's to find, if
 * this is built with it.
 */
#define _GNU_SOURCE /* RTLD_NODELETE */

#include <curl/curl.h>
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "thucchien.h"

enum source { OURS, LUAS, LIBCURLS, SOURCES };
static const char *const source_names[] = {"ours", "Lua's", "libcurl's"};

/* lua-cjson loses its buffer when Lua has no memory while it encodes. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:cjson.so\n";
}

enum { SAMPLE = 31 }; /* a step that takes some seconds */

static long failed[SOURCES]; /* allocations of each, so far */

enum mode { ONCE, FROM_THERE_ON };
static const char *const mode_names[] = {"once", "from there on"};

/* Which allocation of which source fails; `left` counts down to it. */
static struct {
    bool armed, hit;
    enum source source;
    enum mode mode;
    long left;
    int retries; /* Lua asks again after a collection; that fails too */
} plan;

static bool fails(enum source source)
{
    if (!plan.armed || plan.source != source)
        return false;
    if (plan.hit) {
        if (plan.mode == ONCE && plan.retries == 0)
            return false;
        plan.retries--;
        return true;
    }
    if (--plan.left > 0)
        return false;
    plan.hit = true;
    plan.retries = source == LUAS ? 1 : 0;
    return true;
}

static void *our_realloc(void *old, size_t size)
{
    return fails(OURS) ? NULL : realloc(old, size);
}

static void *lua_allocate(void *unused, void *old, size_t old_size, size_t size)
{
    (void)unused;
    if (size == 0) {
        free(old);
        return NULL;
    }
    bool grows = !old || size > old_size; /* shrinking must not fail */
    return grows && fails(LUAS) ? NULL : realloc(old, size);
}

static void *curl_malloc(size_t size)
{
    return fails(LIBCURLS) ? NULL : malloc(size);
}

static void *curl_realloc(void *old, size_t size)
{
    return fails(LIBCURLS) ? NULL : realloc(old, size);
}

static char *curl_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fails(LIBCURLS) ? NULL : malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static void *curl_calloc(size_t count, size_t size)
{
    return fails(LIBCURLS) ? NULL : calloc(count, size);
}

/* Calls what is on top, and disarms. */
static bool call(lua_State *L, const char **error)
{
    bool well = lua_pcall(L, 0, 0, 0) == 0;
    plan.armed = false;
    *error = well ? "" : luaL_tolstring(L, -1, NULL);
    return well;
}

static void give_up(const char *what, const char *error, const char *scenario)
{
    fprintf(stderr, "%s: %s: %s allocation failing %s: %s\n", scenario, what,
            source_names[plan.source], mode_names[plan.mode], error);
    exit(1);
}

/* Runs the scenario at `index` with one allocation failing. Returns whether there was so late a
 * one. */
static bool run(lua_State *L, int index, const char *name, long number)
{
    const char *error;
    lua_pushvalue(L, index);
    plan.left = number;
    plan.hit = false;
    plan.armed = true;
    bool well = call(L, &error);
    if (!well && !strstr(error, "emory"))
        give_up("an error that is not about memory", error, name);
    lua_settop(L, index);
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_getglobal(L, "check");
    if (!call(L, &error))
        give_up("the next request failed", error, name);
    lua_settop(L, index);
    return plan.hit;
}

static long run_all(lua_State *L, int index, const char *name, long step)
{
    long runs = 0;
    for (plan.source = OURS; plan.source < SOURCES; plan.source++)
        for (plan.mode = ONCE; plan.mode <= FROM_THERE_ON; plan.mode++) {
            long number = 1 + runs % step; /* not the same ones for all */
            while (run(L, index, name, number)) {
                number += step;
                runs++;
                failed[plan.source]++;
            }
        }
    return runs;
}

/* Keeps lua-cjson loaded to the end, so that a leak of its own can be told by its name. */
static void pin_cjson(lua_State *L)
{
    if (!luaL_dostring(L, "return package.searchpath('cjson', package.cpath)") &&
        lua_isstring(L, -1))
        (void)dlopen(lua_tostring(L, -1), RTLD_NOW | RTLD_NODELETE);
    lua_settop(L, 0);
}

static lua_State *open_state(void)
{
    lua_State *L = lua_newstate(lua_allocate, NULL);
    if (!L)
        return NULL;
    luaL_openlibs(L);
    (void)luaL_dostring(L, "package.path = './lua/?.lua;./?.lua;' .. package.path");
    pin_cjson(L);
    luaL_requiref(L, "thucchien", luaopen_thucchien, 0);
    lua_pop(L, 1);
    return L;
}

/* A source whose allocations never failed was not put to the test: its hook is lost. */
static bool all_failed(void)
{
    for (int source = 0; source < SOURCES; source++)
        if (!failed[source])
            printf("not ok - no allocation of %s failed\n", source_names[source]);
    return failed[OURS] && failed[LUAS] && failed[LIBCURLS];
}

int main(int argc, char **argv)
{
    long step = argc > 1 ? atol(argv[1]) : SAMPLE;
    curl_global_init_mem(CURL_GLOBAL_ALL, curl_malloc, free, curl_realloc, curl_strdup,
                         curl_calloc);
    tc_alloc_hook(our_realloc);
    lua_State *L = open_state();
    if (!L || luaL_dofile(L, "spec/torture/scenarios.lua")) {
        fprintf(stderr, "%s\n", L ? lua_tostring(L, -1) : "no memory");
        return 1;
    }
    int list = lua_gettop(L), count = (int)lua_rawlen(L, list);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i);
        lua_getfield(L, -1, "name");
        lua_getfield(L, -2, "run");
        printf("ok %d - %s", i, lua_tostring(L, -2));
        printf(": %ld failing allocations\n", run_all(L, list + 3, lua_tostring(L, -2), step));
        (void)fflush(stdout);
        lua_settop(L, list);
    }
    printf("1..%d\n", count);
    lua_close(L);
    return all_failed() ? 0 : 1;
}
