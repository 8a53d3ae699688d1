/*
 * Responses as Lua sees them: what the answers say, and the pictures in their order.
 */
#ifndef TC_LUA_RESPONSE_H
#define TC_LUA_RESPONSE_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_part;
struct tc_request;
struct tc_request_box;

/* JSON null to nil, and whole numbers to integers where Lua has those, all the way down. */
void tc_tidy(lua_State *L, int table);

/* Pushes the answer of a request that succeeded as a table. False: an error table is on top. */
bool tc_push_answer(lua_State *L, const struct tc_request *request);

/* Pushes the error for an answer without a picture; `refusal` is the index of why, or of nil. */
void tc_push_no_image(lua_State *L, const struct tc_part *part, int answer, int refusal);

/* Pushes the error for an answer that came well, but with pictures that are not whole; false, and
 * nothing, when there are none. */
bool tc_push_fault(lua_State *L, const struct tc_part *part, int state);

/* Pushes the answer of a request that is not for pictures, or a table that is a field of it. False:
 * an error table is on top instead. */
bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field);

/* Pushes the response of a request that is over, whose uservalue is at `state`. False: an error
 * table is on top instead. */
bool tc_push_response(lua_State *L, const struct tc_request_box *box, int state);

#endif
