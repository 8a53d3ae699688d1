/*
 * Why a request has no picture: the kind of failure, one line for a person, and what the server
 * said.
 *
 * The texts of a failure are arrays, so making one cannot fail. No key is in any of them: all
 * foreign text is redacted on its way in (redact.h).
 */
#ifndef TC_FAILURE_H
#define TC_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

/* X(constant, name that users see) */
#define TC_KINDS(X)                                                                                \
    X(TC_INVALID_REQUEST, "invalid_request")                                                       \
    X(TC_AUTHENTICATION, "authentication")                                                         \
    X(TC_PERMISSION_DENIED, "permission_denied")                                                   \
    X(TC_BUDGET_EXCEEDED, "budget_exceeded")                                                       \
    X(TC_CONTENT_POLICY, "content_policy")                                                         \
    X(TC_NO_IMAGE, "no_image")                                                                     \
    X(TC_RATE_LIMIT, "rate_limit")                                                                 \
    X(TC_NOT_FOUND, "not_found")                                                                   \
    X(TC_SERVER_ERROR, "server_error")                                                             \
    X(TC_TIMEOUT, "timeout")                                                                       \
    X(TC_CONNECTION, "connection")                                                                 \
    X(TC_TLS, "tls")                                                                               \
    X(TC_BAD_RESPONSE, "bad_response")                                                             \
    X(TC_RESPONSE_TOO_LARGE, "response_too_large")                                                 \
    X(TC_CANCELLED, "cancelled")                                                                   \
    X(TC_IO, "io")                                                                                 \
    X(TC_NO_MEMORY, "no_memory") /* never shown: the binding raises it as Lua does */

enum tc_kind {
    TC_NONE,
#define X(constant, name) constant,
    TC_KINDS(X)
#undef X
};

/* May the same request be sent again? */
enum tc_repeat {
    TC_REPEAT_NEVER, /* the response would be the same */
    TC_REPEAT_SAFE,  /* certainly nothing was billed */
    TC_REPEAT_RISKY  /* a picture may have been made, and billed */
};

struct tc_failure {
    enum tc_kind kind;
    enum tc_repeat repeat;
    bool maybe_billed;
    long status;        /* of HTTP, 0 where there was no response */
    double retry_after; /* seconds to wait, below 0 where unknown */
    bool brief;         /* the wait is short, and many requests may wait: spread them out */
    unsigned attempts;
    const char *advice; /* what to do about it; NULL: what the kind advises */
    char message[512];
    char code[64], type[96], param[160]; /* as the server sent them, or "" */
};

/* "rate_limit" for TC_RATE_LIMIT. */
const char *tc_kind_name(enum tc_kind kind);

/* What a person can do about a failure; NULL where there is nothing to add to its message. */
const char *tc_failure_advice(const struct tc_failure *failure);

/* Makes a failure with a message, formatted as by printf. */
void tc_failure_set(struct tc_failure *failure, enum tc_kind kind, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/*
 * Makes the failure for a transfer that libcurl gave up. `code` is its CURLcode and `text` its
 * error text; `sent` says whether the request may have been sent, and `status` is that of the
 * response, or 0 if none had begun.
 */
void tc_failure_from_transfer(struct tc_failure *failure, int code, const char *text,
                              const char *key, bool sent, long status);

#endif
