/*
 * Is an IP address public, private, this machine's? A URL in a response must not make this machine
 * read from its own network.
 */
#ifndef TC_ADDRESS_H
#define TC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

/* Is it loopback, private, link-local or otherwise not routed on the internet (RFC 6890 and its
 * registries)? An address that is neither IPv4 nor IPv6 counts as private. */
bool tc_address_is_private(const struct sockaddr *address);

/* The same for the host of a URL: an address with or without brackets. A name counts as private
 * only if it is one of this machine (localhost). */
bool tc_address_text_is_private(const char *text);

/* Is the host of a URL this machine: a loopback address, or localhost (RFC 6761)? */
bool tc_address_text_is_loopback(const char *text);

/* Is the address `text` in `block`? That has `size` characters: "10.0.0.0/8", or a single address.
 */
bool tc_address_text_is_in(const char *text, const char *block, size_t size);

#endif
