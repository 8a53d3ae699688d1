/*
 * One request: see request.h. This file knows what goes to libcurl for one attempt, what its
 * callbacks note down, and what the end of an attempt means; when attempts begin is client.c's.
 */
#include "request.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "address.h"
#include "client.h"
#include "headers.h"
#include "receive.h"
#include "refusal.h"
#include "url.h"

#include <ctype.h>
#ifndef _WIN32
#include <sys/socket.h>
#endif
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The libcurl whose headers are there; the specs build for an older one, too. */
#ifndef TC_LIBCURL
#define TC_LIBCURL LIBCURL_VERSION_NUM
#endif

enum {
    UPLOAD_BUFFER =
        512 * 1024, /* by measurement: bench/README.md; libcurl's own if the body fits */
    LARGE_BODY = 64 * 1024,
    KEEPALIVE_IDLE = 30, /* seconds before the first probe: models draw for a minute */
    KEEPALIVE_INTERVAL = 15,
    REDIRECTS = 3,     /* of one picture */
    LONGEST_WAIT = 60, /* seconds; a server that wants more gets no second attempt */
};

/* NULL when memory is short. */
static char *join(const char *first, const char *second)
{
    size_t first_size = strlen(first), second_size = strlen(second);
    char *both = tc_realloc(NULL, first_size + second_size + 1);
    if (!both)
        return NULL;
    memcpy(both, first, first_size);
    memcpy(both + first_size, second, second_size + 1);
    return both;
}

/* ---- headers ---- */

static bool add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (longer)
        *headers = longer;
    return longer != NULL;
}

static bool add_credentials(struct curl_slist **headers, enum tc_credentials credentials,
                            const char *key)
{
    static const char *const names[] = {
        [TC_BEARER] = "Authorization: Bearer ", [TC_GOOGLE_KEY] = "x-goog-api-key: "};
    if (credentials == TC_NO_CREDENTIALS)
        return true;
    char *line = join(names[credentials], key);
    if (!line)
        return false;
    bool added = add_header(headers, line);
    tc_wipe(line, strlen(line));
    tc_free(line);
    return added;
}

/* Do the header lines `a` and `b` have one name? It ends at ':', or at ';' before an empty value.
 */
static bool same_name(const char *a, const char *b)
{
    size_t size = strcspn(a, ":;");
    return curl_strnequal(a, b, size) && (b[size] == ':' || b[size] == ';');
}

static bool is_among(const struct curl_slist *lines, const char *line)
{
    while (lines && !same_name(lines->data, line))
        lines = lines->next;
    return lines != NULL;
}

/* Keeps the headers that the request has of its own. A picture's server is told nothing: it is a
 * stranger, and headers may be secrets. */
static bool keep_own_headers(struct tc_request *request, const char *const *lines)
{
    struct curl_slist *headers = NULL;
    bool kept = true;
    for (; kept && *lines && !request->picture; lines++)
        kept = add_header(&headers, *lines);
    request->own_headers = headers;
    return kept;
}

/* Makes the headers of all attempts, if there are none yet: the module's, the request's own, and
 * the client's where the request has none of its own. */
static bool make_headers(struct tc_request *request)
{
    struct curl_slist *headers = NULL;
    const struct curl_slist *own = request->own_headers, *common = request->client->headers;
    if (request->headers)
        return true;
    bool added = add_credentials(&headers, request->credentials, request->key) &&
                 add_header(&headers, "Expect:"); /* no wait for a 100 before the body */
    if (added) /* without a value libcurl sends none, not even one of its own */
        added = add_header(&headers,
                           request->body ? "Content-Type: application/json" : "Content-Type:");
    for (; added && own; own = own->next)
        added = add_header(&headers, own->data);
    for (; added && common && !request->picture; common = common->next)
        added = is_among(request->own_headers, common->data) || add_header(&headers, common->data);
    request->headers = headers;
    return added;
}

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
    char *url = join(base, options->place);
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
        keep_own_headers(request, options->headers))
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

