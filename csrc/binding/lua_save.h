/*
 * Files of pictures: their names, what is done if one is taken, and how they are written.
 */
#ifndef TC_LUA_SAVE_H
#define TC_LUA_SAVE_H

#include <stdbool.h>

#include "../engine/failure.h"
#include "lua_compat.h"

struct tc_writer;

enum { TC_NUMBERS = 9999 }; /* how many names are tried if they are taken */

enum { TC_SHOWN = 160 }; /* bytes of a path that a message shows, of its end */

/* What is done if a file has the name already. */
enum tc_if_exists { TC_REPLACE, TC_NUMBER, TC_REFUSE, TC_UNKNOWN };

/* How pictures are saved. */
struct tc_save_options {
    const char *path; /* without number and extension; NULL: pictures are not saved */
    enum tc_if_exists if_exists;
    unsigned flags; /* of the writer */
};

/* Reads the fields save, if_exists and fsync of the table at `index`, and leaves them on the stack.
 */
struct tc_save_options tc_save_push_options(lua_State *L, int index);

/* Can `count` files be written as the fields `save`, `if_exists` and `fsync` say? Pushes an error
 * table when not. */
bool tc_save_check(lua_State *L, int table, unsigned count);

/* Can the string at `index` be the name of a file? Pushes an error table when not. */
bool tc_save_check_path(lua_State *L, int index, enum tc_kind kind, const char *field);

/*
 * Pushes `path` as picture `number` of a request is saved: numbered from the second on, and with
 * the extension `ext` (may be NULL) where it has none. A device keeps its name.
 */
const char *tc_save_push_name(lua_State *L, const char *path, const char *ext, unsigned number);

/* Opens the file of a picture. If that name cannot be opened, tries other numbers, and then another
 * directory. Returns 0 or an errno. */
int tc_save_open(lua_State *L, const struct tc_save_options *options, const char *ext,
                 unsigned number, struct tc_writer *writer);

/* Gives the finished file of a picture its name; if that is taken and if_exists is "number", the
 * next number that is free. Waits at most `patience` seconds for a pipe's reader. Returns 0 or an
 * errno. */
int tc_save_commit(lua_State *L, const struct tc_save_options *options, const char *ext,
                   unsigned number, struct tc_writer *writer, double patience);

/* Writes a path into `shown`, of TC_SHOWN bytes, as a message shows it. Returns that. */
const char *tc_save_show_path(char *shown, const char *path);

/* Does the path name another picture format than that of the extension `ext`? */
bool tc_save_is_misnamed(const char *path, const char *ext);

#endif
