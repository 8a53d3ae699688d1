/*
 * base64.c: the policy of base64.h row by row, and against the naive decoder in every way that a
 * text can be cut; the encoder against the naive one and our own decoder. Every piece is decoded or
 * encoded from and into blocks of exactly its size, so a sanitizer sees a byte read or written too
 * far.
 *
 * Each test is one property, and all of them run once for each path that this processor has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../fuzz/naive.h"

#include <stdbool.h>
#include <stdio.h>

/* How a text is cut: into pieces of `every` characters, or else at `first` and `second`. */
struct cut {
    size_t first, second, every;
};

static const struct cut uncut = {0, 0, 0};

static size_t piece_length(struct cut cut, size_t done, size_t size)
{
    size_t end = size;
    if (cut.every)
        end = done + cut.every;
    else if (done < cut.first)
        end = cut.first;
    else if (done < cut.second)
        end = cut.second;
    return (end < size ? end : size) - done;
}

static void *exact(size_t size)
{
    void *block = malloc(size ? size : 1);
    assert_non_null(block);
    return block;
}

/* tc_base64_decode with blocks of exactly the size that it may touch. Returns what it took. */
static size_t decode_exact(struct tc_base64 *decoder, const char *text, size_t size,
                           unsigned char *out, size_t *written)
{
    char *in = exact(size);
    unsigned char *bytes = exact(TC_BASE64_ROOM(size));
    memcpy(in, text, size);
    size_t taken = tc_base64_decode(decoder, in, size, bytes, written);
    assert_true(taken <= size);
    assert_true(*written <= TC_BASE64_ROOM(size));
    memcpy(out, bytes, *written);
    free(bytes);
    free(in);
    return taken;
}

static bool decode_piece(struct tc_base64 *decoder, const char *text, size_t size,
                         struct naive *result, unsigned char *out)
{
    size_t written;
    while (size) {
        size_t taken = decode_exact(decoder, text, size, out + result->size, &written);
        result->size += written;
        result->at += taken;
        text += taken;
        size -= taken;
        if (!size)
            break;
        result->error = tc_base64_odd(decoder, (unsigned char)*text);
        if (result->error)
            return false;
        result->at++;
        text++;
        size--;
    }
    return true;
}

static struct naive decode(const char *text, size_t size, struct cut cut, unsigned char *out)
{
    struct tc_base64 decoder = {0, 0, 0};
    struct naive result = {TC_BASE64_OK, 0, 0};
    size_t length, written;
    for (size_t done = 0; done < size; done += length) {
        length = piece_length(cut, done, size);
        if (!decode_piece(&decoder, text + done, length, &result, out))
            return result;
    }
    unsigned char tail[2];
    result.error = tc_base64_finish(&decoder, tail, &written);
    memcpy(out + result.size, tail, written);
    result.size += written;
    return result;
}

static void expect_at_cut(const char *row, const char *text, size_t size, struct cut cut,
                          const struct naive *wanted, const unsigned char *bytes)
{
    unsigned char *out = exact(TC_BASE64_ROOM(size) + 2);
    struct naive got = decode(text, size, cut, out);
    if (got.error != wanted->error || got.at != wanted->at || got.size != wanted->size ||
        memcmp(out, bytes, got.size))
        fail_msg("%s, cut at %zu and %zu, every %zu: \"%s\" at %zu, %zu bytes; "
                 "wanted \"%s\" at %zu, %zu bytes",
                 row, cut.first, cut.second, cut.every, tc_base64_error_text(got.error), got.at,
                 got.size, tc_base64_error_text(wanted->error), wanted->at, wanted->size);
    free(out);
}

/* Whole, in two at every place, in pieces of every size; short texts also in three. */
static void expect_at_every_cut(const char *row, const char *text, size_t size,
                                const struct naive *wanted, const unsigned char *bytes)
{
    expect_at_cut(row, text, size, uncut, wanted, bytes);
    for (size_t i = 1; i <= size; i++) {
        expect_at_cut(row, text, size, (struct cut){0, 0, i}, wanted, bytes);
        expect_at_cut(row, text, size, (struct cut){i, i, 0}, wanted, bytes);
        for (size_t j = i + 1; j < size && size <= 40; j++)
            expect_at_cut(row, text, size, (struct cut){i, j, 0}, wanted, bytes);
    }
}

