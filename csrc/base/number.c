/*
 * Numbers in text: see number.h.
 */
#include "number.h"

#include <ctype.h>
#include <float.h>
#include <stdint.h>
#include <stdlib.h>

#define DIGITS 1e17 /* more than a double can tell apart */
enum { LARGEST = 5000 };

/* `digits` times ten to the power of `exponent`. It may be infinite, but it is a number. */
static double scaled(double digits, int exponent)
{
    double power = 1;
    for (int i = abs(exponent); i > 0; i--)
        power *= 10;
    if (digits == 0) /* which an infinite power would make no number at all */
        return 0;
    return exponent < 0 ? digits / power : digits * power;
}

/* The exponent at `text`, behind its "e": beyond LARGEST all are alike. */
static int exponent_at(const char *text)
{
    bool negative = *text == '-';
    int power = 0;
    for (text += *text == '-' || *text == '+'; isdigit((unsigned char)*text); text++)
        if (power < LARGEST)
            power = power * 10 + (*text - '0');
    return negative ? -power : power;
}

double tc_decimal(const char *text, double otherwise)
{
    double digits = 0;
    int exponent = 0;
    bool seen = false, behind_point = false;
    for (;; text++) {
        if (*text == '.' && !behind_point) {
            behind_point = true;
            continue;
        }
        if (!isdigit((unsigned char)*text))
            break;
        seen = true;
        bool counts = digits < DIGITS; /* the rest only moves the point */
        if (counts)
            digits = digits * 10 + (*text - '0');
        if (counts == behind_point && exponent > -LARGEST && exponent < LARGEST)
            exponent += behind_point ? -1 : 1;
    }
    if (!seen)
        return otherwise;
    if ((*text | 0x20) == 'e')
        exponent += exponent_at(text + 1);
    double number = scaled(digits, exponent);
    return number <= DBL_MAX ? number : otherwise;
}

bool tc_is_whole(double number)
{
    const double most = 9007199254740992.0; /* 2^53 */
    return number >= -most && number <= most && number == (double)(int64_t)number;
}
