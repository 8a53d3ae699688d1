/*
 * Tables of pictures: their bytes, and what those say; image:save.
 */
#ifndef TC_LUA_IMAGE_H
#define TC_LUA_IMAGE_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_image;

void tc_register_image(lua_State *L);

/* Pushes the table of a picture, with its bytes unless those were `streamed` elsewhere. */
void tc_push_image(lua_State *L, struct tc_image *image, bool streamed);

#endif
