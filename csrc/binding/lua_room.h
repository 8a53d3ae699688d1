/*
 * Room for a large string, made ready a little at a time.
 */
#ifndef TC_LUA_ROOM_H
#define TC_LUA_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "lua_compat.h"

/* Memory of Lua's allocator for a string to come. All zero is none. */
struct tc_room {
    char *block;
    size_t size, touched; /* bytes; of them, those that are ready */
};

/*
 * Gets room for a string of `size` bytes ready, as far as that goes in a quarter of a millisecond.
 * Returns whether it is: if not, call again later.
 */
bool tc_room_make(lua_State *L, struct tc_room *room, size_t size);

/* Gives the room back to the allocator, ready or not. */
void tc_room_give_back(lua_State *L, struct tc_room *room);

#endif
