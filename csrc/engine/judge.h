/*
 * What the end of an attempt means: a success, a failure, another attempt and when.
 */
#ifndef TC_JUDGE_H
#define TC_JUDGE_H

#include "request.h"

/* An attempt ended with CURLcode `code`; sets `failure`, kind TC_NONE for success. */
void tc_judge_end(struct tc_request *request, int code);

/*
 * When the attempt has to be over. `timeout` bounds it from the first byte sent, without the time
 * in which the answer waits for us: a function of the caller's may take longer than that.
 * Connecting has a limit of its own. libcurl minds that one, unless it has lost track of the
 * transfer: nobody should wait for ever then.
 */
double tc_judge_deadline(struct tc_request *request);

/* That moment has come, and libcurl has said nothing. Sets `failure`. */
void tc_judge_overdue(struct tc_request *request);

/* Seconds until another attempt, or below 0 when there is to be none. */
double tc_judge_retry_wait(struct tc_request *request);

#endif
