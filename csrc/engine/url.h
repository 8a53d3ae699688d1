/*
 * Which URLs may be asked, and through which proxy.
 */
#ifndef TC_URL_H
#define TC_URL_H

#include <stdbool.h>

/* What the checks return when memory is short. */
extern const char tc_url_no_memory[];

/*
 * Returns NULL if `url` may be a base URL, else why not. Plain http is allowed for loopback hosts,
 * and for others with `allow_http`. User names, passwords, queries and fragments are not allowed.
 */
const char *tc_url_check_base(const char *url, bool allow_http);

/*
 * Returns NULL if the `url` of a picture, which a response names, may be fetched, else why not.
 * Plain http is allowed if the gateway is on this machine (`is_loopback`). Private addresses are
 * allowed in that case, or with `allow_private`.
 */
const char *tc_url_check_picture(const char *url, bool is_loopback, bool allow_private);

/*
 * Sets `*proxy` to the proxy for `url`: `own` if that is not NULL, else that of the environment;
 * NULL if there is none or if $NO_PROXY names the host. The text may be the environment's, so copy
 * it at once. False when memory is short.
 */
bool tc_url_find_proxy(const char *url, const char *own, const char **proxy);

/* Sets `*is_loopback`: is the host of the URL this machine? False when memory is short, or when it
 * is no URL. */
bool tc_url_is_loopback(const char *url, bool *is_loopback);

#endif
