/*
 * Pictures that become files: `save` of the params, while they arrive, and image:save.
 *
 * A picture is paid for. One that cannot be written where it was meant to be is written elsewhere,
 * and the request goes on to its end: only then it fails, with an error that says where each
 * picture is. Nothing is given up that can be kept.
 */
#include "lua_save.h"

#include "../base/device.h"
#include "../base/writer.h"
#include "../splitter/images.h"
#include "../engine/failure.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_image.h"
#include "lua_own.h"
#include "lua_request.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WRITER "thucchien.writer"

enum {
    NUMBERS = 9999,  /* of names that are tried where one is taken */
    LONGEST_EXT = 5, /* with its dot: ".webp" */
    PATIENCE = 10    /* seconds that a poll waits for a reader of a pipe */
};

/* ---- names ---- */

/* A dot that neither begins nor ends a file's name begins its extension. */
static const char *find_extension(const char *path)
{
    const char *base = tc_base_name(path), *dot = strrchr(base, '.');
    return dot && dot != base && dot[1] ? dot : base + strlen(base);
}

/*
 * Pushes `path` as picture `number` of a request is saved: numbered from the second on, and with
 * the extension `ext` (may be NULL) where it has none. A device keeps its name.
 */
static const char *push_name(lua_State *L, const char *path, const char *ext, unsigned number)
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

/* Do two extensions say the same, their case aside? */
static bool same_extension(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b))
        a++, b++;
    return !*a && !*b;
}

bool tc_is_misnamed(const char *path, const char *ext)
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

/* Pushes an error table when false. */
static bool check_path(lua_State *L, int index, enum tc_kind kind, const char *field)
{
    size_t size;
    const char *path = lua_tolstring(L, index, &size);
    if (is_name(path, size))
        return true;
    const char *shown = tc_push_quoted(L, index);
    tc_push_error(L, kind, field, "%s is no name for a file", shown);
    return false;
}

/* What is done where a file has the name already. */
enum if_exists { REPLACE, NUMBER, REFUSE, UNKNOWN };

/* How a picture is saved. */
struct way {
    const char *path; /* before it has a number and an extension; NULL where it is not saved */
    enum if_exists if_exists;
    unsigned options; /* the writer's */
};

/* Reads what the table at `index` says of it, and leaves that on the stack. */
static struct way push_way(lua_State *L, int index)
{
    static const char *const words[] = {"replace", "number", "error"};
    lua_getfield(L, index, "save");
    lua_getfield(L, index, "if_exists");
    lua_getfield(L, index, "fsync");
    const char *word = lua_tostring(L, -2);
    unsigned i = 0;
    while (word && i < UNKNOWN && strcmp(word, words[i]) != 0)
        i++;
    const char *path = lua_tostring(L, -3);
    if (path && tc_device_is(path)) /* which has no other name */
        i = i == UNKNOWN ? i : REPLACE;
    bool quick = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    unsigned options = (i == REPLACE ? TC_WRITER_REPLACE : 0) | (quick ? TC_WRITER_NO_FLUSH : 0);
    return (struct way){path, (enum if_exists)i, options};
}

/* The same for the request whose uservalue is at `state`. */
static struct way push_way_of(lua_State *L, int state)
{
    lua_getfield(L, state, "params");
    return push_way(L, lua_gettop(L));
}

/* ---- before anything is sent ---- */

enum { SHOWN = 160 }; /* bytes of a path that a message shows, of its end */

/* Writes a path as it is shown. */
static const char *show(char *shown, const char *path)
{
    size_t size = strlen(path), skip = size < SHOWN ? 0 : size - SHOWN + 4;
    while (skip && ((unsigned char)path[skip] & 0xc0) == 0x80) /* not into a character */
        skip++;
    snprintf(shown, SHOWN, "%s%s", skip ? "..." : "", path + skip);
    return shown;
}

/* Looks at the name that picture `number` gets if it is of type `ext`. Pushes an error table when
 * false. */
