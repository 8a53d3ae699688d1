/*
 * Writes files so that each appears whole or not at all: see writer.h.
 *
 * Temporary files have one of a few fixed names. So those that a killed process left are found
 * without listing the directory, which may be large.
 */
#include "writer.h"

#include "alloc.h"
#include "clock.h"
#include "device.h"
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SLOTS = 32,               /* fixed names of temporary files */
    TRIES = 100,              /* names that are tried: the fixed ones, then others */
    NUMBERS = 9999,           /* the last number in names such as a-rescued-1.png */
    ROOM = 48,                /* bytes for a file's name, or for what is appended to a name */
    FLUSH_EVERY = 256 * 1024, /* bytes after which the system is asked to write to the disk */
    COPY_SIZE = 16 * 1024     /* bytes that are copied at once */
};

/* ---- names ---- */

const char *tc_base_name(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (tc_disk_is_separator(*path))
            base = path + 1;
    return base;
}

/* The length of the directory in `path`, its last separator included. */
static size_t directory_size(const char *path)
{
    return (size_t)(tc_base_name(path) - path);
}

/* Joins the first `a_size` bytes of `a`, the first `b_size` bytes of `b`, and `c`. ROOM more bytes
 * are allocated after them. NULL when memory is short. */
static char *join(const char *a, size_t a_size, const char *b, size_t b_size, const char *c)
{
    size_t c_size = strlen(c);
    char *text = tc_realloc(NULL, a_size + b_size + c_size + ROOM);
    if (!text)
        return NULL;
    memcpy(text, a, a_size);
    memcpy(text + a_size, b, b_size);
    memcpy(text + a_size + b_size, c, c_size + 1);
    return text;
}

/* The extension of a file's name with its dot, or the end of a name that has none. */
static const char *find_extension(const char *base)
{
    const char *dot = strrchr(base, '.');
    return dot && dot != base && dot[1] ? dot : base + strlen(base);
}

/* Renames the file `from` to the first free name. For the head "a" and the tail ".png" these are
 * a-1.png, a-2.png, ...; the first one is a.png unless `numbered`. Sets `*name`, which is NULL
 * after an error. */
static int take_free_name(int *file, const char *from, const char *head, const char *tail,
                          bool numbered, char **name)
{
    size_t size = strlen(head), room = strlen(tail) + ROOM;
    int error = EEXIST;
    *name = tc_realloc(NULL, size + room);
    if (!*name)
        return ENOMEM;
    memcpy(*name, head, size);
    for (int i = 1; i <= NUMBERS && error == EEXIST; i++) {
        if (i == 1 && !numbered)
            snprintf(*name + size, room, "%s", tail);
        else
            snprintf(*name + size, room, "-%d%s", i, tail);
        error = tc_disk_rename(file, from, *name, false);
    }
    if (!error)
        return 0;
    tc_free(*name);
    *name = NULL;
    return error;
}

/* ---- temporary files ---- */

/* If a killed process left a temporary file at `name`, gives it a visible name. */
static void show_leftover(const char *name)
{
    int file;
    uint64_t size;
    char *head, *kept = NULL;
    if (!tc_disk_adopt(name, &file, &size))
        return;
    head = join(name, directory_size(name), "", 0, "unfinished");
    if (!size)
        tc_disk_remove(name);
    else if (head)
        (void)take_free_name(&file, name, head, ".part", true, &kept);
    tc_disk_close(file);
    tc_free(kept);
    tc_free(head);
}

/* Writes the fixed name number `slot` of a temporary file. */
static void name_slot(char *name, size_t room, int slot)
{
    snprintf(name, room, ".thucchien-%02d.part", slot);
}

/* Opens a new file in `directory`, which ends with its separator or is empty. */
static int open_temporary(struct tc_writer *writer, const char *directory, int mode)
{
    size_t size = strlen(directory);
    char *name = join(directory, size, "", 0, "");
    int error = EEXIST;
    if (!name)
        return ENOMEM;
    for (int i = 0; i < SLOTS; i++) {
        name_slot(name + size, ROOM, i);
        show_leftover(name);
    }
    for (int i = 0; i < TRIES && error == EEXIST; i++) {
        unsigned long number = (unsigned long)((uint64_t)(tc_clock_now() * 1e6) % 1000000000);
        name_slot(name + size, ROOM, i);
        if (i >= SLOTS)
            snprintf(name + size, ROOM, ".thucchien-%09lu-%02d.part", number, i);
        error = tc_disk_create(name, mode, &writer->file);
    }
    if (error)
        tc_free(name);
    else
        writer->temporary = name;
    return error;
}

/* Is `path` written to directly? Without TC_WRITER_REPLACE it is not, whatever it is: then its name
 * is taken. */
static bool is_device(const char *path, unsigned options)
{
    return (options & TC_WRITER_REPLACE) && tc_device_is(path);
}

/* The directory where the temporary file for `path` has to be, to be freed with tc_free. NULL if
 * `*error` is set. */
