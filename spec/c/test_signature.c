/*
 * signature.c: types, dimensions and ends from pictures' bytes, wherever those are cut.
 *
 * The pictures are made here, byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "splitter/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) (text), sizeof(text) - 1

#define PNG        "\x89PNG\r\n\x1a\n"
#define PNG_TAIL   "\x08\x02\x00\x00\x00\xfd\xd4\x9a\x73\x00\x00\x00\x00IEND\xae\x42\x60\x82"
#define JFIF       "\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
#define SOF(type)  "\xff" type "\x00\x11\x08\x02\x58\x03\x20\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
#define DHT        "\xff\xc4\x00\x05\x11\x22\x33"
#define SCAN       "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x12\x34\xff\xd9"
#define RIFF(type) "RIFF\x40\x00\x00\x00WEBP" type
#define ZEROS      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const struct row {
    const char *name, *bytes;
    size_t size;
    const char *ext; /* NULL: unknown */
    uint32_t width, height;
    size_t named, sized; /* bytes from which on type and dimensions are known; 0: never */
} rows[] = {
    {"PNG", BYTES(PNG "\x00\x00\x00\x0dIHDR\x00\x00\x04\x00\x00\x00\x06\x00" PNG_TAIL), "png", 1024,
     1536, 8, 24},
    {"PNG, huge", BYTES(PNG "\x00\x00\x00\x0dIHDR\x7f\xff\xff\xff\x80\x00\x00\x01" PNG_TAIL), "png",
     0x7fffffff, 0x80000001, 8, 24},
    {"PNG of no width", BYTES(PNG "\x00\x00\x00\x0dIHDR\x00\x00\x00\x00\x00\x00\x06\x00" PNG_TAIL),
     "png", 0, 0, 8, 0},
    {"PNG of no height", BYTES(PNG "\x00\x00\x00\x0dIHDR\x00\x00\x04\x00\x00\x00\x00\x00" PNG_TAIL),
     "png", 0, 0, 8, 0},
    {"PNG whose first chunk is another",
     BYTES(PNG "\x00\x00\x00\x0dIDAT\x00\x00\x04\x00\x00\x00\x06\x00" PNG_TAIL), "png", 0, 0, 8, 0},
    {"PNG through a text conversion", BYTES("\x89PNG\n\x1a\n\x00\x00\x00\x0dIHDR" ZEROS ZEROS),
     NULL, 0, 0, 0, 0},
    {"GIF87a", BYTES("GIF87a\x20\x03\x58\x02\x80\x00\x00" ZEROS ZEROS), "gif", 800, 600, 6, 10},
    {"GIF89a, whole", BYTES("GIF89a\x01\x00\x02\x00\x00\x00\x00;"), "gif", 1, 2, 6, 10},
    {"GIF of no height", BYTES("GIF89a\x01\x00\x00\x00\x00\x00\x00;"), "gif", 0, 0, 6, 0},
    {"GIF88a", BYTES("GIF88a\x20\x03\x58\x02" ZEROS ZEROS), NULL, 0, 0, 0, 0},
    {"JPEG, baseline", BYTES("\xff\xd8" JFIF SOF("\xc0") SCAN), "jpg", 800, 600, 3, 29},
    {"JPEG, progressive", BYTES("\xff\xd8" JFIF SOF("\xc2") SCAN), "jpg", 800, 600, 3, 29},
    {"JPEG, lossless arithmetic", BYTES("\xff\xd8" JFIF SOF("\xcf") SCAN), "jpg", 800, 600, 3, 29},
    {"JPEG without JFIF", BYTES("\xff\xd8" SOF("\xc0") SCAN), "jpg", 800, 600, 3, 11},
    {"JPEG, tables first", BYTES("\xff\xd8" DHT SOF("\xc1") SCAN), "jpg", 800, 600, 3, 18},
    {"JPEG with fill bytes", BYTES("\xff\xd8\xff\xff\xff" JFIF "\xff\xff" SOF("\xc0") SCAN), "jpg",
     800, 600, 3, 34},
    {"JPEG with restart markers", BYTES("\xff\xd8\xff\xd0\xff\xd7\xff\x01" JFIF SOF("\xc0") SCAN),
     "jpg", 800, 600, 3, 35},
    {"JPEG with an empty segment", BYTES("\xff\xd8\xff\xfe\x00\x02" SOF("\xc0") SCAN), "jpg", 800,
     600, 3, 15},
    {"JPEG with a segment that is too short", BYTES("\xff\xd8\xff\xfe\x00\x01" SOF("\xc0") SCAN),
     "jpg", 0, 0, 3, 0},
    {"JPEG that starts twice", BYTES("\xff\xd8\xff\xd8" SOF("\xc0") SCAN), "jpg", 800, 600, 3, 13},
    {"JPEG with a frame behind its end", BYTES("\xff\xd8" JFIF "\xff\xd9\x00\x02" SOF("\xc0") SCAN),
     "jpg", 0, 0, 3, 0},
    {"JPEG with a frame right behind its scan's head",
     BYTES("\xff\xd8" JFIF "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" SOF("\xc0") SCAN), "jpg", 0,
     0, 3, 0},
    {"JPEG that ends without a frame", BYTES("\xff\xd8" JFIF "\xff\xd9" ZEROS), "jpg", 0, 0, 3, 0},
    {"JPEG whose scan comes first", BYTES("\xff\xd8" JFIF SCAN SOF("\xc0")), "jpg", 0, 0, 3, 0},
    {"JPEG with no marker where one belongs", BYTES("\xff\xd8" JFIF "\x00" SOF("\xc0")), "jpg", 0,
     0, 3, 0},
    {"JPEG whose height comes later",
     BYTES("\xff\xd8\xff\xc0\x00\x11\x08\x00\x00\x03\x20\x03\x01\x22\x00\x02\x11\x01" SCAN), "jpg",
     0, 0, 3, 0},
    {"WebP, lossy",
     BYTES(RIFF("VP8 \x30\x00\x00\x00\xd0\x01\x00\x9d\x01\x2a\x20\x03\x58\x02\x01\x40")), "webp",
     800, 600, 30, 30},
    {"WebP, lossy, with scaling bits",
     BYTES(RIFF("VP8 \x30\x00\x00\x00\xd0\x01\x00\x9d\x01\x2a\x20\x43\x58\x82\x01\x40")), "webp",
     800, 600, 30, 30},
    {"WebP, lossy, no key frame",
     BYTES(RIFF("VP8 \x30\x00\x00\x00\xd0\x01\x00\x9d\x01\x2b\x20\x03\x58\x02\x01\x40")), "webp", 0,
     0, 30, 0},
    {"WebP, lossless", /* 799 | 599 << 14, little end first */
     BYTES(RIFF("VP8L\x30\x00\x00\x00\x2f\x1f\xc3\x95\x00\x00\x00\x00\x00\x00\x00\x00")), "webp",
     800, 600, 30, 30},
    {"WebP, lossless, largest, with alpha",
     BYTES(RIFF("VP8L\x30\x00\x00\x00\x2f\xff\xff\xff\x1f\x00\x00\x00\x00\x00\x00\x00")), "webp",
     16384, 16384, 30, 30},
    {"WebP, lossless, another signature",
     BYTES(RIFF("VP8L\x30\x00\x00\x00\x2e\x1f\xc3\x95\x00\x00\x00\x00\x00\x00\x00\x00")), "webp", 0,
     0, 30, 0},
    {"WebP, extended",
     BYTES(RIFF("VP8X\x0a\x00\x00\x00\x10\x00\x00\x00\x1f\x03\x00\x57\x02\x00VP8 ")), "webp", 800,
     600, 30, 30},
    {"WebP, extended, largest",
     BYTES(RIFF("VP8X\x0a\x00\x00\x00\x10\x00\x00\x00\xff\xff\xff\xfe\xff\xff" ZEROS)), "webp",
     0x1000000, 0xffffff, 30, 30},
    {"WebP of an unknown kind", BYTES(RIFF("VP9 " ZEROS ZEROS)), "webp", 0, 0, 30, 0},
    {"RIFF of another kind", BYTES("RIFF\x40\x00\x00\x00WAVEfmt " ZEROS ZEROS), NULL, 0, 0, 0, 0},
    {"AVIF",
     BYTES("\x00\x00\x00\x20"
           "ftypavif\x00\x00\x00\x00" ZEROS ZEROS),
     NULL, 0, 0, 0, 0},
    {"BMP", BYTES("BM\x36\x00\x00\x00" ZEROS ZEROS), NULL, 0, 0, 0, 0},
    {"text", BYTES("this is no picture at all, only words of some length"), NULL, 0, 0, 0, 0},
    {"zeros", BYTES(ZEROS ZEROS ZEROS), NULL, 0, 0, 0, 0},
    {"two bytes of a JPEG", BYTES("\xff\xd8"), NULL, 0, 0, 0, 0},
    {"a type's name later on", BYTES("xGIF89a\x01\x00\x02\x00" ZEROS ZEROS), NULL, 0, 0, 0, 0},
    {"nothing", BYTES(""), NULL, 0, 0, 0, 0},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *mime_of(const char *ext)
{
    static const char *const types[][2] = {
        {"png", "image/png"}, {"gif", "image/gif"}, {"jpg", "image/jpeg"}, {"webp", "image/webp"}};
    for (size_t i = 0; ext && i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(types[i][0], ext))
            return types[i][1];
    return NULL;
}

static int same(const char *one, const char *other)
{
    return one && other ? !strcmp(one, other) : one == other;
}

/* Feeds a copy of exactly that size, so that a sanitizer sees a byte read behind it. */
static void feed(struct tc_signature *signature, const char *bytes, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    tc_signature_feed(signature, copy, size);
    free(copy);
}

/* What `signature` must say once it has seen `seen` bytes of the row. */
static void expect(const struct row *row, const struct tc_signature *signature, size_t seen,
                   const char *how, size_t cut)
{
    const char *ext = row->named && seen >= row->named ? row->ext : NULL;
    uint32_t width = row->sized && seen >= row->sized ? row->width : 0;
    uint32_t height = row->sized && seen >= row->sized ? row->height : 0;
    if (!same(signature->ext, ext) || !same(signature->mime, mime_of(ext)) ||
        signature->width != width || signature->height != height)
        fail_msg("%s, %zu bytes, %s %zu: %s (%s) of %ux%u; wanted %s of %ux%u", row->name, seen,
                 how, cut, signature->ext ? signature->ext : "unknown",
                 signature->mime ? signature->mime : "no type", signature->width, signature->height,
                 ext ? ext : "unknown", width, height);
}

static void test_cut_short_at_every_byte(void **state)
{
    (void)state;
    for (const struct row *row = rows; row < rows + ROWS; row++)
        for (size_t size = 0; size <= row->size; size++) {
            struct tc_signature signature = {0};
            feed(&signature, row->bytes, size);
            expect(row, &signature, size, "in pieces:", 1);
        }
}

static void test_every_split(void **state)
{
    (void)state;
    for (const struct row *row = rows; row < rows + ROWS; row++)
        for (size_t i = 0; i <= row->size; i++)
            for (size_t j = i; j <= row->size; j++) {
                struct tc_signature signature = {0};
                feed(&signature, row->bytes, i);
                expect(row, &signature, i, "first piece", i);
                feed(&signature, row->bytes + i, j - i);
                expect(row, &signature, j, "second piece from", i);
                feed(&signature, row->bytes + j, row->size - j);
                expect(row, &signature, row->size, "third piece from", j);
            }
}

static void test_pieces_of_every_size(void **state)
{
    (void)state;
    for (const struct row *row = rows; row < rows + ROWS; row++)
        for (size_t every = 1; every <= row->size; every++) {
            struct tc_signature signature = {0};
            for (size_t done = 0, size; done < row->size; done += size) {
                size = row->size - done < every ? row->size - done : every;
                feed(&signature, row->bytes + done, size);
                expect(row, &signature, done + size, "in pieces of", every);
            }
        }
}

/* ---- where files end ---- */

#define IHDR                                                                                       \
    "\x00\x00\x00\x0dIHDR\x00\x00\x00\x02\x00\x00\x00\x03\x08\x02\x00\x00\x00\x36\x88\x49\xd6"
#define IDAT(text) "\x00\x00\x00\x06IDAT" text "\xfd\xd4\x9a\x73"
#define IEND       "\x00\x00\x00\x00IEND\xae\x42\x60\x82"
#define GIF_HEAD   "GIF89a\x01\x00\x01\x00\x00\x00\x00"
#define GIF_IMAGE  ",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
#define WEBP(size)                                                                                 \
    "RIFF" size                                                                                    \
    "\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x1f\xc3\x95\x00\x00\x00\x00\x00\x00\x00\x00"

static const struct file {
    const char *name, *bytes;
    size_t size;
    size_t end; /* bytes from which on the end is seen; 0: never, SIZE_MAX: the type is foreign */
} files[] = {
    {"PNG", BYTES(PNG IHDR IDAT("IEND\xae\x42") IEND), 8 + 25 + 18 + 12},
    {"PNG and more behind it", BYTES(PNG IHDR IEND "\x00\x00\x00\x00IEND"), 8 + 25 + 12},
    {"PNG whose data looks like its end", BYTES(PNG IHDR IDAT("\x00\x00IEND")), 0},
    {"PNG whose end has a length", BYTES(PNG IHDR "\x00\x00\x00\x02IENDxy\xae\x42\x60\x82"), 47},
    {"PNG with a chunk that is longer than the file",
     BYTES(PNG IHDR "\x7f\xff\xff\xffIDAT" IEND IEND), 0},
    {"PNG with a length that cannot be", BYTES(PNG IHDR "\x80\x00\x00\x00IDAT" IEND), 0},
    {"PNG with a type that cannot be",
     BYTES(PNG IHDR "\x00\x00\x00\x00I\x01AT\x00\x00\x00\x00" IEND), 0},
    {"PNG of one short chunk", BYTES(PNG "\x00\x00\x00\x04IHDRabcd\x00\x00\x00\x00" IEND),
     8 + 16 + 12},
    {"GIF", BYTES(GIF_HEAD GIF_IMAGE ";"), 13 + 15 + 1},
    {"GIF with colours that look like its end",
     BYTES("GIF89a\x01\x00\x01\x00\x80\x00\x00;;;;;;" GIF_IMAGE ";"), 13 + 6 + 15 + 1},
    {"GIF with colours of an image",
     BYTES(GIF_HEAD ",\x00\x00\x00\x00\x01\x00\x01\x00\x81;;;;;;;;;;;;\x02\x01;\x00;"),
     13 + 10 + 12 + 4 + 1},
    {"GIF with extensions",
     BYTES(GIF_HEAD "!\xf9\x04;;;;\x00!\xfe\x02;;\x01;\x00" GIF_IMAGE "\x00;"),
     13 + 8 + 8 + 15 + 2},
    {"GIF without its end", BYTES(GIF_HEAD GIF_IMAGE), 0},
    {"GIF with an unknown block", BYTES(GIF_HEAD "?;;;;;"), 0},
    {"JPEG", BYTES("\xff\xd8" JFIF SOF("\xc0") SCAN), 2 + 18 + 19 + 14},
    {"JPEG with zeros and restarts in its data",
     BYTES("\xff\xd8" SOF(
         "\xc0") "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x12\xff\x00\xd9\xff\xd0\xff\xff\xd7"
                 "\xff\xff\xd9\xff\xd9"),
     2 + 19 + 10 + 12},
    {"JPEG with several scans",
     BYTES("\xff\xd8" SOF("\xc2") "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x12" DHT
                                  "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x34\xff\xd9"),
     2 + 19 + 11 + 7 + 11 + 2},
    {"JPEG with a preview inside", BYTES("\xff\xd8\xff\xe1\x00\x08\xff\xd8\xff\xd9\x00\x00" SCAN),
     2 + 10 + 14},
    {"JPEG that is cut in its data",
     BYTES("\xff\xd8" JFIF "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x12"), 0},
    {"JPEG that is cut in its end",
     BYTES("\xff\xd8" JFIF "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x12\xff"), 0},
    {"JPEG with rubbish before a marker", BYTES("\xff\xd8" JFIF "abc" SCAN), 2 + 18 + 3 + 14},
    {"WebP", BYTES(WEBP("\x1a")), 34},
    {"WebP and more behind it", BYTES(WEBP("\x1a") "xyz"), 34},
    {"WebP that is cut", BYTES(WEBP("\x1b")), 0},
    {"WebP whose length cannot be", BYTES(WEBP("\x04")), 0},
    {"WebP, half of its head", BYTES("RIFF\x1a\x00\x00\x00WEBPVP8L"), 0},
    {"RIFF of another kind", BYTES("RIFF\x1a\x00\x00\x00WAVEfmt "), SIZE_MAX},
    {"text", BYTES("no picture"), 0},
    {"text of some length", BYTES("no picture at all, as a filter has it held back"), 0},
    {"text in UTF-8",
     BYTES("kh\xc3\xb4ng v\xe1\xba\xbd \xc4\x91\xc6\xb0\xe1\xbb\xa3"
           "c"),
     0},
    {"one word", BYTES("unavailable"), 0},
    {"hexadecimal digits", BYTES("89504e470d0a1a0a0000000d"), 0},
    {"a few capitals", BYTES("ABC"), SIZE_MAX},
    {"capitals of some length", BYTES("ABCABCABCABCABCABCABCABCABCABCABCABCABC"), SIZE_MAX},
    {"SVG", BYTES("<svg xmlns='http://www.w3.org/2000/svg'></svg>"), SIZE_MAX},
    {"text with a zero byte", BYTES("some bytes\0"), SIZE_MAX},
    {"text and another byte, the 32nd", BYTES("the words of some headers only\n\xff"), SIZE_MAX},
    {"BMP", BYTES("BM\x46\0\0\0\0\0\0\0\x36\0\0\0"), SIZE_MAX},
    {"AVIF",
     BYTES("\0\0\0\x1c"
           "ftypavif\0\0\0\0"
           "avifmif1miaf"),
     SIZE_MAX},
    {"QOI", BYTES("qoif\0\0\0\x40\0\0\0\x40\4\0"), SIZE_MAX},
    {"a byte of a PNG", BYTES("\x89"), 0},
};

static void expect_end(const struct file *file, const struct tc_signature *signature, size_t seen,
                       size_t cut)
{
    enum tc_file_end wanted = file->end && seen >= file->end ? TC_END_SEEN : TC_END_MISSING;
    enum tc_file_end got = tc_signature_end(signature);
    if (file->end == SIZE_MAX)
        wanted = seen == file->size ? TC_END_UNKNOWN : got;
    if (got != wanted)
        fail_msg("%s, %zu bytes, cut at %zu: end %d instead of %d", file->name, seen, cut, got,
                 wanted);
}

static void test_ends_at_every_split(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++)
        for (size_t i = 0; i <= files[f].size; i++)
            for (size_t j = i; j <= files[f].size; j++) {
                struct tc_signature signature = {0};
                feed(&signature, files[f].bytes, i);
                expect_end(&files[f], &signature, i, i);
                feed(&signature, files[f].bytes + i, j - i);
                expect_end(&files[f], &signature, j, i);
                feed(&signature, files[f].bytes + j, files[f].size - j);
                expect_end(&files[f], &signature, files[f].size, j);
            }
}

