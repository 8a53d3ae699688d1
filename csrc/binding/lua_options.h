/*
 * A client's options, all but its key.
 */
#ifndef TC_LUA_OPTIONS_H
#define TC_LUA_OPTIONS_H

#include <stdbool.h>

#include "../engine/client.h"
#include "lua_compat.h"
#include "lua_fields.h"

struct tc_options {
    struct tc_settings client;
    struct tc_defaults defaults;
};

/*
 * Reads the options in the table at `index`; for some that are absent, the environment. False: an
 * error table is on top. `options` points to strings that are on the stack or in the environment.
 */
bool tc_options_read(lua_State *L, int index, struct tc_options *options);

#endif
