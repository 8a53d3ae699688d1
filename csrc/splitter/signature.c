/*
 * The structure of PNG, JPEG, WebP and GIF files, as far as type, dimensions and end need it: see
 * signature.h.
 *
 * The reader goes from one header inside the file (of a chunk, a segment, a block) to the next: it
 * collects the few bytes of a header in the window, learns from them where the next header is, and
 * skips the bytes between. Only a JPEG's compressed data has no length; it ends at the next marker.
 *
 * Sources: PNG (W3C), 5.2, 5.3 and 11.2.2; JPEG (ITU T.81), annex B; GIF89a, 17 to 27; WebP (RFC
 * 9649) and RFC 6386, 9.1.
 */
#include "signature.h"

#include "base64.h"
#include "scan.h"

#include <ctype.h>
#include <string.h>

enum state {
    START,
    PNG_CHUNK,      /* the first chunk's length and type, then the dimensions */
    PNG_NEXT_CHUNK, /* another chunk's length and type */
    JPEG_MARKER,
    JPEG_SEGMENT,   /* a marker and what follows, as much as the marker needs */
    JPEG_DATA,      /* compressed data up to the next 0xff */
    JPEG_DATA_MARK, /* after that 0xff */
    GIF_SCREEN,
    GIF_BLOCK,
    GIF_EXTENSION,
    GIF_IMAGE,
    GIF_SUBBLOCK,
    WEBP_HEADER,
    WORDS,  /* no type that we know, and text so far */
    LAST,   /* the file ends after the bytes to be skipped */
    WHOLE,  /* the end was seen */
    LOST,   /* the structure is broken, or it is text: no end will be found */
    FOREIGN /* a type that we do not know */
};

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

/* The dimensions are known, or will never be (0). Only the first call counts. */
static void settle(struct tc_signature *signature, uint32_t width, uint32_t height)
{
    if (!signature->settled && width && height) {
        signature->width = width;
        signature->height = height;
    }
    signature->settled = true;
}

static void set_type(struct tc_signature *signature, const char *mime, const char *ext)
{
    signature->mime = mime;
    signature->ext = ext;
}

/* Skips `skip` bytes, then collects `wanted` bytes in the empty window and goes on in `state`. */
static void move_on(struct tc_signature *signature, enum state state, uint64_t skip,
                    unsigned char wanted)
{
    signature->state = (unsigned char)state;
    signature->skip = skip;
    signature->wanted = wanted;
    signature->window_size = 0;
}

/* Goes on in `state` once the window has `wanted` bytes. It keeps those that it has. */
static void wait_for(struct tc_signature *signature, enum state state, unsigned char wanted)
{
    signature->state = (unsigned char)state;
    signature->wanted = wanted;
}

/* Ends the reading in `state`. */
static void stop(struct tc_signature *signature, enum state state)
{
    settle(signature, 0, 0);
    move_on(signature, state, 0, 0);
}

/* ---- PNG ---- */

static void read_chunk(struct tc_signature *signature)
{
    const unsigned char *at = signature->window;
    bool first = signature->state == PNG_CHUNK, header = !memcmp(at + 4, "IHDR", 4);
    uint64_t length = big32(at);
    bool broken = length > 0x7fffffff;
    for (int i = 4; i < 8; i++)
        broken = broken || !isalpha(at[i]);
    if (broken) {
        stop(signature, LOST);
        return;
    }
    if (first && header && signature->window_size == 8 && length >= 8) {
        wait_for(signature, PNG_CHUNK, 16);
        return;
    }
    if (first)
        settle(signature, header && length >= 8 ? big32(at + 8) : 0, big32(at + 12));
    uint64_t read = signature->window_size - 8U;
    enum state next = memcmp(at + 4, "IEND", 4) ? PNG_NEXT_CHUNK : LAST;
    move_on(signature, next, length - read + 4, 8); /* four bytes of CRC */
}

/* ---- JPEG ---- */

