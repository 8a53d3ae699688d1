/*
 * upload MODE BASE COUNT SIZE [OUT]: what sending five reference pictures of SIZE bytes costs.
 * COUNT requests, one after the other over one connection; the last answer goes to the file
 * OUT/body.
 *
 *     gaps     by the engine: the pictures become base64 while they are sent
 *     ready    by libcurl alone, from a body that is in memory as it is sent (CURLOPT_POSTFIELDS)
 *
 * BENCH_CA is the bundle of certificates, BENCH_HTTP2=1 asks for HTTP/2.
 */
#include "client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 5, PIECES = 2 * PICTURES + 1 };

static const char begin[] = "{\"prompt\":\"x\",\"images\":[\"", between[] = "\",\"", end[] = "\"]}";
static const char *const no_headers[] = {NULL};
static const struct tc_rule rules[] = {{TC_CAPTURE_BASE64, {"data", "[]", "b64_json"}}};

static void fail(const char *what)
{
    fprintf(stderr, "upload: %s\n", what);
    exit(1);
}

static void *allocate(size_t size)
{
    void *block = malloc(size);
    if (!block)
        fail("not enough memory");
    return block;
}

/* Pseudo-random, so that no page is like another. */
static unsigned char *make_pictures(size_t size)
{
    unsigned char *bytes = allocate(size);
    uint32_t seed = 2463534242U;
    for (size_t i = 0; i < size; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        bytes[i] = (unsigned char)(seed >> 11);
    }
    return bytes;
}

static struct tc_body *make_body(const unsigned char *pictures, size_t size)
{
    struct tc_piece pieces[PIECES] = {{begin, sizeof(begin) - 1, false}};
    for (size_t i = 0; i < PICTURES; i++) {
        pieces[2 * i + 1] = (struct tc_piece){pictures + i * size, size, true};
        pieces[2 * i + 2] = (struct tc_piece){between, sizeof(between) - 1, false};
    }
    pieces[PIECES - 1] = (struct tc_piece){end, sizeof(end) - 1, false};
    struct tc_body *body = tc_body_new(pieces, PIECES);
    if (!body)
        fail("not enough memory");
    return body;
}

static void write_answer(const char *directory, const char *answer)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/body", directory);
    FILE *file = fopen(path, "wb");
    if (!file || fputs(answer, file) < 0 || fclose(file))
        fail(path);
}

static bool wants_http2(void)
{
    const char *http2 = getenv("BENCH_HTTP2");
    return http2 && !strcmp(http2, "1");
}

/* ---- by the engine ---- */

static struct tc_client *make_client(const char *base)
{
    struct tc_client_options options = {
        .base_url = base,
        .ca_file = getenv("BENCH_CA"),
        .user_agent = "bench",
        .headers = no_headers,
        .max_concurrency = 1,
        .max_response_bytes = 1 << 20,
        .http2 = wants_http2(),
    };
    struct tc_client *client = tc_client_new(&options);
    if (!client)
        fail("not enough memory");
    return client;
}

/* What is not taken away holds the rest of the answer back. */
static void take_images(struct tc_client *client)
{
    struct tc_request *request;
    while ((request = tc_client_take_ready(client))) {
        for (unsigned i = 0; i < request->envelope.image_count; i++)
            if (request->envelope.images[i] && request->envelope.images[i]->whole)
                tc_envelope_drop_image(&request->envelope, i);
        tc_request_release(request);
    }
}

static void send_gaps(struct tc_client *client, struct tc_body *body, const char *out)
{
    struct tc_request_options options = {
        .path = "/images/generations",
        .body = body,
        .api_key = "sk-bench",
        .headers = no_headers,
        .rules = rules,
        .rule_count = 1,
        .timeout = 60,
        .connect_timeout = 5,
    };
    struct tc_request *request = tc_client_submit(client, &options);
    while (request && request->state != TC_DONE) {
        tc_client_poll(client, 1);
        take_images(client);
    }
    if (!request || request->failure.kind != TC_NONE)
        fail(request ? request->failure.message : "not enough memory");
    if (out)
        write_answer(out, request->head);
    tc_request_release(request);
}

static void upload_gaps(const char *base, int count, struct tc_body *body, const char *out)
{
    struct tc_client *client = make_client(base);
    for (int i = 1; i <= count; i++)
        send_gaps(client, body, i == count ? out : NULL);
    tc_client_free(client);
}

/* ---- by libcurl alone ---- */

static size_t note_answer(char *bytes, size_t one, size_t size, void *user)
{
    char *answer = user;
    size_t used = strlen(answer), room = TC_HEAD_SIZE - used;
    (void)one; /* always 1 */
    memcpy(answer + used, bytes, size < room ? size : room);
    answer[used + (size < room ? size : room)] = '\0';
    return size;
}

/* The whole body in memory. */
static char *make_ready(struct tc_body *body)
{
    uint64_t position = 0;
    char *ready = allocate((size_t)body->size);
    tc_body_read(body, &position, ready, (size_t)body->size);
    return ready;
}

static CURL *prepare(const char *base, const char *ready, size_t size, char *answer)
{
    char url[4096];
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof(url), "%s/images/generations", base);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     wants_http2() ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (getenv("BENCH_CA"))
        curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("BENCH_CA"));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ready);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, note_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    return easy;
}

static void upload_ready(const char *base, int count, struct tc_body *body, const char *out)
{
    char answer[TC_HEAD_SIZE + 1];
    CURLcode code = CURLE_OK;
    char *ready = make_ready(body);
    curl_global_init(CURL_GLOBAL_ALL);
    CURL *easy = prepare(base, ready, (size_t)body->size, answer);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    for (int i = 0; i < count && code == CURLE_OK; i++) {
        answer[0] = '\0';
        code = curl_easy_perform(easy);
    }
    if (code != CURLE_OK)
        fail(curl_easy_strerror(code));
    if (out)
        write_answer(out, answer);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    free(ready);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: upload gaps|ready BASE COUNT SIZE [OUT]\n");
        return 2;
    }
    size_t size = strtoul(argv[4], NULL, 10);
    unsigned char *pictures = make_pictures(PICTURES * size);
    struct tc_body *body = make_body(pictures, size);
    bool gaps = !strcmp(argv[1], "gaps");
    (gaps ? upload_gaps : upload_ready)(argv[2], atoi(argv[3]), body, argc > 5 ? argv[5] : NULL);
    tc_body_release(body);
    free(pictures);
    return 0;
}
