/*
 * Responses of status 200 that have no picture, or none that is whole: why that is, and the errors.
 */
#ifndef TC_LUA_REFUSAL_H
#define TC_LUA_REFUSAL_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_subrequest;

/* Pushes why the model refused, as a string, or nil. Only for a document without a picture. */
void tc_push_refusal(lua_State *L, int document);

/* Did the model stop for this reason because of its token limit? */
bool tc_is_cut_off(const char *reason);

/* Pushes the error for an answer without a picture: the table at `answer`, and the refusal, or nil,
 * at `refusal`. */
void tc_push_no_image(lua_State *L, const struct tc_subrequest *sub, int answer, int refusal);

/* Pushes the error for pictures of a subrequest that are not whole. Returns false, and pushes
 * nothing, when all are. */
bool tc_push_fault(lua_State *L, const struct tc_subrequest *sub, int uservalue);

#endif
