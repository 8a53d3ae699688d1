/*
 * What the headers of an answer say, but for its status: costs, ids, waits, and where it points to.
 */
#ifndef TC_HEADERS_H
#define TC_HEADERS_H

#include "request.h"

/* Nothing is known yet, and whatever `location` was is freed. */
void tc_headers_reset(struct tc_header_notes *notes);

/* An answer's headers begin: forgets those of an interim one before it. */
void tc_headers_begin(struct tc_header_notes *notes);

/* Takes note of one header line. */
void tc_headers_note(struct tc_request *request, const char *line, size_t size);

/* Keeps where a picture's server points to, whole. False when memory is short. */
bool tc_headers_note_location(struct tc_request *request, const char *line, size_t size);

/* Seconds until there is something of the limits again: of those that are spent, if any is. */
double tc_headers_limit_reset(const struct tc_header_notes *notes);

#endif
