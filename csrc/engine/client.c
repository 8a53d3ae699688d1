/*
 * The engine: see client.h.
 *
 * Every request is in exactly one place: the list of its state (queued, sending, retrying) while it
 * is under way, and beside that at most once in the list of those that have news.
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
#include "trust.h"
#include "url.h"

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
        return &client->sending; /* those that receive are there too */
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

/* ---- turns and news ---- */

void tc_client_begin_turn(struct tc_client *client)
{
    client->turn_left = TC_TURN;
    client->starts_left = TC_TURN_STARTS;
}

void tc_client_use_turn(struct tc_client *client, size_t bytes)
{
    client->turn_left -= bytes < client->turn_left ? bytes : client->turn_left;
}

void tc_client_tell(struct tc_client *client, struct tc_request *request)
{
    if (request->is_ready)
        return;
    if (client->abandoned) { /* the client's reference would be nobody's */
        if (request->state == TC_DONE)
            tc_request_release(request);
        return;
    }
    request->is_ready = true;
    request->next_ready = NULL;
    *(client->last_ready ? &client->last_ready->next_ready : &client->first_ready) = request;
    client->last_ready = request;
}

void tc_client_tell_again(struct tc_client *client, struct tc_request *request)
{
    if (!request->is_ready)
        request->references++;
    tc_client_tell(client, request);
}

/* The first request that has news, and is awaited if only those are wanted; `*before` is the one
 * before it in the list. */
static struct tc_request *find_ready(const struct tc_client *client, bool awaited_only,
                                     struct tc_request **before)
{
    struct tc_request *request = client->first_ready;
    *before = NULL;
    while (request && awaited_only && !request->awaited) {
        *before = request;
        request = request->next_ready;
    }
    return request;
}

bool tc_client_has_ready(const struct tc_client *client, bool awaited_only)
{
    struct tc_request *before;
    return find_ready(client, awaited_only, &before) != NULL;
}

size_t tc_client_next_size(const struct tc_client *client, bool awaited_only)
{
    struct tc_request *before;
    const struct tc_request *request = find_ready(client, awaited_only, &before);
    return request && !request->streaming ? tc_request_held(request) : 0;
}

struct tc_request *tc_client_take_ready(struct tc_client *client, bool awaited_only)
{
    struct tc_request *before, *request = find_ready(client, awaited_only, &before);
    if (!request)
        return NULL;
    *(before ? &before->next_ready : &client->first_ready) = request->next_ready;
    if (client->last_ready == request)
        client->last_ready = before;
    request->is_ready = false;
    if (request->state != TC_DONE) /* else the client's reference goes to the caller */
        request->references++;
    tc_client_use_turn(client, tc_request_held(request));
    return request;
}

/* ---- attempts ---- */

/* Takes the attempt's handle out of libcurl's hands, if there is one. */
static void stop_attempt(struct tc_client *client, struct tc_request *request)
{
    struct tc_sigpipe guard;
    if (!request->easy)
        return;
    tc_sigpipe_block(&guard);
    curl_multi_remove_handle(client->multi, request->easy);
    tc_attempt_drop(request);
    tc_sigpipe_restore(&guard);
    client->running--;
}

void tc_client_end(struct tc_client *client, struct tc_request *request)
{
    stop_attempt(client, request);
    unlink_request(client, request);
    request->state = TC_DONE;
    tc_request_forget_headers(request);
    request->timing.ended = tc_clock_now();
    if (request->unbilled && request->exchange)
        request->failure->maybe_billed = false;
    client->active--;
    tc_client_tell(client, request);
}

/* The attempt's failure, or its success, is known: ends the request or plans another attempt. */
static void attempt_ended(struct tc_client *client, struct tc_request *request)
{
    double wait = request->failure->kind ? tc_judge_retry_wait(request) : -1;
    if (wait < 0) {
        tc_client_end(client, request);
        return;
    }
    stop_attempt(client, request);
    unlink_request(client, request);
    request->state = TC_RETRYING;
    request->wake = tc_clock_now() + wait;
    link_request(client, request);
}

/* Sockets that one attempt may need at once: two families of addresses, the resolver's two. */
enum { SOCKETS = 4 };

