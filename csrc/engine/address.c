/*
 * Which addresses are private: see address.h.
 */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "address.h"

#include <ctype.h>
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

/* A block of addresses: the first bytes, and how many of their bits have to match. */
struct block {
    unsigned char start[4];
    unsigned bits;
};

static const struct block blocks4[] = {
    {{0}, 8},          /* this network */
    {{10}, 8},         /* private */
    {{100, 64}, 10},   /* carrier-grade NAT */
    {{127}, 8},        /* loopback */
    {{169, 254}, 16},  /* link-local; clouds have their metadata there */
    {{172, 16}, 12},   /* private */
    {{192, 0, 0}, 24}, /* protocol assignments */
    {{192, 168}, 16},  /* private */
    {{198, 18}, 15},   /* benchmarks */
    {{224}, 3},        /* multicast, reserved, broadcast */
};

/* Prefixes of IPv6 addresses that contain an IPv4 address: mapped (::ffff:0:0/96), NAT64
 * (64:ff9b::/96), compatible. */
static const unsigned char embeddings[][12] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
    {0, 0x64, 0xff, 0x9b},
    {0},
};

static bool begins_alike(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    for (unsigned bit = 0; bit < bits; bit++) {
        unsigned char mask = (unsigned char)(0x80U >> bit % 8);
        if ((a[bit / 8] & mask) != (b[bit / 8] & mask))
            return false;
    }
    return true;
}

static bool is_in(const unsigned char *address, const struct block *block)
{
    return begins_alike(address, block->start, block->bits);
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

/* Reads an address from the first `size` characters of a text. Returns its length in bytes: 4, 16,
 * or 0 if it is none. */
static unsigned parse(const char *text, size_t size, unsigned char *address)
{
    char bare[64];
    if (size && *text == '[')
        text++, size--;
    size_t end = 0;
    while (end < size && text[end] != ']' && text[end] != '%') /* a zone is ignored */
        end++;
    if (end && text[end - 1] == '.') /* a final dot is ignored: "127.0.0.1." */
        end--;
    if (end >= sizeof(bare))
        return 0;
    memcpy(bare, text, end);
    bare[end] = '\0';
    if (inet_pton(AF_INET, bare, address) == 1)
        return 4;
    return inet_pton(AF_INET6, bare, address) == 1 ? 16 : 0;
}

bool tc_address_text_is_private(const char *text)
{
    unsigned char address[16];
    unsigned bytes = parse(text, strlen(text), address);
    return bytes == 4    ? is_private4(address)
           : bytes == 16 ? is_private6(address)
                         : tc_address_text_is_loopback(text);
}

static bool equals(const char *text, const char *lower, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (tolower((unsigned char)text[i]) != lower[i])
            return false;
    return true;
}

static bool is_localhost(const char *name)
{
    static const char localhost[] = "localhost";
    const size_t least = sizeof(localhost) - 1;
    size_t size = strlen(name);
    if (size && name[size - 1] == '.')
        size--;
    bool alone = size == least || (size > least && name[size - least - 1] == '.');
    return alone && equals(name + size - least, localhost, least);
}

bool tc_address_text_is_loopback(const char *text)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff}, one[16] = {[15] = 1};
    unsigned char address[16];
    unsigned bytes = parse(text, strlen(text), address);
    if (bytes == 16)
        return !memcmp(address, one, sizeof(one)) ||
               (!memcmp(address, mapped, sizeof(mapped)) && address[sizeof(mapped)] == 127);
    return bytes == 4 ? address[0] == 127 : is_localhost(text);
}

bool tc_address_text_is_in(const char *text, const char *block, size_t size)
{
    unsigned char address[16], start[16];
    const char *slash = memchr(block, '/', size);
    size_t digits = slash ? (size_t)(slash - block) : size;
    unsigned bytes = parse(text, strlen(text), address);
    if (!bytes || parse(block, digits, start) != bytes)
        return false;
    unsigned bits = 0;
    for (size_t i = digits + 1; i < size; i++) {
        if (!isdigit((unsigned char)block[i]) || bits > 128)
            return false;
        bits = bits * 10 + (unsigned)(block[i] - '0');
    }
    if (digits + 1 >= size) /* no slash, or nothing after it */
        bits = bytes * 8;
    return bits <= bytes * 8 && begins_alike(address, start, bits);
}
