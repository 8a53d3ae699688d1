/*
 * A growable array of bytes: see buffer.h.
 */
#include "buffer.h"

#include "alloc.h"

#include <stdint.h>
#include <string.h>

/* The next capacity: half as much again, or `needed` if that is more. So the bytes are seldom
 * copied, and at most a third of the memory is unused. */
static size_t grown(size_t capacity, size_t needed)
{
    size_t half_more = capacity < SIZE_MAX / 2 ? capacity + capacity / 2 : capacity;
    return half_more > needed ? half_more : needed;
}

bool tc_buffer_reserve(struct tc_buffer *buffer, size_t extra)
{
    if (extra <= buffer->capacity - buffer->size)
        return true;
    if (extra > SIZE_MAX - buffer->size)
        return false;
    size_t capacity = grown(buffer->capacity, buffer->size + extra);
    unsigned char *data = tc_realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool tc_buffer_append(struct tc_buffer *buffer, const void *bytes, size_t size)
{
    if (!tc_buffer_reserve(buffer, size))
        return false;
    if (size)
        memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    return true;
}

void tc_buffer_trim(struct tc_buffer *buffer)
{
    unsigned char *data = buffer->size ? tc_realloc(buffer->data, buffer->size) : NULL;
    if (!data)
        return;
    buffer->data = data;
    buffer->capacity = buffer->size;
}

void tc_buffer_free(struct tc_buffer *buffer)
{
    tc_free(buffer->data);
    *buffer = (struct tc_buffer){NULL, 0, 0};
}
