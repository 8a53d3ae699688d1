/*
 * Files of pictures: see lua_save.h.
 *
 * A picture is paid for. So one that cannot be written where it should be is written elsewhere, and
 * the request goes on. At its end the request fails, with an error that says where the picture is.
 */
#include "lua_save.h"

#include "../base/device.h"
#include "../base/writer.h"
#include "../splitter/images.h"
#include "../engine/failure.h"
#include "lua_failure.h"
#include "lua_fields.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- names ---- */

/* The extension of a file's name, with its dot; "" where it has none. */
static const char *find_extension(const char *path)
{
    const char *base = tc_base_name(path), *dot = strrchr(base, '.');
    return dot && dot != base && dot[1] ? dot : base + strlen(base);
}

const char *tc_save_push_name(lua_State *L, const char *path, const char *ext, unsigned number)
{
    const char *dot = find_extension(path);
    if (tc_device_is(path)) {
        lua_pushstring(L, path);
        return path;
    }
    lua_pushlstring(L, path, (size_t)(dot - path));
    if (number > 1)
        lua_pushfstring(L, "-%d", (int)number);
    else
        lua_pushliteral(L, "");
    if (*dot || !ext)
        lua_pushstring(L, dot);
    else
        lua_pushfstring(L, ".%s", ext);
    lua_concat(L, 3);
    return lua_tostring(L, -1);
}

/* Are two extensions equal, without regard to case? */
static bool same_extension(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b))
        a++, b++;
    return !*a && !*b;
}

bool tc_save_is_misnamed(const char *path, const char *ext)
{
    static const struct {
        const char *said, *meant;
    } formats[] = {{"png", "png"},   {"jpg", "jpg"},   {"jpeg", "jpg"}, {"jpe", "jpg"},
                   {"jfif", "jpg"},  {"webp", "webp"}, {"gif", "gif"},  {"avif", "avif"},
                   {"bmp", "bmp"},   {"heic", "heic"}, {"svg", "svg"},  {"tif", "tiff"},
                   {"tiff", "tiff"}, {"apng", "png"}};
    const char *said = find_extension(path);
    for (size_t i = 0; *said && i < sizeof(formats) / sizeof(formats[0]); i++)
        if (same_extension(said + 1, formats[i].said))
            return strcmp(ext, formats[i].meant) != 0;
    return false;
}

static bool is_name(const char *path, size_t size)
{
    const char *base = tc_base_name(path);
    return strlen(path) == size && *base && strcmp(base, ".") != 0 && strcmp(base, "..") != 0;
}

bool tc_save_check_path(lua_State *L, int index, enum tc_kind kind, const char *field)
{
    size_t size;
    const char *path = lua_tolstring(L, index, &size);
    if (is_name(path, size))
        return true;
    const char *shown = tc_push_quoted(L, index);
    tc_push_error(L, kind, field, "%s is no name for a file", shown);
    return false;
}

struct tc_save_options tc_save_push_options(lua_State *L, int index)
{
    static const char *const words[] = {"replace", "number", "error"};
    lua_getfield(L, index, "save");
    const char *path = lua_tostring(L, -1);
    lua_getfield(L, index, "if_exists");
    const char *word = lua_tostring(L, -1);
    lua_getfield(L, index, "fsync");
    bool quick = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    unsigned i = 0;
    while (word && i < TC_UNKNOWN && strcmp(word, words[i]) != 0)
        i++;
    if (path && tc_device_is(path)) /* a device has no other name that could be taken instead */
        i = i == TC_UNKNOWN ? i : TC_REPLACE;
    unsigned flags = (i == TC_REPLACE ? TC_WRITER_REPLACE : 0) | (quick ? TC_WRITER_NO_FLUSH : 0);
    return (struct tc_save_options){path, (enum tc_if_exists)i, flags};
}

/* ---- before anything is sent ---- */

const char *tc_save_show_path(char *shown, const char *path)
{
    size_t size = strlen(path), skip = size < TC_SHOWN ? 0 : size - TC_SHOWN + 4;
    while (skip && ((unsigned char)path[skip] & 0xc0) == 0x80) /* not into a character */
        skip++;
    snprintf(shown, TC_SHOWN, "%s%s", skip ? "..." : "", path + skip);
    return shown;
}

