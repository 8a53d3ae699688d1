/*
 * Reading tables of named fields, the options of a client and the params of a request, and
 * appending to lists.
 *
 * Functions that return false have pushed an error table. `noun` is what messages call a field:
 * "field" or "option".
 */
#ifndef TC_LUA_FIELDS_H
#define TC_LUA_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "../engine/request.h"
#include "lua_compat.h"

enum tc_type {
    TC_T_STRING,
    TC_T_WHOLE,
    TC_T_NUMBER,
    TC_T_BOOLEAN,
    TC_T_TABLE,
    TC_T_FUNCTION,
    TC_T_ANY
};

struct tc_field {
    const char *name;
    enum tc_type type;
    unsigned routes; /* of a request's params: bits by enum tc_via */
};

enum { TC_LONGEST_TIMEOUT = 86400 }; /* seconds */

/* What the options of a client say for its requests. */
struct tc_defaults {
    const char *model;
    struct tc_request_options options; /* time limits and retries; the rest is zero */
};

/* Is every key of the table at `index` the name of one of the `count` fields, and every value of
 * its type? */
bool tc_fields_check(lua_State *L, int index, const char *noun, const struct tc_field *fields,
                     size_t count);

/* The same, and replaces the table by a plain one with these fields. A table with a metatable could
 * give other values the next time. */
bool tc_fields_resolve(lua_State *L, int index, const struct tc_field *fields, size_t count);

/* Reads a request's own `timeout`, `max_retries` and `retry` into `options`. What is absent stays
 * as it is there. */
bool tc_field_settings(lua_State *L, int index, struct tc_request_options *options);

/* Reads a number from `least` to `most` into `*number`, which stays if the field is absent. */
bool tc_field_number(lua_State *L, int index, const char *noun, const char *name, double least,
                     double most, double *number);

/* The same for a whole number; a float or a string that is one will do. */
bool tc_field_whole(lua_State *L, int index, const char *noun, const char *name, double least,
                    double most, double *number);

/* Reads the field `retry`: "safe", "all" or "none". */
bool tc_field_retry(lua_State *L, int index, const char *noun, enum tc_retry *retry);

/*
 * Reads a table of header names and values into `*lines`, as the engine takes them, with NULL at
 * the end. Pushes one value: the lines are valid while it is on the stack. An absent table is an
 * empty one.
 */
bool tc_field_headers(lua_State *L, int index, const char *noun, const char *name,
                      const char *const **lines);

/* Pushes the value at `index` as messages show it: short, and without control characters. */
const char *tc_push_quoted(lua_State *L, int index);

/* Appends the value on top to the list at `list`, and pops it. */
void tc_append(lua_State *L, int list);

/* Appends what the list `name` of the table at `table` has. */
void tc_append_all(lua_State *L, int list, int table, const char *name);

#endif