/* What the naive decoder says, uncut. */
static void expect_as_naive(const char *row, const char *text, size_t size)
{
    unsigned char *bytes = exact(TC_BASE64_ROOM(size) + 2);
    struct naive wanted = naive_decode(text, size, bytes);
    expect_at_cut(row, text, size, uncut, &wanted, bytes);
    free(bytes);
}

/* ---- the policy ---- */

static const struct row {
    const char *name, *text;
    enum tc_base64_error error;
    size_t at; /* the character that is wrong; the text's size when its end is */
    const char *bytes;
} policy[] = {
    {"RFC 4648: nothing", "", TC_BASE64_OK, 0, ""},
    {"RFC 4648: f", "Zg==", TC_BASE64_OK, 4, "f"},
    {"RFC 4648: fo", "Zm8=", TC_BASE64_OK, 4, "fo"},
    {"RFC 4648: foo", "Zm9v", TC_BASE64_OK, 4, "foo"},
    {"RFC 4648: foob", "Zm9vYg==", TC_BASE64_OK, 8, "foob"},
    {"RFC 4648: fooba", "Zm9vYmE=", TC_BASE64_OK, 8, "fooba"},
    {"RFC 4648: foobar", "Zm9vYmFy", TC_BASE64_OK, 8, "foobar"},
    {"plus and slash", "+/+/", TC_BASE64_OK, 4, "\xfb\xff\xbf"},
    {"padding of one byte missing", "Zg", TC_BASE64_OK, 2, "f"},
    {"padding of two bytes missing", "Zm9vYmE", TC_BASE64_OK, 7, "fooba"},
    {"half the padding missing", "Zg=", TC_BASE64_PADDING, 3, ""},
    {"too much padding behind one byte", "Zg===", TC_BASE64_PADDING, 4, ""},
    {"too much padding behind two bytes", "Zm8==", TC_BASE64_PADDING, 4, ""},
    {"padding behind a whole group", "Zm9v=", TC_BASE64_PADDING, 4, "foo"},
    {"padding behind one sextet", "Zm9vY=", TC_BASE64_PADDING, 5, "foo"},
    {"nothing but padding", "====", TC_BASE64_PADDING, 0, ""},
    {"data behind padding", "Zg==Zg==", TC_BASE64_PADDING, 4, ""},
    {"data between padding", "Zg=Z", TC_BASE64_PADDING, 3, ""},
    {"data behind padding and white space", "Zm9vZg==\nZg", TC_BASE64_PADDING, 9, "foo"},
    {"one sextet", "Z", TC_BASE64_TRUNCATED, 1, ""},
    {"one sextet too few", "Zm9vY", TC_BASE64_TRUNCATED, 5, "foo"},
    {"one sextet too few, white space behind", "Zm9vY\n", TC_BASE64_TRUNCATED, 6, "foo"},
    {"the lowest of four bits left over", "ZR==", TC_BASE64_TRAILING_BITS, 4, ""},
    {"the highest of four bits left over", "ZI==", TC_BASE64_TRAILING_BITS, 4, ""},
    {"four bits left over, no padding", "Zm9vZR", TC_BASE64_TRAILING_BITS, 6, "foo"},
    {"the lowest of two bits left over", "Zm9=", TC_BASE64_TRAILING_BITS, 4, ""},
    {"the highest of two bits left over", "Zm+", TC_BASE64_TRAILING_BITS, 3, ""},
    {"minus and underscore", "-_-_", TC_BASE64_OK, 4, "\xfb\xff\xbf"},
    {"both alphabets", "+/-_", TC_BASE64_OK, 4, "\xfb\xff\xbf"},
    {"en dash", "Zm9v\xe2\x80\x93", TC_BASE64_CHARACTER, 4, "foo"},
    {"vertical tab", "Zm\v9v", TC_BASE64_CHARACTER, 2, ""},
    {"UTF-8", "Zm9v\xc3\xa9", TC_BASE64_CHARACTER, 4, "foo"},
    {"no-break space", "Zm9v\xa0", TC_BASE64_CHARACTER, 4, "foo"},
    {"comma of a data URL", "Zg==,", TC_BASE64_CHARACTER, 4, ""},
    {"white space of every kind", "\tZ\nm\f9\rv ", TC_BASE64_OK, 9, "foo"},
    {"white space in padding", "Zg = \r\n= ", TC_BASE64_OK, 9, "f"},
    {"nothing but white space", " \n\t\f\r", TC_BASE64_OK, 5, ""},
    {"lines", "Zm9v\r\nYmFy\r\n", TC_BASE64_OK, 12, "foobar"},
};

