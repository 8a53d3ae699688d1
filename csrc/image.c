/*
 * The signatures of PNG, JPEG, WebP and GIF: see image.h.
 *
 * All but JPEG have the dimensions in their first 30 bytes. A JPEG is a chain of segments, each
 * with its length, and the dimensions are in the first SOFn segment, which may come after 100 KB of
 * profile and preview; so the window jumps from segment to segment.
 * Sources: PNG (W3C), 5.2 and 11.2.2; JPEG (ITU T.81), annex B; GIF89a, 17-18; WebP (RFC 9649) and
 * RFC 6386, 9.1.
 */
#include "image.h"

#include <string.h>

static uint32_t big16(const unsigned char *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static uint32_t big32(const unsigned char *at)
{
    return big16(at) << 16 | big16(at + 2);
}

static uint32_t little16(const unsigned char *at)
{
    return (uint32_t)(at[1] << 8 | at[0]);
}

static uint32_t little24(const unsigned char *at)
{
    return (uint32_t)at[2] << 16 | little16(at);
}

static void settle(struct tc_signature *signature, uint32_t width, uint32_t height)
{
    signature->settled = true;
    if (width && height) {
        signature->width = width;
        signature->height = height;
    }
}

static void name(struct tc_signature *signature, const char *mime, const char *ext)
{
    signature->mime = mime;
    signature->ext = ext;
}

/* Moves the window to `start`, at or behind the bytes that it has now. */
static void move_window(struct tc_signature *signature, uint64_t start)
{
    uint64_t shift = start - signature->window_start;
    unsigned kept = 0;
    if (shift < signature->window_size) {
        kept = signature->window_size - (unsigned)shift;
        memmove(signature->window, signature->window + shift, kept);
    }
    signature->window_size = kept;
    signature->window_start = start;
}

/* RIFF....WEBP, then the first chunk: lossy, lossless or extended. */
static void read_webp(struct tc_signature *signature)
{
    const unsigned char *at = signature->window;
    name(signature, "image/webp", "webp");
    if (!memcmp(at + 12, "VP8 ", 4) && !memcmp(at + 23, "\x9d\x01\x2a", 3)) {
        settle(signature, little16(at + 26) & 0x3fff, little16(at + 28) & 0x3fff);
    } else if (!memcmp(at + 12, "VP8L", 4) && at[20] == 0x2f) {
        uint32_t bits = little24(at + 21) | (uint32_t)at[24] << 24;
        settle(signature, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
    } else if (!memcmp(at + 12, "VP8X", 4)) {
        settle(signature, little24(at + 24) + 1, little24(at + 27) + 1);
    } else {
        settle(signature, 0, 0);
    }
}

/* The start-of-frame markers: C0 to CF without DHT (C4), JPG (C8) and DAC (CC). */
static bool is_frame(unsigned marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* One segment at the window. Returns false when it wants more bytes. */
static bool read_segment(struct tc_signature *signature)
{
    const unsigned char *at = signature->window;
    if (signature->window_size < 9)
        return false;
    if (at[0] != 0xff) {
        settle(signature, 0, 0);
        return true;
    }
    unsigned marker = at[1];
    if (is_frame(marker)) {
        settle(signature, big16(at + 7), big16(at + 5));
    } else if (marker == 0xff) { /* a fill byte before the marker */
        move_window(signature, signature->window_start + 1);
    } else if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) { /* no length follows */
        move_window(signature, signature->window_start + 2);
    } else if (marker == 0xd9 || marker == 0xda || big16(at + 2) < 2) { /* the end, or the scan */
        settle(signature, 0, 0);
    } else {
        move_window(signature, signature->window_start + 2 + big16(at + 2));
    }
    return true;
}

/* What the bytes in the window tell. Returns false when it wants more of them. */
static bool read_window(struct tc_signature *signature)
{
    const unsigned char *at = signature->window;
    unsigned size = signature->window_size;
    if (signature->ext && !strcmp(signature->ext, "jpg"))
        return read_segment(signature);
    if (size >= 3 && !memcmp(at, "\xff\xd8\xff", 3)) {
        name(signature, "image/jpeg", "jpg");
        move_window(signature, 2);
        return true;
    }
    if (size >= 8 && !memcmp(at, "\x89PNG\r\n\x1a\n", 8)) {
        name(signature, "image/png", "png");
        if (size < 24)
            return false;
        bool header = !memcmp(at + 12, "IHDR", 4);
        settle(signature, header ? big32(at + 16) : 0, header ? big32(at + 20) : 0);
        return true;
    }
    if (size >= 6 && (!memcmp(at, "GIF87a", 6) || !memcmp(at, "GIF89a", 6))) {
        name(signature, "image/gif", "gif");
        if (size < 10)
            return false;
        settle(signature, little16(at + 6), little16(at + 8));
        return true;
    }
    if (size < 30)
        return false;
    if (!memcmp(at, "RIFF", 4) && !memcmp(at + 8, "WEBP", 4))
        read_webp(signature);
    else
        settle(signature, 0, 0);
    return true;
}

void tc_signature_feed(struct tc_signature *signature, const unsigned char *bytes, size_t size)
{
    const unsigned char *end = bytes + size;
    while (!signature->settled && bytes < end) {
        uint64_t wanted = signature->window_start + signature->window_size;
        if (signature->position < wanted) { /* a segment that is of no interest */
            uint64_t skip = wanted - signature->position;
            if (skip > (uint64_t)(end - bytes))
                skip = (uint64_t)(end - bytes);
            signature->position += skip;
            bytes += skip;
            continue;
        }
        signature->window[signature->window_size++] = *bytes++;
        signature->position++;
        while (!signature->settled && read_window(signature))
            continue;
        if (signature->window_size == sizeof(signature->window))
            signature->settled = true;
    }
}
