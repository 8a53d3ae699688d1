/*
 * The sockets and the timer of one multi handle: see loop.h.
 */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "loop.h"

#include "../base/alloc.h"
#include "../base/clock.h"

#include <curl/curl.h>
#include <limits.h>

#ifdef _WIN32
#include <winsock2.h>
#define poll WSAPoll
#else
#include <poll.h>
#endif

/* ---- notes ---- */

static struct tc_watch *find(struct tc_loop *loop, intptr_t socket)
{
    for (unsigned i = 0; i < loop->count; i++)
        if (loop->watches[i].socket == socket)
            return &loop->watches[i];
    return NULL;
}

bool tc_loop_reserve(struct tc_loop *loop, unsigned more)
{
    if (loop->capacity - loop->count >= more)
        return true;
    unsigned capacity = loop->count + more + loop->capacity / 2;
    struct tc_watch *watches = tc_realloc(loop->watches, capacity * sizeof(*watches));
    if (!watches)
        return false;
    loop->watches = watches;
    struct pollfd *polled = tc_realloc(loop->polled, capacity * sizeof(*polled));
    if (!polled)
        return false;
    loop->polled = polled;
    loop->capacity = capacity;
    return true;
}

/* Forgets a socket for which libcurl does not wait, and which no host has. */
static void forget_if_idle(struct tc_loop *loop, struct tc_watch *watch)
{
    if (!watch->wanted && !watch->reported)
        *watch = loop->watches[--loop->count];
}

static void note(struct tc_loop *loop, intptr_t socket, unsigned char wanted)
{
    struct tc_watch *watch = find(loop, socket);
    if (!watch && !wanted)
        return;
    if (!watch) {
        if (!tc_loop_reserve(loop, 1)) {
            loop->no_memory = true;
            return;
        }
        watch = &loop->watches[loop->count++];
        *watch = (struct tc_watch){socket, 0, 0, false};
    }
    if (!wanted && watch->reported)
        watch->replaced = true; /* in case another socket gets the number */
    watch->wanted = wanted;
    forget_if_idle(loop, watch);
}

/* ---- libcurl's callbacks: they only take notes ---- */

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *user, void *of_socket)
{
    (void)easy, (void)of_socket;
    unsigned char wanted = what == CURL_POLL_IN      ? TC_READ
                           : what == CURL_POLL_OUT   ? TC_WRITE
                           : what == CURL_POLL_INOUT ? TC_READ | TC_WRITE
                                                     : 0;
    note(user, (intptr_t)socket, wanted);
    return 0; /* anything else would end all transfers */
}

static int on_timer(CURLM *multi, long milliseconds, void *user)
{
    struct tc_loop *loop = user;
    (void)multi;
    loop->timer = milliseconds < 0 ? -1 : tc_clock_now() + (double)milliseconds * 1e-3;
    return 0;
}

void tc_loop_attach(struct tc_loop *loop, void *multi)
{
    loop->timer = -1;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, loop);
}

/* ---- serving ---- */

static bool serve(struct tc_loop *loop, CURLM *multi, curl_socket_t socket, int events)
{
    int running;
    CURLMcode code = curl_multi_socket_action(multi, socket, events, &running);
    if (code == CURLM_OUT_OF_MEMORY)
        loop->no_memory = true;
    return code == CURLM_OK && !loop->no_memory;
}

static bool timer_is_due(const struct tc_loop *loop)
{
    return loop->timer >= 0 && loop->timer <= tc_clock_now();
}

static bool serve_timer(struct tc_loop *loop, CURLM *multi)
{
    if (!timer_is_due(loop))
        return true;
    loop->timer = -1; /* libcurl sets another if it wants one */
    return serve(loop, multi, CURL_SOCKET_TIMEOUT, 0);
}

