/*
 * A growable run of bytes. All zero is an empty buffer; whoever holds it frees it.
 */
#ifndef TC_BUFFER_H
#define TC_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct tc_buffer {
    unsigned char *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes there are */
};

/* Makes room for `extra` more bytes behind `size`. False when memory is short: nothing changed. */
bool tc_buffer_reserve(struct tc_buffer *buffer, size_t extra);

/* Adds `size` bytes. False when memory is short: nothing changed. */
bool tc_buffer_append(struct tc_buffer *buffer, const void *bytes, size_t size);

/* Gives back what is behind `size`, if that can be done. */
void tc_buffer_trim(struct tc_buffer *buffer);

/* Gives the memory back and leaves an empty buffer. */
void tc_buffer_free(struct tc_buffer *buffer);

#endif
