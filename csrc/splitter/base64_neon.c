/*
 * base64 by NEON (Advanced SIMD of AArch64): 64 characters a turn, decoded or encoded.
 *
 * A load separates the first, second, third and fourth characters of sixteen groups. Each is looked
 * up in a table of 128 bytes, in two halves. A character outside the alphabet gets a value above
 * 63. Shifts join the sextets, and a store puts the sixteen first, second and third bytes back in
 * order. Encoding is the same backwards, with the alphabet as the table.
 */
#include "base64.h"

#if defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>

static inline uint8x16x4_t load_table(const uint8_t *half)
{
    uint8x16x4_t table = {
        {vld1q_u8(half), vld1q_u8(half + 16), vld1q_u8(half + 32), vld1q_u8(half + 48)}};
    return table;
}

/* A look-up beyond a table gives 0 in the first half and keeps that in the second, so characters
 * above 7f are marked by their own highest bit. */
static inline uint8x16_t look_up(uint8x16x4_t lower, uint8x16x4_t upper, uint8x16_t characters)
{
    uint8x16_t sextets = vqtbl4q_u8(lower, characters);
    sextets = vqtbx4q_u8(sextets, upper, vsubq_u8(characters, vdupq_n_u8(64)));
    return vorrq_u8(sextets, vandq_u8(characters, vdupq_n_u8(128)));
}

size_t tc_base64_blocks_neon(const unsigned char *in, size_t size, unsigned char *out)
{
    const uint8x16x4_t lower = load_table(tc_base64_sextets);
    const uint8x16x4_t upper = load_table(tc_base64_sextets + 64);
    size_t taken = 0;
    for (; size - taken >= 64; taken += 64, out += 48) {
        uint8x16x4_t block = vld4q_u8(in + taken);
        uint8x16_t a = look_up(lower, upper, block.val[0]);
        uint8x16_t b = look_up(lower, upper, block.val[1]);
        uint8x16_t c = look_up(lower, upper, block.val[2]);
        uint8x16_t d = look_up(lower, upper, block.val[3]);
        if (vmaxvq_u8(vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d))) > 63)
            break;
        uint8x16x3_t bytes = {{vorrq_u8(vshlq_n_u8(a, 2), vshrq_n_u8(b, 4)),
                               vorrq_u8(vshlq_n_u8(b, 4), vshrq_n_u8(c, 2)),
                               vorrq_u8(vshlq_n_u8(c, 6), d)}};
        vst3q_u8(out, bytes);
    }
    return taken;
}

size_t tc_base64_encode_blocks_neon(const unsigned char *in, size_t size, char *out)
{
    const uint8x16x4_t table = load_table((const uint8_t *)tc_base64_alphabet);
    const uint8x16_t sextet = vdupq_n_u8(63);
    size_t taken = 0;
    for (; size - taken >= 48; taken += 48, out += 64) {
        uint8x16x3_t bytes = vld3q_u8(in + taken);
        uint8x16_t a = vshrq_n_u8(bytes.val[0], 2);
        uint8x16_t b = vorrq_u8(vshlq_n_u8(bytes.val[0], 4), vshrq_n_u8(bytes.val[1], 4));
        uint8x16_t c = vorrq_u8(vshlq_n_u8(bytes.val[1], 2), vshrq_n_u8(bytes.val[2], 6));
        uint8x16x4_t characters = {{vqtbl4q_u8(table, a), vqtbl4q_u8(table, vandq_u8(b, sextet)),
                                    vqtbl4q_u8(table, vandq_u8(c, sextet)),
                                    vqtbl4q_u8(table, vandq_u8(bytes.val[2], sextet))}};
        vst4q_u8((uint8_t *)out, characters);
    }
    return taken;
}
#else
size_t tc_base64_encode_blocks_neon(const unsigned char *in, size_t size, char *out)
{
    (void)in, (void)size, (void)out;
    return 0;
}

size_t tc_base64_blocks_neon(const unsigned char *in, size_t size, unsigned char *out)
{
    (void)in, (void)size, (void)out;
    return 0;
}
#endif
