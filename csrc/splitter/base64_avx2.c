/*
 * base64 by AVX2: 128 characters a turn, decoded or encoded.
 *
 * The way is W. Muła's and D. Lemire's ("Faster Base64 Encoding and Decoding using AVX2
 * Instructions", 2018). A character c is looked up by its two nibbles:
 *
 *     high nibble   0 1  2      3    4    5    6    7    8-f
 *     characters         + /    0-9  A-O  P-Z  a-o  p-z
 *     its bit       10   01     02   04   08   04   08   10
 *
 * A second table has, for each low nibble, the bits that are wrong with it; 10 always is. A
 * character is outside the alphabet if the two have a bit in common. A number is added to a
 * character to make it its sextet. It depends on the high nibble alone, but '/' needs its own, for
 * which its high nibble is lowered by one:
 *
 *     index         1 ('/')  2 ('+')  3     4, 5   6, 7
 *     to be added   16       19       4     -65    -71
 *
 * Four sextets then become three bytes by two multiply-and-adds and a shuffle:
 *
 *     00aaaaaa 00bbbbbb 00cccccc 00dddddd   bytes, a first
 *     0000aaaaaabbbbbb 0000ccccccdddddd     a * 64 + b, c * 64 + d
 *     00000000aaaaaabbbbbbccccccdddddd      ab * 4096 + cd
 *
 * The way back takes the bytes of a group twice, so that each sextet lies within one pair of bytes,
 * and two multiplications shift the sextets into place, each by its own number of bits:
 *
 *     aaaaaabb bbbbcccc ccdddddd             bytes of the input
 *     bbbbcccc aaaaaabb ccdddddd bbbbcccc   as shuffled: the second, first, third, second
 *     00aaaaaa 00bbbbbb 00cccccc 00dddddd   high halves of products, low halves of others
 *
 * The number that is added to a sextet to make it its character depends on the sextet's range.
 * After a subtraction of 51 that stops at 0, the ranges are numbers from 0 on. A comparison tells
 * the first two apart:
 *
 *     sextet        0-25       26-51      52-61      62         63
 *     number        0, or 13   0          1 to 10    11         12
 *     to be added   'A'        'a' - 26   '0' - 52   '+' - 62   '/' - 63
 *
 * The instructions are asked for function by function: the file needs no flags of its own.
 */
#include "base64.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* A vector with the same sixteen bytes in both lanes. */
AVX2 static inline __m256i both(char a, char b, char c, char d, char e, char f, char g, char h,
                                char i, char j, char k, char l, char m, char n, char o, char p)
{
    return _mm256_broadcastsi128_si256(
        _mm_setr_epi8(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p));
}

/* Sextets of 32 characters; bits in `*wrong` where one is none of the alphabet. */
AVX2 static inline __m256i look_up(__m256i characters, __m256i *wrong)
{
    const __m256i bit_of_high = both(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10,
                                     0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
    const __m256i wrong_with_low = both(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                        0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
    const __m256i to_add = both(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    /* A shuffle looks at the low four bits and the highest, so a mask that is '/' will do. */
    const __m256i slash = _mm256_set1_epi8('/');
    __m256i high = _mm256_and_si256(_mm256_srli_epi32(characters, 4), slash);
    __m256i low = _mm256_and_si256(characters, slash);
    __m256i is_slash = _mm256_cmpeq_epi8(characters, slash); /* -1 where it is */
    *wrong = _mm256_and_si256(_mm256_shuffle_epi8(bit_of_high, high),
                              _mm256_shuffle_epi8(wrong_with_low, low));
    return _mm256_add_epi8(characters,
                           _mm256_shuffle_epi8(to_add, _mm256_add_epi8(is_slash, high)));
}

/* 24 bytes of 32 sextets, and 8 more that mean nothing. */
AVX2 static inline void pack(__m256i sextets, unsigned char *out)
{
    const __m256i bytes_of_group = both(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i close_the_gap = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
    __m256i pairs = _mm256_maddubs_epi16(sextets, _mm256_set1_epi32(0x01400140));
    __m256i groups = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
    __m256i bytes = _mm256_shuffle_epi8(groups, bytes_of_group);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_permutevar8x32_epi32(bytes, close_the_gap));
}

AVX2 static inline __m256i load(const unsigned char *in)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)in);
}

