/*
 * Warnings of a response: see lua_warnings.h.
 */
#include "lua_warnings.h"

#include "lua_fields.h"
#include "lua_job.h"
#include "lua_save.h"

#include <math.h>

static double number_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* Does the ratio visibly differ from the one that was asked for, and from the one that the model is
 * known to make of it? */
static bool is_other_shape(const struct tc_job *job, double width, double height)
{
    static const double tolerance = 0.02;
    if (!(width > 0 && height > 0 && job->ratio > 0))
        return false;
    double ratio = width / height;
    return fabs(ratio / job->ratio - 1) > tolerance && fabs(ratio / job->own_ratio - 1) > tolerance;
}

/* Warns of a picture whose shape is not the one that was asked for. */
static void warn_of_shape(lua_State *L, const struct tc_job *job, int list, int image, int number,
                          const char *shape)
{
    double width = number_field(L, image, "width"), height = number_field(L, image, "height");
    if (!is_other_shape(job, width, height))
        return;
    lua_pushfstring(L, "image %d is %dx%d pixels, %s was asked for", number, (int)width,
                    (int)height, shape);
    tc_append(L, list);
}

/* Pushes a value that is the same for equal pictures: the bytes, or a hash if they went elsewhere.
 */
static void push_identity(lua_State *L, int uservalue, int data, int index)
{
    lua_rawgeti(L, data, index);
    lua_getfield(L, -1, "bytes");
    lua_remove(L, -2);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_getfield(L, uservalue, "samples");
    lua_rawgeti(L, data, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

/* Are two pictures the same? */
static bool are_same(lua_State *L, int uservalue, int data, int a, int b)
{
    lua_rawgeti(L, data, a);
    lua_rawgeti(L, data, b);
    int top = lua_gettop(L);
    bool same = number_field(L, top - 1, "size") == number_field(L, top, "size");
    if (same) {
        push_identity(L, uservalue, data, a);
        push_identity(L, uservalue, data, b);
        same = !lua_isnil(L, -1) && lua_rawequal(L, -1, -2);
    }
    lua_settop(L, top - 2);
    return same;
}

/* Warns of a picture that is equal to one before it. */
static void warn_of_repetition(lua_State *L, int list, int uservalue, int data, int number)
{
    int other = 1;
    while (other < number && !are_same(L, uservalue, data, other, number))
        other++;
    if (other == number)
        return;
    lua_pushfstring(L, "image %d is the same as image %d: a cache may have answered", number,
                    other);
    tc_append(L, list);
}

/* Warns of a picture whose file's name says another format. */
static void warn_of_name(lua_State *L, int list, int image, int number)
{
    lua_getfield(L, image, "path");
    lua_getfield(L, image, "ext");
    const char *path = lua_tostring(L, -2), *ext = lua_tostring(L, -1);
    if (path && ext && tc_save_is_misnamed(path, ext)) {
        lua_pushfstring(L, "image %d is a %s file, whatever its name says: %s", number, ext, path);
        tc_append(L, list);
    }
    lua_settop(L, image);
}

void tc_set_warnings(lua_State *L, const struct tc_job *job, int uservalue, int response, int data)
{
    int count = (int)tc_rawlen(L, data);
    lua_getfield(L, uservalue, "shape");
    const char *shape = lua_tostring(L, -1);
    lua_newtable(L);
    int list = lua_gettop(L);
    tc_append_all(L, list, uservalue, "warnings");
    if (count < (int)job->count) {
        lua_pushfstring(L, "%d images were asked for, %d came", (int)job->count, count);
        tc_append(L, list);
    }
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, data, i);
        warn_of_shape(L, job, list, list + 1, i, shape);
        warn_of_name(L, list, list + 1, i);
        lua_settop(L, list);
        if (job->count > 1)
            warn_of_repetition(L, list, uservalue, data, i);
    }
    lua_setfield(L, response, "warnings");
    lua_pop(L, 1);
}
