/*
 * Params: from the table that a user wrote to an order, which the engine can carry out.
 */
#ifndef TC_LUA_PARAMS_H
#define TC_LUA_PARAMS_H

#include <stdbool.h>

#include "../engine/request.h"
#include "lua_compat.h"
#include "lua_models.h"

struct tc_defaults;

/* What is asked for: one request, or several that share it. */
struct tc_order {
    struct tc_request_options options; /* of each, but for key and body */
    enum tc_via via;
    unsigned count;                   /* pictures */
    unsigned at_once;                 /* of them, in one request */
    double ratio;                     /* width by height; 0: any */
    double own_ratio;                 /* what the model makes of that, as far as is known */
    bool json;                        /* no pictures at all: the answer itself is wanted */
    struct tc_body *body, *last_body; /* the last request may be for fewer; NULL: none */
};

/*
 * Reads and checks the params at `index` (a table or a string) for an order to the client whose
 * uservalue is at `lent`. True: `*order` is complete but for the key; the params there are replaced
 * by a plain table which has the model's name, the list of `warnings` and, under 1 and 2, what
 * holds the bodies; values on the stack anchor the options' strings. False: an error table is on
 * top.
 */
bool tc_params_read(lua_State *L, int index, int lent, const struct tc_defaults *defaults,
                    struct tc_order *order);

/* Raises, as Lua's own functions do, unless there is a table or a string at `index`. */
void tc_params_argument(lua_State *L, int index);

#endif
