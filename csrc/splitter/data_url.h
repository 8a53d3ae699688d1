/*
 * Finds the heads of data URLs in a text that comes one character at a time. A head is "data:", a
 * media type and parameters as RFC 2045 allows them, and ";base64,", in capital or small letters,
 * in at most TC_DATA_URL_HEAD characters. Outside prose, "data:" may be missing before "image/".
 */
#ifndef TC_DATA_URL_H
#define TC_DATA_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_DATA_URL_HEAD = 128, /* characters of a data URL up to its comma */
    TC_DATA_URL_FIRST = 4   /* characters that show whether base64 is a picture's, see `gap` */
};

/* All zero is the beginning of a text. */
struct tc_data_url {
    unsigned head;   /* bytes of the envelope that may be a head and what follows it; 0: none */
    uint64_t recent; /* the last characters, in small letters, 8 bits each */
    bool text;       /* it begins with "data:text/" */
    bool gap;        /* the comma was not followed by base64 at once: by white space or '%', say */
    unsigned char first_size;
    char first[TC_DATA_URL_FIRST]; /* what followed then: so far it begins as a picture's base64 */
};

/* Notes a character, for which the envelope has `kept` bytes. With `in_prose`, the base64 need not
 * follow the comma at once. */
void tc_data_url_follow(struct tc_data_url *url, char character, size_t kept, bool in_prose);

/* Is the head complete, so that the next character may begin the base64? */
bool tc_data_url_has_head(const struct tc_data_url *url);

/* In prose: does the base64 begin with the character `next`, or has it begun with `first`, which is
 * in the envelope already? In a "data:text/" URL only a picture's base64 counts, so it never begins
 * with `next`. */
bool tc_data_url_begins(const struct tc_data_url *url, char next);

#endif
