/*
 * The engine: one libcurl multi handle, a queue, and what became of each request.
 *
 * Nothing here knows Lua and nothing here calls back: tc_client_poll moves everything on, and
 * tc_client_take_pending then hands out the requests that have something to deliver. A client
 * belongs to one thread.
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

/* When the last so many attempts began, as many as a minute may have. */
struct tc_pace {
    double *starts;  /* in turn; NULL: any number may begin */
    unsigned oldest; /* which of them that is */
};

struct tc_client {
    struct tc_session *session;
    void *multi; /* CURLM, NULL while the session is closed */
    struct tc_loop loop;
    struct tc_pace pace;
    struct tc_request_list queued, sending, retrying;
    unsigned last_id;
    unsigned active;   /* requests that have not ended */
    unsigned running;  /* of those, in the multi handle */
    bool awaited_only; /* only requests that are awaited begin: see tc_client_poll_awaited */
};

/* NULL when memory is short. Sets libcurl up, once per process. */
struct tc_client *tc_client_new(const struct tc_settings *settings);

/* Cancels everything under way; the requests can still be taken. Safe to call twice. */
void tc_client_close(struct tc_client *client);

/* Closes it and frees it. Requests that others hold live on, ended. NULL is fine. */
void tc_client_free(struct tc_client *client);

/*
 * Puts a request into the queue. Never waits, never sends. Returns it with a reference for the
 * caller, or NULL when memory is short.
 */
struct tc_request *tc_client_submit(struct tc_client *client,
                                    const struct tc_request_options *options);

/* Bytes of a budget: half a millisecond's worth where they come in. libcurl by itself goes on as
 * long as there are any, megabytes. */
enum { TC_BUDGET_BYTES = 256 * 1024 };

/* Attempts of a budget: each one costs libcurl some forty microseconds. */
enum { TC_BUDGET_STARTS = 16 };

/*
 * Gives the client a new budget, for a host that may not wait: for each frame of a game, say. Its
 * time goes into bytes, those that are received and decoded and those of the pictures that are
 * handed out alike. So tc_client_take_pending, tc_client_poll(client, 0) and tc_client_action share
 * one number of them.
 */
void tc_client_renew_budget(struct tc_client *client);

/*
 * Moves everything on, waiting at most `seconds` for something to happen. With 0 it does not wait
 * and takes only so much of what has arrived as is left of the budget.
 */
void tc_client_poll(struct tc_client *client, double seconds);

/*
 * The same for a function of the user's that waits, and was called while pending requests are
 * handed out: for the requests that are `awaited`. Those leave the queue before all others, and in
 * place of one that stands still meanwhile because nobody takes what it has brought. No other
 * request begins, or their responses would pile up; what they bring stays until the handing out
 * goes on.
 */
void tc_client_poll_awaited(struct tc_client *client, double seconds);

/* How many requests have not ended, or have and were not taken. */
unsigned tc_client_count(const struct tc_client *client);

/*
 * For a host's own loop, in place of tc_client_poll: `socket` is ready for `events` (TC_READ |
 * TC_WRITE; 0: it is in error), or, when it is below 0, the time is up that tc_client_timer told.
 */
void tc_client_action(struct tc_client *client, intptr_t socket, int events);

/* Seconds until tc_client_action should be called without a socket; below 0: never. */
double tc_client_timer(const struct tc_client *client);

/* Is there a request that has something to deliver, and is `awaited` if only those are wanted? */
bool tc_client_has_pending(const struct tc_client *client, bool awaited_only);

/* The next such request: it has whole pictures, or has ended. NULL when there is none. The caller
 * gets a reference, and the budget pays for the pictures. */
struct tc_request *tc_client_take_pending(struct tc_client *client, bool awaited_only);

/* Bytes of the pictures that tc_client_take_pending would hand out as they are; 0 for those that
 * are streamed, or when there is no such request. */
size_t tc_client_next_size(const struct tc_client *client, bool awaited_only);

/* The end of a request that was taken could not be delivered: it is pending again. */
void tc_client_put_back(struct tc_request *request);

/* Ends a request from outside; false when it had ended already. It is pending like any other that
 * has ended. */
bool tc_client_cancel(struct tc_request *request);

/* The same for a reason: what it brought could not be put away, say. One that has ended fails too.
 */
void tc_client_fail(struct tc_request *request, enum tc_kind kind, const char *message);

#endif