/* Makes room for what an attempt brings. False when memory is short. */
static bool make_exchange(struct tc_request *request)
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
    if (untried || !make_exchange(request)) {
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

/* ---- an attempt ---- */

static void set_protocols(CURL *easy)
{
#if TC_LIBCURL >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/*
 * Trusts one file of certificates or one directory, never both: Debian's libcurl is built with
 * both, and while a directory is set, 7.88 reads the whole file anew for every connection.
 */
static bool set_certificates(CURL *easy, const struct tc_client *client)
{
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!client->ca_file && !client->ca_directory)
        return true;
    return curl_easy_setopt(easy, CURLOPT_CAPATH, client->ca_directory) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file) == CURLE_OK;
}

/*
 * Says which proxy stands in between, or that none does, and that this holds whatever libcurl makes
 * of the environment: guard_addresses relies on it. False when memory is short.
 */
static bool set_proxy(CURL *easy, struct tc_request *request)
{
    const char *proxy;
    if (!tc_url_find_proxy(request->url, request->client->proxy, &proxy))
        return false;
    request->proxied = proxy != NULL;
    return curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK;
}

/* Opens no socket to an address that is not of the internet: it was an answer that pointed there.
 */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct tc_request *request = user;
    (void)purpose;
    request->kept_away = tc_address_is_private(&address->addr);
    return request->kept_away ? CURL_SOCKET_BAD
                              : socket(address->family, address->socktype, address->protocol);
}

/* A proxy looks names up itself: its own address is not the server's. */
static void guard_addresses(CURL *easy, struct tc_request *request)
{
    if (!request->picture || request->trusted || request->client->is_loopback || request->proxied)
        return;
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
}

/* Of late (8.2x) libcurl takes a connection of HTTP/2 that broke off for alive, until it looks
 * after all of them, which it does once a second: what is sent there is lost. */
static bool may_be_dead(const struct tc_client *client)
{
    return client->http2 && client->broke_off > 0 && tc_clock_now() - client->broke_off < 2;
}

/* False when memory is short. */
static bool set_connection(CURL *easy, struct tc_request *request)
{
    const struct tc_client *client = request->client;
    long milliseconds = (long)(request->connect_timeout * 1000) + 1; /* 0 is for ever */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     client->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, client->http2 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, may_be_dead(client) ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's, not an answer's */
#if TC_LIBCURL >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* not to wait for a name that no one wants */
#endif
    set_protocols(easy);
    if (!set_proxy(easy, request))
        return false;
    guard_addresses(easy, request);
    return set_certificates(easy, client);
}

static void set_body(CURL *easy, const struct tc_request *request)
{
    curl_off_t size = (curl_off_t)request->body->size;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, size);
    if (size > LARGE_BODY)
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
}

/* Some servers refuse a POST that does not say that its body is empty. */
static void set_no_body(CURL *easy, const struct tc_request *request)
{
    if (!strcmp(request->method, "GET") || !strcmp(request->method, "DELETE"))
        return;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
}

static void set_callbacks(CURL *easy, struct tc_request *request)
{
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->exchange->error_text);
    tc_receive_attach(request);
}

/* Forgets the last attempt's answer. */
static void begin_attempt(struct tc_request *request)
{
    request->envelope->path.rule_count = request->rule_count;
    request->envelope->for_pictures = request->rule_count > TC_FAILURE_RULES;
    tc_envelope_reset(request->envelope);
    request->was_maybe_billed = request->was_maybe_billed || request->failure->maybe_billed;
    memset(request->failure, 0, sizeof(*request->failure));
    request->attempts++;
    request->status = 0;
    request->received = request->expected = 0;
    request->exchange->head_size = request->header_size = request->header_count = 0;
    request->exchange->request_id[0] = '\0';
    request->exchange->head[0] = '\0';
    request->cost = -1;
    request->aborted = request->paused = request->uncounted = request->kept_away = false;
    request->stood = 0;
    request->progress_told = 0;
    tc_headers_forget_waits(request);
    request->exchange->error_text[0] = request->exchange->content_type[0] =
        request->exchange->redirect[0] = '\0';
    tc_free(request->exchange->location);
    request->exchange->location = NULL;
    request->timing.started = tc_clock_now();
    request->timing.sent = request->timing.answered = 0;
}