static void test_policy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(policy) / sizeof(policy[0]); i++) {
        const struct row *row = &policy[i];
        struct naive wanted = {row->error, row->at, strlen(row->bytes)};
        expect_at_every_cut(row->name, row->text, strlen(row->text), &wanted,
                            (const unsigned char *)row->bytes);
    }
}

/* The naive decoder that the other tests and the fuzz targets lean on keeps the same policy. */
static void test_policy_of_naive_decoder(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(policy) / sizeof(policy[0]); i++) {
        const struct row *row = &policy[i];
        unsigned char out[64];
        struct naive got = naive_decode(row->text, strlen(row->text), out);
        if (got.error != row->error || got.at != row->at || got.size != strlen(row->bytes) ||
            memcmp(out, row->bytes, got.size))
            fail_msg("%s: \"%s\" at %zu, %zu bytes", row->name, tc_base64_error_text(got.error),
                     got.at, got.size);
    }
}

/* ---- single characters in a long text ---- */

enum { LONG = 320 }; /* several rounds of any vector unit, with rests before and behind */

static void fill(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text[i] = naive_alphabet[(i * 37 + 11) % 64];
}

static bool good_or_odd(char character)
{
    return naive_value(character) >= 0 || (character && strchr(" \t\n\f\r=", character));
}

/* Every byte value at every place: taken up to there, and the character judged by itself. */
static void test_every_value_everywhere(void **state)
{
    char text[LONG], row[64];
    unsigned char out[TC_BASE64_ROOM(LONG)];
    (void)state;
    for (int value = 0; value < 256; value++)
        for (size_t at = 0; at < LONG; at++) {
            struct tc_base64 decoder = {0, 0, 0};
            size_t written;
            fill(text, LONG);
            text[at] = (char)value;
            snprintf(row, sizeof(row), "value %d at %zu", value, at);
            bool bad = !good_or_odd((char)value);
            if (!bad)
                expect_as_naive(row, text, LONG);
            size_t wanted = naive_value((char)value) >= 0 ? LONG : at;
            size_t taken = decode_exact(&decoder, text, LONG, out, &written);
            if (taken != wanted || written != wanted / 4 * 3)
                fail_msg("%s: took %zu and wrote %zu", row, taken, written);
            if (bad && tc_base64_odd(&decoder, (unsigned char)value) != TC_BASE64_CHARACTER)
                fail_msg("%s: is good", row);
        }
}

/* Two characters outside the alphabet, wherever: it is the first that stops. */
static void test_two_odd_characters(void **state)
{
    static const char odd[] = "\n=!";
    char text[72], row[64];
    (void)state;
    for (size_t pair = 0; pair < 9; pair++)
        for (size_t i = 0; i < sizeof(text); i++)
            for (size_t j = i + 1; j < sizeof(text); j++) {
                fill(text, sizeof(text));
                text[i] = odd[pair / 3];
                text[j] = odd[pair % 3];
                snprintf(row, sizeof(row), "odd pair %zu at %zu and %zu", pair, i, j);
                expect_as_naive(row, text, sizeof(text));
            }
}

/* White space changes nothing but positions, at every index and cut at every place. */
static void test_white_space_everywhere(void **state)
{
    static const char spaces[] = " \t\n\f\r", text[] = "Zm9vYmFyZm9vYg==";
    enum { SIZE = sizeof(text) }; /* with the space in the NUL's place */
    struct naive wanted = {TC_BASE64_OK, SIZE, 10};
    char spaced[SIZE], row[64];
    (void)state;
    for (const char *space = spaces; *space; space++)
        for (size_t at = 0; at < SIZE; at++) {
            memcpy(spaced, text, at);
            spaced[at] = *space;
            memcpy(spaced + at + 1, text + at, SIZE - 1 - at);
            snprintf(row, sizeof(row), "white space %d at %zu", *space, at);
            expect_at_every_cut(row, spaced, SIZE, &wanted, (const unsigned char *)"foobarfoob");
        }
}

/* ---- lengths, places in memory ---- */

static void random_bytes(unsigned char *bytes, size_t size)
{
    uint32_t seed = 2463534242U + (uint32_t)size;
    for (size_t i = 0; i < size; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        bytes[i] = (unsigned char)(seed >> 11);
    }
}

