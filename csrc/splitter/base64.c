/*
 * base64 (RFC 4648, section 4), decoded as it arrives and encoded as it leaves: see base64.h.
 *
 * The decoder's loops also find characters outside the alphabet: such a character sets one bit in
 * the value of its group (or of a vector), so each group costs one test. Only after a test that
 * fails are the characters looked at one by one.
 */
#include "base64.h"

#include <string.h>

/* clang-format off */
/*
 * The alphabet, sixteen characters a row, as a macro that makes tables: F is given the sextet of
 * each character, and X is none. '-' and '_' are those of the alphabet for URLs.
 */
#define X 0xff
#define NONE(F) \
    F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X)
#define ALPHABET(F) { \
    NONE(F), NONE(F), \
    F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(X), F(62), F(X), F(62), F(X), F(63), \
    F(52), F(53), F(54), F(55), F(56), F(57), F(58), F(59), F(60), F(61), F(X), F(X), F(X), F(X), F(X), F(X), \
    F(X), F(0), F(1), F(2), F(3), F(4), F(5), F(6), F(7), F(8), F(9), F(10), F(11), F(12), F(13), F(14), \
    F(15), F(16), F(17), F(18), F(19), F(20), F(21), F(22), F(23), F(24), F(25), F(X), F(X), F(X), F(X), F(63), \
    F(X), F(26), F(27), F(28), F(29), F(30), F(31), F(32), F(33), F(34), F(35), F(36), F(37), F(38), F(39), F(40), \
    F(41), F(42), F(43), F(44), F(45), F(46), F(47), F(48), F(49), F(50), F(51), F(X), F(X), F(X), F(X), F(X), \
    NONE(F), NONE(F), NONE(F), NONE(F), NONE(F), NONE(F), NONE(F), NONE(F)}
/* clang-format on */

#define SEXTET(v) (v)
const unsigned char tc_base64_sextets[256] = ALPHABET(SEXTET);

/*
 * What the four characters of a group add to its three bytes, the first byte lowest:
 *
 *     byte        0         1         2
 *     sextets     aaaaaabb  bbbbcccc  ccdddddd
 *
 * A character outside the alphabet sets the highest bit, which no sextet reaches.
 */
#define BAD       0x80000000U
#define FIRST(v)  ((v) == X ? BAD : (uint32_t)(v) << 2)
#define SECOND(v) ((v) == X ? BAD : (uint32_t)(v) >> 4 | (15 & (uint32_t)(v)) << 12)
#define THIRD(v)  ((v) == X ? BAD : (uint32_t)(v) >> 2 << 8 | (3 & (uint32_t)(v)) << 22)
#define FOURTH(v) ((v) == X ? BAD : (uint32_t)(v) << 16)
static const uint32_t first[256] = ALPHABET(FIRST);
static const uint32_t second[256] = ALPHABET(SECOND);
static const uint32_t third[256] = ALPHABET(THIRD);
static const uint32_t fourth[256] = ALPHABET(FOURTH);

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
    while (in < end && tc_base64_sextets[*in] != X) {
        decoder->bits = decoder->bits << 6 | tc_base64_sextets[*in++];
        if (++decoder->sextets == 4) {
            *out = put_group(*out, decoder->bits);
            decoder->sextets = 0;
            break;
        }
    }
    return in;
}

/* Three bytes, the first one lowest, and on most machines a fourth that the next group overwrites.
 */
static void put_low_first(unsigned char *out, uint32_t bytes)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(out, &bytes, 4);
#else
    out[0] = (unsigned char)bytes;
    out[1] = (unsigned char)(bytes >> 8);
    out[2] = (unsigned char)(bytes >> 16);
#endif
}

static uint32_t group_at(const unsigned char *in)
{
    return first[in[0]] | second[in[1]] | third[in[2]] | fourth[in[3]];
}

/*
 * Takes whole groups of four until one has a character outside the alphabet: four groups with one
 * test while there are enough, then single ones. At least one group is always left over, so there
 * is room for the fourth byte that put_low_first may write.
 */
static size_t decode_groups(const unsigned char *in, size_t size, unsigned char *out)
{
    const unsigned char *start = in, *end = in + size;
    for (; end - in >= 20; in += 16, out += 12) {
        uint32_t a = group_at(in), b = group_at(in + 4);
        uint32_t c = group_at(in + 8), d = group_at(in + 12);
        if ((a | b | c | d) & BAD)
            break;
        put_low_first(out, a);
        put_low_first(out + 3, b);
        put_low_first(out + 6, c);
        put_low_first(out + 9, d);
    }
    for (; end - in >= 8; in += 4, out += 3) {
        uint32_t bytes = group_at(in);
        if (bytes & BAD)
            break;
        put_low_first(out, bytes);
    }
    return (size_t)(in - start);
}

