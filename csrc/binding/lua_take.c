/*
 * What a subrequest has brought: see lua_take.h.
 */
#include "lua_take.h"

#include "../base/buffer.h"
#include "../base/clock.h"
#include "../base/writer.h"
#include "../splitter/envelope.h"
#include "../splitter/images.h"
#include "../engine/failure.h"
#include "../engine/receive.h"
#include "../engine/redact.h"
#include "../engine/request.h"
#include "../engine/session.h"
#include "lua_failure.h"
#include "lua_hooks.h"
#include "lua_image.h"
#include "lua_job.h"
#include "lua_own.h"
#include "lua_save.h"

#include <stdio.h>

enum { PATIENCE = 10 }; /* seconds that a poll waits for a pipe's reader */

/* A picture, or a draft, of a subrequest. */
struct picture {
    struct tc_job *job;
    int uservalue; /* of the job */
    struct tc_subrequest *sub;
    struct tc_image *image;
    unsigned index;  /* in the envelope */
    unsigned number; /* in the job, from 1; 0 for a draft */
};

/* Picture `index` of a subrequest. It gets its number now: once it is dropped, a draft no longer
 * says that it is one. Raises when memory is short. */
static struct picture picture_of(lua_State *L, struct tc_job *job, int uservalue,
                                 struct tc_subrequest *sub, unsigned index)
{
    unsigned number = tc_job_picture_number(L, job, sub, index);
    struct tc_image *image = sub->request->envelope->images.list[index];
    return (struct picture){job, uservalue, sub, image, index, number};
}

/* Frees a picture that was taken. */
static void drop(const struct picture *p)
{
    tc_images_drop(&p->sub->request->envelope->images, p->index);
}

/* ---- the sink ---- */

/* Pops a chunk (or nil) and calls the sink at `sink` with it. If the sink refuses it, the job is
 * stopped. */
static void call_sink(lua_State *L, const struct picture *p, int sink)
{
    lua_pushvalue(L, sink);
    tc_pushwhole(L, p->number);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 2);
    if (!lua_toboolean(L, -2) && !lua_isnil(L, -1)) {
        char message[400];
        const char *text = lua_tostring(L, -1);
        tc_redact(message, sizeof(message), text ? text : "", p->sub->request->options.api_key);
        tc_job_stop(p->job, p->sub, TC_IO, *message ? message : "the sink refused");
    }
    lua_pop(L, 3);
}

/* Memory for chunks of this size is used again; for larger ones malloc maps new pages. */
enum { CHUNK = 64 * 1024, MOST_CHUNKS = 16 };

/* Calls the sink with the bytes, chunk by chunk. All chunks are made Lua strings before the first
 * call, because the sink may do anything, to the buffer too. */
static void take_to_sink(lua_State *L, const struct picture *p)
{
    struct tc_buffer *buffer = &p->image->bytes;
    const char *bytes = (const char *)buffer->data;
    size_t size = buffer->size, chunk = size / MOST_CHUNKS > CHUNK ? size : CHUNK;
    tc_job_push_param(L, p->uservalue, "sink");
    int sink = lua_gettop(L), chunks = 0;
    for (size_t at = 0; at < size; at += chunk, chunks++)
        lua_pushlstring(L, bytes + at, size - at < chunk ? size - at : chunk);
    buffer->size = 0;
    for (int i = 1; i <= chunks && tc_job_goes_on(p->job, p->sub); i++) {
        lua_pushvalue(L, sink + i);
        call_sink(L, p, sink);
    }
    lua_settop(L, sink - 1);
}

/* ---- files ---- */

/* Reads from the params how pictures are saved. The strings stay on the stack. */
static struct tc_save_options push_save_options(lua_State *L, int uservalue)
{
    lua_getfield(L, uservalue, "params");
    return tc_save_push_options(L, lua_gettop(L));
}

/* Stops the job, because the rest of a picture could be written nowhere. */
static void cannot_write(const struct picture *p, const char *path, int error)
{
    char message[400], shown[TC_SHOWN];
    snprintf(message, sizeof(message), "cannot write '%s': %s", tc_save_show_path(shown, path),
             tc_writer_reason(error));
    tc_job_stop(p->job, p->sub, TC_IO, message);
}

