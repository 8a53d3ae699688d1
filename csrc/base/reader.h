/*
 * Reads whole files: pictures that a request sends.
 */
#ifndef TC_READER_H
#define TC_READER_H

#include <stddef.h>
#include <stdint.h>

/* The size in bytes of the regular file at `path`. Returns 0 or an errno; EINVAL for a pipe, a
 * device and the like, which may have no end. */
int tc_reader_size(const char *path, uint64_t *size);

/* Reads the file's first `size` bytes. Returns 0 or an errno; EIO when it has become shorter. */
int tc_reader_read(const char *path, void *bytes, size_t size);

#endif
