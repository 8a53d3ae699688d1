/*
 * problem.c: one sentence, one code, one status out of the shapes that errors have; nothing read
 * too far, wherever a document stops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct row {
    const char *document, *message, *code;
    long status;
    bool says_error;
} rows[] = {
    {"{\"error\":{\"message\":\"no\",\"code\":\"429\"}}", "no", "429", 429, true},
    {"{\"error\":{\"message\":\"no\",\"code\":429}}", "no", "429", 429, true},
    {"[{\"error\":{\"message\":\"no\",\"code\":400}}]", "no", "400", 400, true},
    {"{\"error\":\"no\",\"code\":\"bad thing\"}", "no", "bad thing", 0, true},
    {"{\"error\":\"Forbidden\",\"message\":\"what for\"}", "Forbidden: what for", "", 0, true},
    {"{\"error\":\"no\",\"message\":\"no\"}", "no", "", 0, true},
    {"{\"error\":1,\"message\":\"no\"}", "no", "", 0, true},
    {"{\"error\":null,\"message\":\"ok\"}", "ok", "", 0, false},
    {"{\"error\":{}}", "", "", 0, false},
    {"{\"error\":{\"code\":0,\"message\":\"\"}}", "", "0", 0, false},
    {"{\"errors\":[{\"message\":\"a\"},{\"message\":\"b\"}]}", "a; b", "", 0, true},
    {"{\"errors\":[\"a\",\"b\"]}", "a; b", "", 0, true},
    {"{\"errors\":[]}", "", "", 0, false},
    {"{\"detail\":[{\"msg\":\"a\",\"type\":\"t\"}]}", "a", "", 0, true},
    {"{\"detail\":{\"error\":{\"message\":\"no\",\"code\":\"x\"}}}", "no", "x", 0, true},
    {"{\"statusCode\":400,\"message\":[\"a\",\"b\"],\"error\":\"Bad Request\"}",
     "Bad Request: a; b", "400", 400, true},
    {"{\"error\":{\"error\":\"no\"}}", "no", "", 0, true},
    {"{\"data\":{\"error\":\"no\"}}", "no", "", 0, false},
    {"{\"detail\":\"no\"}", "no", "", 0, false},
    {"{\"fault\":{\"faultstring\":\"no\"}}", "no", "", 0, true},
    {"{\"Message\":\"no\",\"__type\":\"X\"}", "no", "X", 0, false},
    {"{\"code\":599,\"msg\":\"no\",\"data\":null}", "no", "599", 599, false},
    {"{\"code\":600,\"msg\":\"no\"}", "no", "600", 0, false},
    {"{\"code\":4290,\"msg\":\"no\"}", "no", "4290", 0, false},
    {"{\"code\":-429,\"msg\":\"no\"}", "no", "-429", 0, false},
    {"{\"title\":\"t\",\"status\":503}", "t", "", 503, false},
    {"{\"choices\":[{\"error\":{\"message\":\"no\",\"code\":502}}]}", "no", "502", 502, true},
    {"{\"choices\":[{\"finish_reason\":\"error\"}]}", "", "", 0, true},
    {"{\"choices\":[{\"finish_reason\":\"stop\"}]}", "", "", 0, false},
    {"{\"error\":{\"message\":\"400: {'error': 'no.'}\"}}", "no", "", 0, true},
    {"{\"error\":{\"message\":\"{\\\"error\\\":{\\\"message\\\":\\\"in\\\",\\\"code\\\":500}}\"}}",
     "in", "500", 500, true},
    {"{\"error\":{\"message\":\"{\\\"\\\": 1, \\\"error\\\": {\\\"message\\\": \\\"5\\\"}}\"}}",
     "5", "", 0, true},
    {"{\"error\":{\"message\":\"None\",\"code\":\"None\",\"type\":\"None\"}}", "", "", 0, false},
    {"{\"error\":{\"message\":\"half", "half", "", 0, true},
    {"{\"error\":{\"message\":\"a\\u0000b\"}}", "a b", "", 0, true},
    {"not JSON", "", "", 0, false},
    {"", "", "", 0, false},
};

static void read_row(const struct row *row)
{
    struct tc_problem problem;
    size_t size = strlen(row->document);
    char *copy = malloc(size ? size : 1); /* of exactly that size, for sanitizers */
    assert_non_null(copy);
    memcpy(copy, row->document, size);
    assert_true(tc_problem_read(&problem, copy, size));
    if (strcmp(problem.message, row->message) != 0 || strcmp(problem.code, row->code) != 0 ||
        problem.status != row->status || problem.says_error != row->says_error)
        fail_msg("%s: \"%s\", code \"%s\", status %ld, %d", row->document, problem.message,
                 problem.code, problem.status, problem.says_error);
    free(copy);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        read_row(&rows[i]);
}

static void test_every_beginning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t size = 0; size <= strlen(rows[i].document); size++) {
            struct tc_problem problem;
            char *copy = malloc(size ? size : 1);
            assert_non_null(copy);
            memcpy(copy, rows[i].document, size);
            assert_true(tc_problem_read(&problem, copy, size));
            assert_true(strlen(problem.message) < sizeof(problem.message));
            free(copy);
        }
}

/* A megabyte in one sentence is cut, everywhere. */
static void test_long_text(void **state)
{
    static const char before[] = "{\"error\":{\"message\":\"", behind[] = "\",\"code\":\"x\"}}";
    struct tc_problem problem;
    size_t size = 1 << 20;
    (void)state;
    char *document = malloc(sizeof(before) + size + sizeof(behind));
    assert_non_null(document);
    memcpy(document, before, sizeof(before) - 1);
    memset(document + sizeof(before) - 1, 'A', size);
    memcpy(document + sizeof(before) - 1 + size, behind, sizeof(behind));
    assert_true(tc_problem_read(&problem, document, strlen(document)));
    free(document);
    assert_int_equal(strlen(problem.message), TC_PROBLEM_TEXT - 1);
    assert_int_equal(strlen(problem.words), TC_PROBLEM_WORDS - 1);
    assert_string_equal(problem.code, "x");
    assert_string_equal(problem.codes, "x\n");
}

/* Documents inside each other are read as far as is sensible, and no further. */
static void test_many_inside(void **state)
{
    static char documents[2][65536];
    struct tc_problem problem;
    (void)state;
    strcpy(documents[0], "{\"error\":{\"message\":\"innermost\"}}");
    for (int level = 1; level < 9; level++) {
        const char *from = documents[(level + 1) % 2];
        char *to = documents[level % 2];
        size_t used = (size_t)sprintf(to, "{\"error\":{\"message\":\"");
        for (; *from; from++) {
            if (*from == '"' || *from == '\\')
                to[used++] = '\\';
            to[used++] = *from;
        }
        strcpy(to + used, "\"}}");
        assert_true(tc_problem_read(&problem, to, strlen(to)));
        assert_true(*problem.message);
        if (level < 3)
            assert_string_equal(problem.message, "innermost");
    }
}

static void test_words(void **state)
{
    struct tc_problem problem;
    (void)state;
    memset(&problem, 0, sizeof(problem));
    tc_problem_take(&problem, "429: Too Many Requests\r\n");
    assert_string_equal(problem.message, "Too Many Requests");
    assert_non_null(strstr(problem.words, "too many requests"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_every_beginning),
        cmocka_unit_test(test_long_text), cmocka_unit_test(test_many_inside),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
