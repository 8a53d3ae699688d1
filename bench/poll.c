/*
 * poll BASE COUNT: how long the engine keeps a host's thread in one poll while an answer arrives.
 *
 * COUNT requests, one after the other, each driven the way a game's loop does it: tc_client_poll
 * without waiting, then a sleep (BENCH_FRAME milliseconds, 1 when not given). Prints the longest
 * poll of each request in microseconds of this thread's CPU. A first request, which connects and
 * reads the certificates, is not printed. Whole pictures are taken between the polls, as the
 * binding does it, and that is not counted.
 *
 * BENCH_CA is the bundle of certificates, BENCH_HTTP2=1 asks for HTTP/2.
 */
#define _POSIX_C_SOURCE 200809L

#include "engine/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct tc_rule rules[] = {{TC_CAPTURE_BASE64, {"data", "[]", "b64_json"}}};
static const char json[] = "{\"prompt\":\"x\",\"n\":4,\"model\":\"bench\"}";
static const char *const no_headers[] = {NULL};

static double thread_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void sleep_for(long milliseconds)
{
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void take_images(struct tc_client *client)
{
    struct tc_request *request;
    while ((request = tc_client_take_pending(client, false))) {
        struct tc_envelope *envelope = request->envelope;
        for (unsigned i = 0; i < envelope->images.count; i++) {
            if (envelope->images.list[i] && envelope->images.list[i]->ended)
                tc_images_drop(&envelope->images, i);
        }
        tc_request_release(request);
    }
}

/* Sends one request and returns its longest poll. */
static double longest_poll(struct tc_client *client, long frame)
{
    struct tc_piece piece = {json, sizeof(json) - 1, false};
    struct tc_body *body = tc_body_new(&piece, 1);
    struct tc_request_options options = {
        .method = "POST",
        .path = "/images/generations",
        .body = body,
        .api_key = "sk-bench",
        .headers = no_headers,
        .rules = rules,
        .rule_count = 1,
        .timeout = 60,
        .connect_timeout = 5,
    };
    double longest = 0;
    struct tc_request *request = body ? tc_client_submit(client, &options) : NULL;
    tc_body_release(body);
    while (request && request->state != TC_DONE) {
        double start = thread_microseconds();
        tc_client_renew_budget(client);
        tc_client_poll(client, 0);
        double took = thread_microseconds() - start;
        longest = took > longest ? took : longest;
        take_images(client);
        sleep_for(frame);
    }
    if (!request || request->failure->kind != TC_NONE || request->envelope->images.count == 0) {
        fprintf(stderr, "poll: the request failed\n");
        exit(1);
    }
    tc_request_release(request);
    return longest;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: poll BASE COUNT\n");
        return 2;
    }
    const char *frame = getenv("BENCH_FRAME"), *http2 = getenv("BENCH_HTTP2");
    long milliseconds = frame ? atol(frame) : 1;
    struct tc_settings options = {
        .base_url = argv[1],
        .ca_file = getenv("BENCH_CA"),
        .user_agent = "bench",
        .headers = no_headers,
        .max_concurrency = 1,
        .max_response_bytes = 256 << 20,
        .http2 = http2 && !strcmp(http2, "1"),
    };
    struct tc_client *client = tc_client_new(&options);
    if (!client)
        return 1;
    longest_poll(client, milliseconds);
    for (int i = 0; i < atoi(argv[2]); i++)
        printf("%.0f\n", longest_poll(client, milliseconds));
    tc_client_free(client);
    return 0;
}
