/*
 * What the bytes of a picture's file tell about it.
 *
 * The type, the dimensions and the end come from the bytes' own structure (PNG, JPEG, WebP, GIF),
 * never from what a server claims. The reader takes bytes as they come and keeps 32 of them at
 * most, so it works just as well for a picture that is handed on and never held.
 */
#ifndef TC_SIGNATURE_H
#define TC_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Has the file's own end been seen? */
enum tc_file_end {
    TC_END_MISSING, /* of a type that we know, but not its end */
    TC_END_SEEN,    /* what comes behind it does not count */
    TC_END_UNKNOWN  /* the type is not known, so its end is not either */
};

/* What the bytes say. All zero is "nothing known yet". */
struct tc_signature {
    const char *mime; /* "image/png", or NULL where unknown */
    const char *ext;  /* "png" (without a dot), or NULL */
    uint32_t width;   /* pixels, 0 where unknown */
    uint32_t height;
    bool settled; /* no more is to be learnt of these four */

    /* The reader's own: */
    unsigned char state;
    unsigned char window_size;
    unsigned char wanted;     /* bytes that the window needs before it is looked at */
    unsigned char window[32]; /* the bytes under consideration */
    uint64_t position;        /* bytes seen so far */
    uint64_t skip;            /* bytes to come that are of no interest */
};

/* Looks at the next `size` bytes of a picture. */
void tc_signature_feed(struct tc_signature *signature, const unsigned char *bytes, size_t size);

/* What is known of the end once the last byte was fed. */
enum tc_file_end tc_signature_end(const struct tc_signature *signature);

/* Are they text and no picture: words, a page, base64 or hexadecimal digits? */
bool tc_signature_is_text(const struct tc_signature *signature);

/* How the base64 of PNG, JPEG, GIF and WebP begins. */
enum { TC_PICTURE_HEADS = 5 };
extern const char *const tc_picture_heads[TC_PICTURE_HEADS];

/* Is there the base64 of a picture in a text, at least the beginning of it? */
bool tc_text_has_picture(const void *text, size_t size);

#endif