/* Keeps the error for a picture that is in another file than it should be. The job goes on. */
static void note_misplaced(lua_State *L, const struct picture *p, const char *path, int error)
{
    struct tc_failure failure;
    char meant[TC_SHOWN], found[TC_SHOWN];
    tc_failure_set(&failure, TC_IO, "cannot write '%s': %s; the picture is in '%s'",
                   tc_save_show_path(meant, path), tc_writer_reason(error),
                   tc_save_show_path(found, p->sub->writer.path));
    failure.maybe_billed = true;
    failure.attempts = p->sub->request->attempts;
    lua_getfield(L, p->uservalue, "failures");
    lua_rawgeti(L, -1, (int)p->sub->position);
    bool known = !lua_isnil(L, -1);
    lua_pop(L, 2);
    if (!known) {
        tc_push_failure(L, &failure, p->sub->request);
        tc_job_keep(L, p->uservalue, "failures", p->sub->position);
    }
    if (!p->job->culprit)
        p->job->culprit = p->sub;
}

/* Sets the path of the picture whose table is on top. */
static void set_path(lua_State *L, struct tc_writer *writer)
{
    lua_pushstring(L, writer->path);
    lua_setfield(L, -2, "path");
    tc_writer_abort(writer); /* the path is all it still has */
}

/* Ends the file of a picture that is not whole, and sets the path of its table, which is on top. */
static void save_cut(lua_State *L, const struct picture *p)
{
    const struct tc_buffer *bytes = &p->image->bytes;
    struct tc_writer *writer = &p->sub->writer;
    if (!writer->temporary || p->sub->saved_index != p->index)
        return;
    tc_writer_fill(writer, bytes->data, bytes->size);
    if (!writer->size || tc_writer_keep(writer, 0, NULL)) {
        tc_writer_abort(writer);
        return;
    }
    tc_pushwhole(L, writer->size);
    lua_setfield(L, -2, "size");
    set_path(L, writer);
}

/* Pushes the table of a picture that is not whole, with its bytes unless those were `streamed`
 * elsewhere. */
static void push_cut(lua_State *L, const struct picture *p, bool streamed)
{
    tc_push_image(L, p->image, streamed);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "complete");
    save_cut(L, p);
}

/* Writes the bytes that a picture under way has to its file, or to one elsewhere. If the rest
 * cannot be written, what was is kept for the error. */
static void save_bytes(lua_State *L, const struct picture *p)
{
    struct tc_writer *writer = &p->sub->writer;
    const void *bytes = p->image->bytes.data;
    size_t size = p->image->bytes.size;
    int error = 0, top = lua_gettop(L);
    struct tc_save_options options = push_save_options(L, p->uservalue);
    p->sub->saved_index = p->index;
    if (!writer->temporary)
        error = tc_save_open(L, &options, p->image->signature.ext, p->number, writer);
    if (!error)
        error = tc_writer_write(writer, bytes, size);
    if (error && writer->temporary && !writer->error)
        error = tc_writer_move(writer, error, bytes, size) ? error : 0;
    if (error) {
        push_cut(L, p, true);
        tc_job_keep(L, p->uservalue, "cuts", p->number);
        cannot_write(p, options.path, error);
    }
    p->image->bytes.size = 0;
    lua_settop(L, top);
}

/* Ends the file of a whole picture, and sets the path of its table, which is on top. */
static void save_image(lua_State *L, const struct picture *p)
{
    const char *ext = p->image->signature.ext;
    struct tc_writer *writer = &p->sub->writer;
    int error = 0, table = lua_gettop(L);
    struct tc_save_options options = push_save_options(L, p->uservalue);
    if (!writer->path) /* not a byte has come */
        error = tc_save_open(L, &options, ext, p->number, writer);
    if (!error && writer->temporary)
        error = tc_save_commit(L, &options, ext, p->number, writer, PATIENCE);
    if (error && writer->temporary && !tc_writer_keep(writer, error, ext))
        note_misplaced(L, p, tc_save_push_name(L, options.path, ext, p->number), error);
    else if (error)
        cannot_write(p, options.path, error);
    lua_settop(L, table);
    if (writer->path)
        set_path(L, writer);
}

/* ---- pictures ---- */