/* ---- paths ---- */

static bool has_path(enum tc_base64_path path)
{
#if defined(__x86_64__) && defined(__GNUC__)
    return path == TC_BASE64_SCALAR || (path == TC_BASE64_AVX2 && __builtin_cpu_supports("avx2"));
#elif defined(__aarch64__) && defined(__ARM_NEON)
    return path == TC_BASE64_SCALAR || path == TC_BASE64_NEON;
#else
    return path == TC_BASE64_SCALAR;
#endif
}

/* The path that a test has chosen, or -1. Nothing but tests writes to it. */
static int asked_path = -1;

static enum tc_base64_path best_path(void)
{
#ifdef TC_BASE64_PATH
    return TC_BASE64_PATH;
#else
    return has_path(TC_BASE64_AVX2)   ? TC_BASE64_AVX2
           : has_path(TC_BASE64_NEON) ? TC_BASE64_NEON
                                      : TC_BASE64_SCALAR;
#endif
}

bool tc_base64_take_path(enum tc_base64_path path)
{
    if (has_path(path))
        asked_path = (int)path;
    return has_path(path);
}

static enum tc_base64_path current_path(void)
{
    return asked_path < 0 ? best_path() : (enum tc_base64_path)asked_path;
}

const char *tc_base64_path_name(void)
{
    static const char *const names[] = {"scalar", "avx2", "neon"};
    return names[current_path()];
}

static size_t decode_blocks(const unsigned char *in, size_t size, unsigned char *out)
{
    switch (current_path()) {
    case TC_BASE64_AVX2:
        return tc_base64_blocks_avx2(in, size, out);
    case TC_BASE64_NEON:
        return tc_base64_blocks_neon(in, size, out);
    default:
        return 0;
    }
}

/* ---- decoding ---- */

size_t tc_base64_decode(struct tc_base64 *decoder, const char *in, size_t size, unsigned char *out,
                        size_t *written)
{
    const unsigned char *from = (const unsigned char *)in, *end = from + size;
    unsigned char *to = out;
    if (!decoder->padding) {
        if (decoder->sextets)
            from = fill_group(decoder, from, end, &to);
        if (!decoder->sextets) {
            size_t taken = decode_blocks(from, (size_t)(end - from), to);
            taken += decode_groups(from + taken, (size_t)(end - from) - taken, to + taken / 4 * 3);
            from += taken;
            to += taken / 4 * 3;
            while (from < end && tc_base64_sextets[*from] != X)
                from = fill_group(decoder, from, end, &to);
        }
    }
    *written = (size_t)(to - out);
    return (size_t)(from - (const unsigned char *)in);
}

bool tc_base64_has(unsigned char character)
{
    return tc_base64_sextets[character] != X;
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
        return decoder->padding && tc_base64_sextets[character] != X ? TC_BASE64_PADDING
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

/* ---- encoding ---- */

const char tc_base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_characters(char *out, uint32_t bits)
{
    out[0] = tc_base64_alphabet[bits >> 18];
    out[1] = tc_base64_alphabet[bits >> 12 & 63];
    out[2] = tc_base64_alphabet[bits >> 6 & 63];
    out[3] = tc_base64_alphabet[bits & 63];
}

/* One or two bytes, and padding for what is missing. */
static void encode_last(const unsigned char *in, size_t size, char *out)
{
    put_characters(out, (uint32_t)in[0] << 16 | (size > 1 ? (uint32_t)in[1] << 8 : 0));
    out[3] = '=';
    if (size == 1)
        out[2] = '=';
}

static size_t encode_blocks(const unsigned char *in, size_t size, char *out)
{
    switch (current_path()) {
    case TC_BASE64_AVX2:
        return tc_base64_encode_blocks_avx2(in, size, out);
    case TC_BASE64_NEON:
        return tc_base64_encode_blocks_neon(in, size, out);
    default:
        return 0;
    }
}

void tc_base64_encode(const unsigned char *in, size_t size, char *out)
{
    size_t done = encode_blocks(in, size, out);
    out += done / 3 * 4;
    for (; size - done >= 3; done += 3, out += 4)
        put_characters(out, (uint32_t)in[done] << 16 | (uint32_t)in[done + 1] << 8 | in[done + 2]);
    if (done < size)
        encode_last(in + done, size - done, out);
}
