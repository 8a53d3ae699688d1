/*
 * One request for pictures, from the queue to its end.
 *
 *     queued -> sending -> receiving -> done
 *                  ^           |
 *                  +- retrying <
 *
 * Requests are counted: the client holds one until it has ended and was taken, and whoever
 * submitted it holds it as long as they like.
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

/* After which failures the user wants another attempt: where it is safe (enum tc_repeat), also
 * where it is risky, or never. */
enum tc_retry { TC_RETRY_SAFE, TC_RETRY_ALL, TC_RETRY_NONE };

/* What a request's `path` is appended to. */
enum tc_base {
    TC_BASE_API,  /* the base URL: "/images/generations" */
    TC_BASE_ROOT, /* the base URL without a "/v1" at its end: "/key/info" */
    TC_BASE_NONE  /* nothing: the path is the URL of a picture that a response named */
};

/* Which header has the key. */
enum tc_credentials { TC_BEARER, TC_GOOGLE_KEY, TC_NO_CREDENTIALS };

/* What to send and how. Strings are copied, and the body's references are counted. No pointer is
 * NULL unless it says so. */
struct tc_request_options {
    const char *method; /* "POST"; not copied, so a literal */
    enum tc_base base;
    const char *path; /* "/images/generations" */
    enum tc_credentials credentials;
    bool retry_safe;      /* it costs nothing, so it may be sent again after any failure */
    bool raw_image;       /* the response is not JSON, but the bytes of one picture */
    bool may_be_empty;    /* a response without content (204) counts as an empty object */
    bool allow_private;   /* the picture may be fetched from a private address too */
    struct tc_body *body; /* JSON, or NULL; what it points to must stay until the request ends */
    const char *api_key;
    const char *const *headers;  /* "Name: value", NULL at the end */
    const struct tc_rule *rules; /* where the pictures are; all requests of a client that have rules
                                  * have the same ones */
    unsigned rule_count;
    double timeout;         /* seconds from the first byte sent to the last received */
    double connect_timeout; /* seconds until there is a connection */
    unsigned max_retries;
    enum tc_retry retry;
    bool streaming; /* the bytes of pictures are taken as they come: little is held at a time */
    bool progress;  /* received bytes are to be reported */
};

/* Seconds between two reports of received bytes, at least. */
#define TC_PROGRESS_EVERY 0.05

/* Moments of a request, in seconds of tc_clock_now; 0 for what has not happened. */
struct tc_timing {
    double submitted;  /* came into the queue */
    double started;    /* the last attempt left the queue */
    double sent;       /* it had a connection and began to send */
    double first_byte; /* the response's first byte */
    double ended;
};

enum {
    TC_RECEIVE_BUFFER = 100 * 1024, /* bytes that libcurl reads at once; bench/README.md says why */
    TC_HEAD_SIZE = 4096,            /* bytes of a body that are kept for error messages */
    TC_HEADERS_SIZE = 256 * 1024,   /* bytes of headers; more of them end the request */
    TC_HEADERS = 4000, /* lines of headers; recent releases of libcurl have a limit of 5000 */
    TC_MAX_RATIO = 16, /* a body with a higher compression ratio ends the request */
};

/* A limit of requests, or of tokens, as headers of any response report it. */
struct tc_limit {
    double reset; /* seconds until it begins anew, below 0 where unknown */
    bool spent;   /* nothing is left of it */
};

enum { TC_LIMITS = 2 };

/* What the headers of a response say. */
struct tc_header_notes {
    size_t size, count; /* bytes and lines of them so far, with those of interim responses */
    bool encoded;       /* the body is compressed, so Content-Length is not its size */
    double retry_after; /* seconds to wait, below 0 where no header says */
    struct tc_limit limits[TC_LIMITS];
    char request_id[128]; /* x-litellm-call-id or x-request-id, or "" */
    char redirect[256];   /* scheme and host of the URL that a redirect leads to */
    char *location;       /* that whole URL, where a picture is fetched; or NULL */
};

/* What is known of the latest attempt's response. */
struct tc_exchange {
    struct tc_failure failure;
    struct tc_envelope envelope;
    struct tc_header_notes notes;
    char head[TC_HEAD_SIZE + 1]; /* the beginning of the body, NUL-terminated */
    size_t head_size;
    char error_text[256]; /* what libcurl says of an error, CURL_ERROR_SIZE */
};

