/*
 * Images as Lua sees them: their bytes, what those tell about them, and how they become files.
 */
#include "binding.h"
#include "alloc.h"
#include "writer.h"

#include <string.h>

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
 * The bytes as a Lua string: the very buffer, which Lua frees when the string is collected, or if
 * it cannot make one. The collector does not count such memory, so it is told: it would let dozens
 * of pictures pile up that nobody holds any more.
 */
static void push_bytes(lua_State *L, struct tc_buffer *bytes)
{
    char *text = tc_realloc(bytes->data, bytes->size + 1); /* with a zero behind, nothing spare */
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
/* The bytes as a Lua string: a copy, as Lua before 5.5 knows no other way. */
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
    luaL_getmetatable(L, TC_IMAGE);
    lua_setmetatable(L, -2);
}

static const char *base_name(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (*path == '/' || *path == '\\')
            base = path + 1;
    return base;
}

/* A dot that neither begins nor ends a file's name begins its extension. */
static bool has_extension(const char *base)
{
    const char *dot = strrchr(base, '.');
    return dot && dot != base && dot[1];
}

static int save_failed(lua_State *L, const char *path, int error)
{
    lua_pushnil(L);
    tc_push_error(L, TC_IO, NULL, "cannot write '%s': %s", path, strerror(error));
    return 2;
}

static int write_file(const char *path, const char *bytes, size_t size)
{
    struct tc_writer writer;
    int error = tc_writer_open(&writer, path);
    if (error)
        return error;
    error = tc_writer_write(&writer, bytes, size);
    if (!error)
        return tc_writer_commit(&writer, path);
    tc_writer_abort(&writer);
    return error;
}

const char *tc_push_path(lua_State *L, const char *path, const char *ext, unsigned number)
{
    if (tc_writer_is_device(path)) {
        lua_pushstring(L, path);
        return path;
    }
    const char *base = base_name(path);
    const char *dot = has_extension(base) ? strrchr(base, '.') : base + strlen(base);
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

/* Pushes an error table when false. */
static bool check_path(lua_State *L, int index, enum tc_kind kind, const char *field)
{
    size_t size;
    const char *path = lua_tolstring(L, index, &size);
    if (strlen(path) == size && *base_name(path))
        return true;
    const char *shown = tc_push_quoted(L, index);
    tc_push_error(L, kind, field, "%s is no name for a file", shown);
    return false;
}

bool tc_check_save(lua_State *L, int table)
{
    lua_getfield(L, table, "save");
    if (!check_path(L, lua_gettop(L), TC_INVALID_REQUEST, "save"))
        return false;
    const char *name = tc_push_path(L, lua_tostring(L, -1), "png", 1); /* most pictures are */
    int error = tc_writer_check(name);
    if (error)
        tc_push_error(L, TC_IO, "save", "cannot write '%s': %s", name, strerror(error));
    return !error;
}

/* image:save(path) -> final path | nil, err */
static int image_save(lua_State *L)
{
    size_t size;
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *path = luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_getfield(L, 1, "bytes");
    lua_getfield(L, 1, "ext");
    if (lua_type(L, 3) != LUA_TSTRING)
        return luaL_argerror(L, 1, "an image with its bytes expected");
    if (!check_path(L, 2, TC_IO, NULL)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    const char *bytes = lua_tolstring(L, 3, &size);
    const char *final = tc_push_path(L, path, lua_tostring(L, 4), 1);
    int error = write_file(final, bytes, size);
    if (error)
        return save_failed(L, final, error);
    return 1;
}

void tc_register_image(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg methods[] = {{"save", image_save}, {NULL, NULL}};
    tc_register_class(L, TC_IMAGE, metamethods, methods);
}
