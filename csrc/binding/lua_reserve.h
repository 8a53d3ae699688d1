/*
 * Memory for a large string that is made soon, prepared a little at a time.
 */
#ifndef TC_LUA_RESERVE_H
#define TC_LUA_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "lua_compat.h"

/* A block of Lua's allocator; all zero where there is none. */
struct tc_reserve {
    char *block;
    size_t size, touched; /* bytes, and how many of them are prepared */
};

/*
 * Prepares memory for a string of `size` bytes, for a quarter of a millisecond at most. Returns
 * whether it is done: if not, call again later.
 */
bool tc_reserve_make(lua_State *L, struct tc_reserve *reserve, size_t size);

/* Gives the block back to the allocator, prepared or not. */
void tc_reserve_give_back(lua_State *L, struct tc_reserve *reserve);

#endif
