/*
 * Files that are there whole or not at all: bytes go to a temporary file beside the one that is
 * meant, which takes its place in one step at the end. Who reads the file sees the old one or the
 * new one, never half a picture. A device or a pipe is no such file: it is written to as it is.
 */
#ifndef TC_WRITER_H
#define TC_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A file on its way. All zero is none. */
struct tc_writer {
    FILE *file;
    char *temporary; /* its name for now; NULL where a device or a pipe is written to */
};

/*
 * Begins a file that is to be `path`, or beside it under another name: it must end in the same
 * directory. Returns 0 or an errno.
 */
int tc_writer_open(struct tc_writer *writer, const char *path);

/* Is it a device or a pipe? */
bool tc_writer_is_device(const char *path);

/* Could a file be put there, now? Nothing is left behind. Returns 0 or an errno. */
int tc_writer_check(const char *path);

/* Adds bytes. Returns 0 or an errno. */
int tc_writer_write(struct tc_writer *writer, const void *bytes, size_t size);

/*
 * Ends the file and gives it its name. A file that was there leaves it its mode; a symbolic link
 * stays, what it points to is replaced, and one that points to nothing is an error. Returns 0, or
 * an errno: then nothing has changed and the temporary file is gone.
 */
int tc_writer_commit(struct tc_writer *writer, const char *path);

/* Removes the temporary file, if there is one. */
void tc_writer_abort(struct tc_writer *writer);

#endif
