/*
 * The one door to the heap: see alloc.h.
 */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

static void *(*hook)(void *old, size_t size);

void *tc_realloc(void *old, size_t size)
{
    return hook ? hook(old, size) : realloc(old, size);
}

void tc_free(void *block)
{
    free(block);
}

void *tc_calloc(size_t size)
{
    void *block = tc_realloc(NULL, size);
    if (block)
        memset(block, 0, size);
    return block;
}

char *tc_strndup(const char *text, size_t size)
{
    char *copy = tc_realloc(NULL, size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

void tc_wipe(void *block, size_t size)
{
    volatile unsigned char *byte = block;
    while (size--)
        *byte++ = 0;
}

void tc_alloc_hook(void *(*reallocate)(void *old, size_t size))
{
    hook = reallocate;
}
