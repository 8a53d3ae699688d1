/*
 * Errors as Lua sees them: tables with a kind, a message, and one readable line as their string.
 */
#ifndef TC_LUA_FAILURE_H
#define TC_LUA_FAILURE_H

#include "../engine/failure.h"
#include "lua_compat.h"

struct tc_request;

void tc_register_failure(lua_State *L);

/*
 * Pushes an error table for `failure`, with what is known from the response to `request` (may be
 * NULL). If the failure is that memory is short, it raises an error instead.
 */
void tc_push_failure(lua_State *L, const struct tc_failure *failure,
                     const struct tc_request *request);

/* The same for a response of status 200 that cannot be used. Fills in the failure's status and
 * attempts, and whether it may be billed. */
void tc_push_failed_success(lua_State *L, const struct tc_request *request,
                            struct tc_failure *failure);

/* Pushes an error table of `kind` for the field `param` (or NULL). The message is formatted as by
 * lua_pushfstring. */
void tc_push_error(lua_State *L, enum tc_kind kind, const char *param, const char *format, ...);

#endif
