/*
 * A growable array of bytes. A buffer of zeros is empty. Its owner has to free it.
 */
#ifndef TC_BUFFER_H
#define TC_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct tc_buffer {
    unsigned char *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
};

/* Makes room for `extra` more bytes after `size`. False when memory is short: nothing changed. */
bool tc_buffer_reserve(struct tc_buffer *buffer, size_t extra);

/* Adds `size` bytes. False when memory is short: nothing changed. */
bool tc_buffer_append(struct tc_buffer *buffer, const void *bytes, size_t size);

/* Frees the unused memory after `size`, if the allocator can. Does nothing if `size` is 0. */
void tc_buffer_trim(struct tc_buffer *buffer);

/* Frees the memory and leaves an empty buffer. */
void tc_buffer_free(struct tc_buffer *buffer);

#endif