/* Why one of libcurl's callbacks ended a transfer. */
enum tc_abort {
    TC_ABORT_NONE,
    TC_ABORT_RESENT, /* libcurl was about to send the request a second time */
    TC_ABORT_STALE,  /* the kept connection had ended */
    TC_ABORT_MANY_HEADERS,
    TC_ABORT_BAD_HEADERS, /* they are not HTTP */
    TC_ABORT_TOO_LARGE,   /* more than max_response_bytes */
    TC_ABORT_TOO_PACKED,  /* its compression ratio is above TC_MAX_RATIO */
    TC_ABORT_BAD_BODY,    /* the scanner failed, or the body is not a picture */
    TC_ABORT_NO_MEMORY
};

/* One attempt. */
struct tc_attempt {
    void *easy;             /* CURL; NULL while there is no attempt */
    uint64_t body_position; /* bytes of the body that libcurl has taken */
    enum tc_abort abort;
    bool watched;            /* a callback sets timing.sent: see tc_receive_check_sent */
    bool proxied;            /* it goes through a proxy */
    bool at_private_address; /* the server's */
    bool blocked_private;    /* the name resolved to a private address */
    bool free_retry;         /* do not count it against max_retries: nothing was sent, or it was a
                              * redirect */
    bool paused;             /* libcurl delivers nothing until tc_receive_resume */
    double paused_at;        /* when it was paused, tc_clock_now */
    double paused_for;       /* seconds of all pauses before this one */
    double notified_at;      /* when received bytes were last reported: TC_PROGRESS_EVERY */
};

/* What an attempt leaves to the next one. */
struct tc_retries {
    bool maybe_billed;  /* an attempt before this one may have been billed */
    unsigned redirects; /* redirects that were followed */
    double wake;        /* when the next attempt may begin, tc_clock_now */
};

/* What is overwritten before it is freed. */
struct tc_secrets {
    struct tc_key *key; /* NULL once it is forgotten */
    char **own_headers; /* the options' headers are these; NULL: there are none */
    void *headers;      /* struct curl_slist: those of all attempts; NULL before the first one */
};

struct tc_request {
    unsigned references;
    unsigned id; /* its number in its client, from 1 */
    enum tc_state state;
    struct tc_failure *failure;   /* never NULL; its kind is TC_NONE for a success */
    struct tc_envelope *envelope; /* never NULL; that of the last attempt */
    struct tc_timing timing;
    unsigned attempts;
    long status;
    uint64_t received; /* bytes of the body, decompressed */
    uint64_t expected; /* bytes that the body will have, 0 where unknown */
    double cost;       /* x-litellm-response-cost, below 0 where it is absent */
    char *url;

    /* As they were given, with three exceptions: `path` is NULL, as `url` has it; `api_key` is ""
     * once the key is forgotten; the rules are those for failures and then the request's own. */
    struct tc_request_options options;

    /* Private to the engine: */
    struct tc_secrets secrets;
    struct tc_session *session;         /* counted */
    struct tc_pending pending;          /* its link in the session's list */
    struct tc_request *next, *previous; /* in the client's list for its state */
    bool awaited;                       /* by a user's callback: see tc_client_poll_awaited */
    bool held;                          /* see tc_receive_hold */
    struct tc_attempt attempt;
    struct tc_retries retries;
    struct tc_exchange *exchange; /* NULL before the first attempt; `failure` and `envelope` point
                                   * to empty constants then, later to those in here */
};

/* A request with one reference, in no list. NULL when memory is short. */
struct tc_request *tc_request_new(struct tc_session *session,
                                  const struct tc_request_options *options);

/* Allocates `exchange` if there is none. False when memory is short. */
bool tc_request_make_exchange(struct tc_request *request);

/* Gives up a reference; the last one frees it. NULL is fine. */
void tc_request_release(struct tc_request *request);

/* Wipes and frees the headers, one of which has the key: the request has ended. */
void tc_request_forget_headers(struct tc_request *request);

/* The beginning of the response's body, and the gateway's id of the request; "" if nothing came. */
const char *tc_request_head(const struct tc_request *request);
const char *tc_request_gateway_id(const struct tc_request *request);

/* Frees the response with its pictures, once it was read. */
void tc_request_free_response(struct tc_request *request);

/* Forgets the key: nothing will be read any more that it has to be removed from. */
void tc_request_forget_key(struct tc_request *request);

/* Makes it pending, for whoever polls the client. Where the client was freed, a request that has
 * ended loses the client's reference instead. */
void tc_request_notify(struct tc_request *request);

#endif
