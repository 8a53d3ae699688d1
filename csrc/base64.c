/*
 * base64 (RFC 4648, section 4), decoded as it arrives: see base64.h for the policy.
 *
 * The loop is its own scanner: a character outside the alphabet has the value 0xff, which shows in
 * the sign of four values or'ed together, so a whole group costs one test. Only when it fails does
 * anybody look at which character it was.
 */
#include "base64.h"

#include <stdbool.h>

/* One row a sixteen characters; X is no character of the alphabet. */
#define X 0xff
static const unsigned char sextet_of[256] = {
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* 00 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* 10 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  62, X,  X,  X,  63, /* 20: + / */
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X,  X,  X,  X,  X,  X,  /* 30: 0-9 */
    X,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, /* 40: A-O */
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X,  X,  X,  X,  X,  /* 50: P-Z */
    X,  26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, /* 60: a-o */
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X,  X,  X,  X,  X,  /* 70: p-z */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* 80 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* 90 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* a0 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* b0 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* c0 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* d0 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* e0 */
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  /* f0 */
};
#undef X

static unsigned char *put_group(unsigned char *out, uint32_t bits)
{
    out[0] = (unsigned char)(bits >> 16);
    out[1] = (unsigned char)(bits >> 8);
    out[2] = (unsigned char)bits;
    return out + 3;
}

/* Takes single characters until a group is complete, or there are no more. */
static const unsigned char *fill_group(struct tc_base64 *decoder, const unsigned char *in,
                                       const unsigned char *end, unsigned char **out)
{
    while (in < end && sextet_of[*in] != 0xff) {
        decoder->bits = decoder->bits << 6 | sextet_of[*in++];
        if (++decoder->sextets == 4) {
            *out = put_group(*out, decoder->bits);
            decoder->sextets = 0;
            break;
        }
    }
    return in;
}

/* Takes whole groups of four until one holds a character outside the alphabet. */
static const unsigned char *decode_groups(const unsigned char *in, const unsigned char *end,
                                          unsigned char **out)
{
    unsigned char *to = *out;
    for (; end - in >= 4; in += 4) {
        unsigned a = sextet_of[in[0]], b = sextet_of[in[1]];
        unsigned c = sextet_of[in[2]], d = sextet_of[in[3]];
        if ((a | b | c | d) & 0x80)
            break;
        to = put_group(to, (uint32_t)(a << 18 | b << 12 | c << 6 | d));
    }
    *out = to;
    return in;
}

size_t tc_base64_decode(struct tc_base64 *decoder, const char *in, size_t size, unsigned char *out,
                        size_t *written)
{
    const unsigned char *from = (const unsigned char *)in, *end = from + size;
    unsigned char *to = out;
    if (!decoder->padding) {
        if (decoder->sextets)
            from = fill_group(decoder, from, end, &to);
        if (!decoder->sextets) {
            from = decode_groups(from, end, &to);
            from = fill_group(decoder, from, end, &to);
        }
    }
    *written = (size_t)(to - out);
    return (size_t)(from - (const unsigned char *)in);
}

static bool is_space(unsigned char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r' && character != '\v');
}

enum tc_base64_error tc_base64_odd(struct tc_base64 *decoder, unsigned char character)
{
    if (is_space(character))
        return TC_BASE64_OK;
    if (character != '=')
        return decoder->padding && sextet_of[character] != 0xff ? TC_BASE64_PADDING
                                                                : TC_BASE64_CHARACTER;
    if (decoder->sextets < 2 || decoder->sextets + decoder->padding >= 4)
        return TC_BASE64_PADDING;
    decoder->padding++;
    return TC_BASE64_OK;
}

enum tc_base64_error tc_base64_finish(struct tc_base64 *decoder, unsigned char out[2],
                                      size_t *written)
{
    *written = 0;
    if (decoder->sextets == 0)
        return TC_BASE64_OK;
    if (decoder->sextets == 1)
        return TC_BASE64_TRUNCATED;
    if (decoder->padding && decoder->sextets + decoder->padding != 4)
        return TC_BASE64_PADDING;
    unsigned bytes = decoder->sextets - 1, spare = decoder->sextets == 2 ? 4 : 2;
    if (decoder->bits & ((1U << spare) - 1))
        return TC_BASE64_TRAILING_BITS;
    uint32_t bits = decoder->bits >> spare;
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (unsigned char)(bits >> 8 * (bytes - 1 - i));
    *written = bytes;
    return TC_BASE64_OK;
}

const char *tc_base64_error_text(enum tc_base64_error error)
{
    switch (error) {
    case TC_BASE64_CHARACTER:
        return "a character that is not base64";
    case TC_BASE64_PADDING:
        return "base64 padding in the wrong place";
    case TC_BASE64_TRUNCATED:
        return "base64 that ends too early";
    case TC_BASE64_TRAILING_BITS:
        return "a damaged end of the base64";
    default:
        return "no error";
    }
}
