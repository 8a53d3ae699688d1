/*
 * One request for pictures, from the queue to its end.
 *
 *     queued -> sending -> receiving -> done
 *                  ^           |
 *                  +- retrying <
 *
 * A request is counted: its client holds it until it has ended and was taken, whoever submitted it
 * holds it as long as they like.
 */
#ifndef TC_REQUEST_H
#define TC_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../splitter/body.h"
#include "../splitter/envelope.h"
#include "failure.h"
#include "session.h"

enum tc_state { TC_QUEUED, TC_SENDING, TC_RECEIVING, TC_RETRYING, TC_DONE };
enum tc_retry { TC_RETRY_SAFE, TC_RETRY_ALL, TC_RETRY_NONE };

/* Where a request goes, by what its `path` is put behind. */
enum tc_base {
    TC_BASE_API,  /* the base URL: "/images/generations" */
    TC_BASE_ROOT, /* the base URL without a "/v1" at its end: "/key/info" */
    TC_BASE_NONE  /* nothing: the path is a URL, of a picture that an answer pointed to */
};

/* How it says who asks. */
enum tc_credentials { TC_BEARER, TC_GOOGLE_KEY, TC_NO_CREDENTIALS };

/* What to send and how. All strings are copied, the body gets one holder more; none is NULL but
 * where it says so. */
struct tc_request_options {
    const char *method; /* "POST"; not copied, so one of those that stay */
    enum tc_base base;
    const char *path; /* "/images/generations" */
    enum tc_credentials credentials;
    bool retry_safe;      /* it costs nothing, so it may be sent again after any mishap */
    bool raw_image;       /* the answer is no JSON but one picture's bytes */
    bool may_be_empty;    /* an answer without content (204) is an empty object */
    bool allow_private;   /* the picture may be fetched from a private address too */
    struct tc_body *body; /* JSON, or NULL; what it points to stays until the request has ended */
    const char *api_key;
    const char *const *headers;  /* "Name: value", NULL at the end */
    const struct tc_rule *rules; /* where the pictures are; the same for all of a client's that have
                                  * some */
    unsigned rule_count;
    double timeout;         /* seconds from the first byte sent to the last received */
    double connect_timeout; /* seconds to a connection */
    unsigned max_retries;
    enum tc_retry retry;
    bool streaming; /* pictures' bytes are taken away as they come: little is held at a time */
    bool progress;  /* being told of received bytes is wanted */
};

/* Seconds between two reports of received bytes, at least. */
#define TC_PROGRESS_EVERY 0.05

/* Moments of a request, tc_clock_now's seconds; 0 for what did not happen (yet). */
struct tc_timing {
    double submitted;  /* came into the queue */
    double started;    /* the last attempt left the queue */
    double sent;       /* it had a connection and began to send */
    double first_byte; /* the answer's first byte */
    double ended;
};

enum {
    TC_RECEIVE_BUFFER = 100 * 1024, /* bytes that libcurl reads at once; by measurement:
                                     * bench/README.md */
    TC_HEAD_SIZE = 4096,          /* bytes of a body that are kept for whoever looks at an error */
    TC_HEADERS_SIZE = 256 * 1024, /* bytes of headers in one answer; more end the request */
    TC_HEADERS = 4000,            /* lines of them; libcurl's own limit, 5000, is new */
    TC_TIGHTEST = 16, /* bytes that one compressed byte becomes: more are no answer with pictures */
    TC_RULES = TC_PATH_RULES
};

/* What headers say of a limit of requests, or of tokens, whatever the answer is. */
struct tc_limit {
    double reset; /* seconds until it is another one, below 0 where that is not said */
    bool spent;   /* nothing is left of it */
};

enum { TC_LIMITS = 2 };

/* What the headers of an answer say. */
struct tc_header_notes {
    size_t size, count; /* bytes and lines of them so far, those of interim answers too */
    bool encoded;       /* the body is compressed, so its length says nothing */
    double retry_after; /* seconds, below 0 where none says */
    struct tc_limit limits[TC_LIMITS];
    char request_id[128]; /* x-litellm-call-id or x-request-id, or "" */
    char redirect[256];   /* scheme and host of where the server points to */
    char *location;       /* all of it, where a picture's server does; or NULL */
};

/* What is known of an answer, the latest attempt's. */
struct tc_exchange {
    struct tc_failure failure;
    struct tc_envelope envelope;
    struct tc_header_notes notes;
    char head[TC_HEAD_SIZE + 1]; /* the beginning of the body, NUL-terminated */
    size_t head_size;
    char error_text[256]; /* libcurl's, CURL_ERROR_SIZE */
};

