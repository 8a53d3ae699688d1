/*
 * Scans a JSON string up to the first character that needs attention. It looks at sixteen bytes at
 * once with instructions that every processor of an architecture has (SSE2 of x86-64, NEON of
 * AArch64), then at single bytes.
 */
#include "scan.h"

#include <stdbool.h>

#if defined(__SSE2__) && defined(__GNUC__)
#include <emmintrin.h>

/* The length of the run within whole blocks of sixteen bytes. */
static size_t scan_blocks(const char *bytes, size_t size, char stop)
{
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1f), other = _mm_set1_epi8(stop);
    size_t at = 0;
    for (; size - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(bytes + at));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
        __m128i special =
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash));
        control = _mm_or_si128(control, _mm_cmpeq_epi8(block, other));
        int found = _mm_movemask_epi8(_mm_or_si128(special, control));
        if (found)
            return at + (size_t)__builtin_ctz((unsigned)found);
    }
    return at;
}
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>

static size_t scan_blocks(const char *bytes, size_t size, char stop)
{
    size_t at = 0;
    for (; size - at >= 16; at += 16) {
        uint8x16_t block = vld1q_u8((const unsigned char *)bytes + at);
        uint8x16_t special =
            vorrq_u8(vceqq_u8(block, vdupq_n_u8('"')), vceqq_u8(block, vdupq_n_u8('\\')));
        special = vorrq_u8(special, vceqq_u8(block, vdupq_n_u8((unsigned char)stop)));
        if (vmaxvq_u8(vorrq_u8(special, vcltq_u8(block, vdupq_n_u8(0x20)))))
            break; /* tc_scan_plain finds out which byte it is */
    }
    return at;
}
#else
static size_t scan_blocks(const char *bytes, size_t size, char stop)
{
    (void)bytes, (void)size, (void)stop;
    return 0;
}
#endif

static bool is_plain(char byte, char stop)
{
    return byte != stop && byte != '"' && byte != '\\' && (unsigned char)byte >= 0x20;
}

size_t tc_scan_plain(const char *bytes, size_t size, char stop)
{
    size_t at = scan_blocks(bytes, size, stop);
    while (at < size && is_plain(bytes[at], stop))
        at++;
    return at;
}
