/*
 * Which addresses are not of the public internet: see address.h.
 */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "address.h"

#include <stddef.h>
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* An address block: its first bytes and how many bits of them count. */
struct block {
    unsigned char start[4];
    unsigned bits;
};

static const struct block blocks4[] = {
    {{0}, 8},          /* this network */
    {{10}, 8},         /* private */
    {{100, 64}, 10},   /* behind a provider's translation */
    {{127}, 8},        /* loopback */
    {{169, 254}, 16},  /* link-local, where clouds keep their metadata */
    {{172, 16}, 12},   /* private */
    {{192, 0, 0}, 24}, /* protocol assignments */
    {{192, 168}, 16},  /* private */
    {{198, 18}, 15},   /* benchmarks */
    {{224}, 3},        /* multicast, reserved, broadcast */
};

/* An IPv4 address inside an IPv6 one: mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96), compatible. */
static const unsigned char embeddings[][12] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
    {0, 0x64, 0xff, 0x9b},
    {0},
};

static bool is_in(const unsigned char *address, const struct block *block)
{
    for (unsigned bit = 0; bit < block->bits; bit++) {
        unsigned char mask = (unsigned char)(0x80U >> bit % 8);
        if ((address[bit / 8] & mask) != (block->start[bit / 8] & mask))
            return false;
    }
    return true;
}

static bool is_private4(const unsigned char *address)
{
    for (size_t i = 0; i < COUNT(blocks4); i++)
        if (is_in(address, &blocks4[i]))
            return true;
    return false;
}

static bool is_private6(const unsigned char *address)
{
    static const struct block global = {{0x20}, 3}, six_to_four = {{0x20, 0x02}, 16};
    for (size_t i = 0; i < COUNT(embeddings); i++)
        if (!memcmp(address, embeddings[i], sizeof(embeddings[i])))
            return is_private4(address + sizeof(embeddings[i]));
    if (is_in(address, &six_to_four))
        return is_private4(address + 2);
    return !is_in(address, &global);
}

bool tc_address_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof(four));
        return is_private4((const unsigned char *)&four.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof(six));
        return is_private6((const unsigned char *)&six.sin6_addr);
    }
    return true;
}

bool tc_address_text_is_private(const char *text)
{
    char bare[64];
    unsigned char address[16];
    text += *text == '[';
    size_t size = strcspn(text, "]%"); /* a zone does not count */
    if (size >= sizeof(bare))
        return false;
    memcpy(bare, text, size);
    bare[size] = '\0';
    if (inet_pton(AF_INET, bare, address) == 1)
        return is_private4(address);
    return inet_pton(AF_INET6, bare, address) == 1 && is_private6(address);
}
