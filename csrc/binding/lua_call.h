/*
 * Requests that are not for pictures: any JSON route of the gateway.
 */
#ifndef TC_LUA_CALL_H
#define TC_LUA_CALL_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_defaults;
struct tc_job;

/* Reads what client:call takes, at `index`, into `job`, as tc_params_read does params. */
bool tc_call_read(lua_State *L, int index, int uservalue, const struct tc_defaults *defaults,
                  struct tc_job *job);

#endif
