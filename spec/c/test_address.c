/*
 * address.c: what is of the public internet, at both ends of every block, in text and as libcurl
 * hands it over.
 */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The first and the last address of each block that is not public, and its public neighbours. NULL:
 * that neighbour is not public either. */
struct block {
    const char *before, *first, *last, *behind;
};

static const struct block blocks[] = {
    {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL}, /* multicast */
    {NULL, "240.0.0.0", "255.255.255.255", NULL},              /* reserved, and broadcast */
};

static const char *const public6[] = {
    "2000::",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
};

static const char *const private6[] = {
    "::",
    "::1",
    "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "4000::",
    "fc00::",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
};

/* Prefixes of IPv6 whose last 32 bits are an address of IPv4, which decides. */
static const char *const embeddings[] = {"::ffff:", "64:ff9b::", "::"};

static void expect_text(const char *text, bool wanted)
{
    if (tc_address_text_is_private(text) != wanted)
        fail_msg("\"%s\" as text: %s wanted", text, wanted ? "private" : "public");
}

static void expect_address(const char *text, bool wanted)
{
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    memset(&six, 0, sizeof(six));
    memset(&four, 0, sizeof(four));
    six.sin6_family = AF_INET6;
    four.sin_family = AF_INET;
    bool is_four = inet_pton(AF_INET, text, &four.sin_addr) == 1;
    if (!is_four)
        assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    const void *address = is_four ? (const void *)&four : (const void *)&six;
    if (tc_address_is_private(address) != wanted)
        fail_msg("%s: %s wanted", text, wanted ? "private" : "public");
}

/* The same whichever way it comes. */
static void expect(const char *text, bool wanted)
{
    char bracketed[80];
    expect_address(text, wanted);
    expect_text(text, wanted);
    snprintf(bracketed, sizeof(bracketed), "[%s]", text);
    expect_text(bracketed, wanted);
}

static void expect_embedded(const char *four, bool wanted)
{
    char six[80];
    for (size_t i = 0; i < sizeof(embeddings) / sizeof(embeddings[0]); i++) {
        snprintf(six, sizeof(six), "%s%s", embeddings[i], four);
        expect(six, wanted);
    }
    unsigned a, b, c, d;
    assert_int_equal(sscanf(four, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    snprintf(six, sizeof(six), "2002:%02x%02x:%02x%02x::1", a, b, c, d); /* 6to4 */
    expect(six, wanted);
}

static void test_version_4(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        expect(blocks[i].first, true);
        expect(blocks[i].last, true);
        if (blocks[i].before)
            expect(blocks[i].before, false);
        if (blocks[i].behind)
            expect(blocks[i].behind, false);
    }
    expect("169.254.169.254", true);
    expect("8.8.8.8", false);
}

static void test_version_4_in_6(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        expect_embedded(blocks[i].first, true);
        expect_embedded(blocks[i].last, true);
        if (blocks[i].behind)
            expect_embedded(blocks[i].behind, false);
    }
    expect("64:ff9b:1::8.8.8.8", true); /* a network's own prefix (RFC 8215) */
}

static void test_version_6(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(public6) / sizeof(public6[0]); i++)
        expect(public6[i], false);
    for (size_t i = 0; i < sizeof(private6) / sizeof(private6[0]); i++)
        expect(private6[i], true);
}

static void test_zone(void **state)
{
    (void)state;
    expect_text("fe80::1%eth0", true);
    expect_text("[fe80::1%25eth0]", true);
    expect_text("2606:4700::1111%1", false);
}

/* What a name leads to is known when it is looked up, not before. */
static void test_names(void **state)
{
    static const char *const names[] = {"",          "example.com", "10.0.0.1.example.com",
                                        "10.0.0",    "10.0.0.0.1",  "010.0.0.1",
                                        "0x7f.1",    "2130706433",  "[",
                                        "[]",        "%",           "::g",
                                        ":::",       "1.2.3.4 ",    ".",
                                        "10.0.0.1.."};
    char longest[300];
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        expect_text(names[i], false);
    memset(longest, '1', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    expect_text(longest, false);
    for (size_t size = 60; size < 70; size++) {
        longest[size] = '\0';
        expect_text(longest, false);
        longest[size] = '1';
    }
}

static void test_this_machine(void **state)
{
    static const char *const here[] = {
        "localhost",      "LOCALHOST", "localhost.",         "a.localhost",
        "a.b.LocalHost.", "127.0.0.1", "127.255.255.255",    "127.0.0.1.",
        "[::1]",          "::1",       "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]"};
    static const char *const elsewhere[] = {"",
                                            ".",
                                            "localhost.example",
                                            "ocalhost",
                                            "xlocalhost",
                                            "localhost..",
                                            "localhos",
                                            "126.0.0.1",
                                            "128.0.0.1",
                                            "0.0.0.0",
                                            "127.0.0.1.example.com",
                                            "127.1",
                                            "[::2]",
                                            "[::]",
                                            "[::ffff:128.0.0.1]",
                                            "[64:ff9b::127.0.0.1]"};
    (void)state;
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
        if (!tc_address_text_is_loopback(here[i]))
            fail_msg("\"%s\" is this machine", here[i]);
        expect_text(here[i], true);
    }
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        if (tc_address_text_is_loopback(elsewhere[i]))
            fail_msg("\"%s\" is not this machine", elsewhere[i]);
}

static void test_other_families(void **state)
{
    struct sockaddr_un local;
    struct sockaddr unspecified;
    (void)state;
    memset(&local, 0, sizeof(local));
    memset(&unspecified, 0, sizeof(unspecified));
    local.sun_family = AF_UNIX;
    unspecified.sa_family = AF_UNSPEC;
    assert_true(tc_address_is_private((const struct sockaddr *)&local));
    assert_true(tc_address_is_private(&unspecified));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_4),      cmocka_unit_test(test_version_4_in_6),
        cmocka_unit_test(test_version_6),      cmocka_unit_test(test_zone),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_this_machine),
        cmocka_unit_test(test_other_families),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
