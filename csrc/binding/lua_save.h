/*
 * Pictures that become files: `save` of the params, while they arrive, and image:save.
 */
#ifndef TC_LUA_SAVE_H
#define TC_LUA_SAVE_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_request_box;
struct tc_part;

void tc_register_save(lua_State *L);

/* Can `count` files be written as the fields `save`, `if_exists` and `fsync` say? Pushes an error
 * table when not. */
bool tc_check_save(lua_State *L, int table, unsigned count);

/*
 * For a part of the request whose uservalue is at `state`: writes what picture `index` of its
 * answer, under way, has; ends the picture's file and sets the `path` of its table, which is on
 * top. `number` is the picture's in the request.
 */
void tc_save_bytes(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                   unsigned index, unsigned number);
void tc_save_image(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                   unsigned index, unsigned number);

/* The same for a picture of which not all came: its file gets a name that says so. */
void tc_save_cut(lua_State *L, struct tc_part *part, unsigned index);

/* Does the name say a format of pictures, and not the one that has the extension `ext`? */
bool tc_is_misnamed(const char *path, const char *ext);

/* image:save(path [, options]) */
int tc_image_save(lua_State *L);

#endif
