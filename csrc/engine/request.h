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

/* Where a request goes, by what its `place` is put behind. */
enum tc_base {
    TC_BASE_API,  /* the base URL: "/images/generations" */
    TC_BASE_ROOT, /* the base URL without a "/v1" at its end: "/key/info" */
    TC_BASE_NONE  /* nothing: the place is a URL, of a picture that an answer pointed to */
};

/* How it says who asks. */
enum tc_credentials { TC_BEARER, TC_GOOGLE_KEY, TC_NO_CREDENTIALS };

/* What to send and how. All strings are copied, the body gets one holder more; none is NULL but
 * where it says so. */
struct tc_request_options {
    const char *method; /* "POST"; not copied, so one of those that stay */
    enum tc_base base;
    const char *place; /* "/images/generations" */
    enum tc_credentials credentials;
    bool unbilled;        /* it costs nothing, so it may be sent again after any mishap */
    bool picture;         /* the answer is no JSON but one picture's bytes */
    bool may_be_empty;    /* an answer without content (204) is an empty object */
    bool trusted;         /* a picture may be fetched from a private address too */
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

/* What headers say of a limit of requests, or of tokens, whatever the answer is. */
struct tc_limit {
    double reset; /* seconds until it is another one, below 0 where that is not said */
    bool spent;   /* nothing is left of it */
};

enum { TC_LIMITS = 2 };

/* Moments of a request, tc_clock_now's seconds; 0 for what did not happen (yet). */
struct tc_timing {
    double submitted; /* came into the queue */
    double started;   /* the last attempt left the queue */
    double sent;      /* it had a connection and began to send */
    double answered;  /* the answer's first byte */
    double ended;
};

enum {
    TC_RECEIVE_BUFFER = 100 * 1024, /* bytes that libcurl reads at once; by measurement:
                                     * bench/README.md */
    TC_HEAD_SIZE = 4096,          /* bytes of a body that are kept for whoever looks at an error */
    TC_HEADERS_SIZE = 256 * 1024, /* bytes of headers in one answer; more end the request */
    TC_RULES = TC_PATH_RULES
};

/* What is known of an answer, the latest attempt's. */
struct tc_exchange {
    struct tc_failure failure;
    struct tc_envelope envelope;
    char request_id[128];        /* x-litellm-call-id or x-request-id, or "" */
    char head[TC_HEAD_SIZE + 1]; /* the beginning of the body, NUL-terminated */
    size_t head_size;
    char content_type[96];
    char redirect[256];   /* scheme and host of where the server points to */
    char *location;       /* all of it, where a picture's server does; or NULL */
    char error_text[256]; /* libcurl's, CURL_ERROR_SIZE */
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

    /* The engine's own: */
    struct tc_exchange *exchange; /* from the first attempt on; before there is none, and `failure`
                                   * and `envelope` are those of nothing at all */
    struct tc_session *session;   /* holds it */
    struct tc_pending pending;    /* in the session's list */
    struct tc_request *next, *previous; /* in the client's list for its state */
    bool awaited; /* by a function of the user's that is being called: see tc_client_poll_awaited */
    void *easy;   /* CURL, while an attempt is under way */
    void *headers;     /* struct curl_slist, for all attempts; NULL before the first one */
    void *own_headers; /* struct curl_slist, what the caller adds to them */
    const char *method;
    const char *key; /* "" once it was forgotten */
    struct tc_key *shared_key;
    char *url;
    enum tc_credentials credentials;
    struct tc_body *body;
    uint64_t body_position; /* of it, what libcurl has taken in this attempt */
    bool unbilled, picture, trusted, may_be_empty;
    bool proxied;            /* a proxy stands between, in this attempt */
    bool at_private_address; /* the server that it was sent to */
    bool kept_away;          /* from a server, because that is at a private address */
    const struct tc_rule *rules;
    unsigned rule_count;
    bool streaming;
    bool was_maybe_billed; /* an attempt before this one */
    double timeout, connect_timeout;
    unsigned max_retries;
    enum tc_retry retry;
    double wake;    /* when the next attempt begins, while retrying */
    bool aborted;   /* `failure` is set and tells why the transfer was ended by us */
    bool uncounted; /* the next attempt does not count: this one sent nothing, or is led on */
    unsigned redirects;
    bool paused;      /* libcurl holds bytes back until tc_request_resume */
    double paused_at; /* the moment from which it does */
    double stood;     /* seconds of the attempt in which it did, before that */
    bool is_held;     /* see tc_request_hold */
    bool progress;
    double progress_told; /* when received bytes were last news */
    double retry_after;   /* from a header, below 0 where none says */
    struct tc_limit limits[TC_LIMITS];
    size_t header_size, header_count;
    bool watched; /* on_connected tells when it leaves */
    bool encoded; /* the body is compressed, so its length says nothing */
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
void tc_request_free_answer(struct tc_request *request);

/* Nothing more will be read of it that the key has to be kept out of. */
void tc_request_forget_key(struct tc_request *request);

/* It has something to deliver: lists it for whoever polls the client. Where that is gone, one that
 * has ended loses the client's reference. */
void tc_request_notify(struct tc_request *request);

#endif