static char *find_directory(const char *path, unsigned options, int *error)
{
    const char *base = tc_base_name(path);
    char *target = NULL;
    *error = 0;
    if (!*base || !strcmp(base, ".") || !strcmp(base, "..") || tc_disk_is_directory(path))
        *error = *path ? EISDIR : ENOENT;
    else if (options & TC_WRITER_REPLACE)
        target = tc_disk_follow_links(path, error);
    else
        target = tc_strndup(path, strlen(path));
    if (target)
        target[directory_size(target)] = '\0';
    else if (!*error)
        *error = ENOMEM;
    return target;
}

/* Opens a temporary file for `path` in `directory`. */
static int begin(struct tc_writer *writer, const char *path, const char *directory, int mode)
{
    int error = ENOMEM;
    writer->path = tc_strndup(path, strlen(path));
    if (writer->path)
        error = open_temporary(writer, directory, mode);
    if (error)
        tc_writer_abort(writer);
    return error;
}

int tc_writer_open_elsewhere(struct tc_writer *writer, const char *path, int error)
{
    const char *place;
    int problem = ENOENT;
    for (unsigned i = 0; problem && (place = tc_disk_temporary_directory(i)); i++) {
        char *directory = join(place, strlen(place), "", 0, "/");
        *writer = (struct tc_writer){.error = error, .options = TC_WRITER_REPLACE};
        problem = directory ? begin(writer, path, directory, TC_DISK_PRIVATE) : ENOMEM;
        tc_free(directory);
    }
    return problem;
}

int tc_writer_open(struct tc_writer *writer, const char *path, unsigned options)
{
    int error;
    if (is_device(path, options))
        return tc_writer_open_elsewhere(writer, path, 0);
    *writer = (struct tc_writer){.options = options};
    char *directory = find_directory(path, options, &error);
    if (directory)
        error = begin(writer, path, directory, TC_DISK_PUBLIC);
    tc_free(directory);
    return error;
}

int tc_writer_check_name(const char *path, unsigned options)
{
    if (is_device(path, options))
        return tc_device_check(path);
    if (tc_disk_is_directory(path))
        return EISDIR;
    if (!(options & TC_WRITER_REPLACE) && tc_disk_exists(path))
        return EEXIST;
    return tc_disk_look_up(path);
}

int tc_writer_check(const char *path, unsigned options)
{
    struct tc_writer writer;
    int error = tc_writer_check_name(path, options);
    if (!error)
        error = tc_writer_open(&writer, path, options);
    if (error)
        return error;
    error = tc_writer_write(&writer, "x", 1); /* a full disk refuses it */
    tc_writer_abort(&writer);
    return error;
}

/* ---- bytes ---- */

int tc_writer_write(struct tc_writer *writer, const void *bytes, size_t size)
{
    int error = tc_disk_append(writer->file, writer->size, bytes, size);
    if (error)
        return error;
    writer->size += size;
    bool flush = !(writer->options & TC_WRITER_NO_FLUSH);
    if (flush && writer->size - writer->flushed >= FLUSH_EVERY) {
        tc_disk_start_flush(writer->file, writer->flushed, writer->size - writer->flushed);
        writer->flushed = writer->size;
    }
    return 0;
}

void tc_writer_fill(struct tc_writer *writer, const void *bytes, size_t size)
{
    const char *at = bytes;
    for (size_t piece = size; piece; piece = piece < size ? piece : size) {
        if (tc_writer_write(writer, at, piece)) {
            piece /= 2;
        } else {
            at += piece;
            size -= piece;
        }
    }
}

/* Passes the contents of the file to `put`, piece by piece. */
static int copy(const struct tc_writer *writer, int (*put)(void *, const void *, size_t), void *to)
{
    char piece[COPY_SIZE];
    int error = 0;
    for (uint64_t at = 0; at < writer->size && !error;) {
        uint64_t rest = writer->size - at;
        size_t size = rest < sizeof(piece) ? (size_t)rest : sizeof(piece);
        error = tc_disk_read(writer->file, at, piece, size);
        if (!error)
            error = put(to, piece, size);
        at += size;
    }
    return error;
}

static int write_to_file(void *writer, const void *bytes, size_t size)
{
    return tc_writer_write(writer, bytes, size);
}

int tc_writer_move(struct tc_writer *writer, int error, const void *bytes, size_t size)
{
    struct tc_writer moved;
    int problem = tc_writer_open_elsewhere(&moved, writer->path, error);
    if (problem)
        return problem;
    problem = copy(writer, write_to_file, &moved);
    if (!problem && size)
        problem = tc_writer_write(&moved, bytes, size);
    tc_writer_abort(problem ? &moved : writer);
    if (!problem)
        *writer = moved;
    return problem;
}

/* ---- the end ---- */

/* Closes the file, which has its last name now. Takes ownership of `name`. */
static void settle(struct tc_writer *writer, char *name)
{
    tc_disk_close(writer->file);
    tc_free(writer->path);
    if (name != writer->temporary)
        tc_free(writer->temporary);
    writer->path = name;
    writer->temporary = NULL;
}

