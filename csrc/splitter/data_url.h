/*
 * The heads of data URLs in text that goes by, character for character: "data:", what RFC 2045
 * allows in a media type and its parameters, and ";base64,", in capital or small letters, and all
 * that in at most TC_DATA_URL_HEAD characters. Where nothing but one can be, its "data:" may be
 * left out in front of "image/".
 */
#ifndef TC_DATA_URL_H
#define TC_DATA_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_DATA_URL_HEAD = 128, /* characters of a data URL up to its comma */
    TC_DATA_URL_FIRST = 4   /* characters of base64 that tell a picture behind white space */
};

/* All zero is the beginning of a text. */
struct tc_data_url {
    unsigned head; /* bytes that were kept of what may be the head, and of what follows it, or 0 */
    uint64_t recent; /* the last characters, in small letters, 8 bits each */
    bool text;       /* it begins with "data:text/" */
    bool gap;        /* behind the comma came white space or '%' */
    unsigned char first_size;
    char first[TC_DATA_URL_FIRST]; /* and behind that these, so far like a picture's base64 */
};

/* Takes note of a character that was kept, in `kept` bytes. `in_prose`: white space may follow the
 * comma. */
void tc_data_url_follow(struct tc_data_url *url, char character, size_t kept, bool in_prose);

/* Has the head ended, so that the next character may begin the base64? */
bool tc_data_url_has_head(const struct tc_data_url *url);

/* In prose: does the base64 begin with `next`, or with `first`, which was kept already? That of
 * text has to begin as pictures do. */
bool tc_data_url_begins(const struct tc_data_url *url, char next);

#endif
