/*
 * The queue, the multi handle and polling: see client.h.
 *
 * A request that has not ended is in one of the client's lists: queued, sending (which has those
 * that receive, too) or retrying. A request that is pending is in its session's list besides.
 */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "client.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/sigpipe.h"
#include "attempt.h"
#include "judge.h"
#include "process.h"
#include "receive.h"

#include <curl/curl.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* ---- lists ---- */

static struct tc_request_list *list_of(struct tc_client *client, const struct tc_request *request)
{
    switch (request->state) {
    case TC_QUEUED:
        return &client->queued;
    case TC_RETRYING:
        return &client->retrying;
    default:
        return &client->sending;
    }
}

static void link_request(struct tc_client *client, struct tc_request *request)
{
    struct tc_request_list *list = list_of(client, request);
    request->next = NULL;
    request->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = request;
    list->last = request;
}

static void unlink_request(struct tc_client *client, struct tc_request *request)
{
    struct tc_request_list *list = list_of(client, request);
    *(request->previous ? &request->previous->next : &list->first) = request->next;
    *(request->next ? &request->next->previous : &list->last) = request->previous;
    request->next = request->previous = NULL;
}

/* ---- pending requests ---- */

void tc_client_renew_budget(struct tc_client *client)
{
    client->session->budget = (struct tc_budget){TC_BUDGET_BYTES, TC_BUDGET_STARTS};
}

void tc_client_put_back(struct tc_request *request)
{
    if (!request->pending.listed)
        request->references++;
    tc_request_notify(request);
}

/* The request whose link this is; NULL for NULL. */
static struct tc_request *request_of(struct tc_pending *pending)
{
    const size_t offset = offsetof(struct tc_request, pending);
    return pending ? (void *)((char *)pending - offset) : NULL;
}

/* The first pending request; with `awaited_only`, the first of the awaited ones. */
static struct tc_request *find_pending(const struct tc_client *client, bool awaited_only)
{
    struct tc_request *request = request_of(client->session->first_pending);
    while (request && awaited_only && !request->awaited)
        request = request_of(request->pending.next);
    return request;
}

bool tc_client_has_pending(const struct tc_client *client, bool awaited_only)
{
    return find_pending(client, awaited_only) != NULL;
}

size_t tc_client_next_size(const struct tc_client *client, bool awaited_only)
{
    const struct tc_request *request = find_pending(client, awaited_only);
    return request && !request->options.streaming ? tc_receive_deliverable_bytes(request) : 0;
}

struct tc_request *tc_client_take_pending(struct tc_client *client, bool awaited_only)
{
    struct tc_request *request = find_pending(client, awaited_only);
    if (!request)
        return NULL;
    tc_session_remove_pending(client->session, &request->pending);
    if (request->state != TC_DONE) /* else the caller gets the client's reference */
        request->references++;
    tc_session_spend(client->session, tc_receive_deliverable_bytes(request));
    return request;
}

/* ---- attempts ---- */

/* Takes the attempt's handle out of the multi handle and frees it, if there is one. */
static void stop_attempt(struct tc_client *client, struct tc_request *request)
{
    struct tc_sigpipe guard;
    if (!request->attempt.easy)
        return;
    tc_sigpipe_block(&guard);
    curl_multi_remove_handle(client->multi, request->attempt.easy);
    tc_attempt_drop(request);
    tc_sigpipe_restore(&guard);
    client->running--;
}

/* Ends a request that has not ended; its `failure` is set. */
static void end_request(struct tc_client *client, struct tc_request *request)
{
    stop_attempt(client, request);
    unlink_request(client, request);
    request->state = TC_DONE;
    tc_request_forget_headers(request);
    request->timing.ended = tc_clock_now();
    if (request->options.retry_safe && request->exchange)
        request->failure->maybe_billed = false;
    client->active--;
    tc_request_notify(request);
}

