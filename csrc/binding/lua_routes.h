/*
 * Routes: the ways to ask for a picture.
 */
#ifndef TC_LUA_ROUTES_H
#define TC_LUA_ROUTES_H

#include <stdbool.h>

#include "../engine/request.h"
#include "lua_compat.h"
#include "lua_models.h"

/* A route. */
struct tc_route {
    const char *name; /* "chat" */
    enum tc_base base;
    const char *path; /* "{model}" stands for the model's name */
    enum tc_credentials credentials;

    /*
     * Pushes the pieces of a request's body (see tc_push_body): of the table at `body`, and of the
     * conversation at `turns` if the route has one. False: an error table is on top.
     */
    bool (*write)(lua_State *L, int body, int turns);
};

const struct tc_route *tc_route(enum tc_via via);

/* Where a response of any route has pictures. */
enum { TC_PICTURE_RULES = 26 };
extern const struct tc_rule tc_picture_rules[TC_PICTURE_RULES];

/* Finds the route of that name. Returns false when there is none. */
bool tc_via_of(const char *name, enum tc_via *via);

#endif
