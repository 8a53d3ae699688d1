/*
 * What floor.c and least.c ask for, and how: the module's own request, over a connection that is
 * kept, with libcurl's defaults. BENCH_CA is the bundle of certificates, BENCH_HTTP2=1 asks for
 * HTTP/2.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CURL *post(const char *base, struct curl_slist *headers, curl_write_callback on_body,
                  void *user)
{
    char url[4096];
    const char *http2 = getenv("BENCH_HTTP2");
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof(url), "%s/images/generations", base);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     http2 && !strcmp(http2, "1") ? (long)CURL_HTTP_VERSION_2TLS
                                                  : (long)CURL_HTTP_VERSION_1_1);
    if (getenv("BENCH_CA"))
        curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("BENCH_CA"));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "{\"prompt\":\"x\",\"n\":4,\"model\":\"bench\"}");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, user);
    return easy;
}