/* Failures of requests that no attempt was made for. They are shared, so nobody writes to them. */
static const struct tc_failure cancelled = {.kind = TC_CANCELLED,
                                            .retry_after = -1,
                                            .message = "the request was cancelled"},
                               out_of_memory = {.kind = TC_NO_MEMORY,
                                                .retry_after = -1,
                                                .message = "not enough memory"};

/* Ends a request that no attempt was made for, without allocating: a hundred thousand of them may
 * be cancelled at once, and memory may be short. */
static void fail_untried(struct tc_request *request, enum tc_kind kind)
{
    const struct tc_failure *failure = kind == TC_CANCELLED ? &cancelled : &out_of_memory;
    request->failure = (struct tc_failure *)(uintptr_t)failure;
    if (request->state != TC_DONE)
        end_request(request->session->client, request);
}

void tc_client_fail(struct tc_request *request, enum tc_kind kind, const char *message)
{
    tc_receive_check_sent(request);
    bool waits = request->state == TC_RETRYING; /* `failure` is still that of the last attempt */
    bool billed = waits ? request->failure->maybe_billed : request->timing.sent > 0;
    bool untried = !request->exchange && kind == TC_CANCELLED;
    if (untried || !tc_request_make_exchange(request)) {
        fail_untried(request, kind);
        return;
    }
    tc_failure_set(request->failure, kind, "%s", message);
    request->failure->status = request->status;
    request->failure->maybe_billed =
        (billed || request->retries.maybe_billed) && !request->options.retry_safe;
    request->failure->attempts = request->attempts;
    if (request->state != TC_DONE)
        end_request(request->session->client, request);
}

bool tc_client_cancel(struct tc_request *request)
{
    if (request->state == TC_DONE)
        return false;
    tc_client_fail(request, TC_CANCELLED, "the request was cancelled");
    return true;
}

/* An attempt was judged: ends the request, or plans another attempt. */
static void attempt_ended(struct tc_client *client, struct tc_request *request)
{
    double wait = request->failure->kind ? tc_judge_retry_wait(request) : -1;
    if (wait < 0) {
        end_request(client, request);
        return;
    }
    stop_attempt(client, request);
    unlink_request(client, request);
    request->state = TC_RETRYING;
    request->retries.wake = tc_clock_now() + wait;
    link_request(client, request);
}

/* Sockets that one attempt may open at once: one for IPv4, one for IPv6, two of the resolver's. */
enum { SOCKETS = 4 };

/* libcurl may close old connections here, which may raise SIGPIPE. */
static bool add_handle(struct tc_client *client, CURL *easy)
{
    struct tc_sigpipe guard;
    tc_sigpipe_block(&guard);
    bool added = curl_multi_add_handle(client->multi, easy) == CURLM_OK;
    tc_sigpipe_restore(&guard);
    return added;
}

static void start_attempt(struct tc_client *client, struct tc_request *request)
{
    unlink_request(client, request);
    request->state = TC_SENDING;
    link_request(client, request);
    bool added = tc_loop_reserve(&client->loop, SOCKETS) && tc_attempt_begin(request) &&
                 add_handle(client, request->attempt.easy);
    if (added) {
        client->running++;
        return;
    }
    tc_attempt_drop(request);
    tc_client_fail(request, TC_NO_MEMORY, "not enough memory");
}

/* ---- pace ---- */

enum { WINDOW = 60 }; /* seconds in which requests_per_minute are counted */

/* When requests_per_minute allows the next attempt. */
static double next_start(const struct tc_client *client)
{
    const struct tc_pace *pace = &client->pace;
    double oldest = pace->starts ? pace->starts[pace->oldest] : 0;
    return oldest > 0 ? oldest + WINDOW : 0;
}

/* May the next attempt of this request begin? Not while the result of the one before is being
 * taken, and not while only awaited requests are served. */
static bool is_wanted(const struct tc_client *client, const struct tc_request *request)
{
    return !request->held && (request->awaited || !client->awaited_only);
}

