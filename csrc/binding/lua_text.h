/*
 * Checks of what is to be sent: is text UTF-8, can JSON hold a number exactly, is a prompt blank?
 */
#ifndef TC_LUA_TEXT_H
#define TC_LUA_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lua_compat.h"

/* The number of the first byte (from 1) that makes `text` no UTF-8 (RFC 3629), or 0. */
size_t tc_utf8_error(const char *text, size_t size);

/* Is the string at `index`, of the field `name`, UTF-8? Pushes an error table when not. */
bool tc_text_check(lua_State *L, int index, const char *name);

/* Can the value at `index`, of the field `name`, be sent as it is? Its strings must be UTF-8, its
 * numbers must keep all digits in JSON, and its tables must not be nested in themselves. Pushes an
 * error table when not. */
bool tc_value_check(lua_State *L, int index, const char *name);

/* Has the text only characters that cannot be seen? */
bool tc_text_is_blank(const char *text, size_t size);

#endif
