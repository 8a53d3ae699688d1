/*
 * Bodies of requests: pieces of JSON, and pictures between them, which become base64 while they are
 * sent.
 */
#ifndef TC_LUA_BODY_H
#define TC_LUA_BODY_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_body;

void tc_register_body(lua_State *L);

/* Pushes the conversation that history, images and prompt of the params make: a list of turns.
 * False: an error table is on top. */
bool tc_push_turns(lua_State *L, int params);

/* Pushes the value at `index` as JSON. False: an error table is on top. */
bool tc_push_encoded(lua_State *L, int index);

/* The routes' writers: see struct tc_route. */
bool tc_write_images(lua_State *L, int body, int turns);
bool tc_write_chat(lua_State *L, int body, int turns);
bool tc_write_gemini(lua_State *L, int body, int turns);

/* Pushes a userdata that holds the body made of the list of pieces at `pieces`. */
struct tc_body *tc_push_body(lua_State *L, int pieces);

#endif
