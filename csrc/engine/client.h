/*
 * The engine: one libcurl multi handle, the queue in front of it, and the end of each request.
 *
 * The engine knows no Lua and calls nobody back. tc_client_poll moves all requests on; after it,
 * tc_client_take_pending returns those that have something to deliver. A client belongs to one
 * thread.
 */
#ifndef TC_CLIENT_H
#define TC_CLIENT_H

#include <stdbool.h>

#include "loop.h"
#include "request.h"
#include "session.h"

struct tc_request_list {
    struct tc_request *first, *last;
};

/* When the latest attempts began: a ring of `requests_per_minute` moments. */
struct tc_pace {
    double *starts;  /* NULL: there is no such limit */
    unsigned oldest; /* index into `starts` */
};

struct tc_client {
    struct tc_session *session; /* counted */
    void *multi;                /* CURLM, NULL while the session is closed */
    struct tc_loop loop;
    struct tc_pace pace;
    struct tc_request_list queued, sending, retrying;
    unsigned last_id;
    unsigned active;   /* requests that have not ended */
    unsigned running;  /* those of them that are in the multi handle */
    bool awaited_only; /* only requests that are awaited begin: see tc_client_poll_awaited */
};

/* NULL when memory is short. Sets libcurl up, once per process. */
struct tc_client *tc_client_new(const struct tc_settings *settings);

/* Cancels all requests that have not ended; they can still be taken. Safe to call twice. */
void tc_client_close(struct tc_client *client);

/* Closes it and frees it. A request lives on, ended, while somebody else holds it. NULL is fine. */
void tc_client_free(struct tc_client *client);

/* Puts a request into the queue; tc_client_poll sends it. Returns it with a reference for the
 * caller, or NULL when memory is short. */
struct tc_request *tc_client_submit(struct tc_client *client,
                                    const struct tc_request_options *options);

/* Bytes of a budget: they take half a millisecond to receive and decode. Without a limit libcurl
 * would go on while anything arrives, for megabytes. */
enum { TC_BUDGET_BYTES = 256 * 1024 };

/* Attempts of a budget: libcurl takes about forty microseconds to begin one. */
enum { TC_BUDGET_STARTS = 16 };

/*
 * Gives the client a new budget, for a host that may not wait: once a frame in a game. To receive
 * and decode bytes takes time, and so does handing out the bytes of pictures. So
 * tc_client_poll(client, 0), tc_client_action and tc_client_take_pending spend one budget.
 */
void tc_client_renew_budget(struct tc_client *client);

/* Moves all requests on, and waits at most `seconds` for something to happen. With 0 it does not
 * wait, and takes in no more than the budget allows. */
void tc_client_poll(struct tc_client *client, double seconds);

/*
 * The same for a user's callback that waits for a request of its own. That request is `awaited`: it
 * leaves the queue before the others. It also may begin in place of a paused one, for the paused
 * one goes on only after the callback has returned. No other request begins meanwhile: nobody would
 * take its response.
 */
void tc_client_poll_awaited(struct tc_client *client, double seconds);

/* How many requests have not ended, or have ended and were not taken yet. */
unsigned tc_client_count(const struct tc_client *client);

/*
 * For a host's own event loop, in place of tc_client_poll: `socket` is ready for `events` (TC_READ
 * | TC_WRITE; 0: it has an error). With a socket below 0, the time of tc_client_timer is up.
 */
void tc_client_action(struct tc_client *client, intptr_t socket, int events);

/* Seconds until tc_client_action should be called without a socket; below 0: never. */
double tc_client_timer(const struct tc_client *client);

/* Is a request pending, that is, has one something to deliver? With `awaited_only`, the others do
 * not count, here and below. */
bool tc_client_has_pending(const struct tc_client *client, bool awaited_only);

/* Takes the next pending request off the list: it has pictures to deliver, or has ended. NULL when
 * there is none. The caller gets a reference, and the budget pays for the pictures. */
struct tc_request *tc_client_take_pending(struct tc_client *client, bool awaited_only);

/* Bytes of the pictures that the next pending request has; 0 when there is none, or when its
 * pictures are streamed. */
size_t tc_client_next_size(const struct tc_client *client, bool awaited_only);

/* The end of a request that was taken could not be delivered: makes it pending again. */
void tc_client_put_back(struct tc_request *request);

/* Ends a request, which is pending then. False when it had ended already. */
bool tc_client_cancel(struct tc_request *request);

/* The same with a reason: a file could not be written, say. One that has ended becomes a failure.
 */
void tc_client_fail(struct tc_request *request, enum tc_kind kind, const char *message);

#endif
