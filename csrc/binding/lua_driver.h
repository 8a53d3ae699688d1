/*
 * The client userdata, and the driver: a host's own event loop, which watches the client's sockets
 * and its timer.
 */
#ifndef TC_LUA_DRIVER_H
#define TC_LUA_DRIVER_H

#include <stdbool.h>

#include "../engine/client.h"
#include "lua_compat.h"
#include "lua_fields.h"
#include "lua_room.h"

#define TC_CLIENT "thucchien.client"

struct tc_client_box {
    struct tc_client *client; /* closed: its multi handle is gone; NULL: all is */
    char *api_key;            /* NULL: the environment's, or a function's */
    struct tc_defaults defaults;
    double timer;   /* when the driver was told to call back; below 0: never; NaN: tell it anew */
    bool has_timer; /* the driver: one with a waiter alone has none */
    struct tc_room room; /* for the string of the next picture */
    unsigned calls;      /* of the user's functions, one inside another */
};

void tc_register_driver(lua_State *L);

/* The client userdata at `index`; raises where there is another value. */
struct tc_client_box *tc_check_client(lua_State *L, int index);

bool tc_client_is_open(const struct tc_client_box *box);

/* The engine's client of the userdata at `index`. */
struct tc_client *tc_client_of(lua_State *L, int index);

/* How many of the user's functions are being called for the client at `index`, one inside another.
 */
unsigned *tc_client_calls(lua_State *L, int index);

/* client:set_driver(driver | nil) */
int tc_driver_lua_set(lua_State *L);

/*
 * Tells the driver, if there is one, which sockets to watch and which not any more. The client's
 * uservalue is at `uservalue`. Always before a function of the user's is called: libcurl may have
 * closed a socket, and a file that the function opens may get its number. The driver may be another
 * one after each of its functions. Raises what it raises: it will be told again.
 */
void tc_driver_sync_sockets(lua_State *L, struct tc_client_box *box, int uservalue);

/* Tells the driver, if there is one, what has changed. */
void tc_driver_sync(lua_State *L, struct tc_client_box *box, int uservalue);

/* Tells the driver of the client at `client`, if it has one, what has changed. */
void tc_client_sync(lua_State *L, int client);

/* Pushes the function `name` of the driver of the client at `client`; false, and nothing, if there
 * is none. */
bool tc_client_push_driver(lua_State *L, int client, const char *name);

#endif
