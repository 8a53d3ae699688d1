/*
 * A picture on its way in, and what its first bytes tell about it.
 *
 * The type and the dimensions come from the bytes' own signature (PNG, JPEG, WebP, GIF), never from
 * what a server claims. The reader takes bytes as they come and keeps 32 of them at most, so it
 * works just as well for a picture that is handed on and never held.
 */
#ifndef TC_IMAGE_H
#define TC_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* What the signature says. All zero is "nothing known yet". */
struct tc_signature {
    const char *mime; /* "image/png", or NULL where unknown */
    const char *ext;  /* "png" (without a dot), or NULL */
    uint32_t width;   /* pixels, 0 where unknown */
    uint32_t height;

    /* The reader's own: */
    bool settled;             /* nothing more is to be learnt */
    uint64_t position;        /* bytes seen so far */
    uint64_t window_start;    /* where in the picture the window lies; may be ahead of position */
    unsigned window_size;     /* bytes of it that are there */
    unsigned char window[32]; /* the bytes under consideration */
};

/* Looks at the next `size` bytes of a picture. */
void tc_signature_feed(struct tc_signature *signature, const unsigned char *bytes, size_t size);

/* One picture of an answer. */
struct tc_image {
    struct tc_buffer bytes; /* decoded and not yet taken away */
    uint64_t size;          /* decoded so far, taken away or not */
    struct tc_signature signature;
    bool whole; /* the last byte is there */
};

#endif