/* The start-of-frame markers: C0 to CF without DHT (C4), JPG (C8) and DAC (CC). */
static bool is_frame(unsigned marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool has_no_length(unsigned marker)
{
    return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

/* Two bytes where a marker has to be. If they are none, the next marker is looked for, as decoders
 * do. */
static void read_marker(struct tc_signature *signature)
{
    unsigned marker = signature->window[1];
    if (signature->window[0] != 0xff) {
        settle(signature, 0, 0);
        move_on(signature, JPEG_DATA, 0, 0);
    } else if (marker == 0xff) { /* a fill byte before the marker */
        signature->window_size = 1;
    } else if (marker == 0xd9) {
        stop(signature, WHOLE);
    } else if (has_no_length(marker)) {
        move_on(signature, JPEG_MARKER, 0, 2);
    } else {
        wait_for(signature, JPEG_SEGMENT, is_frame(marker) ? 9 : 4);
    }
}

static void read_segment(struct tc_signature *signature)
{
    const unsigned char *at = signature->window;
    uint64_t length = big16(at + 2), read = signature->window_size - 2U;
    bool scan = at[1] == 0xda;
    if (is_frame(at[1]))
        settle(signature, big16(at + 7), big16(at + 5));
    if (scan || length < read)
        settle(signature, 0, 0);
    if (length < read) /* it is wrong: look for the next marker */
        move_on(signature, JPEG_DATA, 0, 0);
    else
        move_on(signature, scan ? JPEG_DATA : JPEG_MARKER, length - read, scan ? 0 : 2);
}

/* The byte after an 0xff in compressed data. A zero or a restart marker belongs to the data. */
static void read_data_mark(struct tc_signature *signature)
{
    unsigned marker = signature->window[0];
    if (marker == 0xff) {
        signature->window_size = 0;
    } else if (marker == 0 || has_no_length(marker)) {
        move_on(signature, JPEG_DATA, 0, 0);
    } else {
        signature->window[0] = 0xff;
        signature->window[1] = (unsigned char)marker;
        signature->window_size = 2;
        wait_for(signature, JPEG_MARKER, 2);
        read_marker(signature);
    }
}

/* ---- GIF ---- */

/* Bytes of the colour table that the flags of a screen or an image announce. */
static uint64_t colours(unsigned char flags)
{
    return flags & 0x80 ? 3U << ((flags & 7) + 1) : 0;
}

static void read_screen(struct tc_signature *signature)
{
    const unsigned char *at = signature->window;
    if (signature->window_size == 4) { /* the dimensions come first, and are wanted early */
        settle(signature, little16(at), little16(at + 2));
        wait_for(signature, GIF_SCREEN, 7);
        return;
    }
    move_on(signature, GIF_BLOCK, colours(at[4]), 1);
}

static void read_block(struct tc_signature *signature)
{
    switch (signature->window[0]) {
    case ';':
        stop(signature, WHOLE);
        break;
    case '!':
        move_on(signature, GIF_EXTENSION, 0, 1);
        break;
    case ',':
        move_on(signature, GIF_IMAGE, 0, 9);
        break;
    case 0: /* an empty block too many, which decoders skip */
        move_on(signature, GIF_BLOCK, 0, 1);
        break;
    default:
        stop(signature, LOST);
    }
}

static void read_subblock(struct tc_signature *signature)
{
    unsigned size = signature->window[0];
    move_on(signature, size ? GIF_SUBBLOCK : GIF_BLOCK, size, 1);
}

/* ---- WebP ---- */

/* RIFF....WEBP, then the first chunk: lossy, lossless or extended. */
static void read_webp(struct tc_signature *signature)
{
    const unsigned char *at = signature->window;
    uint64_t size = little16(at + 4) | (uint64_t)little16(at + 6) << 16;
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
    if (size + 8 < signature->window_size)
        stop(signature, LOST);
    else
        move_on(signature, LAST, size + 8 - signature->window_size, 0);
}

/* ---- walking ---- */

/* The first bytes of each type, and the state in which to go on after them. */
static const struct beginning {
    const char *bytes;
    unsigned size;
    const char *mime, *ext;
    enum state next;
    unsigned char wanted;
} beginnings[] = {
    {"\x89PNG\r\n\x1a\n", 8, "image/png", "png", PNG_CHUNK, 8},
    {"\xff\xd8\xff", 3, "image/jpeg", "jpg", JPEG_MARKER, 2},
    {"GIF87a", 6, "image/gif", "gif", GIF_SCREEN, 4},
    {"GIF89a", 6, "image/gif", "gif", GIF_SCREEN, 4},
    /* Text instead of a picture: base64 of base64, the page or the JSON of an error. */
    {"iVBORw0KGgo", 11, NULL, NULL, LOST, 0},
    {"/9j/", 4, NULL, NULL, LOST, 0},
    {"R0lGODlh", 8, NULL, NULL, LOST, 0},
    {"R0lGODdh", 8, NULL, NULL, LOST, 0},
    {"UklGR", 5, NULL, NULL, LOST, 0},
    {"data:", 5, NULL, NULL, LOST, 0},
    {"<html", 5, NULL, NULL, LOST, 0},
    {"<HTML", 5, NULL, NULL, LOST, 0},
    {"<!DOCTYPE html", 14, NULL, NULL, LOST, 0},
    {"<!doctype html", 14, NULL, NULL, LOST, 0},
    {"{\"", 2, NULL, NULL, LOST, 0},
    {"89504e47", 8, NULL, NULL, LOST, 0}, /* and hexadecimal digits */
    {"89504E47", 8, NULL, NULL, LOST, 0},
    {"ffd8ff", 6, NULL, NULL, LOST, 0},
    {"FFD8FF", 6, NULL, NULL, LOST, 0},
    {"47494638", 8, NULL, NULL, LOST, 0},
    {"52494646", 8, NULL, NULL, LOST, 0},
};

/* Can the bytes in the window be the beginning of a WebP file? */
static bool begins_webp(const struct tc_signature *signature)
{
    static const char head[] = "RIFF....WEBP";
    bool same = true;
    for (unsigned i = 0; i < signature->window_size && i < sizeof(head) - 1; i++)
        same = same && (head[i] == '.' || signature->window[i] == (unsigned char)head[i]);
    return same;
}

/* Are the bytes in the window text, in ASCII or UTF-8? Pictures of types that we do not know have
 * bytes that no text has. SVG alone is text, so what begins with '<' does not count. */
static bool is_text(const struct tc_signature *signature)
{
    unsigned char first = signature->window[0];
    bool text = first != '<' && (first < 0x80 || first >= 0xc2); /* others begin no character */
    for (unsigned i = 0; i < signature->window_size; i++) {
        unsigned char byte = signature->window[i];
        bool printed = byte >= 0x20 && byte != 0x7f && byte <= 0xf4;
        text = text && (tc_scan_is_space((char)byte) || printed);
    }
    return text;
}

/* Does the text in the window have words? Capitals alone may be the first bytes of a type. */
static bool has_words(const struct tc_signature *signature)
{
    bool words = false;
    for (unsigned i = 0; i < signature->window_size; i++) {
        unsigned char byte = signature->window[i];
        words = words || tc_scan_is_space((char)byte) || (byte >= 'a' && byte <= 'z');
    }
    return words;
}

static void read_words(struct tc_signature *signature)
{
    bool text = is_text(signature);
    settle(signature, 0, 0);
    if (text && signature->window_size < sizeof(signature->window))
        wait_for(signature, WORDS, (unsigned char)(signature->window_size + 1));
    else
        stop(signature, text && has_words(signature) ? LOST : FOREIGN);
}

/* Finds the type by the first bytes, of which the window has one more than before. */
static void read_start(struct tc_signature *signature)
{
    unsigned size = signature->window_size;
    bool possible = begins_webp(signature);
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        const struct beginning *type = &beginnings[i];
        if (memcmp(signature->window, type->bytes, size < type->size ? size : type->size) != 0)
            continue;
        possible = true;
        if (size < type->size)
            continue;
        set_type(signature, type->mime, type->ext);
        move_on(signature, type->next, 0, type->wanted);
        if (type->next == LOST)
            settle(signature, 0, 0);
        if (type->next == JPEG_MARKER) { /* its third byte begins a marker */
            signature->window[0] = 0xff;
            signature->window_size = 1;
        }
        return;
    }
    if (!possible) {
        read_words(signature);
    } else if (size == 30) {
        set_type(signature, "image/webp", "webp");
        wait_for(signature, WEBP_HEADER, 30);
    } else {
        wait_for(signature, START, (unsigned char)(size + 1));
    }
}

static void read_window(struct tc_signature *signature)
{
    switch (signature->state) {
    case START:
        read_start(signature);
        break;
    case PNG_CHUNK:
    case PNG_NEXT_CHUNK:
        read_chunk(signature);
        break;
    case JPEG_MARKER:
        read_marker(signature);
        break;
    case JPEG_SEGMENT:
        read_segment(signature);
        break;
    case JPEG_DATA_MARK:
        read_data_mark(signature);
        break;
    case GIF_SCREEN:
        read_screen(signature);
        break;
    case GIF_BLOCK:
        read_block(signature);
        break;
    case GIF_EXTENSION: /* its label */
        move_on(signature, GIF_SUBBLOCK, 0, 1);
        break;
    case GIF_IMAGE: /* its colours, and one byte of code size */
        move_on(signature, GIF_SUBBLOCK, colours(signature->window[8]) + 1, 1);
        break;
    case GIF_SUBBLOCK:
        read_subblock(signature);
        break;
    case WORDS:
        read_words(signature);
        break;
    default:
        read_webp(signature);
    }
}

/* Skips bytes that need not be looked at. Returns how many. */
static size_t skip_bytes(struct tc_signature *signature, const unsigned char *bytes, size_t size)
{
    if (signature->state == JPEG_DATA && !signature->skip) {
        const unsigned char *mark = memchr(bytes, 0xff, size);
        if (!mark)
            return size;
        move_on(signature, JPEG_DATA_MARK, 0, 1);
        return (size_t)(mark - bytes) + 1;
    }
    size_t skipped = signature->skip < size ? (size_t)signature->skip : size;
    signature->skip -= skipped;
    if (signature->state == LAST && !signature->skip)
        signature->state = WHOLE;
    return skipped;
}

void tc_signature_feed(struct tc_signature *signature, const unsigned char *bytes, size_t size)
{
    while (size && signature->state < WHOLE) {
        size_t taken = 1;
        if (signature->skip || signature->state == JPEG_DATA) {
            taken = skip_bytes(signature, bytes, size);
        } else {
            signature->window[signature->window_size++] = *bytes;
            while (signature->state < LAST && !signature->skip && signature->state != JPEG_DATA &&
                   signature->window_size >= signature->wanted && signature->window_size)
                read_window(signature);
            if (signature->state == LAST && !signature->skip)
                signature->state = WHOLE;
        }
        bytes += taken;
        size -= taken;
        signature->position += taken;
    }
}

enum tc_file_end tc_signature_end(const struct tc_signature *signature)
{
    if (signature->state == WHOLE)
        return TC_END_SEEN;
    if (signature->state == WORDS)
        return has_words(signature) ? TC_END_MISSING : TC_END_UNKNOWN;
    return signature->state == FOREIGN ? TC_END_UNKNOWN
                                       : TC_END_MISSING; /* in START too: it is cut */
}

bool tc_signature_is_text(const struct tc_signature *signature)
{
    bool words = signature->state == WORDS && has_words(signature);
    return words || (signature->state == LOST && !signature->mime);
}

/* ---- base64 of pictures ---- */

const char *const tc_picture_heads[TC_PICTURE_HEADS] = {"iVBORw0KGgo", "/9j/", "R0lGODlh",
                                                        "R0lGODdh", "UklGR"};

enum { LEAST_PICTURE = 48 }; /* characters: a word may begin as a picture does */

/* Does a run of base64 begin as a picture's does? If it is `escaped`, as in JSON inside JSON, the
 * letters of an escape come first: \u0022 or \n. */
static bool begins_as_picture(const unsigned char *run, bool escaped)
{
    bool begins = false;
    if (escaped)
        run += *run == 'u' ? 5 : 1;
    for (size_t i = 0; i < TC_PICTURE_HEADS; i++)
        begins = begins || !memcmp(run, tc_picture_heads[i], strlen(tc_picture_heads[i]));
    return begins;
}

bool tc_text_has_picture(const void *text, size_t size)
{
    const unsigned char *bytes = text;
    size_t start = 0;
    for (size_t i = 0; i < size; i++) {
        if (!tc_base64_has(bytes[i]))
            start = i + 1;
        else if (i + 1 - start == LEAST_PICTURE &&
                 begins_as_picture(bytes + start, start && bytes[start - 1] == '\\'))
            return true;
    }
    return false;
}
