/*
 * How far a JSON string goes on without anything to look at.
 */
#ifndef TC_SCAN_H
#define TC_SCAN_H

#include <stddef.h>

/* The length of the run at `bytes` up to a quote, a backslash or a control character. */
size_t tc_scan_plain(const char *bytes, size_t size);

#endif