/* The first of the queue that may begin, or NULL. */
static struct tc_request *next_queued(const struct tc_client *client)
{
    struct tc_request *request = client->queued.first;
    while (request && !is_wanted(client, request))
        request = request->next;
    return request;
}

/* How many requests are paused until somebody takes what they have brought? */
static unsigned count_stalled(const struct tc_client *client)
{
    unsigned stalled = 0;
    for (const struct tc_request *request = client->sending.first; request; request = request->next)
        stalled += tc_receive_is_stalled(request);
    return stalled;
}

/* May another request run? One whose result is inside a user callback does not count, because the
 * callback may wait for another request. */
static bool has_slot(const struct tc_client *client)
{
    unsigned stalled =
        client->session->delivering + (client->awaited_only ? count_stalled(client) : 0);
    return client->running < client->session->settings.max_concurrency + stalled;
}

static bool may_start(const struct tc_client *client, double now)
{
    return client->session->budget.starts && has_slot(client) && next_start(client) <= now;
}

static void count_start(struct tc_client *client, double now)
{
    struct tc_pace *pace = &client->pace;
    client->session->budget.starts--;
    if (!pace->starts)
        return;
    pace->starts[pace->oldest] = now;
    pace->oldest = (pace->oldest + 1) % client->session->settings.requests_per_minute;
}

/* Begins as many attempts as may run at once: first of requests whose wait is over, then of the
 * queue. */
static void start_due(struct tc_client *client)
{
    if (!client->retrying.first && !client->queued.first)
        return;
    double now = tc_clock_now();
    struct tc_request *next;
    for (struct tc_request *request = client->retrying.first; request; request = next) {
        next = request->next;
        if (request->retries.wake <= now && is_wanted(client, request) && may_start(client, now)) {
            count_start(client, now);
            start_attempt(client, request);
        }
    }
    while ((next = next_queued(client)) && may_start(client, now)) {
        count_start(client, now);
        start_attempt(client, next);
    }
}

/* ---- ends ---- */

static void stop_overdue(struct tc_client *client)
{
    double now = client->sending.first ? tc_clock_now() : 0;
    struct tc_request *next;
    for (struct tc_request *request = client->sending.first; request; request = next) {
        next = request->next;
        if (now < tc_judge_deadline(request))
            continue;
        tc_judge_overdue(request);
        attempt_ended(client, request);
    }
}

/* Notes the socket of the connection that an attempt leaves behind. */
static void note_connection(struct tc_client *client, CURL *easy)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    long local_port = 0;
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
    curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &local_port);
    if (socket != CURL_SOCKET_BAD)
        tc_session_keep_connection(client->session, (intptr_t)socket, local_port);
}

static void collect_ended(struct tc_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct tc_request *request;
        int code = (int)message->data.result; /* the message is gone once the handle is removed */
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        if (code == CURLE_OK)
            note_connection(client, message->easy_handle);
        else
            client->session->connections.broke_off = tc_clock_now();
        tc_judge_end(request, code);
        attempt_ended(client, request);
    }
}

/* ---- polling ---- */

static void resume(struct tc_client *client, struct tc_request *request)
{
    struct tc_sigpipe guard;
    tc_sigpipe_block(&guard);
    int code = tc_receive_resume(request);
    tc_sigpipe_restore(&guard);
    if (code == CURLE_OK)
        return;
    tc_judge_end(request, code);
    attempt_ended(client, request);
}

/*
 * Resumes transfers that were paused until what they brought was taken, or until there was a new
 * budget. Each reads a whole buffer before it can be paused again, so only as many are resumed as
 * the budget has buffers for. They move to the end of the list: the others come first next time.
 */
