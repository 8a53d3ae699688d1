/*
 * The proxies that environment variables name, read as curl reads them. The engine chooses the
 * proxy itself, because it has to know whether there is one: a proxy's address is not the server's.
 */
#ifndef TC_PROXY_H
#define TC_PROXY_H

#include <stdbool.h>

/* The proxy that the environment names for URLs of `scheme`, or NULL. */
const char *tc_proxy_of_environment(const char *scheme);

/* Does $NO_PROXY name `host`, given as in a URL? */
bool tc_proxy_is_exempt(const char *host);

/* The same for a given list of names (with their subdomains), addresses and blocks of addresses, or
 * "*" for all. */
bool tc_proxy_is_in_list(const char *list, const char *host);

#endif