/* The 8 bytes that mean nothing need room, so SPARE characters must be left after a block. */
enum { BLOCK = 128, VECTOR = 32, SPARE = 12 };

AVX2 size_t tc_base64_blocks_avx2(const unsigned char *in, size_t size, unsigned char *out)
{
    const unsigned char *start = in, *end = in + size;
    __m256i wrong[4];
    for (; (size_t)(end - in) >= BLOCK + SPARE; in += BLOCK, out += BLOCK / 4 * 3) {
        __m256i a = look_up(load(in), &wrong[0]);
        __m256i b = look_up(load(in + 32), &wrong[1]);
        __m256i c = look_up(load(in + 64), &wrong[2]);
        __m256i d = look_up(load(in + 96), &wrong[3]);
        __m256i any = _mm256_or_si256(_mm256_or_si256(wrong[0], wrong[1]),
                                      _mm256_or_si256(wrong[2], wrong[3]));
        if (!_mm256_testz_si256(any, any))
            break;
        pack(a, out);
        pack(b, out + 24);
        pack(c, out + 48);
        pack(d, out + 72);
    }
    for (; (size_t)(end - in) >= VECTOR + SPARE; in += VECTOR, out += VECTOR / 4 * 3) {
        __m256i a = look_up(load(in), &wrong[0]);
        if (!_mm256_testz_si256(wrong[0], wrong[0]))
            break;
        pack(a, out);
    }
    return (size_t)(in - start);
}

/* The sextets of 24 bytes; 28 are read. */
AVX2 static inline __m256i unpack(const unsigned char *in)
{
    const __m256i twice = both(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)in);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(in + 12));
    __m256i bytes = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), twice);
    __m256i a_and_c = _mm256_and_si256(bytes, _mm256_set1_epi32(0x0fc0fc00));
    __m256i b_and_d = _mm256_and_si256(bytes, _mm256_set1_epi32(0x003f03f0));
    return _mm256_or_si256(_mm256_mulhi_epu16(a_and_c, _mm256_set1_epi32(0x04000040)),
                           _mm256_mullo_epi16(b_and_d, _mm256_set1_epi32(0x01000010)));
}

AVX2 static inline void store_characters(__m256i sextets, char *out)
{
    const __m256i to_add =
        both('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
             '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
    __m256i range = _mm256_subs_epu8(sextets, _mm256_set1_epi8(51));
    __m256i is_capital = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), sextets);
    range = _mm256_or_si256(range, _mm256_and_si256(is_capital, _mm256_set1_epi8(13)));
    _mm256_storeu_si256((__m256i *)(void *)out,
                        _mm256_add_epi8(sextets, _mm256_shuffle_epi8(to_add, range)));
}

/* To unpack 24 bytes, 4 more are read. */
enum { BYTES = 96, QUARTER = 24, BEHIND = 4 };

AVX2 size_t tc_base64_encode_blocks_avx2(const unsigned char *in, size_t size, char *out)
{
    const unsigned char *start = in, *end = in + size;
    for (; (size_t)(end - in) >= BYTES + BEHIND; in += BYTES, out += 128) {
        __m256i a = unpack(in), b = unpack(in + 24), c = unpack(in + 48), d = unpack(in + 72);
        store_characters(a, out);
        store_characters(b, out + 32);
        store_characters(c, out + 64);
        store_characters(d, out + 96);
    }
    for (; (size_t)(end - in) >= QUARTER + BEHIND; in += QUARTER, out += 32)
        store_characters(unpack(in), out);
    return (size_t)(in - start);
}
#else
size_t tc_base64_encode_blocks_avx2(const unsigned char *in, size_t size, char *out)
{
    (void)in, (void)size, (void)out;
    return 0;
}

size_t tc_base64_blocks_avx2(const unsigned char *in, size_t size, unsigned char *out)
{
    (void)in, (void)size, (void)out;
    return 0;
}
#endif
