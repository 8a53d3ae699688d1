/*
 * One attempt of a request: the easy handle that libcurl sends it with.
 */
#ifndef TC_ATTEMPT_H
#define TC_ATTEMPT_H

#include "request.h"

/* Makes the easy handle of the next attempt, ready for the multi handle. False when memory is
 * short.
 */
bool tc_attempt_begin(struct tc_request *request);

/* Frees the easy handle, if there is one. It must not be in the multi handle. */
void tc_attempt_drop(struct tc_request *request);

#endif
