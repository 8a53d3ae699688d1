/*
 * Is an IP address one of the public internet's? What an answer from elsewhere points to must not
 * make this machine look into its own network.
 */
#ifndef TC_ADDRESS_H
#define TC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

/* Loopback, private, link-local and all else that is not routed on the internet (the
 * special-purpose registries of RFC 6890). An address of a family other than IPv4 and IPv6 is
 * private. */
bool tc_address_is_private(const struct sockaddr *address);

/* The same for the host of a URL, an address with or without brackets; false for a name, unless
 * that is one of this machine's own. */
bool tc_address_text_is_private(const char *text);

/* Is the host of a URL this machine: a loopback address, or a name that RFC 6761 keeps for it? */
bool tc_address_text_is_loopback(const char *text);

/* Is the address `text` in `block`, "10.0.0.0/8" or an address alone, of `size` characters? */
bool tc_address_text_is_in(const char *text, const char *block, size_t size);

#endif