/* Can picture `number` be written, if it is of type `ext`? Pushes an error table when not. */
static bool check_file(lua_State *L, const struct tc_save_options *options, const char *ext,
                       unsigned number)
{
    const char *name = tc_save_push_name(L, options->path, ext, number);
    bool first = number == 1 && !strcmp(ext, "png"); /* most pictures are */
    unsigned flags = options->if_exists == TC_REFUSE ? 0 : TC_WRITER_REPLACE;
    int error = first ? tc_writer_check(name, flags) : tc_writer_check_name(name, flags);
    if (error == EISDIR &&
        (!first || options->if_exists == TC_NUMBER)) /* the picture gets another number then */
        error = 0;
    char shown[TC_SHOWN];
    if (error)
        tc_push_error(L, TC_IO, "save", "cannot write '%s': %s", tc_save_show_path(shown, name),
                      tc_writer_reason(error));
    else
        lua_pop(L, 1);
    return !error;
}

static bool has_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    bool has = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return has;
}

/* Do the three fields of the table go together? Pushes an error table when false. */
static bool check_options(lua_State *L, int table, const struct tc_save_options *options)
{
    const char *wrong = NULL;
    if (!options->path && has_field(L, table, "if_exists"))
        wrong = "if_exists";
    else if (!options->path && has_field(L, table, "fsync"))
        wrong = "fsync";
    if (wrong) {
        tc_push_error(L, TC_INVALID_REQUEST, wrong, "field '%s': goes with 'save' alone", wrong);
        return false;
    }
    if (options->if_exists == TC_UNKNOWN) {
        lua_getfield(L, table, "if_exists");
        tc_push_error(L, TC_INVALID_REQUEST, "if_exists",
                      "field 'if_exists': 'replace', 'number' or 'error' expected, got '%s'",
                      lua_tostring(L, -1));
        return false;
    }
    lua_getfield(L, table, "save");
    return !options->path || tc_save_check_path(L, lua_gettop(L), TC_INVALID_REQUEST, "save");
}

bool tc_save_check(lua_State *L, int table, unsigned count)
{
    static const char *const types[] = {"png", "jpg", "webp", "gif"};
    struct tc_save_options options = tc_save_push_options(L, table);
    if (!check_options(L, table, &options))
        return false;
    if (!options.path)
        return true;
    bool named = *find_extension(options.path) || tc_device_is(options.path);
    unsigned type_count = named ? 1 : sizeof(types) / sizeof(types[0]);
    for (unsigned number = 1; number <= count; number++)
        for (unsigned i = 0; i < type_count; i++)
            if (!check_file(L, &options, types[i], number))
                return false;
    return true;
}

/* ---- while it arrives ---- */

int tc_save_open(lua_State *L, const struct tc_save_options *options, const char *ext,
                 unsigned number, struct tc_writer *writer)
{
    enum { TRIES = 3 };
    int error = 0, problem = EISDIR, first = lua_gettop(L) + 1;
    for (unsigned i = 0; i < TRIES && problem; i++) {
        /* In steps of TC_IMAGES, to get past the numbers of other pictures. */
        const char *name = tc_save_push_name(L, options->path, ext, number + i * TC_IMAGES);
        problem = tc_writer_open(writer, name, options->flags);
        error = error ? error : problem;
    }
    if (problem)
        problem = tc_writer_open_elsewhere(writer, lua_tostring(L, first), error);
    lua_settop(L, first - 1);
    return problem ? error : 0;
}

int tc_save_commit(lua_State *L, const struct tc_save_options *options, const char *ext,
                   unsigned number, struct tc_writer *writer, double patience)
{
    int error = tc_writer_commit(writer, writer->path, patience);
    for (unsigned i = 1; error == EEXIST && options->if_exists == TC_NUMBER && i < TC_NUMBERS;
         i++) {
        error = tc_writer_commit(writer, tc_save_push_name(L, options->path, ext, number + i),
                                 patience);
        lua_pop(L, 1);
    }
    return error;
}
