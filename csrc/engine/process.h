/*
 * What there is once in a process, for all its Lua states and threads: libcurl's global state, and
 * its version.
 */
#ifndef TC_PROCESS_H
#define TC_PROCESS_H

#include <curl/curl.h>
#include <stddef.h>

/* The version of libcurl that this is compiled for. make test-oldest sets an older one. */
#ifndef TC_LIBCURL
#define TC_LIBCURL LIBCURL_VERSION_NUM
#endif

/*
 * Initializes libcurl, if that was not done yet. It is never undone, because other users of libcurl
 * in the process, and libcurl's own threads, may outlive this module.
 */
void tc_process_set_up(void);

/* "libcurl/7.88.1 OpenSSL/3.0.17 ...". curl_version() is not used: where libcurl is linked with
 * OpenLDAP it may ask the network for the name of this host. */
void tc_process_libcurl_version(char *text, size_t size);

#endif
