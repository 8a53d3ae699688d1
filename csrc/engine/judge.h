/*
 * What the end of an attempt means: is it a success, which failure is it, is there to be another
 * attempt, and when?
 */
#ifndef TC_JUDGE_H
#define TC_JUDGE_H

#include "request.h"

/* The attempt ended with the CURLcode `code`: sets `failure`, whose kind is TC_NONE for a success.
 */
void tc_judge_end(struct tc_request *request, int code);

/*
 * When the attempt has to have ended. `timeout` counts from the first byte sent to the last one
 * received, but not while the transfer is paused, as a user callback may take long. Connecting has
 * a limit of its own, which libcurl watches; it is watched here too, in case libcurl fails to.
 */
double tc_judge_deadline(struct tc_request *request);

/* The deadline has passed while the attempt was under way: sets `failure`. */
void tc_judge_overdue(struct tc_request *request);

/* Seconds until another attempt; below 0 when there is to be none. `failure` is set. */
double tc_judge_retry_wait(struct tc_request *request);

#endif
