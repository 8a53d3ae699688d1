/*
 * The body of a request, written with gaps: JSON text, and between it bytes that go out as base64.
 *
 * The text is copied. The bytes stay where they are, pictures of megabytes, and are encoded as they
 * are read, straight to where they are wanted: the body as it is sent exists nowhere as a whole. It
 * never changes, so several requests can share one, each with a position of its own.
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
    bool base64; /* goes out as base64, padding included; else as it is */
};

struct tc_body {
    unsigned references;
    uint64_t size; /* bytes as sent */
    size_t count;
    struct tc_piece pieces[]; /* behind them is the text of those that are text */
};

/*
 * A body of `count` pieces, in order, with one reference; a further holder adds one to
 * `references`. The bytes of pieces that go out as base64 have to stay in place until the last
 * request with this body has ended. NULL when memory is short, or for more than INT64_MAX bytes.
 */
struct tc_body *tc_body_new(const struct tc_piece *pieces, size_t count);

/* One holder less; the last one frees it. NULL is fine. */
void tc_body_release(struct tc_body *body);

/*
 * Reads up to `size` bytes, as sent, from `*position` on, and moves it behind them. Returns how
 * many those are: fewer only at the body's end. Any position is as good as any other.
 */
size_t tc_body_read(const struct tc_body *body, uint64_t *position, char *out, size_t size);

#endif