/* Why a transfer was ended from inside one of libcurl's callbacks. */
enum tc_abort {
    TC_ABORT_NONE,
    TC_ABORT_RESENT, /* libcurl was about to send again what may have been billed */
    TC_ABORT_STALE,  /* the kept connection had ended */
    TC_ABORT_MANY_HEADERS,
    TC_ABORT_BAD_HEADERS, /* they are no HTTP */
    TC_ABORT_TOO_LARGE,   /* more than max_response_bytes */
    TC_ABORT_TOO_PACKED,  /* compressed as no pictures are */
    TC_ABORT_BAD_BODY,    /* the scanner has failed, or it is no picture */
    TC_ABORT_NO_MEMORY
};

/* One attempt. */
struct tc_attempt {
    void *easy;             /* CURL, while it is under way */
    uint64_t body_position; /* how much of the body libcurl has taken */
    enum tc_abort abort;
    bool watched;            /* a callback tells when it leaves */
    bool proxied;            /* a proxy stands between */
    bool at_private_address; /* the server that it was sent to */
    bool blocked_private;    /* the name resolved to a private address */
    bool free_retry;         /* do not count it: nothing was sent, or it was a redirect */
    bool paused;             /* libcurl holds bytes back until tc_receive_resume */
    double paused_at;        /* since when */
    double paused_for;       /* seconds that it was, before that */
    double notified_at;      /* when received bytes were last reported */
};

/* What is carried from one attempt to the next. */
struct tc_retries {
    bool maybe_billed;  /* one of those before may have been */
    unsigned redirects; /* that were followed */
    double wake;        /* when the next attempt begins, while retrying */
};

/* What is overwritten before its memory is given back. */
struct tc_secrets {
    struct tc_key *key; /* NULL once it was forgotten */
    char **own_headers; /* the lines of the options, with their texts; NULL: none */
    void *headers;      /* struct curl_slist, of all attempts; NULL before the first one */
};

struct tc_request {
    unsigned references;
    unsigned id; /* of its client's, from 1 */
    enum tc_state state;
    struct tc_failure *failure;   /* never NULL; kind is TC_NONE for a success */
    struct tc_envelope *envelope; /* never NULL; of the last attempt */
    struct tc_timing timing;
    unsigned attempts;
    long status;
    uint64_t received; /* bytes of body, decompressed */
    uint64_t expected; /* bytes of body there will be, 0 where unknown */
    double cost;       /* x-litellm-response-cost, below 0 where it is absent */
    char *url;

    /* As they were given, but: `path` is NULL, for `url` has it; `api_key` is "" once it was
     * forgotten; the rules are those of failures, then its own. */
    struct tc_request_options options;

    /* The engine's own: */
    struct tc_secrets secrets;
    struct tc_session *session;         /* holds it */
    struct tc_pending pending;          /* in the session's list */
    struct tc_request *next, *previous; /* in the client's list for its state */
    bool awaited; /* by a function of the user's that is being called: see tc_client_poll_awaited */
    bool held;    /* see tc_receive_hold */
    struct tc_attempt attempt;
    struct tc_retries retries;
    struct tc_exchange *exchange; /* from the first attempt on; before there is none, and `failure`
                                   * and `envelope` are those of nothing at all */
};

/* A request that is in no list yet, with one reference; NULL when memory is short. */
struct tc_request *tc_request_new(struct tc_session *session,
                                  const struct tc_request_options *options);

/* Makes room for what an attempt brings. False when memory is short. */
bool tc_request_make_exchange(struct tc_request *request);

/* One holder less; the last one frees it. NULL is fine. */
void tc_request_release(struct tc_request *request);

/* For the client: it has ended, and needs no headers any more. One of them has the key. */
void tc_request_forget_headers(struct tc_request *request);

/* The beginning of the body, and what the gateway calls the request; "" if nothing has come. */
const char *tc_request_head(const struct tc_request *request);
const char *tc_request_gateway_id(const struct tc_request *request);

/* Frees the answer, pictures too, once it was read. */
void tc_request_free_response(struct tc_request *request);

/* Nothing more will be read of it that the key has to be kept out of. */
void tc_request_forget_key(struct tc_request *request);

/* It has something to deliver: lists it for whoever polls the client. Where that is gone, one that
 * has ended loses the client's reference. */
void tc_request_notify(struct tc_request *request);

#endif