bool tc_loop_action(struct tc_loop *loop, void *multi, intptr_t socket, int events)
{
    if (socket < 0)
        return serve_timer(loop, multi);
    if (!find(loop, socket)) /* it is closed, and the host's loop was slow to notice */
        return true;
    int ready =
        (events & TC_READ ? CURL_CSELECT_IN : 0) | (events & TC_WRITE ? CURL_CSELECT_OUT : 0);
    return serve(loop, multi, (curl_socket_t)socket, ready ? ready : CURL_CSELECT_ERR);
}

/* Fills `polled`, beginning with another socket each time: the budget may not be enough for all. */
static unsigned list_polled(struct tc_loop *loop)
{
    loop->first = loop->count ? (loop->first + 1) % loop->count : 0;
    for (unsigned i = 0; i < loop->count; i++) {
        const struct tc_watch *watch = &loop->watches[(loop->first + i) % loop->count];
        loop->polled[i].fd = (curl_socket_t)watch->socket;
        loop->polled[i].events = (short)((watch->wanted & TC_READ ? POLLIN : 0) |
                                         (watch->wanted & TC_WRITE ? POLLOUT : 0));
        loop->polled[i].revents = 0;
    }
    return loop->count;
}

static int milliseconds_of(double seconds)
{
    if (seconds <= 0)
        return 0;
    return seconds < 3600 ? (int)(seconds * 1000) + 1 : 3600 * 1000; /* the caller waits again */
}

static bool serve_polled(struct tc_loop *loop, CURLM *multi, const struct pollfd *polled)
{
    int events = (polled->revents & POLLIN ? CURL_CSELECT_IN : 0) |
                 (polled->revents & POLLOUT ? CURL_CSELECT_OUT : 0) |
                 (polled->revents & ~(POLLIN | POLLOUT) ? CURL_CSELECT_ERR : 0);
    if (!events || !find(loop, (intptr_t)polled->fd)) /* closed while another one was served */
        return true;
    return serve(loop, multi, polled->fd, events);
}

bool tc_loop_wait(struct tc_loop *loop, double seconds)
{
    if (loop->timer >= 0 && seconds > 0) {
        double left = loop->timer - tc_clock_now();
        seconds = left < seconds ? left : seconds;
    }
    unsigned count = list_polled(loop);
    bool asks = count || seconds > 0;
    loop->polled_count =
        asks && poll(loop->polled, count, milliseconds_of(seconds)) > 0 ? count : 0;
    return loop->polled_count || timer_is_due(loop);
}

bool tc_loop_serve(struct tc_loop *loop, void *multi, const size_t *budget)
{
    bool ok = serve_timer(loop, multi);
    for (unsigned i = 0; ok && *budget && i < loop->polled_count; i++)
        ok = serve_polled(loop, multi, &loop->polled[i]);
    return ok;
}

/* ---- a host's loop ---- */

void tc_loop_lend(struct tc_loop *loop, bool lent)
{
    loop->lent = lent;
    for (unsigned i = loop->count; lent && i-- > 0;) {
        loop->watches[i].reported = 0;
        loop->watches[i].replaced = false;
        forget_if_idle(loop, &loop->watches[i]);
    }
}

bool tc_loop_next_change(struct tc_loop *loop, intptr_t *socket, int *events)
{
    for (unsigned i = 0; i < loop->count; i++) {
        struct tc_watch *watch = &loop->watches[i];
        unsigned char wanted = loop->lent ? watch->wanted : 0;
        if (watch->reported == wanted && !watch->replaced)
            continue;
        *socket = watch->socket;
        *events = watch->replaced ? 0 : wanted; /* the old one goes first */
        watch->reported = (unsigned char)*events;
        watch->replaced = false;
        forget_if_idle(loop, watch);
        return true;
    }
    return false;
}

void tc_loop_report_again(struct tc_loop *loop, intptr_t socket)
{
    struct tc_watch *watch = find(loop, socket);
    if (watch)
        watch->reported = 0;
}

void tc_loop_free(struct tc_loop *loop)
{
    tc_free(loop->watches);
    tc_free(loop->polled);
    *loop = (struct tc_loop){.timer = -1};
}
