/*
 * All layers below the binding allocate their memory here. So a test can make any single allocation
 * fail, and check that nothing leaks and that nothing stays half made.
 */
#ifndef TC_ALLOC_H
#define TC_ALLOC_H

#include <stddef.h>

/* Like realloc(): `old` may be NULL. Returns NULL when memory is short; `old` is valid still. */
void *tc_realloc(void *old, size_t size);

/* Like free(): NULL is fine. */
void tc_free(void *block);

/* `size` zeroed bytes, or NULL. */
void *tc_calloc(size_t size);

/* A NUL-terminated copy of `size` bytes, or NULL. */
char *tc_strndup(const char *text, size_t size);

/* A new text: `first` and `second` joined. NULL when memory is short. */
char *tc_join(const char *first, const char *second);

/* A copy of a list of texts with NULL at its end, all in one block. NULL when memory is short. */
char **tc_copy_texts(const char *const *texts);

/*
 * Makes the C library reuse freed blocks of up to `size` bytes. Otherwise it gives them back to the
 * system and asks for new ones each time. The first write to each new page then costs more than
 * everything else that is done to a picture.
 */
void tc_keep_pages(size_t size);

/* Overwrites `size` bytes in a way that the compiler may not leave out: for keys. */
void tc_wipe(void *block, size_t size);

/* Replaces the function behind tc_realloc (NULL: the C library's), for tests of failing memory. */
void tc_alloc_hook(void *(*reallocate)(void *old, size_t size));

#endif
