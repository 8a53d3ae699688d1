/*
 * The body of a request: see body.h.
 *
 * A position in base64 is a group of four characters, which tells the three bytes that it encodes,
 * and a character of that group. So nothing has to be kept between two reads: a group that two
 * reads share is encoded twice.
 */
#include "body.h"

#include "../base/alloc.h"
#include "base64.h"

#include <string.h>

/* ---- life ---- */

/* How many bytes a piece has when it is sent. */
static uint64_t sent_size(const struct tc_piece *piece)
{
    uint64_t size = piece->size;
    return piece->base64 ? TC_BASE64_ENCODED(size) : size;
}

/* Adds up how many bytes are sent, and how many have to be copied. False if one is too large. */
static bool measure(const struct tc_piece *pieces, size_t count, uint64_t *sent, size_t *text)
{
    *sent = 0;
    *text = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = pieces[i].size;
        size_t copied = pieces[i].base64 ? 0 : pieces[i].size;
        if (size > INT64_MAX / 2 || sent_size(&pieces[i]) > INT64_MAX - *sent ||
            copied > SIZE_MAX - *text)
            return false;
        *sent += sent_size(&pieces[i]);
        *text += copied;
    }
    return true;
}

/* Copies the list of pieces, and the text of them to `text`. */
static void copy_pieces(struct tc_body *body, const struct tc_piece *pieces, char *text)
{
    for (size_t i = 0; i < body->count; i++) {
        body->pieces[i] = pieces[i];
        if (pieces[i].base64 || !pieces[i].size)
            continue;
        memcpy(text, pieces[i].bytes, pieces[i].size);
        body->pieces[i].bytes = text;
        text += pieces[i].size;
    }
}

struct tc_body *tc_body_new(const struct tc_piece *pieces, size_t count)
{
    uint64_t sent;
    size_t text;
    if (!measure(pieces, count, &sent, &text))
        return NULL;
    size_t head = sizeof(struct tc_body);
    if (count > (SIZE_MAX - head) / sizeof(*pieces))
        return NULL;
    head += count * sizeof(*pieces);
    struct tc_body *body = text <= SIZE_MAX - head ? tc_realloc(NULL, head + text) : NULL;
    if (!body)
        return NULL;
    body->references = 1;
    body->size = sent;
    body->count = count;
    copy_pieces(body, pieces, (char *)body + head);
    return body;
}

void tc_body_release(struct tc_body *body)
{
    if (body && !--body->references)
        tc_free(body);
}

/* ---- reading ---- */

/* Reads the rest of the group that `offset` is in, as far as there is room. */
static size_t read_group(const struct tc_piece *piece, uint64_t offset, char *out, size_t size)
{
    char group[4];
    size_t begin = (size_t)(offset / 4 * 3), left = piece->size - begin;
    size_t within = (size_t)(offset % 4), length = 4 - within;
    tc_base64_encode((const unsigned char *)piece->bytes + begin, left < 3 ? left : 3, group);
    length = length < size ? length : size;
    memcpy(out, group + within, length);
    return length;
}

/* Reads whole groups, as many as there is room for, from the beginning of one on. */
static size_t read_groups(const struct tc_piece *piece, uint64_t offset, char *out, size_t size)
{
    size_t begin = (size_t)(offset / 4 * 3), left = piece->size - begin, fit = size / 4 * 3;
    size_t taken = left < fit ? left : fit;
    tc_base64_encode((const unsigned char *)piece->bytes + begin, taken, out);
    return TC_BASE64_ENCODED(taken);
}

/* Reads `size` bytes from `offset` on. The piece has that many. */
static void read_base64(const struct tc_piece *piece, uint64_t offset, char *out, size_t size)
{
    size_t done = 0;
    if (offset % 4)
        done = read_group(piece, offset, out, size);
    if (size - done >= 4)
        done += read_groups(piece, offset + done, out + done, size - done);
    if (done < size)
        read_group(piece, offset + done, out + done, size - done);
}

/* Reads from `offset` in the piece to its end, or as far as there is room. */
static size_t read_piece(const struct tc_piece *piece, uint64_t offset, char *out, size_t size)
{
    uint64_t left = sent_size(piece) - offset;
    size = left < size ? (size_t)left : size;
    if (piece->base64)
        read_base64(piece, offset, out, size);
    else
        memcpy(out, (const char *)piece->bytes + offset, size);
    return size;
}

size_t tc_body_read(const struct tc_body *body, uint64_t *position, char *out, size_t size)
{
    uint64_t begin = 0;
    size_t done = 0;
    for (size_t i = 0; i < body->count && done < size; i++) {
        uint64_t at = *position + done, end = begin + sent_size(&body->pieces[i]);
        if (at < end)
            done += read_piece(&body->pieces[i], at - begin, out + done, size - done);
        begin = end;
    }
    *position += done;
    return done;
}