/* ---- a JPEG with much in front of its frame ---- */

struct long_jpeg {
    unsigned char *bytes;
    size_t size, sized;
};

static void add(struct long_jpeg *jpeg, const char *bytes, size_t size)
{
    memcpy(jpeg->bytes + jpeg->size, bytes, size);
    jpeg->size += size;
}

/* Two segments of application data, 100 KB in all, full of what looks like frames. */
static struct long_jpeg make_long_jpeg(void)
{
    struct long_jpeg jpeg = {malloc(110000), 0, 0};
    assert_non_null(jpeg.bytes);
    add(&jpeg, BYTES("\xff\xd8"));
    for (unsigned segment = 0; segment < 2; segment++) {
        size_t length = segment ? 34465 : 65535;
        unsigned char *at = jpeg.bytes + jpeg.size;
        for (size_t i = 0; i < length + 2; i++)
            at[i] = (unsigned char)"\xff\xc0\x00\x11\x08\x00\x01\x00\x01\x03"[i % 10];
        at[1] = (unsigned char)(0xe1 + segment);
        at[2] = (unsigned char)(length >> 8);
        at[3] = (unsigned char)length;
        jpeg.size += length + 2;
    }
    jpeg.sized = jpeg.size + 9;
    add(&jpeg, BYTES(SOF("\xc2") SCAN));
    return jpeg;
}

