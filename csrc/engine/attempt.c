/*
 * What goes to libcurl for one attempt: see attempt.h.
 */
#include "attempt.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "address.h"
#include "headers.h"
#include "problem.h"
#include "process.h"
#include "receive.h"
#include "url.h"

#include <curl/curl.h>
#ifndef _WIN32
#include <sys/socket.h>
#endif
#include <string.h>

enum {
    UPLOAD_BUFFER = 512 * 1024, /* bytes sent at once: bench/README.md says why */
    LARGE_BODY = 64 * 1024,     /* smaller ones fit libcurl's own buffer */
    KEEPALIVE_IDLE = 30,        /* seconds before the first probe: a model may take a minute */
    KEEPALIVE_INTERVAL = 15,
};

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
    char *line = tc_join(names[credentials], key);
    if (!line)
        return false;
    bool added = add_header(headers, line);
    tc_wipe(line, strlen(line));
    tc_free(line);
    return added;
}

/* Do two header lines have the same name? It ends at ':', or at ';' where the value is empty. */
static bool same_name(const char *a, const char *b)
{
    size_t size = strcspn(a, ":;");
    return curl_strnequal(a, b, size) && (b[size] == ':' || b[size] == ';');
}

static bool is_among(const char *const *lines, const char *line)
{
    while (*lines && !same_name(*lines, line))
        lines++;
    return *lines != NULL;
}

/* Makes the headers for all attempts, unless they are there: the module's, the request's, and those
 * of the client that the request does not override. False when memory is short. */
static bool make_headers(struct tc_request *request)
{
    struct curl_slist *headers = NULL;
    const struct tc_request_options *options = &request->options;
    const char *const *own = options->headers, *const *common = request->session->settings.headers;
    if (request->secrets.headers)
        return true;
    bool added = add_credentials(&headers, options->credentials, options->api_key) &&
                 add_header(&headers, "Expect:"); /* the body is sent without waiting for a 100 */
    if (added) /* a name without a value keeps libcurl from sending the header */
        added = add_header(&headers,
                           options->body ? "Content-Type: application/json" : "Content-Type:");
    /* Headers may be secrets: a server of pictures, which anybody may run, does not get them. */
    for (; added && *own && !options->raw_image; own++)
        added = add_header(&headers, *own);
    for (; added && *common && !options->raw_image; common++)
        added = is_among(options->headers, *common) || add_header(&headers, *common);
    request->secrets.headers = headers;
    return added;
}

/* ---- options ---- */

static void set_protocols(CURL *easy)
{
#if TC_LIBCURL >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/*
 * Sets the file of trusted certificates or the directory, never both. Debian's libcurl has defaults
 * for both, and while a directory is set, 7.88 reads the whole file again for every connection.
 * False when memory is short.
 */
static bool set_certificates(CURL *easy, const struct tc_settings *settings)
{
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!settings->ca_file && !settings->ca_directory)
        return true;
    return curl_easy_setopt(easy, CURLOPT_CAPATH, settings->ca_directory) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file) == CURLE_OK;
}

/*
 * Sets the proxy, or that there is none. libcurl must not choose one from the environment itself:
 * guard_addresses relies on what is known here. False when memory is short.
 */
static bool set_proxy(CURL *easy, struct tc_request *request)
{
    const char *proxy;
    if (!tc_url_find_proxy(request->url, request->session->settings.proxy, &proxy))
        return false;
    request->attempt.proxied = proxy != NULL;
    return curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK;
}

/* Opens a socket, but not to a private address: the URL came from a response, not from the user. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct tc_request *request = user;
    (void)purpose;
    request->attempt.blocked_private = tc_address_is_private(&address->addr);
    return request->attempt.blocked_private
               ? CURL_SOCKET_BAD
               : socket(address->family, address->socktype, address->protocol);
}

/* Keeps pictures from being fetched from private addresses. Not where a proxy is used: it resolves
 * the name itself, and may be at a private address. */
static void guard_addresses(CURL *easy, struct tc_request *request)
{
    if (!request->options.raw_image || request->options.allow_private ||
        request->session->is_loopback || request->attempt.proxied)
        return;
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
}

/* May a kept connection be dead? libcurl 8.2x takes an HTTP/2 connection that broke off for alive
 * until it checks all connections, once a second. A request that is sent on it is lost. */
static bool may_be_dead(const struct tc_session *session)
{
    double broke_off = session->connections.broke_off;
    return session->settings.http2 && broke_off > 0 && tc_clock_now() - broke_off < 2;
}

/* Everything about the connection. False when memory is short. */
static bool set_connection(CURL *easy, struct tc_request *request)
{
    const struct tc_settings *settings = &request->session->settings;
    long milliseconds = (long)(request->options.connect_timeout * 1000) + 1; /* 0 means for ever */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     settings->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, settings->http2 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, may_be_dead(request->session) ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* they are the proxy's */
#if TC_LIBCURL >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* cleanup does not wait for the resolver */
#endif
    set_protocols(easy);
    if (!set_proxy(easy, request))
        return false;
    guard_addresses(easy, request);
    return set_certificates(easy, settings);
}

static void set_body(CURL *easy, const struct tc_request *request)
{
    curl_off_t size = (curl_off_t)request->options.body->size;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, size);
    if (size > LARGE_BODY)
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
}

/* Some servers refuse a POST without a Content-Length, be it 0. */
static void set_no_body(CURL *easy, const struct tc_request *request)
{
    if (!strcmp(request->options.method, "GET") || !strcmp(request->options.method, "DELETE"))
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

/* Forgets what the last attempt brought, except that it may have been billed. */
static void reset(struct tc_request *request)
{
    struct tc_exchange *exchange = request->exchange;
    exchange->envelope.path.rule_count = request->options.rule_count;
    exchange->envelope.for_pictures = request->options.rule_count > TC_FAILURE_RULES;
    tc_envelope_reset(&exchange->envelope);
    request->retries.maybe_billed = request->retries.maybe_billed || exchange->failure.maybe_billed;
    memset(&exchange->failure, 0, sizeof(exchange->failure));
    tc_headers_reset(&exchange->notes);
    exchange->head_size = 0;
    exchange->head[0] = exchange->error_text[0] = '\0';
    request->attempt = (struct tc_attempt){.easy = NULL};
    request->status = 0;
    request->received = request->expected = 0;
    request->cost = -1;
    request->timing.sent = request->timing.first_byte = 0;
}

bool tc_attempt_begin(struct tc_request *request)
{
    const struct tc_settings *settings = &request->session->settings;
    if (!tc_request_make_exchange(request))
        return false;
    reset(request);
    request->attempts++;
    request->timing.started = tc_clock_now();
    if (!make_headers(request))
        return false;
    CURL *easy = curl_easy_init();
    if (!easy)
        return false;
    request->attempt.easy = easy;
    if (!set_connection(easy, request))
        return false;
    set_callbacks(easy, request);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)TC_RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)settings->max_response_bytes);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->secrets.headers);
    if (request->options.body)
        set_body(easy, request);
    else
        set_no_body(easy, request);
    /* These copy their argument, so they can fail. */
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->options.method) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, settings->user_agent) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK;
}

void tc_attempt_drop(struct tc_request *request)
{
    if (request->attempt.easy)
        curl_easy_cleanup(request->attempt.easy);
    request->attempt.easy = NULL;
}
