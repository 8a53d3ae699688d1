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
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>

static char *follow_links(const char *path, int *error)
{
    char *copy = tc_strndup(path, strlen(path));
    *error = copy ? 0 : ENOMEM;
    return copy;
}

static bool is_directory(const char *path)
{
    DWORD attributes = GetFileAttributesA(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

static bool is_replaceable(const char *path)
{
    (void)path;
    return true;
}

static int replace(const char *from, const char *to)
{
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) ? 0 : EACCES;
}
#else
#include <sys/stat.h>

/* The file that `path` means, or `path` itself where there is none yet. A link to nothing is an
 * error. */
static char *follow_links(const char *path, int *error)
{
    struct stat there;
    char *target = realpath(path, NULL);
    if (!target && errno != ENOENT) {
        *error = errno;
        return NULL;
    }
    if (!target && lstat(path, &there) == 0) {
        *error = ENOENT;
        return NULL;
    }
    char *copy = tc_strndup(target ? target : path, strlen(target ? target : path));
    free(target);
    *error = copy ? 0 : ENOMEM;
    return copy;
}

static bool is_directory(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 && S_ISDIR(there.st_mode);
}

/* Devices and pipes are written to, not replaced. */
static bool is_replaceable(const char *path)
{
    struct stat there;
    return stat(path, &there) != 0 || S_ISREG(there.st_mode) || S_ISDIR(there.st_mode);
}

/* A file that is replaced leaves its mode to the new one. */
static int replace(const char *from, const char *to)
{
    struct stat there;
    if (stat(to, &there) == 0 && S_ISREG(there.st_mode))
        (void)chmod(from, there.st_mode & 07777);
    return rename(from, to) ? errno : 0;
}
#endif

enum { TRIES = 100, LONGEST_NAME = 40 };

/* Opens `name`, which must not be there yet. Sets errno. */
static FILE *create(const char *name)
{
    return fopen(name, "wbx");
}

/* The length of the directory's part of `path`, its slash included. */
static size_t directory_size(const char *path)
{
    size_t size = strlen(path);
    while (size && path[size - 1] != '/' && path[size - 1] != '\\')
        size--;
    return size;
}

/* Opens a new file in the directory of `target`, whose name may be as long as names can be. */
static int open_temporary(struct tc_writer *writer, const char *target)
{
    size_t directory = directory_size(target);
    char *name = tc_realloc(NULL, directory + LONGEST_NAME);
    int error = EEXIST;
    if (!name)
        return ENOMEM;
    memcpy(name, target, directory);
    for (int i = 0; i < TRIES && error == EEXIST; i++) {
        unsigned long number = (unsigned long)((uint64_t)(tc_clock_now() * 1e6) % 1000000000);
        snprintf(name + directory, LONGEST_NAME, ".thucchien-%09lu-%02d.part", number, i);
        writer->file = create(name);
        error = writer->file ? 0 : errno;
    }
    if (error)
        tc_free(name);
    else
        writer->temporary = name;
    return error;
}

int tc_writer_open(struct tc_writer *writer, const char *path)
{
    int error;
    *writer = (struct tc_writer){NULL, NULL};
    char *target = follow_links(path, &error);
    if (!target)
        return error;
    if (is_replaceable(target)) {
        error = open_temporary(writer, target);
    } else {
        writer->file = fopen(target, "wb");
        error = writer->file ? 0 : errno;
    }
    tc_free(target);
    return error;
}

bool tc_writer_is_device(const char *path)
{
    return !is_replaceable(path);
}

int tc_writer_check(const char *path)
{
    struct tc_writer writer;
    if (is_directory(path))
        return EISDIR;
    if (!is_replaceable(path)) /* to open a pipe may wait for its reader */
        return 0;
    int error = tc_writer_open(&writer, path);
    tc_writer_abort(&writer);
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

/* Gives the temporary file the name that `path` means. */
static int rename_to(const struct tc_writer *writer, const char *path)
{
    int error;
    char *target = follow_links(path, &error);
    if (target)
        error = replace(writer->temporary, target);
    tc_free(target);
    return error;
}

int tc_writer_commit(struct tc_writer *writer, const char *path)
{
    int error = close_file(writer);
    if (!error && writer->temporary)
        error = rename_to(writer, path);
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
