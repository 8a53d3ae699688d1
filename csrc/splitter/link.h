/*
 * Pictures that a text only points to: Markdown's images, and text that is an address and nothing
 * else.
 */
#ifndef TC_LINK_H
#define TC_LINK_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TC_LINK_SIZE = 4096, /* bytes of the words, and of the address; a longer one is no link */
    TC_LINK_TRIES = 64   /* beginnings of images that are looked at in one text */
};

/* ![words](address "title") inside a text. */
struct tc_link {
    const char *start, *end;
    const char *address; /* inside the text, with Markdown's escapes: see tc_link_unescape */
    size_t size;         /* of the address; 0 if it was a data URL, which the scanner has decoded */
};

/* Finds the first image between `text` and `end`. `*tries` counts down from TC_LINK_TRIES. */
bool tc_link_next(const char *text, const char *end, unsigned *tries, struct tc_link *link);

/* Is the text one address, "https://..." or "<https://...>"? Then `link` is all of it. */
bool tc_link_whole(const char *text, size_t size, struct tc_link *link);

/* Does it begin with "https://" or "http://", and does something follow? */
bool tc_link_is_address(const char *address, size_t size);

/* Copies an address without Markdown's escapes to `out`, which has room for `size` bytes. Returns
 * how many it has. */
size_t tc_link_unescape(char *out, const char *address, size_t size);

#endif
