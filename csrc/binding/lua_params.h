/*
 * Params: the table that a user wrote is read into a job.
 */
#ifndef TC_LUA_PARAMS_H
#define TC_LUA_PARAMS_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_defaults;
struct tc_job;

/*
 * Reads the params at `index`, a table or a string, into `job`. They are checked; a plain table of
 * them, with the model's name, is put into the job's uservalue, which is at `uservalue`, and so are
 * `shape`, `warnings`, `body` and `last_body`. Strings that the options point to stay on the stack.
 * The key is left to the caller. False: an error table is on top.
 */
bool tc_params_read(lua_State *L, int index, int uservalue, const struct tc_defaults *defaults,
                    struct tc_job *job);

/* Raises, as Lua's own functions do, unless there is a table or a string at `index`. */
void tc_params_argument(lua_State *L, int index);

#endif
