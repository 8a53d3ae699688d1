/*
 * Files that are there whole or not at all: see writer.h.
 */
#ifndef _WIN32
#define _XOPEN_SOURCE 700 /* realpath */
#endif

#include "writer.h"

#include "alloc.h"
#include "clock.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>

static char *follow_links(const char *path)
{
    return tc_strndup(path, strlen(path));
}

static int replace(const char *from, const char *to)
{
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) ? 0 : EACCES;
}
#else
/* The file that `path` means, or `path` itself where there is none yet. NULL: no memory. */
static char *follow_links(const char *path)
{
    char *there = realpath(path, NULL), *copy;
    copy = tc_strndup(there ? there : path, strlen(there ? there : path));
    free(there);
    return copy;
}

static int replace(const char *from, const char *to)
{
    return rename(from, to) ? errno : 0;
}
#endif

enum { TRIES = 100, SUFFIX = 32 };

/* Opens `name`, which must not be there yet. Sets errno. */
static FILE *create(const char *name)
{
    return fopen(name, "wbx");
}

int tc_writer_open(struct tc_writer *writer, const char *path)
{
    char *target = follow_links(path);
    *writer = (struct tc_writer){NULL, NULL};
    if (!target)
        return ENOMEM;
    size_t size = strlen(target);
    writer->temporary = tc_realloc(target, size + SUFFIX);
    if (!writer->temporary) {
        tc_free(target);
        return ENOMEM;
    }
    int error = EEXIST;
    for (int i = 0; i < TRIES && error == EEXIST; i++) {
        unsigned long number = (unsigned long)((uint64_t)(tc_clock_now() * 1e6) % 1000000000);
        snprintf(writer->temporary + size, SUFFIX, ".%09lu-%02d.part", number, i);
        writer->file = create(writer->temporary);
        error = writer->file ? 0 : errno;
    }
    if (error) {
        tc_free(writer->temporary);
        writer->temporary = NULL;
    }
    return error;
}

int tc_writer_write(struct tc_writer *writer, const void *bytes, size_t size)
{
    errno = 0;
    if (fwrite(bytes, 1, size, writer->file) == size)
        return 0;
    return errno ? errno : EIO;
}

static int close_file(struct tc_writer *writer)
{
    errno = 0;
    int failed = fclose(writer->file);
    writer->file = NULL;
    return !failed ? 0 : errno ? errno : EIO;
}

int tc_writer_commit(struct tc_writer *writer, const char *path)
{
    int error = close_file(writer);
    char *target = error ? NULL : follow_links(path);
    if (!error)
        error = target ? replace(writer->temporary, target) : ENOMEM;
    tc_free(target);
    if (error) {
        tc_writer_abort(writer);
        return error;
    }
    tc_free(writer->temporary);
    writer->temporary = NULL;
    return 0;
}

void tc_writer_abort(struct tc_writer *writer)
{
    if (writer->file)
        (void)fclose(writer->file); /* what is in it does not matter any more */
    if (writer->temporary)
        remove(writer->temporary);
    tc_free(writer->temporary);
    *writer = (struct tc_writer){NULL, NULL};
}
