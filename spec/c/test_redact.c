/*
 * redact.c: no spelling of a key passes, nothing that a terminal obeys, and plain text stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "splitter/base64.h"
#include "engine/redact.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY          "sk-AbCd/efgh+1234-WXYZ"
#define LONG_HASH    "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

static const struct row {
    const char *text, *line; /* `line` NULL: as it is */
} rows[] = {
    {"", NULL},
    {"plain words, and a task-force of sk- and ask-me-anything", NULL},
    {"ngọn hải đăng lúc hoàng hôn 🌅", NULL},
    {"  two  spaces\t\n lines\r\n ", "two spaces lines"},

    /* the request's key */
    {"key " KEY " here", "key sk-...WXYZ here"},
    {KEY, "sk-...WXYZ"},
    {"x" KEY "x", "xsk-...WXYZx"},
    {KEY KEY, "sk-...WXYZsk-...WXYZ"},
    {"SK-ABCD/EFGH+1234-wxyz", "sk-...WXYZ"},
    {"sk-AbCd\\/efgh+1234-WXYZ", "sk-...WXYZ"},
    {"\\u0073k-AbCd/efgh\\u002B1234-WXYZ.", "sk-...WXYZ."},
    {"sk\\u002dAbCd\\\\/efgh\\\\u002b1234-WXYZ.", "sk-...WXYZ."},
    {"sk-AbCd%2Fefgh%2b1234-WXYZ&x", "sk-...WXYZ&x"},
    {"%73%6b%2d%41bCd/efgh+1234-WXYZ", "sk-...WXYZ"},
    {"%2573k-AbCd%25252Fefgh+1234-WXYZ", "sk-...WXYZ"},
    {"&#115;&#X6B;-AbCd&#x2f;efgh&amp;#43;1234-WXYZ", "sk-...WXYZ"},
    {"\\x73k-AbCd\\/efgh\\x2b1234-WXYZ", "sk-...WXYZ"},
    {"as hex 736b2d416243642f656667682B313233342D5758595a.", "as hex sk-...WXYZ."},
    {"73 6b 2d 41 62 43 64 2f 65 66 67 68 2b 31 32 33 34 2d 57 58 59 5a", "sk-...WXYZ"},
    {"73:6B:2D:41:62:43:64:2F:65:66 and 736b2d", "sk-... and 736b2d"},
    {"&amp; &lt; &#; &#x; &#99999999999; %25 %2525 \\x \\", NULL},
    {"the end sk-AbCd/ef", "the end sk-..."},
    {"the end sk-A", "the end sk-..."},
    {"the end sk", NULL},
    {"https://x/?key=" KEY "&y", "https://x/?key=sk-...WXYZ&y"},

    /* other keys */
    {"Received=sk-0123456789abcdef, expected", "Received=sk-...cdef, expected"},
    {"cut sk-0123", "cut sk-..."},
    {"hash " LONG_HASH ".", "hash [hash]."},
    {"no hash 0" LONG_HASH ".", NULL},
    {"http://joe:secret@host/ and joe@host", "http://...@host/ and joe@host"},
    {"http://host/@x", NULL},

    /* characters */
    {"\x1b[31mred\x07", "\\x1b[31mred\\x07"},
    {"a\x7f", "a\\x7f"},
    {"bytes \x9b"
     "31m \xff\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82",
     "bytes \\x9b31m \\xff\\xc0\\x80 \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xe2\\x82"},
    {"\xc2\x9b"
     "31m",
     "\\u{9b}31m"},
    {"abc\xe2\x80\xae"
     "cba",
     "abc\\u{202e}cba"},
    {"zero\xe2\x80\x8bwidth\xef\xbb\xbf", "zero\\u{200b}width\\u{feff}"},
    {"line\xe2\x80\xa8separator", "line\\u{2028}separator"},
    {"tag\xf3\xa0\x81\x81", "tag\\u{e0041}"},
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[512];
        tc_redact(out, sizeof(out), rows[i].text, KEY);
        if (strcmp(out, rows[i].line ? rows[i].line : rows[i].text) != 0)
            fail_msg("\"%s\" became \"%s\"", rows[i].text, out);
    }
}

