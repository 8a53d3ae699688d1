/*
 * Memory for a large string: see lua_reserve.h.
 *
 * For a string of some megabytes Lua allocates a large block. If the process has not used that
 * memory before, the kernel provides each page when it is first written to. That takes several
 * times as long as copying the string: page faults would dominate the frame's time. So we allocate
 * a block beforehand, and write one byte of each of its pages, a few pages in each frame. Right
 * before the string is made we free the block, and the allocator uses what was just freed. If it
 * uses other memory instead, we have only lost that time.
 */
#include "lua_reserve.h"

#include "../base/clock.h"

/* LuaJIT's allocator has the kernel map each large block anew, so there is nothing to prepare; Lua
 * 5.5 takes a picture's buffer as it is. */
#if !defined(LUA_LJDIR) && LUA_VERSION_NUM < 505

enum {
    PAGE = 4096,             /* the smallest there is */
    STEP = 16 * PAGE,        /* between two looks at the clock */
    LEAST = 256 * 1024,      /* smaller strings cost no more than a frame's budget */
    MOST = 31 * 1024 * 1024, /* larger ones glibc maps anew: see tc_keep_pages */
    BESIDES = 64 * 1024,     /* for other values that are made before the string */
};

static const double MOMENT = 0.00025; /* seconds: half of what a budget takes */

/* Allocates (`from` is 0) or frees (`to` is 0) a block. */
static void *reallocate(lua_State *L, void *block, size_t from, size_t to)
{
    void *user;
    lua_Alloc allocate = lua_getallocf(L, &user);
    return allocate(user, block, from, to);
}

bool tc_reserve_make(lua_State *L, struct tc_reserve *reserve, size_t size)
{
    double until = tc_clock_now() + MOMENT;
    if (size < LEAST || size > MOST)
        return true;
    if (reserve->size < size) {
        tc_reserve_give_back(L, reserve);
        reserve->block = reallocate(L, NULL, 0, size + BESIDES);
        reserve->size = reserve->block ? size + BESIDES : 0;
    }
    while (reserve->touched < reserve->size) {
        reserve->block[reserve->touched] = 0;
        reserve->touched += PAGE;
        if (reserve->touched % STEP == 0 && tc_clock_now() >= until)
            break;
    }
    return reserve->touched >= reserve->size;
}

void tc_reserve_give_back(lua_State *L, struct tc_reserve *reserve)
{
    if (reserve->block)
        (void)reallocate(L, reserve->block, reserve->size, 0);
    *reserve = (struct tc_reserve){NULL, 0, 0};
}
#else
bool tc_reserve_make(lua_State *L, struct tc_reserve *reserve, size_t size)
{
    (void)L, (void)reserve, (void)size;
    return true;
}

void tc_reserve_give_back(lua_State *L, struct tc_reserve *reserve)
{
    (void)L, (void)reserve;
}
#endif
