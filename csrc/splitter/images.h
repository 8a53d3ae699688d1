/*
 * The pictures of one response, while their base64 is decoded and until they are taken away.
 *
 * Each picture has a buffer of its own. New memory costs more than the decoding, so a buffer that
 * was used is kept as the spare one for the next picture.
 */
#ifndef TC_IMAGES_H
#define TC_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "base64.h"
#include "signature.h"

enum {
    TC_IMAGES = 64,            /* pictures in one response */
    TC_IMAGES_SPARE = 16 << 20 /* bytes of a picture whose buffer is kept for the next one */
};

/* What is wrong with a picture that has ended. */
enum tc_image_fault {
    TC_IMAGE_FINE,
    TC_IMAGE_CUT,    /* its file ends too early */
    TC_IMAGE_DAMAGED /* its base64 is wrong somewhere: what came before that is there */
};

/* One picture of a response. */
struct tc_image {
    struct tc_buffer bytes; /* decoded and not yet taken away */
    uint64_t size;          /* decoded so far, taken away or not */
    struct tc_signature signature;
    bool ended; /* nothing more of it will come */
    bool held;  /* whether it is a draft is not known yet: its bytes are not to be handed out */
    bool text;  /* its server calls it text */
    bool lone;  /* it is a field of the object that may turn out to hold drafts */
    bool draft; /* a step on the model's way to the picture */
    enum tc_image_fault fault;         /* once it has ended */
    enum tc_base64_error base64_error; /* of a damaged one */
};

/* Is it there to the last byte, and no draft? */
bool tc_image_is_whole(const struct tc_image *image);

/* One line for a person on picture `number` that is not whole: "image 2 is cut short (...)". */
void tc_image_describe(const struct tc_image *image, unsigned number, char *text, size_t size);

struct tc_images {
    struct tc_image **list; /* by number less one; NULL: dropped */
    unsigned count;
    unsigned dropped_drafts; /* pictures that were dropped and no more than drafts */
    struct tc_buffer *spare; /* where a used buffer may be found and left, or NULL */
    bool streaming;          /* bytes of pictures are taken away as they come */
    struct tc_base64 base64; /* of the picture under way */
};

/* The picture under way, or NULL. */
struct tc_image *tc_images_open(const struct tc_images *images);

/* Begins one more, of fewer than TC_IMAGES, while none is under way. NULL: no memory. */
struct tc_image *tc_images_add(struct tc_images *images);

/*
 * Decodes base64 for the picture under way, as far as the characters are base64, or spaces where
 * `spaces` may stand. At most `left` bytes of input are to come, these included; 0: nobody knows.
 * Sets `*taken`. False: no memory.
 */
bool tc_images_decode(struct tc_images *images, const char *text, size_t size, bool spaces,
                      uint64_t left, size_t *taken);

/* Adds bytes that are not encoded to the picture under way. False: no memory. */
bool tc_images_append(struct tc_images *images, const char *bytes, size_t size, uint64_t left);

/* What is known of the end of the picture under way, should its base64 end here. */
enum tc_file_end tc_images_end_here(const struct tc_images *images);

/* Ends the picture under way, with `error` in its base64 or none. What comes behind the end of its
 * file does not count. */
void tc_images_end(struct tc_images *images, enum tc_base64_error error);

/* Decodes what is left of its base64, and ends it; `broken` where that stopped inside an escape.
 * False: no memory. */
bool tc_images_close(struct tc_images *images, bool broken);

/* From picture `first` on (from 0): whether those that are held are drafts is known. */
void tc_images_release(struct tc_images *images, unsigned first, bool drafts);

/* The same pictures are those of one object. Where its lists have pictures, one that is a field of
 * its own is a preview of theirs, or what was sent along: a draft. */
void tc_images_mark_previews(struct tc_images *images, unsigned first);

/* Frees picture `index` (from 0) if it has ended; its buffer may become the spare one. */
void tc_images_drop(struct tc_images *images, unsigned index);

/* Frees all, and forgets them. */
void tc_images_free(struct tc_images *images);

#endif
