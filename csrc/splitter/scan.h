/*
 * The characters of JSON: its white space, and those in a string that need no attention.
 */
#ifndef TC_SCAN_H
#define TC_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* JSON's white space (RFC 8259, 2). */
static inline bool tc_scan_is_space(char character)
{
    return character == ' ' || character == '\n' || character == '\r' || character == '\t';
}

/*
 * The length of the run at `bytes` up to a quote, a backslash, a control character or `stop`; pass
 * '"' to add no other character.
 */
size_t tc_scan_plain(const char *bytes, size_t size, char stop);

#endif
