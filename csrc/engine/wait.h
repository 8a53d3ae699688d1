/*
 * How long a text says to wait. All texts must be in lower case.
 */
#ifndef TC_WAIT_H
#define TC_WAIT_H

#include <time.h>

/* Seconds of the duration at the beginning of `text`: "37.08s", "1m30s", "500ms", "2 minutes and 5
 * seconds", "12". Below 0 if there is none. */
double tc_duration(const char *text);

/* Seconds to wait that a text names anywhere: "please try again in 12s", "retry after 2 minutes",
 * "retrydelay": "37s". Below 0 if it names none. */
double tc_wait_in(const char *text);

/*
 * Seconds until the moment in LiteLLM's "limit resets at: 2025-10-07 03:34:49 utc". Below 0 if the
 * text names none, if it has passed, or if it cannot be right. Servers label their local time UTC,
 * so a difference is taken modulo a quarter of an hour; it can be right if it is then no longer
 * than the minute that a limit is for.
 */
double tc_wait_until(const char *text, time_t now);

/* The moment that a text like "2026-11-26T16:00:00Z" names, in seconds since 1970; below 0 if it
 * names none. */
double tc_moment(const char *text);

#endif
