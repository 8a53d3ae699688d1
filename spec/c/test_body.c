/*
 * body.c: every small combination of pieces, read in chunks of every size and from every position,
 * is the same as the whole that a naive encoder writes. What is read goes into blocks of exactly
 * the size that was asked for, so a sanitizer sees a byte too many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../fuzz/naive.h"

#include "base/alloc.h"
#include "splitter/body.h"

#include <stdbool.h>
#include <stdio.h>

static void *exact(size_t size)
{
    void *block = malloc(size ? size : 1);
    assert_non_null(block);
    return block;
}

/* The whole of what is sent; the caller frees it. */
static char *naive_whole(const struct tc_piece *pieces, size_t count, size_t *size)
{
    size_t room = 1;
    for (size_t i = 0; i < count; i++)
        room += pieces[i].size / 3 * 4 + 5;
    char *whole = exact(room);
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].base64) {
            *size += naive_encode(pieces[i].bytes, pieces[i].size, whole + *size);
        } else if (pieces[i].size) {
            memcpy(whole + *size, pieces[i].bytes, pieces[i].size);
            *size += pieces[i].size;
        }
    }
    return whole;
}

/* Reads from `from` to the end in chunks of `chunk` bytes. */
static void expect_read(const struct tc_body *body, const char *whole, size_t from, size_t chunk)
{
    uint64_t position = from;
    char *out = exact(chunk);
    for (size_t done = from;;) {
        size_t left = (size_t)body->size - done, wanted = left < chunk ? left : chunk;
        size_t got = tc_body_read(body, &position, out, chunk);
        if (got != wanted || position != done + got || memcmp(out, whole + done, got))
            fail_msg("a chunk of %zu bytes at %zu of %zu: got %zu", chunk, done, (size_t)body->size,
                     got);
        done += got;
        if (!got)
            break;
    }
    free(out);
}

static void expect_whole(const struct tc_piece *pieces, size_t count, size_t most)
{
    size_t size;
    char *whole = naive_whole(pieces, count, &size);
    struct tc_body *body = tc_body_new(pieces, count);
    assert_non_null(body);
    assert_int_equal(body->size, size);
    for (size_t chunk = 1; chunk <= most; chunk++)
        for (size_t from = 0; from <= size; from++)
            expect_read(body, whole, from, chunk);
    tc_body_release(body);
    free(whole);
}

/* ---- small pieces ---- */

enum { KINDS = 16, LARGEST = 7 };

static unsigned char source[LARGEST];

/* Of 16 kinds: text and base64 of 0 to 7 bytes each. */
static struct tc_piece piece_of(unsigned kind)
{
    size_t size = kind % 8;
    return (struct tc_piece){size ? source + LARGEST - size : NULL, size, kind >= 8};
}

static void fill_source(void)
{
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (unsigned char)(0x9d * (i + 1));
}

static void test_no_piece(void **state)
{
    (void)state;
    expect_whole(NULL, 0, 20);
}

static void test_every_piece(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct tc_piece piece = piece_of(kind);
        expect_whole(&piece, 1, 20);
    }
}

static void test_every_pair(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS * KINDS; kind++) {
        struct tc_piece pieces[] = {piece_of(kind % KINDS), piece_of(kind / KINDS)};
        expect_whole(pieces, 2, 20);
    }
}

static void test_every_three(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS * KINDS * KINDS; kind++) {
        struct tc_piece pieces[] = {piece_of(kind % KINDS), piece_of(kind / KINDS % KINDS),
                                    piece_of(kind / KINDS / KINDS)};
        expect_whole(pieces, 3, 20);
    }
}

/* ---- others ---- */

/* Pieces longer than a vector, in chunks that no group ends with. */
static void test_long_pieces(void **state)
{
    enum { SIZE = 10007 };
    static const size_t chunks[] = {1, 3, 61, 128, 129, 1000, 4096, 65536};
    static unsigned char bytes[SIZE];
    size_t size;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * i >> 3);
    struct tc_piece pieces[] = {{"{\"a\":\"", 6, false},     {bytes, SIZE, true},
                                {"\",\"b\":\"", 7, false},   {bytes + 1, SIZE - 1, true},
                                {bytes + 2, SIZE - 2, true}, {"\"}", 2, false}};
    char *whole = naive_whole(pieces, 6, &size);
    struct tc_body *body = tc_body_new(pieces, 6);
    assert_non_null(body);
    assert_int_equal(body->size, size);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
        for (size_t from = 0; from < size; from += 997)
            expect_read(body, whole, from, chunks[i]);
    tc_body_release(body);
    free(whole);
}

