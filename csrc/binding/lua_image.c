/*
 * Images as Lua sees them: their bytes, and what those tell about them.
 */
#include "lua_image.h"

#include "../base/alloc.h"
#include "../base/buffer.h"
#include "../splitter/images.h"
#include "lua_own.h"
#include "lua_save.h"

#define TC_IMAGE "thucchien.image"

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
    tc_set_class(L, TC_IMAGE);
}

void tc_register_image(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg methods[] = {{"save", tc_image_save}, {NULL, NULL}};
    tc_register_class(L, TC_IMAGE, metamethods, methods);
}
