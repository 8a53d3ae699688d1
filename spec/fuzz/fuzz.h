/*
 * What the fuzz targets share: claims, exact copies, and how an input's first bytes cut the rest.
 */
#ifndef TC_FUZZ_H
#define TC_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process when `claim` does not hold; a fuzzer keeps the input that did it. */
#define CLAIM(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #claim);             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A block of exactly `size` bytes, so that a sanitizer sees one byte read or written too far. */
static inline void *exact(size_t size)
{
    void *block = malloc(size ? size : 1);
    CLAIM(block);
    return block;
}

static inline void *exact_copy(const void *bytes, size_t size)
{
    void *block = exact(size);
    if (size)
        memcpy(block, bytes, size);
    return block;
}

/*
 * Three bytes before the input proper are the lengths of its pieces, used in turn. Letters make
 * short pieces and keep the corpus readable: '0' is 1 byte, '1' is 2 and so on up to 64.
 */
enum { CUTS = 3 };

static inline size_t piece_length(const uint8_t cuts[CUTS], size_t turn, size_t left)
{
    size_t wanted = 1 + (size_t)(uint8_t)(cuts[turn % CUTS] - '0') % 64;
    return wanted < left ? wanted : left;
}

#endif
