/*
 * Responses as Lua sees them: the envelope's table, with the pictures in their places.
 */
#include "binding.h"
#include "alloc.h"
#include "number.h"
#include "writer.h"

#include <string.h>

/* ---- pictures ---- */

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

/* The bytes as a Lua string: the very buffer, which Lua frees when the string is collected, or if
 * it cannot make one. */
static void push_bytes(lua_State *L, struct tc_buffer *bytes)
{
    char *text = tc_realloc(bytes->data, bytes->size + 1); /* with a zero behind, nothing spare */
    size_t size = bytes->size;
    if (!text)
        luaL_error(L, "not enough memory");
    *bytes = (struct tc_buffer){NULL, 0, 0};
    text[size] = '\0';
    lua_pushexternalstring(L, text, size, free_bytes, NULL);
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
    const char *path = lua_tostring(L, -1);
    int error = tc_writer_check(path);
    if (error)
        tc_push_error(L, TC_IO, "save", "cannot write '%s': %s", path, strerror(error));
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

/* ---- the envelope ---- */

/* JSON null to nil, and whole numbers to integers where Lua has those, all the way down. */
static void tidy(lua_State *L, int table)
{
    tc_checkstack(L, 6);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_istable(L, -1)) {
            tidy(L, lua_gettop(L));
            continue;
        }
        double value = lua_tonumber(L, -1);
        if (lua_isuserdata(L, -1)) /* light: lua-cjson's null; full: vim.NIL, Neovim's */
            lua_pushnil(L);
        else if (lua_type(L, -1) == LUA_TNUMBER && tc_is_whole(value))
            tc_pushwhole(L, value);
        else
            continue;
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        lua_rawset(L, table); /* a field that is there: lua_next can bear that */
    }
}

/* Pushes the error for a success that is none. */
static void push_failed_success(lua_State *L, const struct tc_request *request,
                                struct tc_failure *failure)
{
    failure->status = request->status;
    failure->attempts = request->attempts;
    failure->maybe_billed = true;
    tc_push_failure(L, failure, request);
}

/* Pushes the envelope as a table; false: pushes an error. */
static bool push_envelope(lua_State *L, const struct tc_request *request)
{
    const struct tc_buffer *text = &request->envelope.text;
    tc_push_json(L, "decode");
    lua_pushlstring(L, (const char *)text->data, text->size);
    lua_call(L, 1, 2);
    if (!lua_istable(L, -2)) {
        struct tc_failure failure;
        tc_failure_set(&failure, TC_BAD_RESPONSE, "the answer is not a JSON object%s%s",
                       lua_isstring(L, -1) ? ": " : "",
                       lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
        push_failed_success(L, request, &failure);
        return false;
    }
    lua_pop(L, 1);
    return true;
}

/* ---- the response ---- */

/* Gives the picture on top what the server said of it, but nothing that the bytes tell better. */
static void add_details(lua_State *L, int item)
{
    static const char *const ours[] = {"b64_json", "bytes",  "size", "mime", "ext",
                                       "width",    "height", "path", "save"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, item, ours[i]);
    }
    for (lua_pushnil(L); lua_next(L, item); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
}

/* Pushes the picture that belongs into the item at `item`, if there is one. */
static bool push_image_of(lua_State *L, int item, int images)
{
    if (!lua_istable(L, item))
        return false;
    lua_getfield(L, item, "b64_json");
    int number = lua_type(L, -1) == LUA_TNUMBER ? (int)lua_tonumber(L, -1) : 0;
    lua_pop(L, 1);
    if (number == 0)
        return false;
    lua_rawgeti(L, images, number);
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    add_details(L, item);
    return true;
}

/* Replaces `data` by the list of its pictures. Returns how many they are. */
static int place_images(lua_State *L, int response, int images)
{
    int count = 0;
    lua_newtable(L);
    int pictures = lua_gettop(L);
    lua_getfield(L, response, "data");
    int data = lua_gettop(L);
    int items = lua_istable(L, data) ? (int)tc_rawlen(L, data) : 0;
    for (int i = 1; i <= items; i++) {
        lua_rawgeti(L, data, i);
        if (lua_istable(L, -1))
            tidy(L, lua_gettop(L));
        if (push_image_of(L, lua_gettop(L), images))
            lua_rawseti(L, pictures, ++count);
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    lua_setfield(L, response, "data");
    tidy(L, response); /* without the pictures, which are the user's already */
    lua_pushvalue(L, pictures);
    lua_setfield(L, response, "data");
    lua_settop(L, pictures - 1);
    return count;
}

/* The first URL in `data`, in place of a picture: pushes it, or nil. */
static void push_url(lua_State *L, int response)
{
    lua_getfield(L, response, "data");
    if (lua_istable(L, -1)) {
        lua_rawgeti(L, -1, 1);
        if (lua_istable(L, -1)) {
            lua_getfield(L, -1, "url");
            lua_replace(L, -3);
            lua_pop(L, 1);
            return;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_pushnil(L);
}

/* A success without a picture. `url` is where the answer's first item points, or nil. */
static void push_no_image(lua_State *L, const struct tc_request *request, int url)
{
    struct tc_failure failure;
    if (lua_isstring(L, url)) {
        const char *shown = tc_push_quoted(L, url);
        tc_failure_set(&failure, TC_NO_IMAGE,
                       "the answer has a URL (%s) in place of the image's bytes", shown);
        failure.advice = "ask with response_format = \"b64_json\", or another model";
    } else {
        tc_failure_set(&failure, TC_NO_IMAGE,
                       "the answer has no image: the model made none, or a filter held all back");
    }
    push_failed_success(L, request, &failure);
}

static void set_timing(lua_State *L, const struct tc_timing *timing)
{
    const double from = timing->submitted;
    const struct {
        const char *name;
        double moment;
    } moments[] = {
        {"queued", timing->started},
        {"connected", timing->sent},
        {"first_byte", timing->answered},
        {"total", timing->ended},
    };
    lua_createtable(L, 0, 4);
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        if (moments[i].moment < from)
            continue;
        lua_pushnumber(L, moments[i].moment - from);
        lua_setfield(L, -2, moments[i].name);
    }
    lua_setfield(L, -2, "timing");
}

/* Sets what we know into the response on top. */
static void set_known(lua_State *L, const struct tc_request *request)
{
    set_string(L, "request_id", *request->request_id ? request->request_id : NULL);
    if (request->cost >= 0)
        lua_pushnumber(L, request->cost);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, "cost");
    tc_pushwhole(L, request->attempts);
    lua_setfield(L, -2, "attempts");
    set_timing(L, &request->timing);
}

bool tc_push_response(lua_State *L, const struct tc_request *request, int images)
{
    images = tc_absindex(L, images);
    tc_checkstack(L, 20);
    if (!push_envelope(L, request))
        return false;
    int response = lua_gettop(L);
    push_url(L, response);
    if (place_images(L, response, images) == 0) {
        push_no_image(L, request, response + 1);
        return false;
    }
    lua_settop(L, response);
    set_known(L, request);
    return true;
}

void tc_register_response(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg methods[] = {{"save", image_save}, {NULL, NULL}};
    tc_register_class(L, TC_IMAGE, metamethods, methods);
}
