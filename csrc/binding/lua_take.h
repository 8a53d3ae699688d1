/*
 * Takes away what a subrequest has brought, and gives it to those who want it.
 */
#ifndef TC_LUA_TAKE_H
#define TC_LUA_TAKE_H

#include "lua_compat.h"

struct tc_subrequest;
struct tc_job;

/* Called protected for a request, by this name of tc_own_push, with its userdata and a subrequest
 * as a light userdata: hands out what has come. */
#define TC_GIVE "give"

void tc_register_take(lua_State *L);

/* Takes away what a subrequest of the request at `index` has brought, and gives it to those who
 * want it. Its transfer stands still meanwhile: what is looked at here stays where it is. */
void tc_take_all(lua_State *L, int index, struct tc_subrequest *sub);

/* Adds the pictures that nobody was given, as none of the user's functions is called any more, and
 * what came of the one under way. */
void tc_take_rest(lua_State *L, struct tc_job *job, struct tc_subrequest *sub, int uservalue);

#endif
