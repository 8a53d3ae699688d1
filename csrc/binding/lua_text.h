/*
 * What can be sent: text in UTF-8, numbers that JSON keeps, and nothing that is blank.
 */
#ifndef TC_LUA_TEXT_H
#define TC_LUA_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lua_compat.h"

/* Where `text` stops being UTF-8 (RFC 3629), from 1, or 0 where it never does. */
size_t tc_utf8_error(const char *text, size_t size);

/* Is the string at `index`, of the field `name`, UTF-8? Pushes an error table when not. */
bool tc_text_check(lua_State *L, int index, const char *name);

/* Can the value at `index`, of the field `name`, be sent without a loss: is its text UTF-8, are its
 * numbers such as lua-cjson writes, is it no circle? Pushes an error table when false. */
bool tc_value_check(lua_State *L, int index, const char *name);

/* Is there nothing in the text that could be seen? */
bool tc_text_is_blank(const char *text, size_t size);

#endif