/* May close connections that were kept for long. */
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
                 add_handle(client, request->easy);
    if (added) {
        client->running++;
        return;
    }
    tc_attempt_drop(request);
    tc_request_fail(request, TC_NO_MEMORY, "not enough memory");
}

/* ---- pace ---- */

enum { WINDOW = 60 }; /* seconds in which requests_per_minute are counted */

/* When the next attempt may start, as far as the window is concerned. */
static double next_start(const struct tc_client *client)
{
    double oldest = client->starts ? client->starts[client->next_start] : 0;
    return oldest > 0 ? oldest + WINDOW : 0;
}

/* May it begin, and is what it brings taken? What the attempt before has brought may be in other
 * hands still. */
static bool is_wanted(const struct tc_client *client, const struct tc_request *request)
{
    return !request->is_held && (request->awaited || !client->awaited_only);
}

/* The first of the queue that may begin, or NULL. */
static struct tc_request *next_queued(const struct tc_client *client)
{
    struct tc_request *request = client->queued.first;
    while (request && !is_wanted(client, request))
        request = request->next;
    return request;
}

/* How many requests stand still until somebody takes what they have brought? */
static unsigned count_stalled(const struct tc_client *client)
{
    unsigned stalled = 0;
    for (const struct tc_request *request = client->sending.first; request; request = request->next)
        stalled += tc_request_is_stalled(request);
    return stalled;
}

/* One that waits for a function of the user's makes room for another: the function may wait for
 * that. */
static bool has_room(const struct tc_client *client)
{
    unsigned stalled = client->giving + (client->awaited_only ? count_stalled(client) : 0);
    return client->running < client->max_concurrency + stalled;
}

static bool may_start(const struct tc_client *client, double now)
{
    return client->starts_left && has_room(client) && next_start(client) <= now;
}

static void count_start(struct tc_client *client, double now)
{
    client->starts_left--;
    if (!client->starts)
        return;
    client->starts[client->next_start] = now;
    client->next_start = (client->next_start + 1) % client->requests_per_minute;
}

/* First those whose wait is over, then the queue, as many as may run at once. */
static void start_due(struct tc_client *client)
{
    if (!client->retrying.first && !client->queued.first)
        return;
    double now = tc_clock_now();
    struct tc_request *next;
    for (struct tc_request *request = client->retrying.first; request; request = next) {
        next = request->next;
        if (request->wake <= now && is_wanted(client, request) && may_start(client, now)) {
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

/* Notes the socket of the connection that an attempt leaves behind: see tc_request's is_stale. */
static void note_kept(struct tc_client *client, CURL *easy)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    long local_port = 0;
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
    curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &local_port);
    if (socket == CURL_SOCKET_BAD)
        return;
    unsigned i = 0;
    while (i < TC_KEPT && client->kept[i].local_port != local_port)
        i++;
    if (i == TC_KEPT)
        i = client->next_kept++ % TC_KEPT;
    client->kept[i] = (struct tc_kept){(intptr_t)socket, local_port};
}

static void collect_ended(struct tc_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct tc_request *request;
        int code = (int)message->data.result; /* the message dies with the handle's removal */
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        if (code == CURLE_OK)
            note_kept(client, message->easy_handle);
        else
            client->broke_off = tc_clock_now();
        tc_judge_end(request, code);
        attempt_ended(client, request);
    }
}

/* ---- polling ---- */

static void resume(struct tc_client *client, struct tc_request *request)
{
    struct tc_sigpipe guard;
    tc_sigpipe_block(&guard);
    int code = tc_request_resume(request);
    tc_sigpipe_restore(&guard);
    if (code == CURLE_OK)
        return;
    tc_judge_end(request, code);
    attempt_ended(client, request);
}

/*
 * Goes on with those that had to wait until their news were taken, or for the next turn; but with
 * no more of them than the turn has bytes for, as each reads a buffer full before it can be stopped
 * again. They go to the end of the list, so that the others come first the next time.
 */
