/*
 * number.c: the same number in every locale, and nothing odd from odd text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double OTHERWISE = -7;

static const struct row {
    const char *text;
    double wanted;
} rows[] = {
    {"0", 0},
    {"7", 7},
    {"0.04", 0.04},
    {"0.040", 0.04},
    {"1e-05", 1e-05},
    {"1E-05", 1e-05},
    {"2.5e3", 2500},
    {"2.5e+3", 2500},
    {"8123.456", 8123.456},
    {"007", 7},
    {"1.", 1},
    {".5", 0.5},
    {"9007199254740991", 9007199254740991.0},
    {"3600\r\n", 3600},
    {"12 USD", 12},
    {"1,5", 1},
    {"1.5.5", 1.5},
    {"1e", 1},
    {"1ex", 1},
    {"0x10", 0},
    {"1e400", -7},
    {"1e99999999999999999999", -7},
    {"1e-99999999999999999999", 0},
    {"1e-400", 0},
    {"0e400", 0},
    {"0e99999999999999999999", 0},
    {"0.0e-400", 0},
    {"1e-", 1},
    {"1e 5", 1},
    {"12345678901234567890", 12345678901234567890.0},
    {"0.00000000000000000001234", 1.234e-20},
    {"", -7},
    {".", -7},
    {"-1", -7},
    {"-0.5", -7},
    {"+1", -7},
    {" 1", -7},
    {"e5", -7},
    {"nan", -7},
    {"inf", -7},
    {"\xd9\xa1", -7}, /* a digit, but not of ours */
};

static void check_rows(const char *locale)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double got = tc_decimal(rows[i].text, OTHERWISE);
        if (!(fabs(got - rows[i].wanted) <= fabs(rows[i].wanted) * 1e-15))
            fail_msg("\"%s\" in locale %s: %.17g instead of %.17g", rows[i].text, locale, got,
                     rows[i].wanted);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    check_rows("C");
}

/* Locales whose numbers have a comma, or digits of their own; those that this system has. */
static void test_other_locales(void **state)
{
    static const char *const names[] = {"vi_VN.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8",
                                        "fa_IR.UTF-8", "tr_TR.UTF-8", "C.UTF-8"};
    int found = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (setlocale(LC_ALL, names[i])) {
            check_rows(names[i]);
            found++;
        }
    setlocale(LC_ALL, "C");
    if (!found)
        skip();
}

static void test_far_too_large_or_small(void **state)
{
    (void)state;
    assert_true(tc_decimal("1e300", OTHERWISE) > 0.999999e300);
    assert_true(tc_decimal("1e999999999999999999999", OTHERWISE) <= OTHERWISE);
    assert_true(tc_decimal("1.7976931348623e308", OTHERWISE) > 1.79e308);
    assert_true(tc_decimal("1.8e308", OTHERWISE) <= OTHERWISE);
    assert_true(tc_decimal("1e-300", OTHERWISE) < 1e-299);
    double tiny = tc_decimal("1e-999999999999999999999", OTHERWISE);
    assert_true(tiny >= 0 && tiny < 1e-299);
    assert_true(tc_decimal("0e999", OTHERWISE) >= 0);
    assert_true(tc_decimal("0e999", OTHERWISE) <= 0);
}

/* A thousand digits, before the point or behind it, are a number, or too large for one. */
static void test_very_many_digits(void **state)
{
    static const struct row tails[] = {{"", -7},      {"e300", -7},     {".5", -7},
                                       {"e-1000", 1}, {"e-800", 1e200}, {".5e-995", 1e5}};
    char text[1100];
    (void)state;
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        memset(text, '9', 1000);
        snprintf(text + 1000, sizeof(text) - 1000, "%s", tails[i].text);
        double got = tc_decimal(text, OTHERWISE);
        if (!(fabs(got - tails[i].wanted) <= fabs(tails[i].wanted) * 1e-14))
            fail_msg("1000 nines and \"%s\": %g", tails[i].text, got);
        memset(text, '0', 1000);
        text[1] = '.';
        got = tc_decimal(text, OTHERWISE);
        if (!(got >= 0 && got <= 0))
            fail_msg("1000 zeros and \"%s\": %g", tails[i].text, got);
    }
    memset(text, '3', 1000);
    memcpy(text, "0.", 2);
    text[1000] = '\0';
    assert_true(fabs(tc_decimal(text, OTHERWISE) - 1.0 / 3) < 1e-12);
}

static void test_whole(void **state)
{
    static const double whole[] = {
        0, -0.0, 1, -1, 4294967296.0, 9007199254740992.0, -9007199254740992.0};
    static const double others[] = {
        0.5,   -0.5,     1e-300,   1.0000000000000002, 9007199254740994.0, -9007199254740994.0,
        1e300, HUGE_VAL, -HUGE_VAL};
    (void)state;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (!tc_is_whole(whole[i]))
            fail_msg("%.17g is whole", whole[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (tc_is_whole(others[i]))
            fail_msg("%.17g is not whole", others[i]);
    assert_false(tc_is_whole(HUGE_VAL - HUGE_VAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_other_locales),
        cmocka_unit_test(test_far_too_large_or_small),
        cmocka_unit_test(test_very_many_digits),
        cmocka_unit_test(test_whole),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
