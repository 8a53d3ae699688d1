/*
 * wait.c: every way to say how long, and nothing out of what only looks like it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/wait.h"

#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct row {
    const char *text;
    double wanted;
} durations[] = {
    {"12", 12},
    {"12s", 12},
    {"37.08s", 37.08},
    {"500ms", 0.5},
    {"500 milliseconds", 0.5},
    {"1m30s", 90},
    {"6m0s", 360},
    {"1h2m3.5s", 3723.5},
    {"1d2h", 93600},
    {"20 seconds", 20},
    {"1 second.", 1},
    {"2 minutes", 120},
    {"2 min", 120},
    {"1 hour", 3600},
    {"2hrs", 7200},
    {"3 days", 259200},
    {"1 minute 30 seconds", 90},
    {"1 minute and 30 seconds", 90},
    {"1 hour, 5 minutes, and 6 seconds", 3906},
    {"5 seconds. passed model=x", 5},
    {"5, or 6", 5},
    {"0", 0},
    {"0s", 0},
    {"30 requests", 30},
    {"2 minutes 5 requests", 120},
    {"30 seconds 2 minutes", 30}, /* the next thing, not a part */
    {"5.", 5},
    {"1e400", -1},
    {"5xyz", -1},
    {"5s5", 5},
    {"2025-10-07t03:34:49z", -1},
    {"03:34:49", -1},
    {"10/7", -1},
    {"1,000 ms", -1},
    {"-5s", -1},
    {"a few minutes", -1},
    {"a minute", 60},
    {"an hour", 3600},
    {"one second.", 1},
    {"a", -1},
    {"inf", -1},
    {"nans", -1},
    {".5s", -1},
    {"", -1},
};

static const struct row sentences[] = {
    {"please try again in 12s. visit x to learn more", 12},
    {"please try again in 20ms", 0.02},
    {"you exceeded your current quota.\nplease retry in 37.08s.", 37.08},
    {"{\"@type\": \"retryinfo\", \"retrydelay\": \"37s\"}", 37},
    {"{\\\"retrydelay\\\": \\\"1.5s\\\"}", 1.5},
    {"'retry_after': 12", 12},
    {"retry-after: 12", 12},
    {"retry after 2 minutes", 120},
    {"please retry after 26 seconds. to increase", 26},
    {"please retry your request after 5 seconds", 5},
    {"no deployments available, try again in 5 seconds. passed model=imagen-4", 5},
    {"slow down and try again after 51.81557421875 seconds", 51.81557421875},
    {"request was throttled. expected available in 1 second.", 1},
    {"please wait 30 seconds", 30},
    {"please wait for 30 seconds", 30},
    {"please wait for at least another 30 seconds", 30},
    {"your quota will reset after 9s", 9},
    {"the limit resets in about 1 hour", 3600},
    {"retry in approximately 3 minutes", 180},
    {"try again in a moment. you may retry in 4s", 4},
    {"retry after 2025-10-07 03:34:49, or wait 8s", 8},
    {"wait 3s, or try again in 9s", 3},
    {"try again in a few minutes. error 429", -1},
    {"try again later (5)", -1},
    {"waited 600 seconds", -1},
    {"time taken=600.013 seconds", -1},
    {"try again in", -1},
    {"retry_delay {\n  seconds: 37\n}", 37},
    {"try again in a minute", 60},
    {"available after the next 20 seconds", 20},
    {"retry_after_ms: 12", -1},
    {"retry", -1},
    {"", -1},
};

static void check(const struct row *rows, size_t count, double (*read)(const char *))
{
    for (size_t i = 0; i < count; i++) {
        double got = read(rows[i].text);
        if (!(fabs(got - rows[i].wanted) < 1e-9))
            fail_msg("\"%s\": %g instead of %g", rows[i].text, got, rows[i].wanted);
    }
}

static void test_durations(void **state)
{
    (void)state;
    check(durations, COUNT(durations), tc_duration);
}

static void test_sentences(void **state)
{
    (void)state;
    check(sentences, COUNT(sentences), tc_wait_in);
}

/* 2025-10-07 03:34:00 UTC */
static const time_t now = 1759808040;

static void test_moments(void **state)
{
    static const struct row rows[] = {
        {"limit resets at: 2025-10-07 03:34:42 utc", 42},
        {"rate limit exceeded. limit resets at: 2025-10-07t03:34:42 utc", 42},
        {"limit resets at: 2025-10-07 03:44:00 utc", 600}, /* a longer window */
        {"limit resets at: 2025-10-07 10:34:42 utc", 42},  /* Vietnam's time */
        {"limit resets at: 2025-10-06 22:34:42 utc", 42},  /* New York's */
        {"limit resets at: 2025-10-07 09:19:42 utc", 42},  /* Nepal's */
        {"limit resets at: 2025-10-07 10:34:00 utc", -1},
        {"limit resets at: 2025-10-07 10:33:57 utc", -1}, /* it has passed */
        {"limit resets at: 2025-10-07 10:44:00 utc", -1},
        {"limit resets at: 2025-10-07 03:34:00 utc", -1},
        {"limit resets at: 2025-10-07 03:33:00 utc", -1},
        {"limit resets at: 2025-10-07 03:33:59 utc", -1},
        {"limit resets at: 1970-01-01 00:00:00 utc", -1},
        {"limit resets at: 0000-00-00 00:00:00 utc", -1},
        {"limit resets at: 2025-13-07 03:34:42 utc", -1},
        {"limit resets at: 2025-10-07", -1},
        {"limit resets at: soon", -1},
        {"limit resets at:", -1},
        {"", -1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        double got = tc_wait_until(rows[i].text, now);
        if (!(fabs(got - rows[i].wanted) < 1e-9))
            fail_msg("\"%s\": %g instead of %g", rows[i].text, got, rows[i].wanted);
    }
}

/* Whatever the server's time zone, what is left of the minute is what is waited for. */
static void test_time_zones(void **state)
{
    (void)state;
    for (int quarter = -48; quarter <= 56; quarter++) {
        char text[80];
        time_t moment = now + 17 + quarter * 900;
        struct tm *parts = gmtime(&moment);
        strftime(text, sizeof(text), "limit resets at: %Y-%m-%d %H:%M:%S utc", parts);
        assert_int_equal((int)tc_wait_until(text, now), 17);
    }
}

static void test_iso(void **state)
{
    static const struct {
        const char *text;
        double wanted;
    } rows[] = {
        {"2026-11-26T16:00:00Z", 1795708800},
        {" 2026-11-26 16:00:00", 1795708800},
        {"2026-11-26T16:00:00.25Z", 1795708800},
        {"2026-11-26T23:00:00+07:00", 1795708800},
        {"2026-11-26T11:00:00.5-05:00", 1795708800},
        {"2026-13-26T16:00:00Z", -1},
        {"1969-11-26T16:00:00Z", -1},
        {"2026-11-26", -1},
        {"soon", -1},
        {"", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (tc_moment(rows[i].text) != rows[i].wanted)
            fail_msg("\"%s\": %g", rows[i].text, tc_moment(rows[i].text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations), cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_moments),   cmocka_unit_test(test_time_zones),
        cmocka_unit_test(test_iso),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
