/*
 * Which URLs a request may have, and the proxy that is on the way.
 */
#ifndef TC_URL_H
#define TC_URL_H

#include <stdbool.h>

/* What the checks return when it is not the URL's fault. */
extern const char tc_url_no_memory[];

/*
 * Is `url` fit to be a base URL? Returns NULL, or why not. Plain http is for loopback hosts only
 * unless `allow_http`; credentials, queries and fragments do not belong in it.
 */
const char *tc_url_check_base(const char *url, bool allow_http);

/*
 * Is `url` fit for a picture that an answer points to? NULL, or why not. Plain http is for the
 * pictures of a gateway on this machine (`is_loopback`); addresses that are not of the internet
 * need that too, or `allow_private`.
 */
const char *tc_url_check_picture(const char *url, bool is_loopback, bool allow_private);

/*
 * The proxy between this machine and `url`: `own`, or without one the environment's for such URLs,
 * unless $NO_PROXY has the host; NULL for none. What it says is to be copied at once. False when
 * memory is short.
 */
bool tc_url_find_proxy(const char *url, const char *own, const char **proxy);

/* Is the host of the URL this machine? False when memory is short, or it is no URL. */
bool tc_url_is_loopback(const char *url, bool *is_loopback);

#endif
