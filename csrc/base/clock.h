/*
 * A clock that only goes forward, whatever is done to the time of day.
 */
#ifndef TC_CLOCK_H
#define TC_CLOCK_H

/* Seconds since some moment that stays the same while the process runs. */
double tc_clock_now(void);

#endif