static void resume_paused(struct tc_client *client)
{
    struct tc_request *request = client->sending.first, *last = client->sending.last, *next;
    size_t left = client->session->budget.bytes;
    for (; request && left && client->session->budget.bytes; request = next) {
        next = request == last ? NULL : request->next;
        if (!tc_receive_can_resume(request))
            continue;
        left -= left < TC_RECEIVE_BUFFER ? left : TC_RECEIVE_BUFFER;
        unlink_request(client, request);
        link_request(client, request);
        resume(client, request);
    }
}

static void cancel_all(struct tc_request_list *list)
{
    while (list->first)
        tc_client_cancel(list->first);
}

/* Frees the multi handle, which closes all connections. */
static void clean_up(struct tc_client *client)
{
    struct tc_sigpipe guard;
    tc_sigpipe_block(&guard);
    curl_multi_cleanup(client->multi);
    tc_sigpipe_restore(&guard);
    client->multi = NULL;
    client->session->closed = true;
}

/* Makes the multi handle. False when memory is short. */
static bool open_multi(struct tc_client *client)
{
    client->multi = curl_multi_init();
    client->session->closed = !client->multi;
    if (client->multi)
        tc_loop_attach(&client->loop, client->multi);
    return client->multi != NULL;
}

/* The multi handle is in an unknown state: fails its transfers and makes a new one. */
static void start_anew(struct tc_client *client)
{
    while (client->sending.first) {
        struct tc_request *request = client->sending.first;
        if (client->loop.no_memory)
            tc_client_fail(request, TC_NO_MEMORY, "not enough memory");
        else
            tc_client_fail(request, TC_CONNECTION, "libcurl lost track of its connections");
    }
    clean_up(client); /* the loop's callbacks note that the sockets are gone */
    client->loop.no_memory = false;
    if (open_multi(client))
        return;
    cancel_all(&client->queued); /* without a multi handle the client is closed */
    cancel_all(&client->retrying);
}

/* What is due without any socket being ready. */
static void begin_serving(struct tc_client *client)
{
    start_due(client);
    resume_paused(client);
}

static void end_serving(struct tc_client *client, bool ok)
{
    collect_ended(client);
    stop_overdue(client);
    start_due(client);
    if (!ok)
        start_anew(client);
}

/* The moment at which an attempt is to begin or to be given up, or `until` if that is sooner. */
static double next_moment(const struct tc_client *client, double until)
{
    bool slot = has_slot(client);
    double start = next_start(client);
    if (slot && next_queued(client) && start < until)
        until = start;
    for (struct tc_request *request = client->retrying.first; request; request = request->next) {
        double wake = request->retries.wake > start ? request->retries.wake : start;
        if (slot && is_wanted(client, request) && wake < until)
            until = wake;
    }
    for (struct tc_request *request = client->sending.first; request; request = request->next)
        if (tc_judge_deadline(request) < until)
            until = tc_judge_deadline(request);
    return until;
}

/* Would a poll do something at once, without any socket being ready? A transfer whose pictures are
 * being taken is not resumed before that is over. */
static bool has_work(const struct tc_client *client)
{
    if (client->session->first_pending)
        return true;
    for (struct tc_request *request = client->sending.first; request; request = request->next)
        if (request->attempt.paused && !request->held)
            return true;
    return false;
}

/* Waits at most `seconds` and serves the sockets that are ready. False as tc_loop_serve. */
static bool serve(struct tc_client *client, double seconds)
{
    struct tc_sigpipe guard;
    if (!client->session->budget.bytes || !tc_loop_wait(&client->loop, seconds))
        return true;
    tc_sigpipe_block(&guard);
    bool ok = tc_loop_serve(&client->loop, client->multi, &client->session->budget.bytes);
    tc_sigpipe_restore(&guard);
    return ok;
}

static void poll_once(struct tc_client *client)
{
    begin_serving(client);
    end_serving(client, serve(client, 0));
}

