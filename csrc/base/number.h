/*
 * Reads numbers in text in the same way in every locale, which strtod does not.
 */
#ifndef TC_NUMBER_H
#define TC_NUMBER_H

#include <stdbool.h>

/* The decimal number that `text` begins with ("0.04", "1e-05", "8123.456"), or `otherwise` where it
 * begins with none, with a negative one, or with one too large for a double. */
double tc_decimal(const char *text, double otherwise);

/* Is `number` an integer within ±2^53? (libm's floor would need another library on a host's linker
 * line.) */
bool tc_is_whole(double number);

#endif
