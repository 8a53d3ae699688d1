/*
 * The pictures of one response, until they are taken away.
 *
 * A picture is open from tc_images_add until it has ended: its bytes are still coming. At most one
 * picture is open. Each picture has a buffer of its own. New memory costs more than decoding, so a
 * used buffer is kept as the spare one, for the next picture.
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
    TC_IMAGE_DAMAGED /* its base64 is wrong somewhere; it has the bytes before that */
};

/* One picture of a response. */
struct tc_image {
    struct tc_buffer bytes; /* decoded and not yet taken away */
    uint64_t size;          /* bytes decoded so far, taken away or not */
    struct tc_signature signature;
    bool ended; /* no more of it will come: it is not open any more */
    bool held;  /* it may be a draft, which is not known yet: its bytes must not be delivered */
    bool text;  /* its data URL says that it is text */
    bool lone;  /* it is a field of the object that may hold drafts, and not in a list of it */
    bool draft; /* a step on the model's way to the picture */
    enum tc_image_fault fault;         /* once it has ended */
    enum tc_base64_error base64_error; /* of a damaged picture */
};

/* Did it come to the last byte without a fault, and is it no draft? */
bool tc_image_is_whole(const struct tc_image *image);

/* One line for a person on picture `number` that is not whole: "image 2 is cut short (...)". */
void tc_image_describe(const struct tc_image *image, unsigned number, char *text, size_t size);

struct tc_images {
    struct tc_image **list; /* by number less one; NULL: dropped */
    unsigned count;
    unsigned dropped_drafts; /* how many of the dropped ones were drafts */
    struct tc_buffer *spare; /* the spare buffer, or NULL: there is no place for one */
    bool streaming;          /* bytes of pictures are taken away as they come */
    struct tc_base64 base64; /* of the open picture */
};

/* The open picture, or NULL. */
struct tc_image *tc_images_open(const struct tc_images *images);

/* Opens another picture. There must be none open, and fewer than TC_IMAGES. NULL when memory is
 * short. */
struct tc_image *tc_images_add(struct tc_images *images);

/*
 * Decodes base64 into the open picture, up to the first character that is not base64; with
 * `spaces`, spaces are skipped. Sets `*taken` to the number of characters. `left` is how many bytes
 * of input are left, these included, or 0 if nobody knows: it sizes the buffer. False when memory
 * is short.
 */
bool tc_images_decode(struct tc_images *images, const char *text, size_t size, bool spaces,
                      uint64_t left, size_t *taken);

/* Appends bytes that are not encoded to the open picture. False when memory is short. */
bool tc_images_append(struct tc_images *images, const char *bytes, size_t size, uint64_t left);

/* Would the file of the open picture be complete if its base64 ended here? */
enum tc_file_end tc_images_end_here(const struct tc_images *images);

/* Ends the open picture and finds its fault. `error` is what is wrong with its base64, or
 * TC_BASE64_OK; it does not matter after the end of the picture's file. */
void tc_images_end(struct tc_images *images, enum tc_base64_error error);

/* Decodes the last incomplete group of the open picture's base64, and ends the picture. `broken`: a
 * percent escape is incomplete. False when memory is short. */
bool tc_images_close(struct tc_images *images, bool broken);

/* It is known now whether the held pictures from index `first` on are drafts: they are no longer
 * held. */
void tc_images_release(struct tc_images *images, unsigned first, bool drafts);

/* The pictures from index `first` on belong to one object, which is complete. If its lists have
 * pictures, its lone one is a preview of them, or was part of the request: it becomes a draft. */
void tc_images_mark_previews(struct tc_images *images, unsigned first);

/* Frees the picture at `index` if it has ended. Its buffer may become the spare one. */
void tc_images_drop(struct tc_images *images, unsigned index);

/* Frees all pictures and the list. */
void tc_images_free(struct tc_images *images);

#endif
