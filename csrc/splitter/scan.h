/*
 * How far a JSON string goes on without anything to look at.
 */
#ifndef TC_SCAN_H
#define TC_SCAN_H

#include <stddef.h>

/*
 * The length of the run at `bytes` up to a quote, a backslash, a control character or `stop`, which
 * is one of those where nothing else shall end it.
 */
size_t tc_scan_plain(const char *bytes, size_t size, char stop);

#endif
