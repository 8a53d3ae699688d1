/*
 * What there is once in a process: see process.h.
 */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "process.h"

#include <curl/curl.h>
#include <stdio.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <pthread.h>
#endif

#ifdef _WIN32
static BOOL CALLBACK set_up(PINIT_ONCE once, PVOID parameter, PVOID *context)
{
    (void)once, (void)parameter, (void)context;
    return curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK;
}

void tc_process_set_up(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, set_up, NULL, NULL);
}
#else
static void set_up(void)
{
    curl_global_init(CURL_GLOBAL_ALL);
}

void tc_process_set_up(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
}
#endif

void tc_process_libcurl_version(char *text, size_t size)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    snprintf(text, size, "libcurl/%s %s zlib/%s%s%s", built->version,
             built->ssl_version ? built->ssl_version : "no TLS",
             built->libz_version ? built->libz_version : "none",
             built->features & CURL_VERSION_HTTP2 ? " HTTP/2" : "",
             built->features & CURL_VERSION_ASYNCHDNS ? " AsynchDNS" : "");
}