static void expect_long(const struct tc_signature *signature, const struct long_jpeg *jpeg,
                        size_t seen, size_t cut)
{
    uint32_t width = seen >= jpeg->sized ? 800 : 0, height = seen >= jpeg->sized ? 600 : 0;
    if (!same(signature->ext, seen >= 3 ? "jpg" : NULL) || signature->width != width ||
        signature->height != height)
        fail_msg("%zu bytes, cut at %zu: %s of %ux%u", seen, cut,
                 signature->ext ? signature->ext : "unknown", signature->width, signature->height);
}

static void test_long_jpeg_at_every_split(void **state)
{
    struct long_jpeg jpeg = make_long_jpeg();
    (void)state;
    for (size_t cut = 0; cut <= jpeg.size; cut++) {
        struct tc_signature signature = {0};
        tc_signature_feed(&signature, jpeg.bytes, cut);
        expect_long(&signature, &jpeg, cut, cut);
        tc_signature_feed(&signature, jpeg.bytes + cut, jpeg.size - cut);
        expect_long(&signature, &jpeg, jpeg.size, cut);
    }
    free(jpeg.bytes);
}

static void test_long_jpeg_in_pieces(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 10, 31, 32, 33, 1000, 4096, 16384, 65536};
    struct long_jpeg jpeg = make_long_jpeg();
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct tc_signature signature = {0};
        for (size_t done = 0, size; done < jpeg.size; done += size) {
            size = jpeg.size - done < sizes[i] ? jpeg.size - done : sizes[i];
            tc_signature_feed(&signature, jpeg.bytes + done, size);
            expect_long(&signature, &jpeg, done + size, sizes[i]);
        }
    }
    free(jpeg.bytes);
}