/* Where give_to_device copies to. */
struct destination {
    int device;
    double patience;
};

static int write_to_device(void *to, const void *bytes, size_t size)
{
    const struct destination *destination = to;
    return tc_device_write(destination->device, bytes, size, destination->patience);
}

/* Writes the contents of the file to the device `path`, and removes the file. */
static int give_to_device(const struct tc_writer *writer, const char *path, double patience)
{
    struct destination destination = {-1, patience};
    int error = tc_device_open(path, &destination.device);
    if (error)
        return error;
    error = copy(writer, write_to_device, &destination);
    int close_error = tc_device_close(destination.device);
    if (error || close_error)
        return error ? error : close_error;
    tc_disk_remove(writer->temporary);
    return 0;
}

/* The name that the file has to get, to be freed with tc_free: `path`, or the one that `path`
 * points to if files may be replaced and it is a symbolic link. NULL if `*error` is set. */
static char *find_target(const char *path, unsigned options, int *error)
{
    if (options & TC_WRITER_REPLACE)
        return tc_disk_follow_links(path, error);
    *error = tc_disk_exists(path) ? EEXIST : 0;
    char *copy = *error ? NULL : tc_strndup(path, strlen(path));
    *error = copy || *error ? *error : ENOMEM;
    return copy;
}

/* Renames the temporary file to `path`, once it is on the disk. */
static int give_name(struct tc_writer *writer, const char *path)
{
    bool replace = writer->options & TC_WRITER_REPLACE;
    bool flush = !(writer->options & TC_WRITER_NO_FLUSH);
    int error;
    char *target = find_target(path, writer->options, &error);
    if (!error && flush)
        error = tc_disk_flush(writer->file);
    if (!error)
        error = tc_disk_rename(&writer->file, writer->temporary, target, replace);
    if (!error && flush)
        tc_disk_flush_directory(target, directory_size(target));
    tc_free(target);
    return error;
}

int tc_writer_commit(struct tc_writer *writer, const char *path, double patience)
{
    if (writer->error)
        return writer->error;
    char *name = tc_strndup(path, strlen(path));
    if (!name)
        return ENOMEM;
    int error = is_device(path, writer->options) ? give_to_device(writer, path, patience)
                                                 : give_name(writer, path);
    if (error)
        tc_free(name);
    else
        settle(writer, name);
    return error;
}

/* Renames a file that is kept to a free name with `base` in it, in the directory where it is, and
 * closes it. */
static int rename_kept(struct tc_writer *writer, const char *base, bool whole, const char *ext)
{
    const char *dot = find_extension(base);
    size_t stem = whole ? (size_t)(dot - base) : strlen(base);
    char *name = NULL, added[ROOM] = "";
    char *head = join(writer->temporary, directory_size(writer->temporary), base, stem,
                      whole ? "-rescued" : "");
    int error = ENOMEM;
    if (whole && ext && !*dot)
        snprintf(added, sizeof(added), ".%s", ext);
    const char *tail = !whole ? ".part" : *dot ? dot : added;
    if (head)
        error = take_free_name(&writer->file, writer->temporary, head, tail, whole, &name);
    if (!error) {
        tc_disk_flush_directory(name, directory_size(name));
        settle(writer, name);
    }
    tc_free(head);
    return error;
}

/* Keeps the file in the directory where it is. */
static int keep_here(struct tc_writer *writer, bool whole, const char *ext)
{
    int error = tc_disk_flush(writer->file);
    if (error)
        return error;
    error = rename_kept(writer, tc_base_name(writer->path), whole, ext);
    if (error == ENAMETOOLONG)
        error = rename_kept(writer, "picture", whole, ext);
    return error;
}

int tc_writer_keep(struct tc_writer *writer, int error, const char *ext)
{
    bool whole = error != 0;
    if (tc_disk_refused(error) && !writer->error)
        (void)tc_writer_move(writer, error, NULL, 0);
    int problem = keep_here(writer, whole, ext);
    if (!problem)
        return 0;
    /* If only the name was the problem, the temporary file can stay where it is. */
    bool stays = tc_disk_is_name_of(writer->temporary, writer->file) && !tc_disk_refused(problem);
    if (!stays && !tc_writer_move(writer, error, NULL, 0) && !keep_here(writer, whole, ext))
        return 0;
    if (tc_disk_is_name_of(writer->temporary, writer->file)) {
        settle(writer, writer->temporary);
        return 0;
    }
    tc_writer_abort(writer);
    return problem;
}

void tc_writer_abort(struct tc_writer *writer)
{
    if (writer->temporary) {
        tc_disk_close(writer->file);
        tc_disk_remove(writer->temporary);
    }
    tc_free(writer->temporary);
    tc_free(writer->path);
    *writer = (struct tc_writer){0};
}

const char *tc_writer_reason(int error)
{
    switch (error) {
    case ENXIO:
        return "nobody reads from it";
    case ETIMEDOUT:
        return "its reader does not read on";
    default:
        return strerror(error);
    }
}
