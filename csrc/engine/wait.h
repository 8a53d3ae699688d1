/*
 * How long to wait, in words. All texts are in small letters.
 */
#ifndef TC_WAIT_H
#define TC_WAIT_H

#include <time.h>

/* Seconds of the duration that `text` begins with: "37.08s", "1m30s", "500ms", "2 minutes and 5
 * seconds", "12". Below 0 where it begins with none. */
double tc_duration(const char *text);

/* Seconds to wait that a sentence names: "please try again in 12s", "retry after 2 minutes",
 * "retrydelay": "37s". Below 0 where it names none. */
double tc_wait_in(const char *text);

/*
 * Seconds until the moment of LiteLLM's "limit resets at: 2025-10-07 03:34:49 utc". Below 0 where
 * the sentence names none, where it has passed, and where it cannot be right: servers call their
 * local time UTC, so what is left of a difference after whole quarters of an hour counts, and only
 * if it is no longer than the minute that a limit is for.
 */
double tc_wait_until(const char *text, time_t now);

/* The moment that "2026-11-26T16:00:00Z" names, in seconds from 1970 on; below 0 for no such. */
double tc_moment(const char *text);

#endif
