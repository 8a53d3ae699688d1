/*
 * How long a text says to wait: see wait.h.
 */
#include "wait.h"

#include "../base/number.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    QUARTER = 900, /* seconds; all time zones differ from UTC by a multiple of it */
    WINDOW = 60    /* seconds of a limit's window */
};

/* ---- durations ---- */

struct unit {
    const char *names; /* with a space before and after each */
    double seconds;
};

static const struct unit units[] = {
    {" ms msec msecs millis millisecond milliseconds ", 0.001},
    {" s sec secs second seconds ", 1},
    {" m min mins minute minutes ", 60},
    {" h hr hrs hour hours ", 3600},
    {" d day days ", 86400},
};

static size_t letters(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz");
}

static const struct unit *unit_at(const char *text, size_t size)
{
    char name[16];
    if (size == 0 || size > sizeof(name) - 3)
        return NULL;
    snprintf(name, sizeof(name), " %.*s ", (int)size, text);
    for (size_t i = 0; i < COUNT(units); i++)
        if (strstr(units[i].names, name))
            return &units[i];
    return NULL;
}

/* The length of the number at `text`; 0 if there is none, or if it belongs to a date or time. */
static size_t number_size(const char *text)
{
    static const char digits[] = "0123456789";
    size_t size = strspn(text, digits), fraction = 0;
    if (size && text[size] == '.')
        fraction = strspn(text + size + 1, digits);
    size += fraction ? fraction + 1 : 0;
    bool more = text[size] && strchr("-:/,", text[size]) && text[size + 1] &&
                strchr(digits, text[size + 1]);
    return more ? 0 : size;
}

/* Skips what may be between two parts of a duration: "2 minutes, 5 seconds". */
static const char *next_part(const char *text)
{
    text += strspn(text, " ,");
    return strncmp(text, "and ", 4) ? text : text + 4;
}

/* Seconds of "a minute", "an hour", "one second" at `text`, or below 0. */
static double one_unit(const char *text)
{
    static const char *const words[] = {"a ", "an ", "one "};
    for (size_t i = 0; i < COUNT(words); i++) {
        const char *name = text + strlen(words[i]);
        if (strncmp(text, words[i], strlen(words[i])) != 0)
            continue;
        const struct unit *unit = unit_at(name, letters(name));
        return unit ? unit->seconds : -1;
    }
    return -1;
}

double tc_duration(const char *text)
{
    const struct unit *last = NULL;
    double total = one_unit(text);
    if (total >= 0)
        return total;
    for (size_t size; (size = number_size(text)) > 0; text = next_part(text)) {
        const char *name = text + size;
        name += strspn(name, " ");
        const struct unit *unit = unit_at(name, letters(name));
        if (total >= 0 && (!unit || unit >= last)) /* the number does not belong to the duration */
            break;
        if (!unit && letters(text + size))
            break;
        double count = tc_decimal(text, -1);
        if (count < 0) /* it has too many digits */
            return -1;
        total = (total < 0 ? 0 : total) + count * (unit ? unit->seconds : 1);
        if (!unit)
            break;
        last = unit;
        text = name + letters(name);
    }
    return total;
}

/* ---- sentences ---- */

/* What precedes a wait in sentences and in JSON. */
static const char *const anchors[] = {
    "again in",        "retry in",    "retrying in", "again after",  "retry after",
    "retry-after",     "retry_after", "retryafter",  "retrydelay",   "request after",
    "available in",    "resets in",   "reset in",    "resets after", "timed out for",
    "available after", "retry_delay", "reset after", "wait",
};

/* Skips what may be between those words and the number. */
static const char *skip_fillers(const char *text)
{
    static const char *const fillers[] = {"about ",    "approximately ", "around ",
                                          "at least ", "another ",       "for ",
                                          "up to ",    "the next ",      "seconds: "};
    for (;;) {
        const char *start = text;
        text += strspn(text, " \t\r\n:=\"'\\~{");
        for (size_t i = 0; i < COUNT(fillers); i++)
            if (!strncmp(text, fillers[i], strlen(fillers[i])))
                text += strlen(fillers[i]);
        if (text == start)
            return text;
    }
}

double tc_wait_in(const char *text)
{
    const char *first = NULL;
    double wait = -1;
    for (size_t i = 0; i < COUNT(anchors); i++)
        for (const char *at = text; (at = strstr(at, anchors[i])) != NULL;) {
            at += strlen(anchors[i]);
            double seconds = tc_duration(skip_fillers(at));
            if (seconds < 0)
                continue;
            if (!first || at < first) {
                first = at;
                wait = seconds;
            }
            break;
        }
    return wait;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_to(int year, int month, int day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int past = month > 2 ? year : year - 1; /* the last year whose 29 February is past */
    return 365 * (int64_t)(year - 1970) + (past / 4 - 492) - (past / 100 - 19) + (past / 400 - 4) +
           before[month - 1] + day - 1;
}

double tc_moment(const char *text)
{
    int year, month, day, hour, minute, second, read = 0, hours, minutes;
    char sign[2];
    if (sscanf(text, " %4d-%2d-%2d%*1[ tT]%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
               &second, &read) != 6)
        return -1;
    if (year < 1970 || month < 1 || month > 12)
        return -1;
    double moment =
        (double)(days_to(year, month, day) * 86400 + hour * 3600 + minute * 60 + second);
    text += read + strspn(text + read, ".0123456789");
    if (sscanf(text, "%1[+-]%2d:%2d", sign, &hours, &minutes) == 3)
        moment += (*text == '-' ? 1 : -1) * (hours * 3600 + minutes * 60);
    return moment;
}

double tc_wait_until(const char *text, time_t now)
{
    static const char words[] = "limit resets at:";
    const char *at = strstr(text, words);
    double moment = at ? tc_moment(at + strlen(words)) : -1;
    if (moment < 0)
        return -1;
    int64_t wait = (int64_t)moment - (int64_t)now;
    if (wait > 0 && wait < QUARTER)
        return (double)wait;
    wait = (wait % QUARTER + QUARTER) % QUARTER;
    return wait > 0 && wait <= WINDOW ? (double)wait : -1;
}
