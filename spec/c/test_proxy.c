/*
 * proxy.c: which hosts a list exempts, as curl has it, and which variable is for which scheme.
 */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/proxy.h"

#include <stdlib.h>

struct case_ {
    const char *list, *host;
    bool exempt;
};

static const struct case_ cases[] = {
    {"*", "example.com", true},
    {"*", "[::1]", true},
    {"*,x", "example.com", false}, /* only alone */
    {"*.com", "example.com", false},
    {"", "example.com", false},
    {" , ,", "example.com", false},
    {"example.com", "example.com", true},
    {"example.com", "EXAMPLE.com", true},
    {"Example.COM", "example.com", true},
    {"example.com", "example.com.", true},
    {"example.com.", "example.com", true},
    {"example.com", "www.example.com", true},
    {".example.com", "www.example.com", true},
    {".example.com", "example.com", true},
    {"example.com", "nonexample.com", false},
    {"example.com", "example.com.vn", false},
    {"www.example.com", "example.com", false},
    {".", "example.com", false},
    {"..", "example.com", false},
    {"a.vn,example.com", "example.com", true},
    {"a.vn example.com", "example.com", true},
    {"a.vn , \texample.com ,b.vn", "example.com", true},
    {"a.vn,example.com,b.vn", "b.vn", true},
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.10", false},
    {"0.0.1", "127.0.0.1", false}, /* no name */
    {"10.0.0.0/8", "10.1.2.3", true},
    {"10.0.0.0/8", "11.1.2.3", false},
    {"10.0.0.0/33", "10.0.0.0", false},
    {"10.0.0.0/x", "10.0.0.0", false},
    {"10.0.0.0/99999999999999999999", "10.0.0.0", false},
    {"10.0.0.0/32", "10.0.0.1", false},
    {"192.168.5.0/25", "192.168.5.127", true},
    {"192.168.5.0/25", "192.168.5.128", false},
    {"0.0.0.0/0", "8.8.8.8", true},
    {"0.0.0.0/0", "[::1]", false},
    {"::1", "[::1]", true},
    {"[::1]", "[::1]", true},
    {"fd00::/8", "[fd12::1]", true},
    {"fd00::/8", "[fe80::1]", false},
    {"10.0.0.0/8", "ten.example", false},
};

static void test_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (tc_proxy_is_in_list(cases[i].list, cases[i].host) != cases[i].exempt)
            fail_msg("\"%s\" and %s: %s wanted", cases[i].list, cases[i].host,
                     cases[i].exempt ? "exempt" : "not exempt");
}

static void clear(void)
{
    static const char *const names[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                        "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

/* What the environment says with one variable set. */
static const char *with(const char *name, const char *scheme)
{
    clear();
    setenv(name, "here", 1);
    return tc_proxy_of_environment(scheme);
}

static void test_variables(void **state)
{
    (void)state;
    assert_non_null(with("http_proxy", "http"));
    assert_null(with("HTTP_PROXY", "http"));
    assert_null(with("http_proxy", "https"));
    assert_non_null(with("https_proxy", "https"));
    assert_non_null(with("HTTPS_PROXY", "https"));
    assert_null(with("https_proxy", "http"));
    assert_non_null(with("all_proxy", "http"));
    assert_non_null(with("ALL_PROXY", "https"));
    setenv("https_proxy", "", 1); /* one that is empty is none */
    assert_string_equal(tc_proxy_of_environment("https"), "here");
    setenv("https_proxy", "nearer", 1);
    assert_string_equal(tc_proxy_of_environment("https"), "nearer");
    clear();
    assert_null(tc_proxy_of_environment("https"));
    assert_false(tc_proxy_is_exempt("example.com"));
    setenv("NO_PROXY", "example.com", 1);
    assert_true(tc_proxy_is_exempt("example.com"));
    setenv("no_proxy", "example.vn", 1); /* it comes first */
    assert_false(tc_proxy_is_exempt("example.com"));
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
