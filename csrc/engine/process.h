/*
 * What a process has of libcurl once, whichever states and threads ask for it.
 */
#ifndef TC_PROCESS_H
#define TC_PROCESS_H

#include <curl/curl.h>
#include <stddef.h>

/* The libcurl whose headers are there; the specs build for an older one, too. */
#ifndef TC_LIBCURL
#define TC_LIBCURL LIBCURL_VERSION_NUM
#endif

/*
 * Sets libcurl up, the first time. Never undone: other users of libcurl in the process, and its own
 * resolver threads, may outlive us.
 */
void tc_process_set_up(void);

/* "libcurl/7.88.1 OpenSSL/3.0.17 ...": not curl_version()'s, which may ask the network for the name
 * of this host (where libcurl has OpenLDAP in it). */
void tc_process_libcurl_version(char *text, size_t size);

#endif