static void test_every_length(void **state)
{
    unsigned char bytes[300] = {0};
    char text[405], row[64];
    (void)state;
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        random_bytes(bytes, size);
        size_t length = naive_encode(bytes, size, text);
        struct naive wanted = {TC_BASE64_OK, length, size};
        snprintf(row, sizeof(row), "%zu bytes", size);
        expect_at_every_cut(row, text, length, &wanted, bytes);
        wanted.at = size / 3 * 4 + (size % 3 ? size % 3 + 1 : 0);
        snprintf(row, sizeof(row), "%zu bytes without padding", size);
        expect_at_cut(row, text, wanted.at, uncut, &wanted, bytes);
    }
}

/* Neither end of the copy needs to be aligned to anything. */
static void test_unaligned(void **state)
{
    unsigned char bytes[255];
    char text[345];
    (void)state;
    random_bytes(bytes, sizeof(bytes));
    size_t length = naive_encode(bytes, sizeof(bytes), text), written;
    for (size_t shift = 0; shift < 32; shift++)
        for (size_t other = 0; other < 32; other++) {
            struct tc_base64 decoder = {0, 0, 0};
            char *in = exact(shift + length);
            unsigned char *out = exact(other + TC_BASE64_ROOM(length));
            memset(out, 0xa5, other);
            memcpy(in + shift, text, length);
            size_t taken = tc_base64_decode(&decoder, in + shift, length, out + other, &written);
            assert_int_equal(taken, length);
            assert_int_equal(written, sizeof(bytes));
            assert_memory_equal(out + other, bytes, sizeof(bytes));
            for (size_t i = 0; i < other; i++)
                assert_int_equal(out[i], 0xa5);
            free(out);
            free(in);
        }
}

/* From each of the states between two groups, pieces of every length fit into their room. */
static void test_room(void **state)
{
    char text[LONG];
    unsigned char out[TC_BASE64_ROOM(LONG)];
    (void)state;
    fill(text, LONG);
    for (size_t before = 0; before < 4; before++)
        for (size_t size = 0; size <= LONG - before; size++) {
            struct tc_base64 decoder = {0, 0, 0};
            size_t written;
            decode_exact(&decoder, text, before, out, &written);
            assert_int_equal(decode_exact(&decoder, text + before, size, out, &written), size);
            assert_int_equal(written, (before + size) / 4 * 3);
        }
}

static void test_padding_ends_it(void **state)
{
    struct tc_base64 decoder = {0, 0, 0};
    unsigned char out[TC_BASE64_ROOM(4)];
    size_t written;
    (void)state;
    assert_int_equal(tc_base64_decode(&decoder, "QQ", 2, out, &written), 2);
    assert_int_equal(tc_base64_odd(&decoder, '='), TC_BASE64_OK);
    assert_int_equal(tc_base64_decode(&decoder, "QUJD", 4, out, &written), 0);
    assert_int_equal(written, 0);
    assert_int_equal(tc_base64_odd(&decoder, 'Q'), TC_BASE64_PADDING);
}

static void test_error_texts(void **state)
{
    (void)state;
    assert_string_equal(tc_base64_error_text(TC_BASE64_OK), "no error");
    assert_string_equal(tc_base64_error_text(TC_BASE64_CHARACTER),
                        "a character that is not base64");
    assert_string_equal(tc_base64_error_text(TC_BASE64_PADDING),
                        "base64 padding in the wrong place");
    assert_string_equal(tc_base64_error_text(TC_BASE64_TRUNCATED), "base64 that ends too early");
    assert_string_equal(tc_base64_error_text(TC_BASE64_TRAILING_BITS),
                        "a damaged end of the base64");
}

/* ---- encoding ---- */

/* tc_base64_encode from and into blocks of exactly their sizes; the caller frees the text. */
static char *encode_exact(const unsigned char *bytes, size_t size)
{
    unsigned char *in = exact(size);
    char *text = exact(TC_BASE64_ENCODED(size));
    memcpy(in, bytes, size);
    tc_base64_encode(in, size, text);
    free(in);
    return text;
}

static void expect_encoded(const unsigned char *bytes, size_t size)
{
    char *wanted = exact(size / 3 * 4 + 5), *text = encode_exact(bytes, size);
    size_t length = naive_encode(bytes, size, wanted);
    if (length != TC_BASE64_ENCODED(size) || memcmp(text, wanted, length))
        fail_msg("%zu bytes are not encoded as the naive encoder does it", size);
    struct naive decoded = {TC_BASE64_OK, length, size};
    expect_at_cut("encoded", text, length, uncut, &decoded, bytes);
    free(wanted);
    free(text);
}

