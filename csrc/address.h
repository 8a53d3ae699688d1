/*
 * Is an IP address one of the public internet's? What an answer from elsewhere points to must not
 * make this machine look into its own network.
 */
#ifndef TC_ADDRESS_H
#define TC_ADDRESS_H

#include <stdbool.h>

struct sockaddr;

/* Loopback, private, link-local and all else that is not routed on the internet (the
 * special-purpose registries of RFC 6890). An address of a family other than IPv4 and IPv6 is
 * private. */
bool tc_address_is_private(const struct sockaddr *address);

/* The same for an address in text, with or without brackets; false for a name. */
bool tc_address_text_is_private(const char *text);

#endif
