/*
 * What the environment says of proxies, read as curl reads it. The engine decides by this itself
 * and tells libcurl the outcome: whether a proxy stands in between has to be known beforehand,
 * since a proxy's address is not the server's.
 */
#ifndef TC_PROXY_H
#define TC_PROXY_H

#include <stdbool.h>

/* The proxy that the environment names for URLs of `scheme`, or NULL. */
const char *tc_proxy_of_environment(const char *scheme);

/* Is `host`, as it is in a URL, among those that $NO_PROXY wants to be reached without one? */
bool tc_proxy_is_exempt(const char *host);

/* The same with the list given: names and their subdomains, addresses, blocks of addresses, or "*"
 * for all. */
bool tc_proxy_is_in_list(const char *list, const char *host);

#endif