static void resume_paused(struct tc_client *client)
{
    struct tc_request *request = client->sending.first, *last = client->sending.last, *next;
    size_t room = client->turn_left;
    for (; request && room && client->turn_left; request = next) {
        next = request == last ? NULL : request->next;
        if (!tc_request_can_resume(request))
            continue;
        room -= room < TC_RECEIVE_BUFFER ? room : TC_RECEIVE_BUFFER;
        unlink_request(client, request);
        link_request(client, request);
        resume(client, request);
    }
}

static void cancel_all(struct tc_request_list *list)
{
    while (list->first)
        tc_request_cancel(list->first);
}

/* Which closes the connections that were kept. */
static void clean_up(struct tc_client *client)
{
    struct tc_sigpipe guard;
    tc_sigpipe_block(&guard);
    curl_multi_cleanup(client->multi);
    tc_sigpipe_restore(&guard);
    client->multi = NULL;
}

/* The multi handle is lost, and with it what it was doing. */
static void start_anew(struct tc_client *client)
{
    while (client->sending.first) {
        struct tc_request *request = client->sending.first;
        if (client->loop.no_memory)
            tc_request_fail(request, TC_NO_MEMORY, "not enough memory");
        else
            tc_request_fail(request, TC_CONNECTION, "libcurl lost track of its connections");
    }
    clean_up(client); /* which tells the loop that its sockets are gone */
    client->loop.no_memory = false;
    client->multi = curl_multi_init();
    if (client->multi) {
        tc_loop_attach(&client->loop, client->multi);
        return;
    }
    cancel_all(&client->queued); /* without a handle the client is closed */
    cancel_all(&client->retrying);
}

/* What is due whatever the sockets are up to. */
static void begin_serving(struct tc_client *client)
{
    start_due(client);
    resume_paused(client);
}

static void end_serving(struct tc_client *client, bool well)
{
    collect_ended(client);
    stop_overdue(client);
    start_due(client);
    if (!well)
        start_anew(client);
}

/* The moment at which something of ours is due, or `until` if that is sooner. */
static double next_moment(const struct tc_client *client, double until)
{
    bool room = has_room(client);
    double start = next_start(client);
    if (room && next_queued(client) && start < until)
        until = start;
    for (struct tc_request *request = client->retrying.first; request; request = request->next) {
        double wake = request->wake > start ? request->wake : start;
        if (room && is_wanted(client, request) && wake < until)
            until = wake;
    }
    for (struct tc_request *request = client->sending.first; request; request = request->next)
        if (tc_judge_deadline(request) < until)
            until = tc_judge_deadline(request);
    return until;
}

/* Is there something that a turn would do at once, whatever the sockets are up to? A transfer whose
 * pictures are being taken goes on when that is over. */
static bool has_work(const struct tc_client *client)
{
    if (client->first_ready)
        return true;
    for (struct tc_request *request = client->sending.first; request; request = request->next)
        if (request->paused && !request->is_held)
            return true;
    return false;
}

/* Waits at most `seconds` and serves what is ready. False as tc_loop_serve. */
static bool serve(struct tc_client *client, double seconds)
{
    struct tc_sigpipe guard;
    if (!client->turn_left || !tc_loop_wait(&client->loop, seconds))
        return true;
    tc_sigpipe_block(&guard);
    bool well = tc_loop_serve(&client->loop, client->multi, &client->turn_left);
    tc_sigpipe_restore(&guard);
    return well;
}

static void poll_once(struct tc_client *client)
{
    begin_serving(client);
    end_serving(client, serve(client, 0));
}

static void poll_until(struct tc_client *client, double now, double until)
{
    do {
        client->turn_left = SIZE_MAX;
        client->starts_left = UINT_MAX;
        begin_serving(client);
        bool ready = tc_client_has_ready(client, client->awaited_only);
        double wait = ready ? 0 : next_moment(client, until) - now;
        end_serving(client, serve(client, wait));
        now = tc_clock_now();
    } while (now < until && client->active && client->multi &&
             !tc_client_has_ready(client, client->awaited_only));
}

void tc_client_poll(struct tc_client *client, double seconds)
{
    if (!client->active || !client->multi)
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
    if (!client->active || !client->multi)
        return;
    begin_serving(client);
    tc_sigpipe_block(&guard);
    bool well = tc_loop_action(&client->loop, client->multi, socket, events);
    tc_sigpipe_restore(&guard);
    end_serving(client, well);
}

