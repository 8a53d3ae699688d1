/*
 * frames BASE CONCURRENT IMAGES ROUNDS [sink | PATH]: a game's loop, and what the module takes of
 * its frames.
 *
 * A round is CONCURRENT requests of IMAGES pictures at once. The loop makes 60 frames a second, and
 * in each one call of client:poll(0), until all have ended. Prints for each poll the microseconds
 * of this thread's CPU and of the wall's clock. Lua's own work (the strings of the pictures, the
 * callbacks, the collector) is part of that. With `sink` the pictures are handed out in pieces,
 * with a PATH they are saved there, under a number each.
 *
 * frames BASE idle COUNT: one request that the server holds back, and COUNT polls; prints
 * nanoseconds of CPU for a poll when nothing is in flight, and for one that waits for that request.
 *
 * frames BASE string BYTES: microseconds of CPU for a Lua string of that size in fresh memory. A
 * picture cannot cost less: where page faults are dear, as in virtual machines, it is most of it.
 *
 * frames BASE burst COUNT: so many requests at once; prints the seconds until all have ended.
 */
#define _POSIX_C_SOURCE 200809L

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../csrc/thucchien.h"

static const long FRAME = 1000000000 / 60; /* nanoseconds */

static const char script[] =
    "local base, taker = ...\n"
    "client = assert(require('thucchien').new {\n"
    "    base_url = base, api_key = 'sk-bench', max_concurrency = 1000,\n"
    "})\n"
    "images, count = 0, 0\n"
    "function submit(n)\n"
    "    count = count + 1\n"
    "    assert(client:submit({ prompt = 'x', n = n, model = 'bench',\n"
    "        on_image = function() images = images + 1 end,\n"
    "        sink = taker == 'sink' and function() return true end or nil,\n"
    "        save = taker ~= 'sink' and taker and taker .. count or nil,\n"
    "    }, function(response, err) if err then error(tostring(err), 0) end end))\n"
    "end\n"
    "function poll() return client:poll(0) end\n"
    "function wait() return client:poll(0.5) end\n";

static double microseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void fail(lua_State *L)
{
    fprintf(stderr, "frames: Error: %s\n", lua_tostring(L, -1));
    exit(1);
}

static void preload(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_thucchien);
    lua_setfield(L, -2, "thucchien");
    lua_pop(L, 2);
}

static void submit(lua_State *L, int count, int images)
{
    for (int i = 0; i < count; i++) {
        lua_getglobal(L, "submit");
        lua_pushinteger(L, images);
        if (lua_pcall(L, 1, 0, 0))
            fail(L);
    }
}

/* Calls one of the script's functions: how many requests are under way. */
static int call(lua_State *L, const char *name)
{
    lua_getglobal(L, name);
    if (lua_pcall(L, 0, 1, 0))
        fail(L);
    int active = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return active;
}

static void run_round(lua_State *L, int concurrent, int images)
{
    struct timespec next;
    int active = 1;
    submit(L, concurrent, images);
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (active > 0) {
        double wall = microseconds(CLOCK_MONOTONIC), cpu = microseconds(CLOCK_THREAD_CPUTIME_ID);
        active = call(L, "poll");
        cpu = microseconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
        printf("%.1f %.1f\n", cpu, microseconds(CLOCK_MONOTONIC) - wall);
        next.tv_nsec += FRAME;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}

static double nanoseconds_a_poll(lua_State *L, int count)
{
    double start = microseconds(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < count; i++)
        call(L, "poll");
    return (microseconds(CLOCK_THREAD_CPUTIME_ID) - start) * 1e3 / count;
}

static void measure_idle(lua_State *L, int count)
{
    double nothing = nanoseconds_a_poll(L, count);
    submit(L, 1, 1);
    for (int i = 0; i < 100; i++) { /* until it is sent */
        struct timespec pause = {0, 1000000};
        call(L, "poll");
        nanosleep(&pause, NULL);
    }
    printf("%.0f %.0f\n", nothing, nanoseconds_a_poll(L, count));
    while (call(L, "wait") > 0) {
    }
}

static void measure_string(lua_State *L, size_t size)
{
    char *bytes = malloc(size);
    if (!bytes)
        return;
    for (int i = 0; i < 20; i++) {
        memset(bytes, i, size);
        double start = microseconds(CLOCK_THREAD_CPUTIME_ID);
        lua_pushlstring(L, bytes, size);
        printf("%.1f\n", microseconds(CLOCK_THREAD_CPUTIME_ID) - start);
    }
    free(bytes);
}

static void measure_burst(lua_State *L, int count)
{
    double start = microseconds(CLOCK_MONOTONIC);
    submit(L, count, 1);
    while (call(L, "wait") > 0) {
    }
    printf("%.3f\n", (microseconds(CLOCK_MONOTONIC) - start) / 1e6);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr,
                "usage: frames BASE CONCURRENT IMAGES ROUNDS [sink | PATH] | idle COUNT | string "
                "BYTES | burst COUNT\n");
        return 2;
    }
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    preload(L);
    luaL_loadstring(L, script);
    lua_pushstring(L, argv[1]);
    lua_pushstring(L, argc > 5 ? argv[5] : NULL);
    if (lua_pcall(L, 2, 0, 0))
        fail(L);
    if (!strcmp(argv[2], "idle"))
        measure_idle(L, atoi(argv[3]));
    else if (!strcmp(argv[2], "string"))
        measure_string(L, (size_t)atol(argv[3]));
    else if (!strcmp(argv[2], "burst"))
        measure_burst(L, atoi(argv[3]));
    else
        for (int i = 0; argc > 4 && i < atoi(argv[4]); i++)
            run_round(L, atoi(argv[2]), atoi(argv[3]));
    lua_close(L);
    return 0;
}
