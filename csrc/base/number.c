/*
 * Numbers in text: see number.h.
 */
#include "number.h"

#include <ctype.h>
#include <float.h>
#include <stdint.h>
#include <stdlib.h>

#define DIGITS 1e17      /* a double has no room for more digits than that */
enum { LARGEST = 5000 }; /* any larger exponent gives infinity or 0 too */

/* `digits` times ten to the power of `exponent`. It may be infinite, but is never NaN. */
static double scaled(double digits, int exponent)
{
    double power = 1;
    for (int i = abs(exponent); i > 0; i--)
        power *= 10;
    if (digits == 0) /* 0 times an infinite power would be NaN */
        return 0;
    return exponent < 0 ? digits / power : digits * power;
}

/* Reads the exponent at `text`, after its "e". It stops growing at LARGEST. */
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
    bool seen = false, after_point = false;
    for (;; text++) {
        if (*text == '.' && !after_point) {
            after_point = true;
            continue;
        }
        if (!isdigit((unsigned char)*text))
            break;
        seen = true;
        bool counts = digits < DIGITS; /* the other digits only move the point */
        if (counts)
            digits = digits * 10 + (*text - '0');
        if (counts == after_point && exponent > -LARGEST && exponent < LARGEST)
            exponent += after_point ? -1 : 1;
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
