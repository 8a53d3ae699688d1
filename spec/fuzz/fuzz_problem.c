/*
 * problem, wait: any bytes as what a server says. Every text ends where it should, every number
 * means something, and reading twice gives the same.
 *
 * Input: the document.
 */
#include "fuzz.h"
#include "engine/problem.h"
#include "engine/wait.h"

static void check_text(const char *text, size_t size)
{
    CLAIM(memchr(text, '\0', size));
}

static void check_small_letters(const char *text)
{
    for (; *text; text++)
        CLAIM(*text < 'A' || *text > 'Z');
}

static void check_wait(double seconds)
{
    CLAIM(seconds >= -1 && seconds <= 1e308); /* NaN is neither */
}

static void check(const struct tc_problem *problem)
{
    check_text(problem->message, sizeof(problem->message));
    check_text(problem->code, sizeof(problem->code));
    check_text(problem->type, sizeof(problem->type));
    check_text(problem->param, sizeof(problem->param));
    check_text(problem->state, sizeof(problem->state));
    check_text(problem->words, sizeof(problem->words));
    check_text(problem->codes, sizeof(problem->codes));
    check_small_letters(problem->words);
    check_small_letters(problem->codes);
    CLAIM(!problem->status || (problem->status >= 400 && problem->status <= 599));
    CLAIM(!problem->is_error || problem->says_error);
    check_wait(problem->wait);
    check_wait(tc_wait_in(problem->words));
    check_wait(tc_duration(problem->words));
    double until = tc_wait_until(problem->words, 1759808040);
    check_wait(until);
    CLAIM(until < 900);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tc_problem problem, again; /* by memcmp: their padding has to be the same */
    char *document = exact_copy(data, size), *text = exact(size + 1);
    CLAIM(tc_problem_read(&problem, document, size));
    CLAIM(tc_problem_read(&again, document, size));
    CLAIM(!memcmp(&problem, &again, sizeof(problem)));
    check(&problem);
    memcpy(text, document, size);
    text[size] = '\0';
    if (!*problem.message)
        tc_problem_take(&problem, text);
    check(&problem);
    free(text);
    free(document);
    return 0;
}