static bool check_file(lua_State *L, const struct way *way, const char *ext, unsigned number)
{
    const char *name = push_name(L, way->path, ext, number);
    bool first = number == 1 && !strcmp(ext, "png"); /* most pictures are */
    unsigned options = way->if_exists == REFUSE ? 0 : TC_WRITER_REPLACE;
    int error = first ? tc_writer_check(name, options) : tc_writer_check_name(name, options);
    if (error == EISDIR && (!first || way->if_exists == NUMBER)) /* it gets another number then */
        error = 0;
    char shown[SHOWN];
    if (error)
        tc_push_error(L, TC_IO, "save", "cannot write '%s': %s", show(shown, name),
                      tc_writer_reason(error));
    else
        lua_pop(L, 1);
    return !error;
}

/* Pushes an error table when false. */
static bool check_way(lua_State *L, const struct way *way, int fields)
{
    const char *wrong = NULL;
    if (!way->path && !lua_isnil(L, fields + 1))
        wrong = "if_exists";
    else if (!way->path && !lua_isnil(L, fields + 2))
        wrong = "fsync";
    if (wrong)
        tc_push_error(L, TC_INVALID_REQUEST, wrong, "field '%s': goes with 'save' alone", wrong);
    else if (way->if_exists == UNKNOWN)
        tc_push_error(L, TC_INVALID_REQUEST, "if_exists",
                      "field 'if_exists': 'replace', 'number' or 'error' expected, got '%s'",
                      lua_tostring(L, fields + 1));
    else
        return !way->path || check_path(L, fields, TC_INVALID_REQUEST, "save");
    return false;
}

bool tc_check_save(lua_State *L, int table, unsigned count)
{
    static const char *const types[] = {"png", "jpg", "webp", "gif"};
    int fields = lua_gettop(L) + 1;
    struct way way = push_way(L, table);
    if (!check_way(L, &way, fields))
        return false;
    if (!way.path)
        return true;
    bool named = *find_extension(way.path) || tc_device_is(way.path);
    unsigned type_count = named ? 1 : sizeof(types) / sizeof(types[0]);
    for (unsigned number = 1; number <= count; number++)
        for (unsigned i = 0; i < type_count; i++)
            if (!check_file(L, &way, types[i], number))
                return false;
    return true;
}

/* ---- while it arrives ---- */

/* Ends the whole request: the rest of this picture could be put nowhere. */
static void give_up(struct tc_request_box *box, struct tc_part *part, const char *path, int error)
{
    char message[400], shown[SHOWN];
    snprintf(message, sizeof(message), "cannot write '%s': %s", show(shown, path),
             tc_writer_reason(error));
    tc_request_stop(box, part, TC_IO, message);
}

/* Notes that a picture is not where it should be, for the end: the request goes on. */
static void note_misplaced(lua_State *L, int state, struct tc_request_box *box,
                           struct tc_part *part, const char *path, int error)
{
    struct tc_failure failure;
    char meant[SHOWN], found[SHOWN];
    tc_failure_set(&failure, TC_IO, "cannot write '%s': %s; the picture is in '%s'",
                   show(meant, path), tc_writer_reason(error), show(found, part->writer.path));
    failure.maybe_billed = true;
    failure.attempts = part->request->attempts;
    lua_getfield(L, state, "failures");
    lua_rawgeti(L, -1, (int)part->position);
    bool known = !lua_isnil(L, -1);
    lua_pop(L, 2);
    if (!known) {
        tc_push_failure(L, &failure, part->request);
        tc_request_keep(L, state, "failures", part->position);
    }
    if (!box->cause)
        box->cause = part;
}

/* Opens the file of a picture: under another number where that name cannot be, else elsewhere. */
static int open_file(lua_State *L, const struct way *way, const char *ext, unsigned number,
                     struct tc_writer *writer)
{
    int error = 0, problem = EISDIR, first = lua_gettop(L) + 1;
    for (unsigned i = 0; i < 3 && problem; i++) {
        const char *name = push_name(L, way->path, ext, number + i * TC_IMAGES);
        problem = tc_writer_open(writer, name, way->options);
        error = error ? error : problem;
    }
    if (problem)
        problem = tc_writer_open_elsewhere(writer, lua_tostring(L, first), error);
    lua_settop(L, first - 1);
    return problem ? error : 0;
}

