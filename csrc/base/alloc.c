/*
 * Allocation of memory: see alloc.h.
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

char *tc_join(const char *first, const char *second)
{
    size_t first_size = strlen(first), second_size = strlen(second);
    char *both = tc_realloc(NULL, first_size + second_size + 1);
    if (!both)
        return NULL;
    memcpy(both, first, first_size);
    memcpy(both + first_size, second, second_size + 1);
    return both;
}

char **tc_copy_texts(const char *const *texts)
{
    size_t count = 0, size = 0;
    for (; texts[count]; count++)
        size += strlen(texts[count]) + 1;
    char **copies = tc_realloc(NULL, (count + 1) * sizeof(*copies) + size);
    if (!copies)
        return NULL;
    char *at = (char *)(copies + count + 1);
    for (size_t i = 0; i < count; i++) {
        size = strlen(texts[i]) + 1;
        copies[i] = memcpy(at, texts[i], size);
        at += size;
    }
    copies[count] = NULL;
    return copies;
}

/*
 * glibc maps each block above a threshold separately. Freeing such a block raises the threshold to
 * its size, and the unused memory that the heap may keep to twice its size (mallopt(3),
 * M_MMAP_THRESHOLD). The threshold can be 32 MiB at most. The block here is never written to, so it
 * costs no memory.
 */
void tc_keep_pages(size_t size)
{
#ifdef __GLIBC__
    enum { MOST = 31 << 20 };
    tc_free(tc_realloc(NULL, size < MOST ? size : MOST));
#else
    (void)size;
#endif
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
