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
 * NULL). Raises instead when the failure is want of memory.
 */
void tc_push_failure(lua_State *L, const struct tc_failure *failure,
                     const struct tc_request *request);

/* The same for a response of status 200 that is none of use: adds the status, the attempts and
 * whether it may be billed. */
void tc_push_failed_success(lua_State *L, const struct tc_request *request,
                            struct tc_failure *failure);

/* Pushes an error table of `kind` for the field `param` (or NULL); the message as lua_pushfstring
 * makes it. */
void tc_push_error(lua_State *L, enum tc_kind kind, const char *param, const char *format, ...);

#endif
