/*
 * The body of a request: pieces of JSON text, and between them bytes that are sent as base64.
 *
 * The text is copied. The bytes are pictures of megabytes; they stay where they are, and are
 * encoded while the body is read, directly into the reader's buffer. So the body as it is sent
 * never exists as a whole. A body never changes, so several requests can share one, each with its
 * own position.
 */
#ifndef TC_BODY_H
#define TC_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a body. `bytes` may be NULL where `size` is 0. */
struct tc_piece {
    const void *bytes;
    size_t size;
    bool base64; /* it is sent as base64 with padding; else as it is */
};

struct tc_body {
    unsigned references;
    uint64_t size; /* bytes as sent */
    size_t count;
    struct tc_piece pieces[]; /* the copied text follows them in the same block */
};

/*
 * A body of `count` pieces, with one reference; another holder adds one to `references`. Bytes that
 * are sent as base64 have to stay in place until the last request with this body has ended. NULL
 * when memory is short, or for more than INT64_MAX bytes.
 */
struct tc_body *tc_body_new(const struct tc_piece *pieces, size_t count);

/* Gives up a reference; the last one frees the body. NULL is fine. */
void tc_body_release(struct tc_body *body);

/*
 * Reads up to `size` bytes, as they are sent, from `*position` on, and adds their count to
 * `*position`. Returns the count, which is below `size` only at the body's end. A read can begin at
 * any position.
 */
size_t tc_body_read(const struct tc_body *body, uint64_t *position, char *out, size_t size);

#endif