static void poll_until(struct tc_client *client, double now, double until)
{
    do {
        client->session->budget = (struct tc_budget){SIZE_MAX, UINT_MAX};
        begin_serving(client);
        bool ready = tc_client_has_pending(client, client->awaited_only);
        double wait = ready ? 0 : next_moment(client, until) - now;
        end_serving(client, serve(client, wait));
        now = tc_clock_now();
    } while (now < until && client->active && !client->session->closed &&
             !tc_client_has_pending(client, client->awaited_only));
}

void tc_client_poll(struct tc_client *client, double seconds)
{
    if (!client->active || client->session->closed)
        return;
    if (seconds > 0) {
        double now = tc_clock_now();
        poll_until(client, now, now + seconds);
    } else {
        poll_once(client);
    }
}

void tc_client_poll_awaited(struct tc_client *client, double seconds)
{
    client->awaited_only = true;
    tc_client_poll(client, seconds);
    client->awaited_only = false;
}

void tc_client_action(struct tc_client *client, intptr_t socket, int events)
{
    struct tc_sigpipe guard;
    if (!client->active || client->session->closed)
        return;
    begin_serving(client);
    tc_sigpipe_block(&guard);
    bool ok = tc_loop_action(&client->loop, client->multi, socket, events);
    tc_sigpipe_restore(&guard);
    end_serving(client, ok);
}

unsigned tc_client_count(const struct tc_client *client)
{
    unsigned count = client->active;
    const struct tc_request *request = request_of(client->session->first_pending);
    for (; request; request = request_of(request->pending.next))
        count += request->state == TC_DONE;
    return count;
}

double tc_client_timer(const struct tc_client *client)
{
    double never = HUGE_VAL;
    if (has_work(client))
        return 0;
    if (client->session->closed)
        return -1;
    double moment = next_moment(client, never);
    if (client->loop.timer >= 0 && client->loop.timer < moment)
        moment = client->loop.timer;
    double left = moment - tc_clock_now();
    return moment == never ? -1 : left > 0 ? left : 0;
}

struct tc_request *tc_client_submit(struct tc_client *client,
                                    const struct tc_request_options *options)
{
    struct tc_request *request = tc_request_new(client->session, options);
    if (!request)
        return NULL;
    request->references = 2; /* the client's and the caller's */
    request->id = ++client->last_id;
    request->state = TC_QUEUED;
    request->timing.submitted = tc_clock_now();
    client->active++;
    link_request(client, request);
    return request;
}

/* ---- life ---- */

/* Allocates the ring of starts. False when memory is short. */
static bool make_pace(struct tc_client *client)
{
    unsigned count = client->session->settings.requests_per_minute;
    if (count)
        client->pace.starts = tc_calloc(count * sizeof(*client->pace.starts));
    return client->pace.starts || !count;
}

struct tc_client *tc_client_new(const struct tc_settings *settings)
{
    tc_process_set_up();
    struct tc_client *client = tc_calloc(sizeof(*client));
    if (!client)
        return NULL;
    client->session = tc_session_new(settings);
    if (client->session) {
        client->session->client = client;
        client->session->closed = true; /* until there is a multi handle */
        if (make_pace(client) && open_multi(client))
            return client;
    }
    tc_client_free(client);
    return NULL;
}

void tc_client_close(struct tc_client *client)
{
    tc_session_forget_key(client->session);
    if (client->session->closed)
        return;
    cancel_all(&client->queued);
    cancel_all(&client->sending);
    cancel_all(&client->retrying);
    clean_up(client);
    client->loop.timer = -1;
}

/* Ends all requests, with nobody to be notified. */
static void abandon(struct tc_client *client)
{
    struct tc_request *request;
    tc_client_close(client);
    while ((request = tc_client_take_pending(client, false)))
        tc_request_release(request);
    client->session->client = NULL;
    tc_session_release(client->session);
}

void tc_client_free(struct tc_client *client)
{
    if (!client)
        return;
    if (client->session)
        abandon(client);
    tc_loop_free(&client->loop);
    tc_free(client->pace.starts);
    tc_free(client);
}