/* The text is the body's own; the bytes are the caller's. */
static void test_text_is_copied(void **state)
{
    char text[] = "text", bytes[] = "bytes", out[12];
    uint64_t position = 0;
    struct tc_piece pieces[] = {{text, 4, false}, {bytes, 5, true}};
    struct tc_body *body = tc_body_new(pieces, 2);
    (void)state;
    assert_non_null(body);
    memset(text, '!', 4);
    memset(pieces, 0, sizeof(pieces));
    memcpy(bytes, "BYTES", 5);
    assert_int_equal(tc_body_read(body, &position, out, sizeof(out)), 12);
    assert_memory_equal(out, "textQllURVM=", 12);
    tc_body_release(body);
}

static void test_two_holders(void **state)
{
    char out[4];
    uint64_t one = 0, other = 2;
    struct tc_piece piece = {"text", 4, false};
    struct tc_body *body = tc_body_new(&piece, 1);
    (void)state;
    assert_non_null(body);
    body->references++;
    assert_int_equal(tc_body_read(body, &one, out, 3), 3);
    tc_body_release(body);
    assert_int_equal(tc_body_read(body, &other, out, 3), 2);
    assert_memory_equal(out, "xt", 2);
    assert_int_equal(tc_body_read(body, &one, out, 3), 1);
    assert_memory_equal(out, "t", 1);
    tc_body_release(body);
    tc_body_release(NULL);
}

/* Nothing is behind the end, wherever a reader believes to be. */
static void test_behind_the_end(void **state)
{
    char out = '!';
    struct tc_piece piece = {"text", 4, true};
    struct tc_body *body = tc_body_new(&piece, 1);
    (void)state;
    assert_non_null(body);
    static const uint64_t positions[] = {8, 9, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        uint64_t position = positions[i];
        assert_int_equal(tc_body_read(body, &position, &out, 1), 0);
        assert_true(position == positions[i]);
    }
    assert_int_equal(out, '!');
    tc_body_release(body);
}

/* Sizes that no sum holds are refused before a byte of them is looked at. */
static void test_too_large(void **state)
{
    static const struct tc_piece text = {"", SIZE_MAX, false}, base64 = {"", SIZE_MAX, true};
    static const struct tc_piece third = {"", SIZE_MAX / 3, true};
    const struct tc_piece thirds[] = {third, third, third, third, third, third};
    const struct tc_piece halves[] = {{"", SIZE_MAX / 2, false}, {"", SIZE_MAX / 2, false}};
    (void)state;
    assert_null(tc_body_new(&text, 1));
    assert_null(tc_body_new(&base64, 1));
    assert_null(tc_body_new(halves, 2));
    assert_null(tc_body_new(&halves[0], 1));
    if (SIZE_MAX > UINT32_MAX) /* else 64 bits hold any sum of so few */
        assert_null(tc_body_new(thirds, 6));
}

static void *no_memory(void *old, size_t size)
{
    (void)old, (void)size;
    return NULL;
}

static void test_no_memory(void **state)
{
    struct tc_piece piece = {"text", 4, false};
    (void)state;
    tc_alloc_hook(no_memory);
    assert_null(tc_body_new(&piece, 1));
    tc_alloc_hook(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_piece),    cmocka_unit_test(test_every_piece),
        cmocka_unit_test(test_every_pair),  cmocka_unit_test(test_every_three),
        cmocka_unit_test(test_long_pieces), cmocka_unit_test(test_text_is_copied),
        cmocka_unit_test(test_two_holders), cmocka_unit_test(test_behind_the_end),
        cmocka_unit_test(test_too_large),   cmocka_unit_test(test_no_memory),
    };
    fill_source();
    return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