/* Ends the file of a whole picture under its name, or under the next number where that is taken and
 * a number is wanted. */
static int commit(lua_State *L, const struct way *way, const char *ext, unsigned number,
                  struct tc_writer *writer, double patience)
{
    int error = tc_writer_commit(writer, writer->path, patience);
    for (unsigned i = 1; error == EEXIST && way->if_exists == NUMBER && i < NUMBERS; i++) {
        error = tc_writer_commit(writer, push_name(L, way->path, ext, number + i), patience);
        lua_pop(L, 1);
    }
    return error;
}

/* Sets the path of the picture whose table is on top. */
static void set_path(lua_State *L, struct tc_writer *writer)
{
    lua_pushstring(L, writer->path);
    lua_setfield(L, -2, "path");
    tc_writer_abort(writer); /* which has nothing but that any more */
}

void tc_save_cut(lua_State *L, struct tc_part *part, unsigned index)
{
    const struct tc_image *image = part->request->envelope->images.list[index];
    struct tc_writer *writer = &part->writer;
    if (!writer->temporary || part->saving != index)
        return;
    tc_writer_fill(writer, image->bytes.data, image->bytes.size);
    if (!writer->size || tc_writer_keep(writer, 0, NULL)) {
        tc_writer_abort(writer);
        return;
    }
    tc_pushwhole(L, writer->size);
    lua_setfield(L, -2, "size");
    set_path(L, writer);
}

/* Keeps what there is of picture `number`, of which no more can be written, for the error. */
static void keep_cut(lua_State *L, int state, struct tc_part *part, unsigned index, unsigned number)
{
    tc_push_image(L, part->request->envelope->images.list[index], true);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "complete");
    tc_save_cut(L, part, index);
    tc_request_keep(L, state, "cuts", number);
}

void tc_save_bytes(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                   unsigned index, unsigned number)
{
    struct tc_image *image = part->request->envelope->images.list[index];
    struct tc_writer *writer = &part->writer;
    const void *bytes = image->bytes.data;
    size_t size = image->bytes.size;
    int error = 0, top = lua_gettop(L);
    struct way way = push_way_of(L, state);
    part->saving = index;
    if (!writer->temporary)
        error = open_file(L, &way, image->signature.ext, number, writer);
    if (!error)
        error = tc_writer_write(writer, bytes, size);
    if (error && writer->temporary && !writer->error)
        error = tc_writer_move(writer, error, bytes, size) ? error : 0;
    if (error) {
        keep_cut(L, state, part, index, number);
        give_up(box, part, way.path, error);
    }
    image->bytes.size = 0;
    lua_settop(L, top);
}

void tc_save_image(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                   unsigned index, unsigned number)
{
    const char *ext = part->request->envelope->images.list[index]->signature.ext;
    struct tc_writer *writer = &part->writer;
    int error = 0, image = lua_gettop(L);
    struct way way = push_way_of(L, state);
    if (!writer->path) /* not a byte has come */
        error = open_file(L, &way, ext, number, writer);
    if (!error && writer->temporary)
        error = commit(L, &way, ext, number, writer, PATIENCE);
    if (error && writer->temporary && !tc_writer_keep(writer, error, ext))
        note_misplaced(L, state, box, part, push_name(L, way.path, ext, number), error);
    else if (error)
        give_up(box, part, way.path, error);
    lua_settop(L, image);
    if (writer->path)
        set_path(L, writer);
}

/* ---- image:save ---- */

static int save_failed(lua_State *L, const char *path, int error)
{
    char shown[SHOWN];
    lua_pushnil(L);
    tc_push_error(L, TC_IO, NULL, "cannot write '%s': %s", show(shown, path),
                  tc_writer_reason(error));
    if (error == EEXIST) {
        lua_pushliteral(L, "exists");
        lua_setfield(L, -2, "code");
    }
    lua_pushliteral(L, "nothing is lost: image.bytes has the picture");
    lua_setfield(L, -2, "advice");
    return 2;
}