static void test_encode_vectors(void **state)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const char *bytes = vectors[i][0], *wanted = vectors[i][1];
        char *text = encode_exact((const unsigned char *)bytes, strlen(bytes));
        assert_int_equal(TC_BASE64_ENCODED(strlen(bytes)), strlen(wanted));
        assert_memory_equal(text, wanted, strlen(wanted));
        free(text);
    }
}

static void test_encode_every_length(void **state)
{
    unsigned char bytes[300];
    (void)state;
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        random_bytes(bytes, size);
        expect_encoded(bytes, size);
    }
}

static void test_encode_large(void **state)
{
    static const size_t sizes[] = {4095, 65536, 100000, 1000001, 3145727};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *bytes = exact(sizes[i]);
        random_bytes(bytes, sizes[i]);
        expect_encoded(bytes, sizes[i]);
        free(bytes);
    }
}

/* Each of the 64 sextets in each place of a vector. */
static void test_encode_every_sextet(void **state)
{
    char text[LONG];
    unsigned char bytes[TC_BASE64_ROOM(LONG)];
    (void)state;
    for (size_t shift = 0; shift < 64; shift++) {
        for (size_t i = 0; i < LONG; i++)
            text[i] = naive_alphabet[(i + shift) % 64];
        size_t size = naive_decode(text, LONG, bytes).size;
        char *encoded = encode_exact(bytes, size);
        assert_memory_equal(encoded, text, LONG);
        free(encoded);
    }
}

/* Neither end needs to be aligned to anything, and what lies around the text is not touched. */
static void test_encode_unaligned(void **state)
{
    enum { SIZE = 200, LENGTH = TC_BASE64_ENCODED(SIZE) };
    unsigned char bytes[SIZE + 32];
    char text[LENGTH + 64], wanted[LENGTH + 1];
    (void)state;
    random_bytes(bytes, sizeof(bytes));
    for (size_t from = 0; from < 32; from++)
        for (size_t to = 0; to < 32; to++) {
            naive_encode(bytes + from, SIZE, wanted);
            memset(text, '!', sizeof(text));
            tc_base64_encode(bytes + from, SIZE, text + to);
            assert_memory_equal(text + to, wanted, LENGTH);
            for (size_t i = 0; i < sizeof(text); i++)
                assert_true((i >= to && i < to + LENGTH) || text[i] == '!');
        }
}

/* ---- paths ---- */

/* A path that is not there is refused, and changes nothing. */
static void test_paths(void **state)
{
    (void)state;
    assert_true(tc_base64_take_path(TC_BASE64_SCALAR));
    assert_string_equal(tc_base64_path_name(), "scalar");
    bool avx2 = tc_base64_take_path(TC_BASE64_AVX2);
    assert_string_equal(tc_base64_path_name(), avx2 ? "avx2" : "scalar");
    bool neon = tc_base64_take_path(TC_BASE64_NEON);
    assert_string_equal(tc_base64_path_name(), neon ? "neon" : avx2 ? "avx2" : "scalar");
    assert_false(avx2 && neon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_policy_of_naive_decoder),
        cmocka_unit_test(test_every_value_everywhere),
        cmocka_unit_test(test_two_odd_characters),
        cmocka_unit_test(test_white_space_everywhere),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_unaligned),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_padding_ends_it),
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_encode_vectors),
        cmocka_unit_test(test_encode_every_length),
        cmocka_unit_test(test_encode_large),
        cmocka_unit_test(test_encode_every_sextet),
        cmocka_unit_test(test_encode_unaligned),
    };
    const struct CMUnitTest choice[] = {cmocka_unit_test(test_paths)};
    int failed = cmocka_run_group_tests_name("base64: paths", choice, NULL, NULL);
    if (tc_base64_take_path(TC_BASE64_SCALAR))
        failed += cmocka_run_group_tests_name("base64: scalar", tests, NULL, NULL);
    if (tc_base64_take_path(TC_BASE64_AVX2))
        failed += cmocka_run_group_tests_name("base64: avx2", tests, NULL, NULL);
    if (tc_base64_take_path(TC_BASE64_NEON))
        failed += cmocka_run_group_tests_name("base64: neon", tests, NULL, NULL);
    return failed;
}
