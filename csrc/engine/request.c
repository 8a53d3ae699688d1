/*
 * The life of a request: see request.h.
 */
#include "request.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "attempt.h"
#include "client.h"
#include "problem.h"
#include "receive.h"

#include <curl/curl.h>
#include <string.h>

/* ---- life ---- */

/* What one has that was not tried yet. Nobody writes to them. */
static const struct tc_failure no_failure,
    cancelled = {.kind = TC_CANCELLED, .retry_after = -1, .message = "the request was cancelled"};
static const struct tc_failure out_of_memory = {
    .kind = TC_NO_MEMORY, .retry_after = -1, .message = "not enough memory"};
static const struct tc_envelope no_envelope;

/* The URL of a request. NULL when memory is short. */
static char *make_url(const struct tc_client *client, const struct tc_request_options *options)
{
    if (options->base == TC_BASE_NONE)
        return tc_strndup(options->place, strlen(options->place));
    char *base = tc_strndup(client->base_url, strlen(client->base_url));
    if (!base)
        return NULL;
    size_t size = strlen(base);
    if (options->base == TC_BASE_ROOT && size > 3 && !strcmp(base + size - 3, "/v1"))
        base[size - 3] = '\0';
    char *url = tc_join(base, options->place);
    tc_free(base);
    return url;
}

void tc_key_release(struct tc_key *key)
{
    if (!key || --key->references)
        return;
    tc_wipe(key->text, strlen(key->text));
    tc_free(key);
}

/* The key, as a copy that all of a client's requests with the same one share. NULL when memory is
 * short. */
static struct tc_key *share_key(struct tc_client *client, const char *text)
{
    size_t size = strlen(text) + 1;
    struct tc_key *key = client->key;
    if (!key || strcmp(key->text, text) != 0) {
        key = tc_calloc(sizeof(*key) + size);
        if (!key)
            return NULL;
        memcpy(key->text, text, size);
        key->references = 1; /* the client's */
        tc_key_release(client->key);
        client->key = key;
    }
    key->references++;
    return key;
}

/* The rules of a request's answers: those of failures, then its own. Requests with the same ones
 * share them. NULL when memory is short. */
static const struct tc_rule *rules_for(struct tc_client *client,
                                       const struct tc_request_options *options)
{
    if (!options->rule_count)
        return tc_failure_rules;
    if (client->rules)
        return client->rules;
    struct tc_rule *rules =
        tc_calloc((TC_FAILURE_RULES + options->rule_count) * sizeof(*options->rules));
    if (!rules)
        return NULL;
    memcpy(rules, tc_failure_rules, TC_FAILURE_RULES * sizeof(*rules));
    memcpy(rules + TC_FAILURE_RULES, options->rules, options->rule_count * sizeof(*rules));
    client->rules = rules;
    return rules;
}

struct tc_request *tc_request_new(struct tc_client *client,
                                  const struct tc_request_options *options)
{
    struct tc_request *request = tc_calloc(sizeof(*request));
    if (!request)
        return NULL;
    request->references = 1;
    request->client = client;
    client->references++;
    request->progress = options->progress;
    request->cost = -1;
    request->timeout = options->timeout;
    request->connect_timeout = options->connect_timeout;
    request->max_retries = options->max_retries;
    request->retry = options->retry;
    request->unbilled = options->unbilled;
    request->picture = options->picture;
    request->may_be_empty = options->may_be_empty;
    request->trusted = options->trusted;
    request->failure = (struct tc_failure *)(uintptr_t)&no_failure;
    request->envelope = (struct tc_envelope *)(uintptr_t)&no_envelope;
    request->streaming = options->streaming;
    request->rules = rules_for(client, options);
    request->rule_count = TC_FAILURE_RULES + options->rule_count;

    request->method = options->method;
    request->credentials = options->credentials;
    request->url = make_url(client, options);
    request->body = options->body;
    if (request->body)
        request->body->references++;
    request->shared_key = share_key(client, options->api_key);
    request->key = request->shared_key ? request->shared_key->text : "";
    if (request->rules && request->url && request->shared_key &&
        tc_attempt_keep_headers(request, options->headers))
        return request;
    tc_request_release(request);
    return NULL;
}

static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *header = headers; header; header = header->next)
        tc_wipe(header->data, strlen(header->data)); /* one of them has the key */
    curl_slist_free_all(headers);
}

const char *tc_request_head(const struct tc_request *request)
{
    return request->exchange ? request->exchange->head : "";
}

const char *tc_request_gateway_id(const struct tc_request *request)
{
    return request->exchange ? request->exchange->request_id : "";
}

void tc_request_free_answer(struct tc_request *request)
{
    if (request->exchange)
        tc_envelope_free(&request->exchange->envelope);
}

void tc_request_forget_headers(struct tc_request *request)
{
    free_headers(request->headers);
    free_headers(request->own_headers);
    request->headers = request->own_headers = NULL;
}

void tc_request_forget_key(struct tc_request *request)
{
    request->key = "";
    tc_key_release(request->shared_key);
    request->shared_key = NULL;
}

void tc_request_release(struct tc_request *request)
{
    if (!request || --request->references)
        return;
    tc_request_free_answer(request);
    if (request->exchange)
        tc_free(request->exchange->location);
    tc_free(request->exchange);
    tc_request_forget_headers(request);
    tc_request_forget_key(request);
    tc_body_release(request->body);
    tc_free(request->url);
    tc_client_release(request->client);
    tc_free(request);
}

bool tc_request_make_exchange(struct tc_request *request)
{
    if (request->exchange)
        return true;
    struct tc_exchange *exchange = tc_calloc(sizeof(*exchange));
    if (!exchange)
        return false;
    tc_envelope_init(&exchange->envelope, request->rules, request->rule_count);
    exchange->envelope.images.spare = &request->client->spare;
    exchange->envelope.images.streaming = request->streaming;
    request->exchange = exchange;
    request->failure = &exchange->failure;
    request->envelope = &exchange->envelope;
    return true;
}

/* Ends one that was never tried. There may be a hundred thousand of those, and no memory. */
static void fail_untried(struct tc_request *request, enum tc_kind kind)
{
    const struct tc_failure *failure = kind == TC_CANCELLED ? &cancelled : &out_of_memory;
    request->failure = (struct tc_failure *)(uintptr_t)failure;
    if (request->state != TC_DONE)
        tc_client_end(request->client, request);
}

void tc_request_fail(struct tc_request *request, enum tc_kind kind, const char *message)
{
    tc_receive_check_sent(request);
    bool waits = request->state == TC_RETRYING; /* `failure` is the last attempt's still */
    bool billed = waits ? request->failure->maybe_billed : request->timing.sent > 0;
    bool untried = !request->exchange && kind == TC_CANCELLED;
    if (untried || !tc_request_make_exchange(request)) {
        fail_untried(request, kind);
        return;
    }
    tc_failure_set(request->failure, kind, "%s", message);
    request->failure->status = request->status;
    request->failure->maybe_billed = (billed || request->was_maybe_billed) && !request->unbilled;
    request->failure->attempts = request->attempts;
    if (request->state != TC_DONE)
        tc_client_end(request->client, request);
}

bool tc_request_cancel(struct tc_request *request)
{
    if (request->state == TC_DONE)
        return false;
    tc_request_fail(request, TC_CANCELLED, "the request was cancelled");
    return true;
}
