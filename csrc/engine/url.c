/*
 * Which URLs may be asked, and through which proxy: see url.h.
 */
#include "url.h"

#include "address.h"
#include "process.h"
#include "proxy.h"

#include <curl/curl.h>
#include <string.h>

/* The host of a URL as libcurl will resolve it, to be freed with curl_free. It is converted to
 * punycode, because letters and digits of other scripts may stand for "localhost" or an address. */
static CURLUcode get_host(CURLU *url, char **host)
{
#ifdef CURLU_PUNYCODE /* 7.88 */
    CURLUcode code = curl_url_get(url, CURLUPART_HOST, host, CURLU_PUNYCODE);
    if (code == CURLUE_OK || code == CURLUE_OUT_OF_MEMORY)
        return code;
#endif
    return curl_url_get(url, CURLUPART_HOST, host, 0);
}

static CURLUcode has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    CURLUcode code = curl_url_get(url, part, &text, 0);
    curl_free(text);
    return code;
}

const char tc_url_no_memory[] = "not enough memory";

/* What is wrong if libcurl's URL parser returned `code`; NULL if nothing is. */
static const char *wrong_code(CURLUcode code)
{
    if (code == CURLUE_OUT_OF_MEMORY)
        return tc_url_no_memory;
    return code == CURLUE_OK ? NULL : "an https URL expected";
}

/* What is allowed in a URL. */
struct allowance {
    bool http_here; /* plain http to this machine */
    bool http_anywhere;
    bool private_address;
    const char *no_http; /* what to say when http is not allowed */
};

static const char *check_origin(const char *scheme, const char *host,
                                const struct allowance *allowed)
{
    bool http_allowed =
        allowed->http_anywhere || (allowed->http_here && tc_address_text_is_loopback(host));
    if (!strcmp(scheme, "http") && !http_allowed)
        return allowed->no_http;
    if (!allowed->private_address && tc_address_text_is_private(host))
        return "it is at a private address";
    return NULL;
}

static const char *check_parts(CURLU *url, const struct allowance *allowed)
{
    char *scheme = NULL, *host = NULL;
    const char *wrong = wrong_code(curl_url_get(url, CURLUPART_SCHEME, &scheme, 0));
    if (!wrong && strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        wrong = "only https and http are spoken";
    if (!wrong)
        wrong = wrong_code(get_host(url, &host));
    if (!wrong)
        wrong = check_origin(scheme, host, allowed);
    curl_free(scheme);
    curl_free(host);
    if (wrong)
        return wrong;
    CURLUcode user = has_part(url, CURLUPART_USER), password = has_part(url, CURLUPART_PASSWORD);
    if (user == CURLUE_OUT_OF_MEMORY || password == CURLUE_OUT_OF_MEMORY)
        return tc_url_no_memory;
    if (user == CURLUE_OK || password == CURLUE_OK)
        return "a URL without user name and password expected; the key is api_key's";
    return NULL;
}

static const char *check_url(const char *url, const struct allowance *allowed)
{
    CURLU *parts = curl_url();
    if (!parts)
        return tc_url_no_memory;
    const char *wrong =
        wrong_code(curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME));
    if (!wrong)
        wrong = check_parts(parts, allowed);
    curl_url_cleanup(parts);
    return wrong;
}

const char *tc_url_check_base(const char *url, bool allow_http)
{
    const struct allowance allowed = {
        true, allow_http, true,
        "plain http shows the key to the network; use https, or allow_http = true"};
    tc_process_set_up();
    const char *wrong = check_url(url, &allowed);
    return !wrong && strpbrk(url, "?#") ? "a URL without '?' and '#' expected" : wrong;
}

const char *tc_url_check_picture(const char *url, bool is_loopback, bool allow_private)
{
    const struct allowance allowed = {is_loopback, false, allow_private || is_loopback,
                                      "https expected"};
    return check_url(url, &allowed);
}

/* The proxy for an origin, or NULL. The environment's is not used for plain http to this machine.
 */
static const char *proxy_for(const char *proxy, const char *scheme, const char *host)
{
    if (!proxy && (strcmp(scheme, "http") != 0 || !tc_address_text_is_loopback(host)))
        proxy = tc_proxy_of_environment(scheme);
    return proxy && !tc_proxy_is_exempt(host) ? proxy : NULL;
}

/* Reads the scheme and the host of `url`, to be freed with curl_free. */
static CURLUcode split(const char *url, char **scheme, char **host)
{
    CURLU *parts = curl_url();
    CURLUcode code = CURLUE_OUT_OF_MEMORY;
    *scheme = *host = NULL;
    if (parts)
        code = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_SCHEME, scheme, 0);
    if (code == CURLUE_OK)
        code = get_host(parts, host);
    curl_url_cleanup(parts);
    return code;
}

bool tc_url_find_proxy(const char *url, const char *own, const char **proxy)
{
    char *scheme, *host;
    CURLUcode code = split(url, &scheme, &host);
    /* If it is no URL, libcurl will report that when it is asked. */
    *proxy = code == CURLUE_OK ? proxy_for(own, scheme, host) : NULL;
    curl_free(scheme);
    curl_free(host);
    return code != CURLUE_OUT_OF_MEMORY;
}

bool tc_url_is_loopback(const char *url, bool *is_loopback)
{
    char *scheme, *host;
    CURLUcode code = split(url, &scheme, &host);
    *is_loopback = code == CURLUE_OK && tc_address_text_is_loopback(host);
    curl_free(scheme);
    curl_free(host);
    return code == CURLUE_OK;
}