unsigned tc_client_pending(const struct tc_client *client)
{
    unsigned pending = client->active;
    for (const struct tc_request *request = client->first_ready; request;
         request = request->next_ready)
        pending += request->state == TC_DONE;
    return pending;
}

double tc_client_timer(const struct tc_client *client)
{
    double never = HUGE_VAL;
    if (client->first_ready)
        return 0;
    if (!client->multi)
        return -1;
    if (has_work(client))
        return 0;
    double moment = next_moment(client, never);
    if (client->loop.timer >= 0 && client->loop.timer < moment)
        moment = client->loop.timer;
    double left = moment - tc_clock_now();
    return moment == never ? -1 : left > 0 ? left : 0;
}

struct tc_request *tc_client_submit(struct tc_client *client,
                                    const struct tc_request_options *options)
{
    struct tc_request *request = tc_request_new(client, options);
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

static bool copy(char **to, const char *text)
{
    *to = text ? tc_strndup(text, strlen(text)) : NULL;
    return *to || !text;
}

static bool copy_headers(struct tc_client *client, const char *const *headers)
{
    for (; *headers; headers++) {
        struct curl_slist *longer = curl_slist_append(client->headers, *headers);
        if (!longer)
            return false;
        client->headers = longer;
    }
    return true;
}

static void trim_slashes(char *url)
{
    size_t size = strlen(url);
    while (size && url[size - 1] == '/')
        url[--size] = '\0';
}

/* False when memory is short. */
static bool set_base_url(struct tc_client *client)
{
    if (!client->base_url || !tc_url_is_loopback(client->base_url, &client->is_loopback))
        return false;
    trim_slashes(client->base_url);
    return true;
}

/* The moments of the last starts, as many as a minute may have. */
static bool make_window(struct tc_client *client)
{
    if (client->requests_per_minute)
        client->starts = tc_calloc(client->requests_per_minute * sizeof(*client->starts));
    return client->starts || !client->requests_per_minute;
}

struct tc_client *tc_client_new(const struct tc_client_options *options)
{
    tc_process_set_up();
    struct tc_client *client = tc_calloc(sizeof(*client));
    if (!client)
        return NULL;
    client->references = 1;
    client->max_concurrency = options->max_concurrency;
    client->requests_per_minute = options->requests_per_minute;
    client->max_response_bytes = options->max_response_bytes;
    client->http2 = options->http2;
    struct tc_trust trust = {options->ca_file, NULL};
    if (!trust.file)
        trust = tc_trust_default();
    if (copy(&client->base_url, options->base_url) && copy(&client->proxy, options->proxy) &&
        copy(&client->ca_file, trust.file) && copy(&client->ca_directory, trust.directory) &&
        copy(&client->user_agent, options->user_agent) && copy_headers(client, options->headers) &&
        make_window(client) && set_base_url(client) &&
        (client->multi = curl_multi_init()) != NULL) {
        tc_loop_attach(&client->loop, client->multi);
        return client;
    }
    tc_client_free(client);
    return NULL;
}

void tc_client_close(struct tc_client *client)
{
    tc_key_release(client->key);
    client->key = NULL;
    if (!client->multi) /* closed already, or lost for want of memory */
        return;
    cancel_all(&client->queued);
    cancel_all(&client->sending);
    cancel_all(&client->retrying);
    clean_up(client);
    client->loop.timer = -1;
}

void tc_client_free(struct tc_client *client)
{
    struct tc_request *request;
    if (!client)
        return;
    tc_client_close(client);
    while ((request = tc_client_take_ready(client, false)))
        tc_request_release(request);
    client->abandoned = true;
    tc_client_release(client);
}

void tc_client_release(struct tc_client *client)
{
    if (--client->references)
        return;
    tc_buffer_free(&client->spare);
    tc_free(client->rules);
    tc_loop_free(&client->loop);
    tc_free(client->starts);
    curl_slist_free_all(client->headers);
    tc_free(client->base_url);
    tc_free(client->proxy);
    tc_free(client->ca_file);
    tc_free(client->ca_directory);
    tc_free(client->user_agent);
    tc_free(client);
}