/* Hashes some of the bytes before they go to a sink or a file, to recognise a picture that comes
 * twice. */
static void sample_bytes(struct tc_subrequest *sub, const struct tc_image *image)
{
    enum { EVERY = 61 };
    uint64_t position = image->size - image->bytes.size;
    for (size_t i = (size_t)((EVERY - position % EVERY) % EVERY); i < image->bytes.size; i += EVERY)
        sub->sample = (sub->sample ^ image->bytes.data[i]) * 16777619U;
}

static bool has_param(lua_State *L, int uservalue, const char *name)
{
    tc_job_push_param(L, uservalue, name);
    bool has = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return has;
}

/* Takes the bytes of a picture under way. */
static void take_bytes(lua_State *L, const struct picture *p)
{
    sample_bytes(p->sub, p->image);
    if (has_param(L, p->uservalue, "save"))
        save_bytes(L, p);
    else
        take_to_sink(L, p);
}

/* Keeps the hash for the picture whose table is on top, if its bytes went to a sink or a file. */
static void keep_sample(lua_State *L, int uservalue, struct tc_subrequest *sub)
{
    if (!sub->request->envelope->images.streaming)
        return;
    tc_job_push_table(L, uservalue, "samples");
    lua_pushvalue(L, -2);
    lua_pushnumber(L, sub->sample);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    sub->sample = 0;
}

/* Calls the sink and on_image for the whole picture whose table is on top. */
static void notify_image(lua_State *L, const struct picture *p)
{
    tc_job_push_param(L, p->uservalue, "sink");
    if (lua_isfunction(L, -1)) {
        lua_pushnil(L);
        call_sink(L, p, lua_gettop(L) - 1);
    }
    lua_pop(L, 1);
    tc_job_push_param(L, p->uservalue, "on_image");
    if (lua_isfunction(L, -1) && tc_job_goes_on(p->job, p->sub)) {
        lua_pushvalue(L, -2);
        tc_pushwhole(L, p->number);
        lua_call(L, 2, 0);
    } else {
        lua_pop(L, 1);
    }
}

/* Makes the table of a whole picture, frees the engine's picture, and calls the user's functions.
 */
static void take_image(lua_State *L, const struct picture *p)
{
    tc_push_image(L, p->image, p->sub->request->envelope->images.streaming);
    if (has_param(L, p->uservalue, "save"))
        save_image(L, p);
    drop(p);
    keep_sample(L, p->uservalue, p->sub);
    if (!p->job->stopped) { /* it is stopped if the file could not be written */
        lua_pushvalue(L, -1);
        tc_job_keep(L, p->uservalue, "images", p->number);
        notify_image(L, p);
    }
    lua_pop(L, 1);
}

/* Keeps a draft, a step on the model's way to a picture. No function is called with it. */
static void take_draft(lua_State *L, const struct picture *p)
{
    if (!p->sub->request->envelope->images.streaming && !p->image->fault) {
        tc_push_image(L, p->image, false);
        tc_job_append(L, p->uservalue, "drafts");
    }
    drop(p);
}

/* Keeps a picture that is not whole, for the error. Its table has the bytes, unless some went to a
 * sink or a file. No function is called with it. */
static void take_cut(lua_State *L, const struct picture *p)
{
    const struct tc_image *image = p->image;
    if (image->ended && image->fault) { /* if it has not ended, the request's failure says why */
        char text[160];
        tc_image_describe(image, p->number, text, sizeof(text));
        lua_pushstring(L, text);
        tc_job_keep(L, p->uservalue, "faults", p->number);
    }
    bool untouched = image->bytes.size == image->size; /* no bytes went elsewhere */
    push_cut(L, p, p->sub->request->envelope->images.streaming && !untouched);
    if (image->size)
        tc_job_keep(L, p->uservalue, "cuts", p->number);
    else
        lua_pop(L, 1);
    drop(p);
    p->sub->sample = 0;
}

/* Takes a picture, or a draft, that has ended. */
static void take_ended(lua_State *L, const struct picture *p)
{
    if (p->image->draft)
        take_draft(L, p);
    else if (p->image->fault)
        take_cut(L, p);
    else
        take_image(L, p);
}

/* ---- the whole ---- */

