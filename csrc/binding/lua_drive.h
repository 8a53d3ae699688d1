/*
 * Drives a client: moves its transfers on, waits for its requests, and delivers what they have
 * brought, which calls the user's functions.
 */
#ifndef TC_LUA_DRIVE_H
#define TC_LUA_DRIVE_H

#include "lua_compat.h"

struct tc_client_box;

/* Fields of the client's uservalue: the first error of each kind that was not raised yet. */
#define TC_RAISED    "raised"
#define TC_INTERRUPT "interrupt"

void tc_register_drive(lua_State *L);

/* Raises if the calls of user's functions are nested too deep: a function that is called from poll
 * may poll, and so on. Otherwise Lua's stack could overflow in the middle of a delivery. */
void tc_drive_check_depth(lua_State *L, const struct tc_client_box *box);

/*
 * Drives the client at `client` until the request at `request` is over or tc_clock_now() is past
 * `until`. Returns what lua_pcall does: an error is on top if Lua was interrupted. If a function of
 * the user's is being called, this delivers only to requests that such functions wait for.
 */
int tc_drive_wait(lua_State *L, int client, int request, double until);

/* client:poll([seconds]) -> active */
int tc_drive_lua_poll(lua_State *L);

/* client:action([fd, events]) -> active: for a driver, in place of poll */
int tc_drive_lua_action(lua_State *L);

#endif
