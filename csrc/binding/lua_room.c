/*
 * Room for a large string, made ready a little at a time: see tc_room_make.
 *
 * For a string of some megabytes Lua asks its allocator for as much. Where the process has not used
 * that memory before, the kernel hands it out page by page as it is written to, and that takes
 * several times as long as to copy the string: it would be most of a frame's hitch. So the room is
 * asked for before the string, one byte of each page is written to while a frame has the time, and
 * it is given back right before the string is made: the allocator takes what it has just got. If it
 * should take something else, nothing is lost but that time.
 */
#include "lua_room.h"

#include "../base/clock.h"

/* LuaJIT's allocator has the kernel map each large block anew, so there is nothing to make ready;
 * Lua 5.5 takes a picture's buffer as it is. */
#if !defined(LUA_LJDIR) && LUA_VERSION_NUM < 505

enum {
    PAGE = 4096,             /* the smallest there is */
    STEP = 16 * PAGE,        /* between two looks at the clock */
    LEAST = 256 * 1024,      /* smaller strings cost no more than a turn */
    MOST = 31 * 1024 * 1024, /* larger ones glibc maps anew: see tc_keep_pages */
    BESIDES = 64 * 1024,     /* for what else is made before the string */
};

static const double MOMENT = 0.00025; /* seconds: half of what a turn takes */

/* Has the allocator give (`from` is 0), or take back (`to` is 0), the room. */
static void *reallocate(lua_State *L, void *block, size_t from, size_t to)
{
    void *user;
    lua_Alloc allocate = lua_getallocf(L, &user);
    return allocate(user, block, from, to);
}

bool tc_room_make(lua_State *L, struct tc_room *room, size_t size)
{
    double until = tc_clock_now() + MOMENT;
    if (size < LEAST || size > MOST)
        return true;
    if (room->size < size) {
        tc_room_give_back(L, room);
        room->block = reallocate(L, NULL, 0, size + BESIDES);
        room->size = room->block ? size + BESIDES : 0;
    }
    while (room->touched < room->size) {
        room->block[room->touched] = 0;
        room->touched += PAGE;
        if (room->touched % STEP == 0 && tc_clock_now() >= until)
            break;
    }
    return room->touched >= room->size;
}

void tc_room_give_back(lua_State *L, struct tc_room *room)
{
    if (room->block)
        (void)reallocate(L, room->block, room->size, 0);
    *room = (struct tc_room){NULL, 0, 0};
}
#else
bool tc_room_make(lua_State *L, struct tc_room *room, size_t size)
{
    (void)L, (void)room, (void)size;
    return true;
}

void tc_room_give_back(lua_State *L, struct tc_room *room)
{
    (void)L, (void)room;
}
#endif
