/*
 * base64 the slow and obvious way, for comparison: written from the policy at the top of base64.h
 * and from nothing else, one character at a time over the whole text. What it says is what every
 * decoder here has to say, however the text is cut.
 */
#ifndef TC_NAIVE_H
#define TC_NAIVE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "splitter/base64.h"
#include "splitter/signature.h"

struct naive {
    enum tc_base64_error error;
    size_t at;   /* the character that is wrong; the text's size for what only its end shows */
    size_t size; /* bytes decoded: with an error, those of the whole groups before it */
};

static const char naive_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a character of either alphabet, or -1. */
static inline int naive_value(char character)
{
    if (character == '-' || character == '_')
        return character == '-' ? 62 : 63;
    const char *found = memchr(naive_alphabet, character, 64);
    return found ? (int)(found - naive_alphabet) : -1;
}

/* What the end of the text makes of `count` values that are no whole group. */
static inline void naive_end(struct naive *result, const int values[4], int count, int padding,
                             unsigned char *out)
{
    if (count == 1)
        result->error = TC_BASE64_TRUNCATED;
    else if (count > 1 && padding && count + padding != 4)
        result->error = TC_BASE64_PADDING;
    else if ((count == 2 && values[1] % 16) || (count == 3 && values[2] % 4))
        result->error = TC_BASE64_TRAILING_BITS;
    if (result->error || !count)
        return;
    out[result->size++] = (unsigned char)(values[0] * 4 + values[1] / 16);
    if (count == 3)
        out[result->size++] = (unsigned char)(values[1] % 16 * 16 + values[2] / 4);
}

/* Decodes `size` characters; `out` has room for TC_BASE64_ROOM(size) bytes. */
static inline struct naive naive_decode(const char *text, size_t size, unsigned char *out)
{
    struct naive result = {TC_BASE64_OK, 0, 0};
    int values[4] = {0, 0, 0, 0}, count = 0, padding = 0;
    for (; result.at < size; result.at++) {
        char c = text[result.at];
        int value = naive_value(c);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r')
            continue;
        if (c == '=') {
            if (count < 2 || count + ++padding > 4)
                result.error = TC_BASE64_PADDING;
        } else if (value < 0) {
            result.error = TC_BASE64_CHARACTER;
        } else if (padding) {
            result.error = TC_BASE64_PADDING;
        } else {
            values[count++] = value;
        }
        if (result.error)
            return result;
        if (count == 4) {
            out[result.size++] = (unsigned char)(values[0] * 4 + values[1] / 16);
            out[result.size++] = (unsigned char)(values[1] % 16 * 16 + values[2] / 4);
            out[result.size++] = (unsigned char)(values[2] % 4 * 64 + values[3]);
            count = 0;
        }
    }
    naive_end(&result, values, count, padding, out);
    return result;
}

/* ---- data URLs, as the top of envelope.h has them ---- */

struct naive_url {
    size_t start, payload, end; /* of "data:", of its base64, of all */
};

/* Do these characters come at `at`, in capital or small letters? */
static inline int naive_follows(const char *text, size_t size, size_t at, const char *wanted)
{
    for (; *wanted; wanted++, at++) {
        if (at >= size)
            return 0;
        char c = text[at];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != *wanted)
            return 0;
    }
    return 1;
}

/* Where the base64 begins of a data URL that begins at `at`, and its type at `comma`; or 0. */
static inline size_t naive_head(const char *text, size_t size, size_t at, size_t comma)
{
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "!#$%&'*+-.^_`{|}~/;=";
    size_t type = comma;
    while (comma < size && text[comma] && strchr(allowed, text[comma]))
        comma++;
    if (comma < type + 7 || !naive_follows(text, size, comma - 7, ";base64,"))
        return 0;
    return comma - at < 128 ? comma + 1 : 0;
}

/* Where the base64 of a data URL that begins at `at` begins, or 0. */
static inline size_t naive_payload(const char *text, size_t size, size_t at)
{
    return naive_follows(text, size, at, "data:") ? naive_head(text, size, at, at + 5) : 0;
}

/* How many characters of white space are at `at`. */
static inline size_t naive_spaces(const char *text, size_t size, size_t at)
{
    size_t end = at;
    while (end < size && memchr(" \t\n\r", text[end], 4))
        end++;
    return end - at;
}

