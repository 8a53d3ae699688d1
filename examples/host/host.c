/*
 * A C program with Lua and thucchien inside: what a game engine does, as small as it gets.
 *
 *     cc host.c ../../csrc/*.c -I/usr/include/lua5.4 -llua5.4 -lcurl -o host
 *     ./host "a bridge in fog" bridge.png
 *     ./host script.lua [argument...]
 *
 * The module needs cjson; here the Lua inside finds it where it is installed.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

int luaopen_thucchien(lua_State *L);

static const char generate[] = /* runs with the table arg */
    "local response, err = require('thucchien').generate(arg[1])\n"
    "if not response then error(tostring(err), 0) end\n"
    "local path, why = response.data[1]:save(arg[2] or 'picture')\n"
    "if not path then error(tostring(why), 0) end\n"
    "print(path, response.data[1].size .. ' bytes')\n";

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
    int i;

    lua_newtable(L);
    for (i = base; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - base);
    }
    lua_setglobal(L, "arg");
}

static int is_script(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, ".lua") == 0;
}

int main(int argc, char **argv)
{
    lua_State *L;
    int script, failed;

    if (argc < 2) {
        fprintf(stderr, "usage: %s PROMPT [FILE] | SCRIPT.lua [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    L = luaL_newstate();
    if (L == NULL)
        return 1;
    luaL_openlibs(L);
    preload(L);
    script = is_script(argv[1]);
    set_arg(L, argc, argv, script ? 1 : 0);
    failed = script ? luaL_dofile(L, argv[1]) : luaL_dostring(L, generate);
    if (failed)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
    return failed != 0;
}
