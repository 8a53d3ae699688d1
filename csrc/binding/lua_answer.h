/*
 * Answers: what is said around the pictures, and where those are that did not come along.
 */
#ifndef TC_LUA_ANSWER_H
#define TC_LUA_ANSWER_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_subrequest;
struct tc_request;

/*
 * Reads the answer of `sub` at `document`, of whatever route: see there. Pushes
 *
 *     the answer, tidied: what a response has of it, without the pictures
 *     a list of places: { number = 1 } or { url = "https://..." }, with `item` where the server
 *     says more of a picture
 *     why the model refused, as a string, or nil
 */
void tc_read_answer(lua_State *L, int document, const struct tc_subrequest *sub);

/* Pushes the answer of a request that succeeded as a table. False: an error table is on top. */
bool tc_push_answer(lua_State *L, const struct tc_request *request);

/* Pushes the answer of a request that is not for pictures, or a table that is a field of it. False:
 * an error table is on top instead. */
bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field);

#endif