bool tc_request_prepare(struct tc_request *request)
{
    const struct tc_client *client = request->client;
    if (!make_exchange(request))
        return false;
    begin_attempt(request);
    if (!make_headers(request))
        return false;
    CURL *easy = curl_easy_init();
    if (!easy)
        return false;
    request->easy = easy;
    if (!set_connection(easy, request))
        return false;
    set_callbacks(easy, request);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)TC_RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)client->max_response_bytes);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    if (request->body)
        set_body(easy, request);
    else
        set_no_body(easy, request);
    /* These copy what they are given, so they can fail. */
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK;
}

void tc_request_drop_attempt(struct tc_request *request)
{
    if (request->easy)
        curl_easy_cleanup(request->easy);
    request->easy = NULL;
}

/* ---- its end ---- */

static struct tc_answer answer_of(const struct tc_request *request)
{
    return (struct tc_answer){
        .status = request->status,
        .retry_after = request->retry_after,
        .reset = tc_headers_limit_reset(request),
        .content_type = request->exchange->content_type,
        .redirect = request->exchange->redirect,
        .head = request->exchange->head,
        .head_size = request->exchange->head_size,
        .document = &request->envelope->text,
        .key = request->key,
    };
}

static void judge_answer(struct tc_request *request)
{
    const struct tc_answer answer = answer_of(request);
    tc_failure_from_answer(request->failure, &answer);
}

/* Are there pictures that are more than steps on the way to one? */
static bool has_picture(const struct tc_envelope *envelope)
{
    unsigned dropped = 0;
    for (unsigned i = 0; i < envelope->images.count; i++)
        if (!envelope->images.list[i])
            dropped++;
        else if (!envelope->images.list[i]->draft)
            return true;
    return dropped > envelope->images.dropped_drafts;
}

/* A picture that was fetched and is not whole may be so the next time, which costs nothing: servers
 * tell an address before all is there. */
static void judge_picture(struct tc_request *request)
{
    const struct tc_image *image = request->envelope->images.list[0];
    char text[160];
    if (!image || !image->fault)
        return;
    tc_image_describe(image, 1, text, sizeof(text));
    tc_failure_set(request->failure, TC_BAD_RESPONSE, "%s", text);
    request->failure->status = request->status;
    request->failure->repeat = TC_REPEAT_RISKY;
}

/* A success has the whole document. A document that speaks of an error and has no picture is none.
 */
static void judge_success(struct tc_request *request)
{
    struct tc_envelope *envelope = request->envelope;
    if (request->may_be_empty && request->status == 204 && !request->received)
        (void)tc_envelope_feed(envelope, "{}", 2);
    if (!tc_envelope_finish(envelope) || tc_receive_is_no_picture(request)) {
        tc_receive_input_failed(request);
        return;
    }
    if (request->picture) {
        judge_picture(request);
        return;
    }
    const struct tc_answer answer = answer_of(request);
    if (!has_picture(envelope))
        tc_failure_in_success(request->failure, &answer, request->rule_count > TC_FAILURE_RULES);
}

/* A server that answers before it has the whole request may break the connection behind its answer:
 * when all of that came, it holds what was paid for. What was packed has no end that is seen here.
 */
static bool came_whole(const struct tc_request *request, int code)
{
    return (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR) && !request->encoded &&
           tc_envelope_is_whole(request->envelope);
}