/* Once the type is settled, nothing that comes later changes it. */
static void test_later_bytes_change_nothing(void **state)
{
    (void)state;
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        struct tc_signature signature = {0};
        feed(&signature, row->bytes, row->size);
        if (!signature.settled)
            continue;
        for (const struct row *other = rows; other < rows + ROWS; other++)
            feed(&signature, other->bytes, other->size);
        expect(row, &signature, row->size, "with others behind:", ROWS);
    }
}

/* Texts of servers, and whether a picture's base64 is in them. */
static void test_text_has_picture(void **state)
{
#define RUN "AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHIIIIJJJJKKKKLLLL"
    static const struct {
        const char *text;
        bool has;
    } texts[] = {
        {"iVBORw0KGgo" RUN, true},
        {"{\"a\":\"iVBORw0KGgo" RUN "\"}", true},
        {"{\"a\":\"data:image/jpeg;base64,/9j/" RUN "\"}", true},
        {"'R0lGODlh" RUN "'", true},
        {"(R0lGODdh" RUN, true},
        {" UklGR" RUN, true},
        {"{\\u0022UklGR" RUN, true},
        {"\\nUklGR" RUN, true},
        {"aUklGR" RUN, false},
        {"iVBORw0KGgo", false},
        {"iVBORw0KGgo AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHIIIIJJJJKKKKLLLL", false},
        {RUN RUN, false},
        {"https://example.com/9j/" RUN, false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t size = strlen(texts[i].text);
        char *copy = malloc(size + 1); /* so that a byte too many is found */
        memcpy(copy, texts[i].text, size);
        assert_int_equal(tc_text_has_picture(copy, size), texts[i].has);
        for (size_t cut = 0; cut < size; cut++) {
            char *part = malloc(cut + 1);
            memcpy(part, copy, cut);
            (void)tc_text_has_picture(part, cut);
            free(part);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_short_at_every_byte),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_ends_at_every_split),
        cmocka_unit_test(test_pieces_of_every_size),
        cmocka_unit_test(test_long_jpeg_at_every_split),
        cmocka_unit_test(test_long_jpeg_in_pieces),
        cmocka_unit_test(test_later_bytes_change_nothing),
        cmocka_unit_test(test_text_has_picture),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
