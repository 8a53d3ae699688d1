/*
 * What an answer means that is no success: its kind, whether the request may be sent again, whether
 * something may have been billed, and how long to wait.
 */
#ifndef TC_REFUSAL_H
#define TC_REFUSAL_H

#include "failure.h"
#include "problem.h"

/* What is known of an answer that is no success. */
struct tc_response {
    long status;
    double retry_after;       /* from the headers, below 0 where they do not say */
    double reset;             /* the same of headers that tell of a limit at any time */
    const char *content_type; /* never NULL, here and below: "" */
    const char *redirect;     /* where a 3xx points */
    const char *head;         /* the beginning of the body, NUL-terminated */
    size_t head_size;
    const struct tc_buffer *document; /* as much of the body as is JSON */
    const char *key;                  /* the request's own, to be kept out of all texts */
};

/* Makes the failure for an answer that is a refusal by its status. */
void tc_failure_from_response(struct tc_failure *failure, const struct tc_response *response);

/*
 * Does an answer without a picture tell of an error, though its status is a success's? Then makes
 * the failure. Where pictures were asked for (`pictures`), more is taken for an error: there is
 * nothing else that an answer without one could be.
 */
bool tc_failure_in_success(struct tc_failure *failure, const struct tc_response *response,
                           bool pictures);

#endif
