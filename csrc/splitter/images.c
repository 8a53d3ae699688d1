/*
 * Decoding into the pictures' buffers, and keeping those: see images.h.
 */
#include "images.h"

#include "../base/alloc.h"

#include <stdio.h>
#include <string.h>

struct tc_image *tc_images_open(const struct tc_images *images)
{
    struct tc_image *last = images->count ? images->list[images->count - 1] : NULL;
    return last && !last->ended ? last : NULL;
}

struct tc_image *tc_images_add(struct tc_images *images)
{
    if (!images->list)
        images->list = tc_calloc(TC_IMAGES * sizeof(struct tc_image *));
    struct tc_image *image = images->list ? tc_calloc(sizeof(*image)) : NULL;
    if (!image)
        return NULL;
    images->list[images->count++] = image;
    images->base64 = (struct tc_base64){0, 0, 0};
    return image;
}

/* ---- buffers ---- */

/* Are there pictures that nobody has taken yet? The last one, which is open, does not count. */
static bool has_untaken(const struct tc_images *images)
{
    for (unsigned i = 0; i + 1 < images->count; i++)
        if (images->list[i])
            return true;
    return false;
}

/* Moves the bytes to the spare buffer, if that is larger. They are few then. */
static void move_to_spare(struct tc_images *images, struct tc_buffer *bytes)
{
    struct tc_buffer *spare = images->spare;
    if (!spare || spare->capacity <= bytes->capacity)
        return;
    if (bytes->size)
        memcpy(spare->data, bytes->data, bytes->size);
    spare->size = bytes->size;
    tc_buffer_free(bytes);
    *bytes = *spare;
    *spare = (struct tc_buffer){NULL, 0, 0};
}

/*
 * Makes room for `size` more bytes of the picture; with these, `rest` may come in all. The spare
 * buffer is taken first, because its pages were used before. New memory is allocated for all of
 * `rest` at once, unless pictures are streamed, or another one waits to be taken: its buffer will
 * be free soon.
 */
static bool reserve(struct tc_images *images, struct tc_buffer *bytes, size_t size, uint64_t rest)
{
    if (bytes->capacity - bytes->size >= size)
        return true;
    move_to_spare(images, bytes);
    if (bytes->capacity - bytes->size >= size)
        return true;
    bool all = rest > size && rest <= SIZE_MAX && !images->streaming && !has_untaken(images);
    return (all && tc_buffer_reserve(bytes, (size_t)rest)) || tc_buffer_reserve(bytes, size);
}

/* Keeps the larger of the two as the spare buffer, unless it is too large to cache. */
static void keep_spare(struct tc_images *images, struct tc_buffer *bytes)
{
    struct tc_buffer *spare = images->spare;
    if (bytes->capacity > TC_IMAGES_SPARE)
        tc_buffer_trim(bytes);
    if (spare && bytes->capacity > spare->capacity && bytes->capacity <= TC_IMAGES_SPARE) {
        struct tc_buffer old = *spare;
        *spare = *bytes;
        spare->size = 0;
        *bytes = old;
    }
    tc_buffer_free(bytes);
}

static void free_image(struct tc_images *images, unsigned index)
{
    struct tc_image *image = images->list[index];
    if (!image)
        return;
    images->list[index] = NULL;
    keep_spare(images, &image->bytes);
    tc_free(image);
}

void tc_images_drop(struct tc_images *images, unsigned index)
{
    if (!images->list[index] || !images->list[index]->ended)
        return;
    images->dropped_drafts += images->list[index]->draft;
    free_image(images, index);
}

void tc_images_free(struct tc_images *images)
{
    for (unsigned i = 0; i < images->count; i++)
        free_image(images, i);
    images->count = 0;
    tc_free(images->list);
    images->list = NULL;
}

/* ---- decoding ---- */

/* Forgets the bytes of a draft if pictures are streamed: nobody is to get them. */
static void forget_draft(const struct tc_images *images, struct tc_image *image)
{
    if (image->draft && images->streaming)
        image->bytes.size = 0;
}

/* Counts `size` bytes that were written after the picture's bytes, and looks at them. */
static void add_written(const struct tc_images *images, struct tc_image *image, size_t size)
{
    tc_signature_feed(&image->signature, image->bytes.data + image->bytes.size, size);
    image->bytes.size += size;
    image->size += size;
    forget_draft(images, image);
}

