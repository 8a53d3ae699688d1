/*
 * The life of a request: see request.h.
 */
#include "request.h"

#include "../base/alloc.h"
#include "attempt.h"
#include "problem.h"

#include <curl/curl.h>
#include <string.h>

/* ---- life ---- */

/* What one has before its first attempt. Nobody writes to them. */
static const struct tc_failure no_failure;
static const struct tc_envelope no_envelope;

/* The URL of a request. NULL when memory is short. */
static char *make_url(const struct tc_settings *settings, const struct tc_request_options *options)
{
    if (options->base == TC_BASE_NONE)
        return tc_strndup(options->place, strlen(options->place));
    char *base = tc_strndup(settings->base_url, strlen(settings->base_url));
    if (!base)
        return NULL;
    size_t size = strlen(base);
    if (options->base == TC_BASE_ROOT && size > 3 && !strcmp(base + size - 3, "/v1"))
        base[size - 3] = '\0';
    char *url = tc_join(base, options->place);
    tc_free(base);
    return url;
}

struct tc_request *tc_request_new(struct tc_session *session,
                                  const struct tc_request_options *options)
{
    struct tc_request *request = tc_calloc(sizeof(*request));
    if (!request)
        return NULL;
    request->references = 1;
    request->session = session;
    session->references++;
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
    request->rules = tc_session_share_rules(session, options->rules, options->rule_count);
    request->rule_count = TC_FAILURE_RULES + options->rule_count;

    request->method = options->method;
    request->credentials = options->credentials;
    request->url = make_url(&session->settings, options);
    request->body = options->body;
    if (request->body)
        request->body->references++;
    request->shared_key = tc_session_share_key(session, options->api_key);
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

void tc_request_notify(struct tc_request *request)
{
    if (request->session->client)
        tc_session_add_pending(request->session, &request->pending);
    else if (request->state == TC_DONE) /* nobody will take the client's reference */
        tc_request_release(request);
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
    tc_session_release(request->session);
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
    exchange->envelope.images.spare = &request->session->spare;
    exchange->envelope.images.streaming = request->streaming;
    request->exchange = exchange;
    request->failure = &exchange->failure;
    request->envelope = &exchange->envelope;
    return true;
}