/* The payload behind white space, or percent-encoded: only what begins like a picture is one. */
static inline size_t naive_far_payload(const char *text, size_t size, size_t payload)
{
    static const char *const first[] = {"iVBO", "/9j/", "R0lG", "UklG", "%2F9", "%2f9"};
    size_t at = payload + naive_spaces(text, size, payload);
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        if (size - at > 4 && !memcmp(text + at, first[i], 4))
            return at;
    return 0;
}

static inline int naive_hex(const char *text, size_t size, size_t at)
{
    return at < size && text[at] && strchr("0123456789abcdefABCDEF", text[at]) != NULL;
}

/* Copies base64 without its percent escapes. Returns how long it is then. */
static inline size_t naive_unescape(const char *text, size_t size, char *out)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char digits[3] = {0, 0, 0};
        out[length] = text[i];
        if (text[i] == '%' && naive_hex(text, size, i + 1) && naive_hex(text, size, i + 2)) {
            memcpy(digits, text + i + 1, 2);
            out[length] = (char)strtol(digits, NULL, 16);
            i += 2;
        }
        length++;
    }
    return length;
}

/* Has the file whose base64 is `text` no end yet, though its type is known? */
static inline int naive_is_open(const char *text, size_t size)
{
    struct tc_signature signature;
    char *plain = malloc(size + 1);
    unsigned char *bytes = malloc(TC_BASE64_ROOM(size));
    memset(&signature, 0, sizeof(signature));
    size = naive_unescape(text, size, plain);
    struct naive decoded = naive_decode(plain, size, bytes);
    tc_signature_feed(&signature, bytes, decoded.size);
    free(plain);
    free(bytes);
    return tc_signature_end(&signature) == TC_END_MISSING;
}

/* Where the base64 at `payload` ends in prose. */
static inline size_t naive_payload_end(const char *text, size_t size, size_t payload)
{
    size_t end = payload, sextets = 0, padding = 0;
    for (; end < size; end++) {
        char c = text[end];
        int escape = c == '%' && naive_hex(text, size, end + 1) && naive_hex(text, size, end + 2);
        if (naive_value(c) >= 0 && !padding)
            sextets++;
        else if (c == '=' && sextets % 4 >= 2 && sextets % 4 + padding < 4)
            padding++;
        else if ((c == '%' || memchr(" \t\n\r", c, 4)) &&
                 (naive_is_open(text + payload, end - payload) ||
                  (c == '%' && sextets % 4 >= 2 && sextets % 4 + padding < 4))) {
            char plain;
            if (c == '%' && !escape) /* it ends there, but what there is of the escape is gone */
                return end + 1 + (size_t)naive_hex(text, size, end + 1);
            if (escape) {
                (void)naive_unescape(text + end, 3, &plain);
                int fits = plain == '=' && sextets % 4 >= 2 && sextets % 4 + padding < 4;
                int is_base64 = naive_value(plain) >= 0 && !padding;
                if (!fits && !is_base64 && !memchr(" \t\n\f\r", plain, 5))
                    return end + 3; /* it is damaged there */
                sextets += (size_t)is_base64;
                padding += (size_t)fits;
                end += 2;
            }
        } else
            break;
    }
    return end;
}

/* The first data URL in prose from `from` on that has base64. */
static inline int naive_find_url(const char *text, size_t size, size_t from, struct naive_url *url)
{
    for (; from < size; from++) {
        size_t payload = naive_payload(text, size, from);
        if (payload && (payload == size || naive_value(text[payload]) < 0 || text[payload] == '-' ||
                        naive_follows(text, size, from + 5, "text/")))
            payload = naive_far_payload(text, size, payload);
        if (!payload)
            continue;
        *url = (struct naive_url){from, payload, naive_payload_end(text, size, payload)};
        return 1;
    }
    return 0;
}

/* Encodes with padding and a NUL at the end; `text` has room for size / 3 * 4 + 5 characters. */
static inline size_t naive_encode(const unsigned char *bytes, size_t size, char *text)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned long group = (unsigned long)bytes[i] << 16;
        group |= left > 1 ? (unsigned long)bytes[i + 1] << 8 : 0;
        group |= left > 2 ? bytes[i + 2] : 0;
        text[length++] = naive_alphabet[group >> 18];
        text[length++] = naive_alphabet[group >> 12 & 63];
        text[length++] = left > 1 ? naive_alphabet[group >> 6 & 63] : '=';
        text[length++] = left > 2 ? naive_alphabet[group & 63] : '=';
    }
    text[length] = '\0';
    return length;
}

#endif
