/*
 * The engine: one libcurl multi handle, a queue, and what became of each request.
 *
 * Nothing here knows Lua and nothing here calls back: tc_client_poll moves everything on, and
 * tc_client_take_ready then hands out the requests that have news. A client belongs to one thread.
 */
#ifndef TC_CLIENT_H
#define TC_CLIENT_H

#include <stdbool.h>

#include "loop.h"
#include "request.h"

/* Strings are copied; NULL where an option is not given. */
struct tc_client_options {
    const char *base_url; /* checked by tc_url_check_base */
    const char *proxy;
    const char *ca_file;
    const char *user_agent;
    const char *const *headers; /* "Name: value", NULL at the end */
    unsigned max_concurrency;
    unsigned requests_per_minute; /* 0: any number */
    uint64_t max_response_bytes;
    bool http2;
};

struct tc_request_list {
    struct tc_request *first, *last;
};

/* A connection that libcurl may have kept: its socket, by its port here. */
struct tc_kept {
    intptr_t socket;
    long local_port;
};

enum { TC_KEPT = 64 };

struct tc_client {
    unsigned references; /* its maker, and its requests */
    void *multi;         /* CURLM, NULL once closed */
    char *base_url, *proxy, *ca_file, *ca_directory, *user_agent;
    void *headers; /* struct curl_slist */
    unsigned max_concurrency;
    uint64_t max_response_bytes;
    bool http2;
    bool is_loopback; /* the base URL is one of this machine's */
    struct tc_loop loop;
    struct tc_kept kept[TC_KEPT]; /* the latest, in turn */
    unsigned next_kept;
    double broke_off; /* when an attempt last ended without a whole answer */
    unsigned requests_per_minute;
    double *starts;      /* when the last so many attempts began, in turn */
    unsigned next_start; /* of them, the oldest */
    unsigned last_id;
    unsigned active;        /* requests that have not ended */
    unsigned running;       /* of those, in the multi handle */
    unsigned giving;        /* of those, while a function of the user's takes what they brought */
    bool awaited_only;      /* only requests that are awaited begin and count as news: see below */
    bool abandoned;         /* by its maker: nobody will take what there is to tell */
    size_t turn_left;       /* bytes that this turn may still take in, or hand out */
    unsigned starts_left;   /* attempts that it may still begin */
    struct tc_buffer spare; /* a picture's buffer that the next one can use */
    struct tc_rule *rules;  /* of answers with pictures; NULL: no request wanted any yet */
    struct tc_key *key;     /* the last request's, or NULL */
    struct tc_request_list queued, sending, retrying;
    struct tc_request *first_ready, *last_ready;
};

/* NULL when memory is short. Sets libcurl up, once per process. */
struct tc_client *tc_client_new(const struct tc_client_options *options);

/* Cancels everything under way; the requests can still be taken. Safe to call twice. */
void tc_client_close(struct tc_client *client);

/* Closes it and gives up the maker's hold. Requests that others hold live on, ended. NULL is fine.
 */
void tc_client_free(struct tc_client *client);

/* For requests: one holder less; the last one frees it. */
void tc_client_release(struct tc_client *client);

/*
 * Puts a request into the queue. Never waits, never sends. Returns it with a reference for the
 * caller, or NULL when memory is short.
 */
struct tc_request *tc_client_submit(struct tc_client *client,
                                    const struct tc_request_options *options);

/* Bytes of a turn: half a millisecond's worth where they come in. libcurl by itself goes on as long
 * as there are any, megabytes. */
enum { TC_TURN = 256 * 1024 };

/* Attempts that a turn begins at most: each one costs libcurl some forty microseconds. */
enum { TC_TURN_STARTS = 16 };

/*
 * Begins a turn for a host that may not wait, a game's frame say. Its time goes into bytes, those
 * that are received and decoded and those of the pictures that are handed out alike. So a turn has
 * a number of them, which tc_client_take_ready, tc_client_poll(client, 0) and tc_client_action
 * share.
 */
void tc_client_begin_turn(struct tc_client *client);

/*
 * Moves everything on, waiting at most `seconds` for something to happen. With 0 it does not wait
 * and takes only so much of what has arrived as is left of the turn.
 */
void tc_client_poll(struct tc_client *client, double seconds);

/*
 * The same for a function of the user's that waits, called by somebody who is handing out news: for
 * the requests that are `awaited`. Those leave the queue before all others, and in place of one
 * whose news nobody takes meanwhile. No other request begins, or their answers would pile up; what
 * they bring stays until whoever hands out news goes on.
 */
void tc_client_poll_awaited(struct tc_client *client, double seconds);

/* How many requests have not ended, or have and were not taken. */
unsigned tc_client_pending(const struct tc_client *client);

/*
 * For a host's own loop, in place of tc_client_poll: `socket` is ready for `events` (TC_READ |
 * TC_WRITE; 0: it is in error), or, when it is below 0, the time is up that tc_client_timer told.
 */
void tc_client_action(struct tc_client *client, intptr_t socket, int events);

/* Seconds until tc_client_action should be called without a socket; below 0: never. */
double tc_client_timer(const struct tc_client *client);

/* Is there a request that has news, and is `awaited` if only those are wanted? */
bool tc_client_has_ready(const struct tc_client *client, bool awaited_only);

/* The next such request: whole pictures, or its end. NULL when there is none. The caller gets a
 * reference, and the turn pays for the pictures. */
struct tc_request *tc_client_take_ready(struct tc_client *client, bool awaited_only);

/* Bytes of the pictures that tc_client_take_ready would hand out as they are; 0 for those that are
 * streamed, or when there is no news. */
size_t tc_client_next_size(const struct tc_client *client, bool awaited_only);

/* The turn pays for so many bytes. */
void tc_client_use_turn(struct tc_client *client, size_t bytes);

/* For requests: has news. */
void tc_client_tell(struct tc_client *client, struct tc_request *request);

/* The end of a request that was taken could not be told: it is news again. */
void tc_client_tell_again(struct tc_client *client, struct tc_request *request);

/* For requests: takes one that is under way out and marks its end, `failure` being set. */
void tc_client_end(struct tc_client *client, struct tc_request *request);

#endif