/* Have all requests ended that exist so far? Reading a response may add some, to fetch pictures. */
static bool all_ended(const struct tc_job *job)
{
    for (const struct tc_subrequest *sub = job->subrequests; sub; sub = sub->next)
        if (sub->request->state != TC_DONE)
            return false;
    return true;
}

/* Reports to on_progress how much has come, now and then and at the end. */
static void report_progress(lua_State *L, int uservalue, struct tc_job *job)
{
    double now = tc_clock_now();
    int top = lua_gettop(L);
    tc_job_push_param(L, uservalue, "on_progress");
    uint64_t received = tc_job_push_received(L, job);
    bool due = now - job->reported.at >= TC_PROGRESS_EVERY || all_ended(job);
    if (!lua_isfunction(L, top + 1) || received == job->reported.bytes || !due) {
        lua_settop(L, top);
        return;
    }
    job->reported.bytes = received;
    job->reported.at = now;
    lua_call(L, 2, 0);
}

/* tc_take_all, protected: for the subrequest (3) of the request (1), whose uservalue is at 2. */
static int take_protected(lua_State *L)
{
    struct tc_job *job = tc_job_of(L, 1);
    struct tc_subrequest *sub = lua_touserdata(L, 3);
    struct tc_envelope *envelope = sub->request->envelope;
    unsigned i;
    tc_checkstack(L, 20 + MOST_CHUNKS);
    while (tc_job_goes_on(job, sub) &&
           (i = tc_receive_next_image(sub->request)) < envelope->images.count) {
        struct picture picture = picture_of(L, job, 2, sub, i);
        if (envelope->images.streaming && picture.image->bytes.size && !picture.image->draft)
            take_bytes(L, &picture);
        else
            take_ended(L, &picture);
    }
    if (tc_job_goes_on(job, sub))
        report_progress(L, 2, job);
    return 0;
}

void tc_take_all(lua_State *L, int index, struct tc_subrequest *sub)
{
    if (tc_job_of(L, index)->stopped)
        return;
    unsigned in_flight = sub->request->attempt.easy != NULL;
    lua_pushcfunction(L, take_protected);
    lua_pushvalue(L, index);
    tc_getuservalue(L, index);
    lua_pushlightuserdata(L, sub);
    bool interrupted;
    sub->request->session->delivering += in_flight;
    tc_receive_hold(sub->request, true);
    int status = tc_hooks_pcall(L, 3, 0, &interrupted);
    tc_receive_hold(sub->request, false);
    sub->request->session->delivering -= in_flight;
    if (status)
        lua_error(L);
}

/* Is a picture without an end kept? It is not if the caller stopped the request, or if its bytes
 * may not be a picture at all. */
static bool is_worth_keeping(const struct tc_request *request, const struct tc_image *image)
{
    enum tc_kind kind = request->failure->kind;
    bool unwanted = kind == TC_CANCELLED || kind == TC_IO;
    return !unwanted && image->size && (image->signature.mime || !request->options.raw_image);
}

/* Keeps one of them. */
static void keep_rest(lua_State *L, const struct picture *p)
{
    if (p->image->ended && !p->image->held && tc_image_is_whole(p->image)) {
        tc_push_image(L, p->image, false);
        tc_job_keep(L, p->uservalue, "images", p->number);
        drop(p);
    } else if (p->image->draft) {
        take_draft(L, p);
    } else {
        take_cut(L, p);
    }
}

void tc_take_rest(lua_State *L, struct tc_job *job, struct tc_subrequest *sub, int uservalue)
{
    const struct tc_envelope *envelope = sub->request->envelope;
    for (unsigned i = 0; i < envelope->images.count; i++) {
        const struct tc_image *image = envelope->images.list[i];
        bool over = image && image->ended && !image->held;
        if (!image || (over && envelope->images.streaming))
            continue;
        if (over || image->draft || is_worth_keeping(sub->request, image)) {
            struct picture picture = picture_of(L, job, uservalue, sub, i);
            keep_rest(L, &picture);
        }
    }
}

/* TC_TAKE, for a subrequest (2) of the request (1). */
static int take(lua_State *L)
{
    tc_take_all(L, 1, lua_touserdata(L, 2));
    return 0;
}

void tc_register_take(lua_State *L)
{
    tc_own_function(L, TC_TAKE, take);
}
