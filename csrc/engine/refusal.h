/*
 * What an error response means: which kind of failure it is, whether the request may be sent again
 * and after how long, and whether something may have been billed.
 */
#ifndef TC_REFUSAL_H
#define TC_REFUSAL_H

#include "failure.h"
#include "problem.h"

/* What is known of such a response. */
struct tc_response {
    long status;
    double retry_after; /* seconds that headers ask to wait, below 0 where none does */
    double reset; /* seconds until a limit in the headers begins anew, below 0 where unknown */
    const char *content_type; /* no text here is NULL: "" where there is none */
    const char *redirect;     /* where a 3xx leads */
    const char *head;         /* the beginning of the body, NUL-terminated */
    size_t head_size;
    const struct tc_buffer *document; /* the part of the body that is JSON */
    const char *key;                  /* the request's, to be redacted */
};

/* Makes the failure for a response whose status is an error or a redirect. True: its document holds
 * the base64 of a picture all the same. */
bool tc_refusal_from_response(struct tc_failure *failure, const struct tc_response *response);

/*
 * Does a response without a picture report an error, though its status is a success? Then makes the
 * failure. Where pictures were asked for (`pictures`), more counts as an error, because a response
 * without a picture can hardly be anything else.
 */
bool tc_refusal_in_success(struct tc_failure *failure, const struct tc_response *response,
                           bool pictures);

#endif
