/*
 * Refusals: why an answer that went well has no picture.
 */
#ifndef TC_LUA_REFUSAL_H
#define TC_LUA_REFUSAL_H

#include <stdbool.h>

struct tc_subrequest;

#include "lua_compat.h"

/* Pushes why the document, which has no picture, refuses to have one, as a string, or nil. */
void tc_push_refusal(lua_State *L, int document);

/* Is this reason, for which a model stopped, its token limit? */
bool tc_is_cut_off(const char *reason);

/* Pushes the error for an answer without a picture; `refusal` is the index of why, or of nil. */
void tc_push_no_image(lua_State *L, const struct tc_subrequest *sub, int answer, int refusal);

/* Pushes the error for an answer that came well, but with pictures that are not whole; false, and
 * nothing, when there are none. */
bool tc_push_fault(lua_State *L, const struct tc_subrequest *sub, int uservalue);

#endif
