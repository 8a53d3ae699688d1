/*
 * What the bytes of a picture's file tell about it.
 *
 * The type, the dimensions and the end come from the bytes' own structure (PNG, JPEG, WebP, GIF),
 * never from what a server claims. The reader takes bytes as they come and keeps 32 of them at
 * most, so it can also read a picture that is streamed and never in memory as a whole.
 */
#ifndef TC_SIGNATURE_H
#define TC_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Has the file's own end been seen? */
enum tc_file_end {
    TC_END_MISSING, /* the type is known, and the end was not seen */
    TC_END_SEEN,    /* bytes after the end do not matter */
    TC_END_UNKNOWN  /* the type is not known, so its end is not either */
};

/* What the bytes say. All zero is "nothing known yet". */
struct tc_signature {
    const char *mime; /* "image/png", or NULL where unknown */
    const char *ext;  /* "png" (without a dot), or NULL */
    uint32_t width;   /* pixels, 0 where unknown */
    uint32_t height;
    bool settled; /* these four will not change any more */

    /* Private: */
    unsigned char state;
    unsigned char window_size;
    unsigned char wanted;     /* how many bytes the window needs before it is looked at */
    unsigned char window[32]; /* the latest bytes */
    uint64_t position;        /* bytes seen so far */
    uint64_t skip;            /* bytes to skip */
};

/* Looks at the next `size` bytes of a picture. */
void tc_signature_feed(struct tc_signature *signature, const unsigned char *bytes, size_t size);

/* Was the end of the file seen? To be asked after the last byte. */
enum tc_file_end tc_signature_end(const struct tc_signature *signature);

/* Are the bytes text and no picture: words, an HTML page, base64 or hexadecimal digits? */
bool tc_signature_is_text(const struct tc_signature *signature);

/* How the base64 of PNG, JPEG, GIF and WebP begins. */
enum { TC_PICTURE_HEADS = 5 };
extern const char *const tc_picture_heads[TC_PICTURE_HEADS];

/* Does the text contain the base64 of a picture, or at least the beginning of it? */
bool tc_text_has_picture(const void *text, size_t size);

#endif
