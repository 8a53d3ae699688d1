/*
 * Answers. An answer is the JSON of the server's response to one subrequest, decoded. It says where
 * the pictures belong, and other things.
 */
#ifndef TC_LUA_ANSWER_H
#define TC_LUA_ANSWER_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_subrequest;
struct tc_request;

/* Stack indices of what tc_read_answer pushed. */
struct tc_answer {
    int fields;  /* a table: the fields for the user's response, without the pictures */
    int slots;   /* a list, one slot for each picture in its order: { number = 1 } for a picture
                  * that is in the response, { url = "https://..." } for one that has to be fetched.
                  * `item` is a table with what else the server says of the picture, or nil */
    int refusal; /* why the model refused, a string, or nil */
};

/* Reads the answer to `sub`, the table at `document`. The route does not matter. */
struct tc_answer tc_read_answer(lua_State *L, int document, const struct tc_subrequest *sub);

/* Decodes the response of a request that succeeded, and pushes the table. False: an error table is
 * on top. */
bool tc_push_answer(lua_State *L, const struct tc_request *request);

/* The same for a request that is not for pictures, ready for the user. With `field` (or NULL) it
 * pushes the table that is in that field. */
bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field);

#endif
