/*
 * The client userdata, and its driver: a host's own event loop, which watches the client's sockets
 * and its deadline in place of poll.
 */
#ifndef TC_LUA_DRIVER_H
#define TC_LUA_DRIVER_H

#include <stdbool.h>

#include "../engine/client.h"
#include "lua_compat.h"
#include "lua_fields.h"
#include "lua_reserve.h"

#define TC_CLIENT "thucchien.client"

struct tc_client_box {
    struct tc_client *client; /* NULL once it was freed; it may be closed before that */
    char *api_key; /* a copy; NULL: the key is from the user's function or the environment */
    struct tc_defaults defaults;
    double deadline; /* given to the driver's timer; -1: none, NaN: unknown, give it again */
    bool has_timer;  /* false for a driver that has a waiter alone */
    struct tc_reserve reserve; /* memory for the string of the next picture */
    unsigned call_depth;       /* how many calls of the user's functions are nested at present */
};

void tc_register_driver(lua_State *L);

/* The client userdata at `index`; raises where there is another value. */
struct tc_client_box *tc_check_client(lua_State *L, int index);

/* The same without a check. */
struct tc_client_box *tc_client_box(lua_State *L, int index);

bool tc_client_box_is_open(const struct tc_client_box *box);

/* client:set_driver(driver | nil) */
int tc_driver_lua_set(lua_State *L);

/*
 * Calls the driver's `watch` for each socket whose events have changed, or that is not to be
 * watched any more. The client's uservalue is at `uservalue`. Call it before any function of the
 * user's: libcurl may have closed a socket, and a file that the function opens would get the same
 * number. After each call the client may have another driver. If the driver raises an error, this
 * raises it, and reports the change again the next time.
 */
void tc_driver_sync_sockets(lua_State *L, struct tc_client_box *box, int uservalue);

/* The same, and then calls the driver's `timer` if the deadline has changed. */
void tc_driver_sync(lua_State *L, struct tc_client_box *box, int uservalue);

/* The same for the client userdata at `client`. */
void tc_driver_sync_client(lua_State *L, int client);

/* Pushes the function `name` of the driver of the client userdata at `client`. Returns false, and
 * pushes nothing, if there is none. */
bool tc_driver_push_function(lua_State *L, int client, const char *name);

#endif
