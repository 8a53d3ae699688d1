/*
 * scan.c: the run that needs no attention, of every length and ended by every byte, in blocks of
 * exactly its size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "splitter/scan.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 70 }; /* several rounds of any vector unit, with a rest */

static int ends_run(int byte)
{
    return byte == '"' || byte == '\\' || byte < 0x20;
}

static void expect_length(const char *text, size_t size, char stop, size_t wanted)
{
    size_t length = tc_scan_plain(text, size, stop);
    if (length != wanted)
        fail_msg("%zu of %zu bytes, up to %d: wanted %zu", length, size, stop, wanted);
}

/* Every byte value at every place of runs of every length. */
static void test_every_byte_everywhere(void **state)
{
    (void)state;
    for (size_t size = 0; size <= LONGEST; size++)
        for (size_t at = 0; at < size; at++)
            for (int byte = 0; byte < 256; byte++) {
                char *text = malloc(size);
                assert_non_null(text);
                memset(text, byte == 0xff ? '\x7f' : '\xff', size);
                text[at] = (char)byte;
                size_t wanted = ends_run(byte) ? at : size;
                expect_length(text, size, '"', wanted);
                expect_length(text, size, ':', byte == ':' ? at : wanted);
                expect_length(text, size, (char)byte, at);
                free(text);
            }
}

/* Of two bytes that end it the first does; what is in front of the run is none of its business. */
static void test_first_of_two(void **state)
{
    static const char ends[] = "\"\\\n\x1f";
    char text[64];
    (void)state;
    for (size_t start = 0; start < 16; start++)
        for (size_t i = start; i < sizeof(text); i++)
            for (size_t j = i; j < sizeof(text); j++) {
                memset(text, ' ', sizeof(text));
                memset(text, '"', start);
                text[j] = ends[j % 4];
                text[i] = ends[i % 4];
                size_t length = tc_scan_plain(text + start, sizeof(text) - start, '"');
                if (length != i - start)
                    fail_msg("from %zu, at %zu and %zu: %zu", start, i, j, length);
            }
}

static void test_nothing(void **state)
{
    (void)state;
    assert_int_equal(tc_scan_plain("", 0, '"'), 0);
    assert_int_equal(tc_scan_plain("abc", 0, 'a'), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_everywhere),
        cmocka_unit_test(test_first_of_two),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
