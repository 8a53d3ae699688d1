/*
 * Refusals: why an answer that went well has no picture.
 */
#ifndef TC_LUA_REFUSAL_H
#define TC_LUA_REFUSAL_H

#include <stdbool.h>

#include "lua_compat.h"

/* Pushes why the document, which has no picture, refuses to have one, as a string, or nil. */
void tc_push_refusal(lua_State *L, int document);

/* Is this reason, for which a model stopped, its token limit? */
bool tc_is_cut_off(const char *reason);

#endif
