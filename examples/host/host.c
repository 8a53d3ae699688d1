// A C program with Lua and thucchien inside: what a game engine does, as small as it gets. Its loop
// makes 60 frames a second, and asks the script once a frame to move the requests on.
//
//     cc -I/usr/include/lua5.4 host.c csrc/*/*.c -llua5.4 -lcurl -o host
//     ./host "a bridge in fog" bridge          saves bridge.png
//     ./host script.lua [argument...]          a script, with a function `frame` or without
//
// The module takes lua-cjson if the Lua inside finds it.
#define _POSIX_C_SOURCE 200809L

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int luaopen_thucchien(lua_State *L);

static const long FRAME = 1000000000 / 60; /* nanoseconds */

/* The game: frame() is called once a frame, until it says that there is nothing left to do. */
static const char game[] =
    "local client = assert(require('thucchien').new())\n"
    "local done\n"
    "local request, err = client:submit({ prompt = arg[1], save = arg[2] or 'picture',\n"
    "    on_progress = function(received, total) print('received', received, total) end,\n"
    "}, function(response, err)\n"
    "    if not response then error(tostring(err), 0) end\n"
    "    print(response.data[1].path, response.data[1].size .. ' bytes')\n"
    "    done = true\n"
    "end)\n"
    "if not request then error(tostring(err), 0) end\n"
    "function frame() client:poll(0) return not done end\n";

/* From here on require("thucchien") finds the copy that is linked in. */
static void preload(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_thucchien);
    lua_setfield(L, -2, "thucchien");
    lua_pop(L, 2);
}

/* The table arg as the lua program makes it: arg[0] is argv[base]. */
static void set_arg(lua_State *L, int argc, char **argv, int base)
{
    lua_newtable(L);
    for (int i = base; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - base);
    }
    lua_setglobal(L, "arg");
}

/* One frame of the script's. 1: go on, 0: it is over, -1: an error, whose text is on top. */
static int run_frame(lua_State *L)
{
    lua_getglobal(L, "frame");
    if (lua_isnil(L, -1))
        return 0;
    if (lua_pcall(L, 0, 1, 0))
        return -1;
    int more = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return more;
}

static void add(struct timespec *moment, long nanoseconds)
{
    moment->tv_nsec += nanoseconds;
    moment->tv_sec += moment->tv_nsec / 1000000000;
    moment->tv_nsec %= 1000000000;
}

int main(int argc, char **argv)
{
    struct timespec next;
    int frames = 0, more = 1;
    if (argc < 2) {
        fprintf(stderr, "usage: %s PROMPT [FILE] | SCRIPT.lua [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    size_t length = strlen(argv[1]);
    int script = length > 4 && !strcmp(argv[1] + length - 4, ".lua");
    lua_State *L = luaL_newstate();
    if (!L)
        return 1;
    luaL_openlibs(L);
    preload(L);
    set_arg(L, argc, argv, script ? 1 : 0);
    int failed = script ? luaL_dofile(L, argv[1]) : luaL_dostring(L, game);
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!failed && (more = run_frame(L)) > 0) {
        /* Here a game moves its world and draws it. */
        frames++;
        add(&next, FRAME);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    failed = failed || more < 0;
    if (failed)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    else
        printf("%d frames\n", frames);
    lua_close(L);
    return failed;
}
