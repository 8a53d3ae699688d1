/*
 * The life of a request: see request.h.
 */
#include "request.h"

#include "../base/alloc.h"
#include "problem.h"

#include <curl/curl.h>
#include <string.h>

/* What a request has before its first attempt. They are shared, so nobody writes to them. */
static const struct tc_failure no_failure;
static const struct tc_envelope no_envelope;

/* NULL when memory is short. */
static char *make_url(const struct tc_settings *settings, const struct tc_request_options *options)
{
    if (options->base == TC_BASE_NONE)
        return tc_strndup(options->path, strlen(options->path));
    char *base = tc_strndup(settings->base_url, strlen(settings->base_url));
    if (!base)
        return NULL;
    size_t size = strlen(base);
    if (options->base == TC_BASE_ROOT && size > 3 && !strcmp(base + size - 3, "/v1"))
        base[size - 3] = '\0';
    char *url = tc_join(base, options->path);
    tc_free(base);
    return url;
}

/* Replaces what the options point to by what the request owns. False when memory is short. */
static bool own_options(struct tc_request *request)
{
    static const char *const no_headers[] = {NULL};
    struct tc_request_options *options = &request->options;
    struct tc_secrets *secrets = &request->secrets;
    request->url = make_url(&request->session->settings, options);
    options->path = NULL;
    secrets->key = tc_session_share_key(request->session, options->api_key);
    options->api_key = secrets->key ? secrets->key->text : "";
    options->rules = tc_session_share_rules(request->session, options->rules, options->rule_count);
    options->rule_count += TC_FAILURE_RULES;
    if (options->body)
        options->body->references++;
    if (*options->headers)
        secrets->own_headers = tc_copy_texts(options->headers);
    bool copied = secrets->own_headers || !*options->headers;
    options->headers = no_headers;
    if (secrets->own_headers)
        options->headers = (const char *const *)secrets->own_headers;
    return request->url && secrets->key && options->rules && copied;
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
    request->cost = -1;
    request->failure = (struct tc_failure *)(uintptr_t)&no_failure;
    request->envelope = (struct tc_envelope *)(uintptr_t)&no_envelope;
    request->options = *options;
    if (own_options(request))
        return request;
    tc_request_release(request);
    return NULL;
}

const char *tc_request_head(const struct tc_request *request)
{
    return request->exchange ? request->exchange->head : "";
}

const char *tc_request_gateway_id(const struct tc_request *request)
{
    return request->exchange ? request->exchange->notes.request_id : "";
}

void tc_request_free_response(struct tc_request *request)
{
    if (request->exchange)
        tc_envelope_free(&request->exchange->envelope);
}

void tc_request_forget_headers(struct tc_request *request)
{
    static const char *const no_headers[] = {NULL};
    struct curl_slist *headers = request->secrets.headers;
    char **own = request->secrets.own_headers;
    for (struct curl_slist *header = headers; header; header = header->next)
        tc_wipe(header->data, strlen(header->data)); /* one of them has the key */
    curl_slist_free_all(headers);
    for (char **line = own; line && *line; line++)
        tc_wipe(*line, strlen(*line));
    tc_free(own);
    request->options.headers = no_headers;
    request->secrets.headers = request->secrets.own_headers = NULL;
}

void tc_request_forget_key(struct tc_request *request)
{
    request->options.api_key = "";
    tc_key_release(request->secrets.key);
    request->secrets.key = NULL;
}

void tc_request_notify(struct tc_request *request)
{
    if (request->session->client)
        tc_session_add_pending(request->session, &request->pending);
    else if (request->state == TC_DONE) /* nobody else will give up the client's reference */
        tc_request_release(request);
}

void tc_request_release(struct tc_request *request)
{
    if (!request || --request->references)
        return;
    tc_request_free_response(request);
    if (request->exchange)
        tc_free(request->exchange->notes.location);
    tc_free(request->exchange);
    tc_request_forget_headers(request);
    tc_request_forget_key(request);
    tc_body_release(request->options.body);
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
    tc_envelope_init(&exchange->envelope, request->options.rules, request->options.rule_count);
    exchange->envelope.images.spare = &request->session->spare;
    exchange->envelope.images.streaming = request->options.streaming;
    request->exchange = exchange;
    request->failure = &exchange->failure;
    request->envelope = &exchange->envelope;
    return true;
}