/* Checks the options of image:save, at `index`, and has a table there. */
static void check_options(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) {
        lua_settop(L, index - 1);
        lua_newtable(L);
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        int type = !strcmp(name, "if_exists") ? LUA_TSTRING
                   : !strcmp(name, "fsync")   ? LUA_TBOOLEAN
                                              : LUA_TNONE;
        if (lua_type(L, -1) != type)
            luaL_argerror(L, index,
                          "'if_exists' (a string) and 'fsync' (a boolean) are the options");
    }
}

/* Pushes the name that the file may get, which nobody has where that is wanted: `*number` is in
 * it. Returns an errno where there is none. */
static int choose_name(lua_State *L, const struct way *way, const char *ext, unsigned *number)
{
    int error = EEXIST;
    for (*number = 1; *number <= NUMBERS; ++*number) {
        const char *name = push_name(L, way->path, ext, *number);
        error = tc_writer_check_name(name, way->options);
        if (way->if_exists != NUMBER || (error != EEXIST && error != EISDIR))
            return error;
        lua_pop(L, 1);
    }
    lua_pushstring(L, way->path);
    return error;
}

/* Pushes a writer that is let go of whatever is raised. */
static struct tc_writer *push_writer(lua_State *L)
{
    struct tc_writer *writer = lua_newuserdata(L, sizeof(*writer));
    memset(writer, 0, sizeof(*writer));
    tc_set_class(L, WRITER);
    return writer;
}

/* Writes the bytes (3) of a picture of the type 4 to a file. Pushes its name, or nil and an error.
 */
static int write_file(lua_State *L, const struct way *way)
{
    size_t size;
    unsigned number;
    const char *bytes = lua_tolstring(L, 3, &size), *ext = lua_tostring(L, 4);
    struct tc_writer *writer = push_writer(L);
    int error = choose_name(L, way, ext, &number);
    const char *name = lua_tostring(L, -1);
    if (!error)
        error = tc_writer_open(writer, name, way->options);
    if (!error)
        error = tc_writer_write(writer, bytes, size);
    if (!error)
        error = commit(L, way, ext, number, writer, HUGE_VAL);
    if (!error)
        lua_pushstring(L, writer->path);
    tc_writer_abort(writer);
    return error ? save_failed(L, name, error) : 1;
}

/* The same for a device. */
static int write_device(lua_State *L, const char *path)
{
    size_t size;
    const char *bytes = lua_tolstring(L, 3, &size);
    int device, error = tc_device_open(path, &device);
    if (!error) {
        error = tc_device_write(device, bytes, size, HUGE_VAL);
        int late = tc_device_close(device);
        error = error ? error : late;
    }
    if (error)
        return save_failed(L, path, error);
    lua_pushstring(L, path);
    return 1;
}

int tc_image_save(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstring(L, 2);
    check_options(L, 3);
    lua_settop(L, 3);
    struct way way = push_way(L, 3);
    luaL_argcheck(L, way.if_exists != UNKNOWN, 3,
                  "'replace', 'number' or 'error' expected as 'if_exists'");
    lua_getfield(L, 1, "bytes");
    lua_replace(L, 3);
    lua_getfield(L, 1, "ext");
    lua_replace(L, 4);
    if (lua_type(L, 3) != LUA_TSTRING)
        return luaL_argerror(L, 1, "an image with its bytes expected");
    if (!check_path(L, 2, TC_IO, NULL)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    way.path = lua_tostring(L, 2);
    return tc_device_is(way.path) ? write_device(L, way.path) : write_file(L, &way);
}

static int writer_gc(lua_State *L)
{
    tc_writer_abort(tc_check_class(L, 1, WRITER));
    return 0;
}

void tc_register_save(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", writer_gc}, {NULL, NULL}};
    tc_register_class(L, WRITER, metamethods, NULL);
}
