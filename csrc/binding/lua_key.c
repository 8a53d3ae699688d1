/*
 * The API key: see lua_key.h.
 */
#include "lua_key.h"

#include "../base/alloc.h"
#include "lua_failure.h"
#include "lua_hooks.h"

#include <stdlib.h>
#include <string.h>

/* Why `key` cannot be a key, or NULL. The message does not show it. The characters that are looked
 * for are those that come along when a key is copied from a file, a web page or a shell. */
static const char *wrong_key(const char *key, size_t size)
{
    static const char quotes[] = "\"'`";
    if (!size)
        return "the API key is an empty string";
    if (size >= 3 && !memcmp(key, "\xef\xbb\xbf", 3))
        return "the API key has a byte order mark before it (a file saved with one?)";
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)key[i] <= 0x20 || key[i] == 0x7f)
            return "the API key has a space or a control character (a line break at its end?)";
        if ((unsigned char)key[i] >= 0x80)
            return "the API key has a character that is not ASCII (a space of no width, a quote?)";
    }
    if (strchr(quotes, key[0]) || strchr(quotes, key[size - 1]))
        return "the API key has a quote at its beginning or end: leave quotes out";
    return NULL;
}

bool tc_key_read(lua_State *L, int index, int uservalue, char **own)
{
    size_t size;
    lua_getfield(L, index, "api_key");
    if (lua_isfunction(L, -1)) {
        lua_setfield(L, uservalue, "api_key");
        return true;
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        const char *key = lua_tolstring(L, -1, &size), *wrong = wrong_key(key, size);
        if (wrong) {
            tc_push_error(L, TC_INVALID_REQUEST, "api_key", "option 'api_key': %s", wrong);
            return false;
        }
        *own = tc_strndup(key, size);
        if (!*own)
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

/* Calls the user's function on top, which returns the key; that stays on the stack. If the function
 * raises an error, there is no key; but an interrupt is raised again. */
static bool call_for_key(lua_State *L, const char **key)
{
    size_t size;
    bool interrupted;
    int status = tc_hooks_pcall(L, 0, 1, &interrupted);
    if (interrupted || (status && status != LUA_ERRRUN))
        lua_error(L);
    if (status) {
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

bool tc_key_find(lua_State *L, int uservalue, const char *own, const char **key)
{
    *key = own;
    if (*key)
        return true;
    lua_getfield(L, uservalue, "api_key");
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

void tc_key_wipe(char **own)
{
    if (*own)
        tc_wipe(*own, strlen(*own));
    tc_free(*own);
    *own = NULL;
}
