/*
 * base64: any pieces, by every path that this processor has, against the naive decoder: same bytes,
 * same error at the same character.
 *
 * Input: three bytes that cut (see fuzz.h), then the text.
 */
#include "fuzz.h"
#include "naive.h"

#include <stdbool.h>

/* Decodes one piece into blocks of exact size. Returns false at an error, with `result->at` there.
 */
static bool decode_piece(struct tc_base64 *decoder, const char *text, size_t size,
                         struct naive *result, unsigned char *out)
{
    size_t done = 0;
    while (done < size) {
        char *in = exact_copy(text + done, size - done);
        unsigned char *bytes = exact(TC_BASE64_ROOM(size - done));
        size_t written;
        size_t taken = tc_base64_decode(decoder, in, size - done, bytes, &written);
        CLAIM(taken <= size - done && written <= TC_BASE64_ROOM(size - done));
        memcpy(out + result->size, bytes, written);
        free(bytes);
        free(in);
        result->size += written;
        result->at += taken;
        done += taken;
        if (done == size)
            break;
        result->error = tc_base64_odd(decoder, (unsigned char)text[done]);
        if (result->error)
            return false;
        result->at++;
        done++;
    }
    return true;
}

static struct naive decode_cut(const uint8_t cuts[CUTS], const char *text, size_t size,
                               unsigned char *out)
{
    struct tc_base64 decoder = {0, 0, 0};
    struct naive result = {TC_BASE64_OK, 0, 0};
    size_t done = 0, written;
    for (size_t turn = 0; done < size; turn++) {
        size_t length = piece_length(cuts, turn, size - done);
        if (!decode_piece(&decoder, text + done, length, &result, out))
            return result;
        done += length;
    }
    unsigned char *tail = exact(2);
    result.error = tc_base64_finish(&decoder, tail, &written);
    CLAIM(written <= 2 && (!written || !result.error));
    memcpy(out + result.size, tail, written);
    result.size += written;
    free(tail);
    return result;
}

static struct naive decode_whole(const char *text, size_t size, unsigned char *out)
{
    struct tc_base64 decoder = {0, 0, 0};
    struct naive result = {TC_BASE64_OK, 0, 0};
    size_t written;
    if (!decode_piece(&decoder, text, size, &result, out))
        return result;
    result.error = tc_base64_finish(&decoder, out + result.size, &written);
    result.size += written;
    return result;
}

static void compare(const struct naive *one, const unsigned char *one_bytes,
                    const struct naive *other, const unsigned char *other_bytes)
{
    CLAIM(one->error == other->error);
    CLAIM(one->at == other->at);
    CLAIM(one->size == other->size);
    CLAIM(!memcmp(one_bytes, other_bytes, one->size));
}

/* What was decoded, encoded again, is the text without its white space and padding, in the
 * first alphabet. */
static void check_round_trip(const struct naive *result, const unsigned char *bytes,
                             const char *text)
{
    char *again = exact(result->size / 3 * 4 + 5);
    size_t length = naive_encode(bytes, result->size, again), compared = 0;
    for (size_t i = 0; i < result->at; i++)
        if (naive_value(text[i]) >= 0)
            CLAIM(compared < length && naive_value(again[compared++]) == naive_value(text[i]));
    CLAIM(compared == length || again[compared] == '=');
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum tc_base64_path paths[] = {TC_BASE64_SCALAR, TC_BASE64_AVX2, TC_BASE64_NEON};
    if (size < CUTS)
        return 0;
    size -= CUTS;
    const char *text = (const char *)data + CUTS;
    unsigned char *expected = exact(TC_BASE64_ROOM(size) + 2);
    unsigned char *bytes = exact(TC_BASE64_ROOM(size) + 2);
    struct naive wanted = naive_decode(text, size, expected), got;

    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (!tc_base64_take_path(paths[i]))
            continue;
        got = decode_whole(text, size, bytes);
        compare(&wanted, expected, &got, bytes);
        got = decode_cut(data, text, size, bytes);
        compare(&wanted, expected, &got, bytes);
    }
    got = decode_cut((const uint8_t *)"000", text, size, bytes);
    compare(&wanted, expected, &got, bytes);
    if (!wanted.error)
        check_round_trip(&wanted, expected, text);
    free(bytes);
    free(expected);
    return 0;
}
