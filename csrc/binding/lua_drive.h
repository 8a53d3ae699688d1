/*
 * Drives a client: waits for its requests, and hands out what they have brought.
 */
#ifndef TC_LUA_DRIVE_H
#define TC_LUA_DRIVE_H

#include "lua_compat.h"

struct tc_client_box;

/* Of the client's uservalue: the first error of each sort that nobody has seen. */
#define TC_RAISED    "raised"
#define TC_INTERRUPT "interrupt"

void tc_register_drive(lua_State *L);

/* Raises where functions of the user's that were called from here call this, over and over: Lua's
 * stack has an end, and nothing is lost as long as that is not reached. */
void tc_drive_check_depth(lua_State *L, const struct tc_client_box *box);

/*
 * Drives the client at `client` until the request at `request` is over or tc_clock_now() is past
 * `until`. Returns what lua_pcall does: an error is on top if Lua was interrupted. Whoever waits
 * inside a function of the user's lets others wait for their news.
 */
int tc_drive_wait(lua_State *L, int client, int request, double until);

/* client:poll([seconds]) -> active */
int tc_drive_lua_poll(lua_State *L);

/* client:action([fd, events]) -> active: for a driver, in place of poll */
int tc_drive_lua_action(lua_State *L);

#endif
