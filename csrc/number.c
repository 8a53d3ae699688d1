/*
 * Numbers in text: see number.h.
 */
#include "number.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

static double scaled(double digits, int exponent)
{
    double power = 1;
    for (int i = abs(exponent); i > 0; i--)
        power *= 10;
    return exponent < 0 ? digits / power : digits * power;
}

double tc_decimal(const char *text, double otherwise)
{
    double digits = 0;
    int exponent = 0, seen = 0;
    for (; isdigit((unsigned char)*text); text++, seen++)
        digits = digits * 10 + (*text - '0');
    if (*text == '.')
        for (text++; isdigit((unsigned char)*text) && seen < 300; text++, seen++, exponent--)
            digits = digits * 10 + (*text - '0');
    if (!seen)
        return otherwise;
    if ((*text | 0x20) == 'e' && !isspace((unsigned char)text[1])) {
        long power = strtol(text + 1, NULL, 10);
        exponent += power > 300 ? 300 : power < -300 ? -300 : (int)power;
    }
    return scaled(digits, exponent);
}

bool tc_is_whole(double number)
{
    const double most = 9007199254740992.0; /* 2^53 */
    return number >= -most && number <= most && number == (double)(int64_t)number;
}