/* A key may have what escapes begin with; it is found as it is, and in every spelling. */
static void test_escapes_of_its_own(void **state)
{
    static const struct {
        const char *key, *text;
    } odd[] = {
        {"pass\\word%2Fof-joe", "pass\\word%2Fof-joe"},
        {"pass\\word%2Fof-joe", "pass\\\\word%2Fof-joe"},
        {"pass\\word%2Fof-joe", "pass\\u005cword\\u00252Fof-joe"},
        {"0123456789%41bc", "0123456789%41bc"},
        {"%41%42%43%44%45", "%41%42%43%44%45"},
        {"\\\\server\\key", "\\\\server\\key"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++) {
        char text[128], out[256], wanted[64];
        snprintf(text, sizeof(text), "<%s>", odd[i].text);
        snprintf(wanted, sizeof(wanted), "<...%s>", odd[i].key + strlen(odd[i].key) - 4);
        tc_redact(out, sizeof(out), text, odd[i].key);
        assert_string_equal(out, wanted);
    }
}

/* Whatever the room: nothing is written behind it, UTF-8 stays UTF-8, and the key does not show. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t size = 1; size < 60; size++) {
            char whole[512], *out = malloc(size);
            assert_non_null(out);
            tc_redact(whole, sizeof(whole), rows[i].text, KEY);
            tc_redact(out, size, rows[i].text, KEY);
            size_t length = strlen(out);
            assert_true(length < size);
            if (strlen(whole) < size)
                assert_string_equal(out, whole);
            else if (size > 4)
                assert_true(length >= 3 && !strcmp(out + length - 3, "..."));
            assert_null(strstr(out, "efgh"));
            if (size > 4 && strlen(whole) >= size && length > 3)
                assert_true(((unsigned char)whole[length - 3] & 0xc0) != 0x80);
            free(out);
        }
}

/* What a "Bearer" header, or any other text with the key, is in base64, in both alphabets. */
static void test_base64(void **state)
{
    (void)state;
    for (size_t before = 0; before < 8; before++)
        for (size_t behind = 0; behind < 4; behind++)
            for (int url = 0; url < 2; url++) {
                char plain[64], text[128] = "<", out[256];
                snprintf(plain, sizeof(plain), "%.*s" KEY "%.*s", (int)before,
                         "Bearer: ", (int)behind, "xyz");
                tc_base64_encode((unsigned char *)plain, strlen(plain), text + 1);
                strcat(text, ">");
                for (char *at = text; url && *at; at++)
                    *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
                tc_redact(out, sizeof(out), text, KEY);
                if (!strstr(out, "...") || strlen(out) > strlen(text) - 20)
                    fail_msg("%s became %s", text, out);
            }
}

/* Programs cut what they show: most of a key is as good as the whole. */
static void test_cut_base64(void **state)
{
    (void)state;
    for (size_t before = 0; before < 3; before++)
        for (size_t size = 14; size < 30; size++) {
            char plain[64], text[128], out[256];
            snprintf(plain, sizeof(plain), "%.*s" KEY, (int)before, "xyz");
            tc_base64_encode((unsigned char *)plain, strlen(plain), text);
            assert_true(strlen(text) > size);
            strcpy(text + size, ": {...}");
            tc_redact(out, sizeof(out), text, KEY);
            if (strstr(out, "...") == strstr(out, "...}"))
                fail_msg("%s became %s", text, out);
        }
}

static void test_body(void **state)
{
    char out[256];
    (void)state;
    tc_redact_body(out, sizeof(out), "{\r\n\t\"a\":  \"" KEY "\"\n}\r\x1b", KEY);
    assert_string_equal(out, "{\r\n\t\"a\":  \"sk-...WXYZ\"\n}\\x0d\\x1b");
}

/* Nothing but the key changes, whatever bytes are around it. */
static void test_verbatim(void **state)
{
    static const char text[] = "a\0b \xff\x1b sk-0123456789abcdef\r\n " KEY "%" KEY "\\";
    static const char wanted[] = "a\0b \xff\x1b sk-0123456789abcdef\r\n sk-...WXYZ%sk-...WXYZ\\";
    struct tc_redaction r;
    char out[256];
    const char *piece;
    size_t used = 0, size;
    (void)state;
    tc_redact_begin(&r, TC_REDACT_VERBATIM, KEY);
    tc_redact_text(&r, text, sizeof(text) - 1);
    while ((piece = tc_redact_next(&r, &size))) {
        memcpy(out + used, piece, size);
        used += size;
    }
    assert_int_equal(used, sizeof(wanted) - 1);
    assert_memory_equal(out, wanted, used);
}

/* A short key is found as it is, and none is no key. */
/* A key may look like what is spelled. */
static void test_odd_keys(void **state)
{
    static const char *const keys[][2] = {
        {"0123%2Fabcd4567", "0123%252Fabcd4567"},
        {"0123%2Fabcd4567", "0123%2Fabcd4567"},
    };
    char out[64];
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        tc_redact(out, sizeof(out), keys[i][1], keys[i][0]);
        assert_string_equal(out, "...4567");
    }
}

/* Each would take minutes if what may be a spelling were looked through again at each character. */
static void test_floods(void **state)
{
    static const char *const floods[] = {"\\", "%25", "&amp;", "&#1", "://", "73 ", "s", "YQ"};
    enum { SIZE = 1024 * 1024 };
    char *text = malloc(SIZE);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(floods); i++) {
        struct tc_redaction redaction;
        size_t length = strlen(floods[i]), size, all = 0;
        for (size_t at = 0; at < SIZE; at++)
            text[at] = floods[i][at % length];
        tc_redact_begin(&redaction, TC_REDACT_VERBATIM, KEY);
        tc_redact_text(&redaction, text, SIZE);
        while (tc_redact_next(&redaction, &size))
            all += size;
        assert_int_equal(all, SIZE);
    }
    free(text);
}

static void test_other_keys(void **state)
{
    char out[256];
    (void)state;
    tc_redact(out, sizeof(out), "secret SECRET and c2VjcmV0", "secret");
    assert_string_equal(out, "... SECRET and c2VjcmV0");
    tc_redact(out, sizeof(out), "words", "");
    assert_string_equal(out, "words");
    tc_redact(out, sizeof(out), "words", NULL);
    assert_string_equal(out, "words");
    tc_redact(out, sizeof(out), "a longer-secret-of-mine b", "longer-secret-of-mine");
    assert_string_equal(out, "a ...mine b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),      cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_base64),     cmocka_unit_test(test_cut_base64),
        cmocka_unit_test(test_body),       cmocka_unit_test(test_verbatim),
        cmocka_unit_test(test_other_keys), cmocka_unit_test(test_floods),
        cmocka_unit_test(test_odd_keys),   cmocka_unit_test(test_escapes_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
