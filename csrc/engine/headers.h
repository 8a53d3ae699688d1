/*
 * What the headers of a response say beside its status and type: cost, ids, waits, redirects.
 */
#ifndef TC_HEADERS_H
#define TC_HEADERS_H

#include "request.h"

/* Before an attempt: nothing is known yet. Frees `location`. */
void tc_headers_reset(struct tc_header_notes *notes);

/* The headers of a response begin: forgets those of an interim response before it. */
void tc_headers_begin(struct tc_header_notes *notes);

/* Notes what one header line says. */
void tc_headers_note(struct tc_request *request, const char *line, size_t size);

/* Notes the whole URL that a redirect leads to, where a picture is fetched. False when memory is
 * short. */
bool tc_headers_note_location(struct tc_request *request, const char *line, size_t size);

/* Seconds until a limit begins anew: the longest of those that are spent, or of all if none is.
 * Below 0 where unknown. */
double tc_headers_limit_reset(const struct tc_header_notes *notes);

#endif
