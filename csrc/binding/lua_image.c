/*
 * Tables of pictures: see lua_image.h.
 */
#include "lua_image.h"

#include "../base/alloc.h"
#include "../base/buffer.h"
#include "../base/device.h"
#include "../base/writer.h"
#include "../splitter/images.h"
#include "lua_failure.h"
#include "lua_own.h"
#include "lua_save.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define TC_IMAGE "thucchien.image"
#define WRITER   "thucchien.writer"

static void set_string(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text); /* nil for NULL */
    lua_setfield(L, -2, name);
}

static void set_pixels(lua_State *L, const char *name, uint32_t pixels)
{
    if (pixels)
        tc_pushwhole(L, pixels);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, name);
}

#if LUA_VERSION_NUM >= 505
static void *free_bytes(void *unused, void *bytes, size_t size, size_t zero)
{
    (void)unused, (void)size, (void)zero;
    tc_free(bytes);
    return NULL;
}

/*
 * Pushes the bytes as a Lua string without a copy. Lua frees the buffer when it collects the
 * string, or if it cannot make one. The collector does not count such memory, and would let dozens
 * of pictures pile up; a step of collection for each picture prevents that.
 */
static void push_bytes(lua_State *L, struct tc_buffer *bytes)
{
    char *text = tc_realloc(bytes->data, bytes->size + 1); /* with a zero at its end */
    size_t size = bytes->size;
    if (!text)
        luaL_error(L, "not enough memory");
    *bytes = (struct tc_buffer){NULL, 0, 0};
    text[size] = '\0';
    lua_pushexternalstring(L, text, size, free_bytes, NULL);
    if (lua_gc(L, LUA_GCISRUNNING))
        lua_gc(L, LUA_GCSTEP, size);
}
#else
/* Pushes the bytes as a Lua string: a copy, as Lua before 5.5 has no other way. */
static void push_bytes(lua_State *L, struct tc_buffer *bytes)
{
    lua_pushlstring(L, (const char *)bytes->data, bytes->size);
}
#endif

void tc_push_image(lua_State *L, struct tc_image *image, bool streamed)
{
    lua_createtable(L, 0, 8);
    if (!streamed) {
        push_bytes(L, &image->bytes);
        lua_setfield(L, -2, "bytes");
    }
    tc_pushwhole(L, image->size);
    lua_setfield(L, -2, "size");
    set_string(L, "mime", image->signature.mime);
    set_string(L, "ext", image->signature.ext);
    set_pixels(L, "width", image->signature.width);
    set_pixels(L, "height", image->signature.height);
    tc_set_class(L, TC_IMAGE);
}

/* ---- image:save ---- */

static int save_failed(lua_State *L, const char *path, int error)
{
    char shown[TC_SHOWN];
    lua_pushnil(L);
    tc_push_error(L, TC_IO, NULL, "cannot write '%s': %s", tc_save_show_path(shown, path),
                  tc_writer_reason(error));
    if (error == EEXIST) {
        lua_pushliteral(L, "exists");
        lua_setfield(L, -2, "code");
    }
    lua_pushliteral(L, "nothing is lost: image.bytes has the picture");
    lua_setfield(L, -2, "advice");
    return 2;
}

/* Checks the options of image:save at `index`, and replaces nil by a table. */
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

/* Pushes the name for the file. If if_exists is "number", the name is one that is not taken, and
 * `*number` is the number in it. Returns 0 or an errno. */
static int choose_name(lua_State *L, const struct tc_save_options *options, const char *ext,
                       unsigned *number)
{
    int error = EEXIST;
    for (*number = 1; *number <= TC_NUMBERS; ++*number) {
        const char *name = tc_save_push_name(L, options->path, ext, *number);
        error = tc_writer_check_name(name, options->flags);
        if (options->if_exists != TC_NUMBER || (error != EEXIST && error != EISDIR))
            return error;
        lua_pop(L, 1);
    }
    lua_pushstring(L, options->path);
    return error;
}

/* Pushes a writer as a userdata: if an error is raised, its finalizer removes the unfinished file.
 */
static struct tc_writer *push_writer(lua_State *L)
{
    struct tc_writer *writer = lua_newuserdata(L, sizeof(*writer));
    memset(writer, 0, sizeof(*writer));
    tc_set_class(L, WRITER);
    return writer;
}

/* Writes the bytes (3) of a picture to a file; its extension is at 4. Returns the file's name to
 * Lua, or nil and an error. */
static int write_file(lua_State *L, const struct tc_save_options *options)
{
    size_t size;
    unsigned number;
    const char *bytes = lua_tolstring(L, 3, &size), *ext = lua_tostring(L, 4);
    struct tc_writer *writer = push_writer(L);
    int error = choose_name(L, options, ext, &number);
    const char *name = lua_tostring(L, -1);
    if (!error)
        error = tc_writer_open(writer, name, options->flags);
    if (!error)
        error = tc_writer_write(writer, bytes, size);
    if (!error)
        error = tc_save_commit(L, options, ext, number, writer, HUGE_VAL);
    if (!error)
        lua_pushstring(L, writer->path);
    tc_writer_abort(writer);
    return error ? save_failed(L, name, error) : 1;
}

/* Writes the bytes (3) of a picture to a device. Returns the same. */
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

static int image_save(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstring(L, 2);
    check_options(L, 3);
    lua_settop(L, 3);
    struct tc_save_options options = tc_save_push_options(L, 3);
    luaL_argcheck(L, options.if_exists != TC_UNKNOWN, 3,
                  "'replace', 'number' or 'error' expected as 'if_exists'");
    lua_getfield(L, 1, "bytes");
    lua_replace(L, 3);
    lua_getfield(L, 1, "ext");
    lua_replace(L, 4);
    if (lua_type(L, 3) != LUA_TSTRING)
        return luaL_argerror(L, 1, "an image with its bytes expected");
    if (!tc_save_check_path(L, 2, TC_IO, NULL)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    options.path = lua_tostring(L, 2);
    return tc_device_is(options.path) ? write_device(L, options.path) : write_file(L, &options);
}

static int writer_gc(lua_State *L)
{
    tc_writer_abort(tc_check_class(L, 1, WRITER));
    return 0;
}

void tc_register_image(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg writer_metamethods[] = {{"__gc", writer_gc}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"save", image_save}, {NULL, NULL}};
    tc_register_class(L, WRITER, writer_metamethods, NULL);
    tc_register_class(L, TC_IMAGE, metamethods, methods);
}
