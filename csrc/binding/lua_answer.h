/*
 * Answers: what is said around the pictures, and where those are that did not come along.
 */
#ifndef TC_LUA_ANSWER_H
#define TC_LUA_ANSWER_H

#include "lua_compat.h"

struct tc_part;

/*
 * Reads the answer of `part` at `document`, of whatever route: see there. Pushes
 *
 *     the answer, tidied: what a response has of it, without the pictures
 *     a list of places: { number = 1 } or { url = "https://..." }, with `item` where the server
 *     says more of a picture
 *     why the model refused, as a string, or nil
 */
void tc_read_answer(lua_State *L, int document, const struct tc_part *part);

#endif
