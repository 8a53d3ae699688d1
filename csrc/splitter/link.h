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
    TC_LINK_TRIES = 64   /* places in one text where one may begin: more are not looked at */
};

/* ![words](address "title"), in a text that goes on before and behind it. */
struct tc_link {
    const char *start, *end;
    const char *address; /* inside the text; escaped as Markdown has it, see below */
    size_t size;         /* 0 where a picture was, before it was decoded */
};

/* Finds the first image between `text` and `end`. `*tries` counts down from TC_LINK_TRIES. */
bool tc_link_next(const char *text, const char *end, unsigned *tries, struct tc_link *link);

/* Is the text one address, "https://..." or "<https://...>"? Then `link` is all of it. */
bool tc_link_whole(const char *text, size_t size, struct tc_link *link);

/* Does it begin with "https://" or "http://", and is there something behind that? */
bool tc_link_is_address(const char *address, size_t size);

/* Copies an address without Markdown's escapes to `out`, which has room for `size` bytes. Returns
 * how many it has. */
size_t tc_link_unescape(char *out, const char *address, size_t size);

#endif
