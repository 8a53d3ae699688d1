/*
 * The one door to the heap. Everything below the binding allocates here, so that a test can make
 * any single allocation fail and see that nothing leaks and nothing is half made.
 */
#ifndef TC_ALLOC_H
#define TC_ALLOC_H

#include <stddef.h>

/* Like realloc(): `old` may be NULL; NULL is returned (and `old` kept) when memory is short. */
void *tc_realloc(void *old, size_t size);

/* Like free(): NULL is fine. */
void tc_free(void *block);

/* `size` zeroed bytes, or NULL. */
void *tc_calloc(size_t size);

/* A NUL-terminated copy of `size` bytes, or NULL. */
char *tc_strndup(const char *text, size_t size);

/* A new text: `first`, then `second`. NULL when memory is short. */
char *tc_join(const char *first, const char *second);

/* A copy of a list of texts with NULL at its end, all in one block. NULL when memory is short. */
char **tc_copy_texts(const char *const *texts);

/*
 * Has the C library keep freed blocks of up to `size` bytes for the next ones, where it would give
 * them back to the system and ask for new ones each time. First touches of new pages cost more than
 * all else that is done to a picture.
 */
void tc_keep_pages(size_t size);

/* Overwrites `size` bytes in a way that the compiler may not leave out: for keys. */
void tc_wipe(void *block, size_t size);

/* Replaces the function behind tc_realloc (NULL: the C library's), for tests of failing memory. */
void tc_alloc_hook(void *(*reallocate)(void *old, size_t size));

#endif
