/*
 * base64 (RFC 4648), decoded as it arrives and encoded as it leaves.
 *
 * The decoder's policy for everything odd, the same wherever a chunk ends and whichever path
 * decodes:
 *
 * - Both alphabets are read, '+' and '/' (section 4) as well as '-' and '_' (section 5); the first
 *   is written.
 * - White space (space, \t, \n, \f, \r) is skipped.
 * - Padding may be absent. Where it is there it must be right ("QQ==", "QUI="), with nothing but
 *   white space after it; otherwise it is TC_BASE64_PADDING.
 * - One sextet too few ("QUJDR") is TC_BASE64_TRUNCATED.
 * - Bits left over that are not zero ("QR==") show a damaged end: TC_BASE64_TRAILING_BITS.
 * - Any other character is TC_BASE64_CHARACTER.
 */
#ifndef TC_BASE64_H
#define TC_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tc_base64_error {
    TC_BASE64_OK,
    TC_BASE64_CHARACTER,
    TC_BASE64_PADDING,
    TC_BASE64_TRUNCATED,
    TC_BASE64_TRAILING_BITS
};

/* A decoder between two chunks. All zero is the beginning. */
struct tc_base64 {
    uint32_t bits;    /* the sextets of the incomplete group, the latest lowest */
    unsigned sextets; /* how many those are: 0 to 3 */
    unsigned padding; /* '=' seen */
};

/* Bytes that `out` must have room for when `size` characters are decoded. */
#define TC_BASE64_ROOM(size) ((size) / 4 * 3 + 3)

/*
 * Decodes `in` up to its end or the first character outside the alphabet, which is left to
 * tc_base64_odd. Returns how many characters it took; `*written` is how many bytes it put at `out`
 * (which has TC_BASE64_ROOM(size) bytes). Once padding was seen it takes nothing.
 */
size_t tc_base64_decode(struct tc_base64 *decoder, const char *in, size_t size, unsigned char *out,
                        size_t *written);

/* Takes one character that tc_base64_decode stopped at: white space, padding, or an error. */
enum tc_base64_error tc_base64_odd(struct tc_base64 *decoder, unsigned char character);

/* Ends the text: checks what is left over and writes its 0 to 2 bytes to `out`. */
enum tc_base64_error tc_base64_finish(struct tc_base64 *decoder, unsigned char out[2],
                                      size_t *written);

/* Is it a character of one of the alphabets? */
bool tc_base64_has(unsigned char character);

/* What went wrong, for a person: "a character that is not base64". */
const char *tc_base64_error_text(enum tc_base64_error error);

/* ---- encoding ---- */

/* Characters that `size` bytes become, padding included. */
#define TC_BASE64_ENCODED(size) ((size) / 3 * 4 + ((size) % 3 ? 4 : 0))

/*
 * Encodes `size` bytes to TC_BASE64_ENCODED(size) characters at `out`, and writes nothing after
 * them. A last group that is incomplete is padded. So if a text is encoded in pieces, the size of
 * each but the last has to be a multiple of three.
 */
void tc_base64_encode(const unsigned char *in, size_t size, char *out);

/* ---- paths ---- */

/* The ways to decode and to encode. The best one for this processor is taken, unless the build has
 * -DTC_BASE64_PATH=TC_BASE64_SCALAR, or a test chooses another. */
enum tc_base64_path { TC_BASE64_SCALAR, TC_BASE64_AVX2, TC_BASE64_NEON };

/* For tests: takes this path from now on. False if the processor or the build does not have it. */
bool tc_base64_take_path(enum tc_base64_path path);

/* "avx2" */
const char *tc_base64_path_name(void);

/* For the paths: the value of each character, above 63 for those outside both alphabets; and the 64
 * characters that are written. */
extern const unsigned char tc_base64_sextets[256];
extern const char tc_base64_alphabet[];

/*
 * For base64.c: decode whole blocks at `in` until one has a character outside the alphabet, or too
 * little is left for another. Return how many characters they took, a multiple of four. For each
 * four there are three bytes at `out`; more may be written there, up to TC_BASE64_ROOM(size).
 */
size_t tc_base64_blocks_avx2(const unsigned char *in, size_t size, unsigned char *out);
size_t tc_base64_blocks_neon(const unsigned char *in, size_t size, unsigned char *out);

/*
 * For base64.c: encode whole blocks at `in` until too little is left for another. Return how many
 * bytes they took, a multiple of three. For each three there are four characters at `out`, and
 * nothing is written after them.
 */
size_t tc_base64_encode_blocks_avx2(const unsigned char *in, size_t size, char *out);
size_t tc_base64_encode_blocks_neon(const unsigned char *in, size_t size, char *out);

#endif
