/*
 * Answers: the server's response to one subrequest, decoded. What it says beside the pictures, and
 * where pictures belong.
 */
#ifndef TC_LUA_ANSWER_H
#define TC_LUA_ANSWER_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_subrequest;
struct tc_request;

/* Stack indices of what tc_read_answer pushed. */
struct tc_answer {
    int fields;  /* a table: what a response has of it, tidied, without the pictures */
    int slots;   /* a list of where pictures belong: { number = 1 } for one that came along,
                  * { url = "https://..." } for one that has to be fetched; with `item` where the
                  * server says more of it */
    int refusal; /* why the model refused, a string, or nil */
};

/* Reads the decoded response of `sub`, of any route, which is the table at `document`. */
struct tc_answer tc_read_answer(lua_State *L, int document, const struct tc_subrequest *sub);

/* Pushes the answer of a request that succeeded as a table. False: an error table is on top. */
bool tc_push_answer(lua_State *L, const struct tc_request *request);

/* Pushes the answer of a request that is not for pictures, or a table that is a field of it. False:
 * an error table is on top instead. */
bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field);

#endif