bool tc_images_decode(struct tc_images *images, const char *text, size_t size, bool spaces,
                      uint64_t left, size_t *taken)
{
    struct tc_image *image = tc_images_open(images);
    size_t written, start;
    *taken = 0;
    if (!reserve(images, &image->bytes, TC_BASE64_ROOM(size + 4), TC_BASE64_ROOM(left + 4)))
        return false;
    do {
        start = *taken;
        unsigned char *out = image->bytes.data + image->bytes.size;
        *taken += tc_base64_decode(&images->base64, text + start, size - start, out, &written);
        add_written(images, image, written);
        while (spaces && *taken < size && text[*taken] == ' ')
            ++*taken;
    } while (*taken != start && *taken < size);
    return true;
}

bool tc_images_append(struct tc_images *images, const char *bytes, size_t size, uint64_t left)
{
    struct tc_image *image = tc_images_open(images);
    if (!reserve(images, &image->bytes, size, left))
        return false;
    memcpy(image->bytes.data + image->bytes.size, bytes, size);
    add_written(images, image, size);
    return true;
}

enum tc_file_end tc_images_end_here(const struct tc_images *images)
{
    const struct tc_image *image = tc_images_open(images);
    struct tc_signature signature = image->signature;
    struct tc_base64 base64 = images->base64;
    unsigned char rest[2];
    size_t size;
    if (!tc_base64_finish(&base64, rest, &size))
        tc_signature_feed(&signature, rest, size);
    return tc_signature_end(&signature);
}

void tc_images_end(struct tc_images *images, enum tc_base64_error error)
{
    struct tc_image *image = tc_images_open(images);
    enum tc_file_end end = tc_signature_end(&image->signature);
    bool at_end = error == TC_BASE64_TRUNCATED || error == TC_BASE64_TRAILING_BITS;
    image->ended = true;
    /* An error in the last group of a file that ends too early is no damage: the file is cut. */
    if (!image->size || (error && end == TC_END_UNKNOWN) ||
        (error && end == TC_END_MISSING && !at_end)) {
        image->fault = TC_IMAGE_DAMAGED;
        image->base64_error = error ? error : TC_BASE64_TRUNCATED;
    } else if (end == TC_END_MISSING || (end == TC_END_UNKNOWN && image->text)) {
        image->fault = TC_IMAGE_CUT;
    }
}

bool tc_images_close(struct tc_images *images, bool broken)
{
    struct tc_image *image = tc_images_open(images);
    size_t written;
    if (!tc_buffer_reserve(&image->bytes, 2))
        return false;
    unsigned char *out = image->bytes.data + image->bytes.size;
    enum tc_base64_error error = tc_base64_finish(&images->base64, out, &written);
    add_written(images, image, written);
    tc_images_end(images, broken ? TC_BASE64_CHARACTER : error);
    return true;
}

/* ---- drafts ---- */

/* It is known now whether a held picture is a draft. */
static void release(const struct tc_images *images, struct tc_image *image, bool draft)
{
    image->held = false;
    image->draft = draft;
    forget_draft(images, image);
}

void tc_images_release(struct tc_images *images, unsigned first, bool drafts)
{
    for (unsigned i = first; i < images->count; i++)
        if (images->list[i] && images->list[i]->held)
            release(images, images->list[i], drafts);
}

void tc_images_mark_previews(struct tc_images *images, unsigned first)
{
    bool listed = false;
    for (unsigned i = first; i < images->count; i++) {
        const struct tc_image *image = images->list[i];
        listed = listed || !image || (!image->held && !image->draft);
    }
    for (unsigned i = first; i < images->count && listed; i++) {
        struct tc_image *image = images->list[i];
        if (image && image->held && image->lone)
            release(images, image, true);
    }
}

/* ---- for people ---- */

bool tc_image_is_whole(const struct tc_image *image)
{
    return image->ended && !image->fault && !image->draft;
}

void tc_image_describe(const struct tc_image *image, unsigned number, char *text, size_t size)
{
    unsigned long long bytes = image->size;
    if (image->ended && image->fault == TC_IMAGE_DAMAGED)
        snprintf(text, size, "image %u has %s (behind %llu bytes of the picture)", number,
                 tc_base64_error_text(image->base64_error), bytes);
    else if (image->text || tc_signature_is_text(&image->signature))
        snprintf(text, size, "image %u is no picture: its %llu bytes are text", number, bytes);
    else
        snprintf(text, size, "image %u is cut short: its file does not end with its %llu bytes",
                 number, bytes);
}
