/*
 * The client userdata: its options, and how its requests are driven and their news handed out.
 */
#ifndef TC_LUA_CLIENT_H
#define TC_LUA_CLIENT_H

#include <stdbool.h>

#include "lua_compat.h"

struct tc_client;

void tc_register_client(lua_State *L);
int tc_client_lua_new(lua_State *L);
int tc_client_lua_generate(lua_State *L);

/*
 * Drives the client at `client` until the request at `request` is over or tc_clock_now() is past
 * `until`. Returns what lua_pcall does: an error is on top if Lua was interrupted. Whoever waits
 * inside a function of the user's lets others wait for their news.
 */
int tc_client_wait(lua_State *L, int client, int request, double until);

/* Pushes the function `name` of the driver of the client at `client`; false, and nothing, if there
 * is none. */
bool tc_client_push_driver(lua_State *L, int client, const char *name);

/* Tells the driver of the client at `client`, if it has one, what has changed. */
void tc_client_sync(lua_State *L, int client);

/* The engine's client of the userdata at `index`. */
struct tc_client *tc_client_of(lua_State *L, int index);

/* How many of the user's functions are being called for the client at `index`, one inside another.
 */
unsigned *tc_client_calls(lua_State *L, int index);

#endif
