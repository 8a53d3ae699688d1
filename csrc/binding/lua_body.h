/*
 * Bodies of requests: JSON with gaps, into which the pictures' base64 is encoded while it is sent.
 */
#ifndef TC_LUA_BODY_H
#define TC_LUA_BODY_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_body;

void tc_register_body(lua_State *L);

/* Pushes the conversation that the params' history, images and prompt make. False: an error table.
 */
bool tc_push_turns(lua_State *L, int params);

/* Pushes the value at `index` as JSON. False: an error table. */
bool tc_push_encoded(lua_State *L, int index);

bool tc_write_images(lua_State *L, int body, int turns);
bool tc_write_chat(lua_State *L, int body, int turns);
bool tc_write_gemini(lua_State *L, int body, int turns);

/* Pushes a userdata that holds the body made of the pieces at `pieces`, and its pictures. */
struct tc_body *tc_push_body(lua_State *L, int pieces);

#endif