static void judge_transfer(struct tc_request *request, int code)
{
    long status = request->status >= 200 ? request->status : 0; /* 103 was no answer yet */
    tc_receive_check_sent(request);
    /* libcurl says so of a header line beyond 100 KiB too (of late CURLE_TOO_LARGE). */
    bool long_line = code == CURLE_OUT_OF_MEMORY && request->timing.sent > 0 &&
                     request->received == 0 && request->envelope->error != TC_ENVELOPE_NO_MEMORY;
    /* And of more than 64 MiB that it unpacked while it was paused. */
    bool stashed = code == CURLE_OUT_OF_MEMORY && request->encoded && request->received > 0;
    bool no_memory = (code == CURLE_OUT_OF_MEMORY && !long_line && !stashed) ||
                     request->envelope->error == TC_ENVELOPE_NO_MEMORY;
    if (no_memory)
        tc_failure_set(request->failure, TC_NO_MEMORY, "not enough memory");
    else if (stashed) {
        tc_receive_packed_too_tightly(request->failure);
        request->failure->status = status;
        request->failure->maybe_billed = true;
    } else if (long_line || code == 100) { /* CURLE_TOO_LARGE, 8.6 */
        tc_failure_set(request->failure, TC_RESPONSE_TOO_LARGE,
                       "the answer's headers are too large%s",
                       long_line ? " (or memory is short)" : "");
        request->failure->status = status;
        request->failure->maybe_billed = true;
    } else if (request->kept_away && code == CURLE_COULDNT_CONNECT)
        tc_failure_set(request->failure, TC_CONNECTION, "it is at a private address");
    else if (status >= 300)
        judge_answer(request);
    else if (code == CURLE_FILESIZE_EXCEEDED) { /* it says so beforehand */
        tc_receive_too_large(request, request->failure);
        request->failure->status = status;
        request->failure->maybe_billed = true;
    } else if (code != CURLE_OK && !came_whole(request, code))
        tc_failure_from_transfer(request->failure, code, request->exchange->error_text,
                                 request->key, request->timing.sent > 0, status);
    else if (!status) {
        tc_failure_set(request->failure, TC_BAD_RESPONSE, "the server asks for another protocol");
        request->failure->status = request->status;
        request->failure->maybe_billed = true;
    } else
        judge_success(request);
}

/* The URL that a redirect leads to, to be freed with curl_free: as the server has it, where libcurl
 * of late leaves out user names. NULL when it is none, or when `*no_memory`. */
static char *redirect_url(const struct tc_request *request, bool *no_memory)
{
    char *url = NULL;
    CURLU *parts = curl_url();
    CURLUcode code = parts ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_URL, request->url, 0);
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_URL, request->exchange->location,
                            CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_URL, &url, 0);
    curl_url_cleanup(parts);
    *no_memory = code == CURLUE_OUT_OF_MEMORY;
    return url;
}

static void refuse_redirect(struct tc_request *request, const char *why)
{
    tc_failure_set(
        request->failure, TC_BAD_RESPONSE, "the server points elsewhere (%s): %s",
        *request->exchange->redirect ? request->exchange->redirect : "it does not say where", why);
    request->failure->status = request->status;
}

/* What speaks against going there, or NULL. */
static const char *wrong_redirect(const struct tc_request *request, const char *url)
{
    if (request->redirects == REDIRECTS)
        return "that is one redirect too many";
    return url ? tc_url_check_picture(url, request->client->is_loopback, request->trusted)
               : "not a URL";
}

/* Goes where a picture's server points to, if that is a place for a picture. */
static void follow_redirect(struct tc_request *request)
{
    bool no_memory = false;
    char *url = request->exchange->location ? redirect_url(request, &no_memory) : NULL;
    const char *wrong = wrong_redirect(request, url);
    char *copy = wrong ? NULL : tc_strndup(url, strlen(url));
    curl_free(url);
    if (no_memory || (!wrong && !copy)) {
        tc_failure_set(request->failure, TC_NO_MEMORY, "not enough memory");
    } else if (wrong) {
        refuse_redirect(request, wrong);
    } else {
        tc_free(request->url);
        request->url = copy;
        request->redirects++;
        refuse_redirect(request, "it is followed");
        request->uncounted = true;
    }
}

void tc_request_judge(struct tc_request *request, int code)
{
    if (!request->aborted) /* else one of the callbacks has said why */
        judge_transfer(request, code);
    bool led_on = request->status >= 300 && request->status < 400;
    if (request->picture && led_on && !request->aborted && code == CURLE_OK)
        follow_redirect(request);
    request->failure->attempts = request->attempts;
    if (request->failure->kind && request->was_maybe_billed)
        request->failure->maybe_billed = true;
}

/* Seconds that libcurl has to say by itself that connecting took too long. */
static const double GRACE = 1;

/*
 * `timeout` bounds an attempt from the first byte sent, without the time in which the answer waits
 * for us: a function of the caller's may take longer than that. Connecting has a limit of its own.
 * libcurl minds that one, unless it has lost track of the transfer: nobody should wait for ever
 * then.
 */
double tc_request_deadline(struct tc_request *request)
{
    tc_receive_check_sent(request);
    if (request->paused)
        return HUGE_VAL;
    return request->timing.sent > 0 ? request->timing.sent + request->timeout + request->stood
                                    : request->timing.started + request->connect_timeout + GRACE;
}

void tc_request_judge_overdue(struct tc_request *request)
{
    struct tc_failure *failure = request->failure;
    if (request->status >= 300) { /* a refusal that does not end is one */
        tc_request_judge(request, CURLE_OPERATION_TIMEDOUT);
        return;
    }
    bool sent = request->timing.sent > 0;
    if (sent)
        tc_failure_set(failure, TC_TIMEOUT, "no whole answer within %g seconds", request->timeout);
    else
        tc_failure_set(failure, TC_TIMEOUT, "no connection within %g seconds",
                       request->connect_timeout);
    failure->status = request->status;
    failure->attempts = request->attempts;
    failure->maybe_billed = sent || request->was_maybe_billed;
    failure->repeat = sent ? TC_REPEAT_RISKY : TC_REPEAT_SAFE;
}

/* From 0 to 1, another one for each of the requests that end at the same moment. */
static double random_part(const struct tc_request *request)
{
    uint64_t mixed = (uint64_t)(tc_clock_now() * 1e9) + (uint64_t)(uintptr_t)request;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64's */
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((mixed ^ mixed >> 31) >> 11) / 9007199254740992.0;
}

/* 0.5 s, 1 s, 2 s, ... at most 8 s, less up to a quarter, so that many clients spread out. */
static double backoff(const struct tc_request *request)
{
    unsigned retries = request->attempts - 1;
    double wait = retries < 4 ? 0.5 * (double)(1U << retries) : 8;
    return wait * (1 - 0.25 * random_part(request));
}

/* 0.5 to 1 s, then 1 to 2 s: those who wait for each other's end should not come back together. */
static double brief_wait(const struct tc_request *request)
{
    return (request->attempts > 1 ? 1 : 0.5) * (1 + random_part(request));
}

double tc_request_retry_wait(struct tc_request *request)
{
    const struct tc_failure *failure = request->failure;
    if (request->uncounted) {
        request->attempts--; /* each kept connection ends only once, and redirects are counted */
        return 0;
    }
    bool risky_allowed =
        request->retry == TC_RETRY_ALL || (request->unbilled && request->retry == TC_RETRY_SAFE);
    bool allowed = (failure->repeat == TC_REPEAT_SAFE && request->retry != TC_RETRY_NONE) ||
                   (failure->repeat == TC_REPEAT_RISKY && risky_allowed);
    /* Bytes that were paid for, or that somebody has already. */
    bool has_some = request->envelope->images.count &&
                    !(request->unbilled && !request->envelope->images.streaming);
    if (!allowed || request->attempts > request->max_retries || has_some)
        return -1;
    if (failure->brief)
        return brief_wait(request);
    if (failure->retry_after <= 0) /* "at once" is what an overloaded server does not mean */
        return backoff(request);
    return failure->retry_after <= LONGEST_WAIT ? failure->retry_after : -1;
}
