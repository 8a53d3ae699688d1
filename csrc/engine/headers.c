/*
 * Header lines of a response: see headers.h.
 */
#include "headers.h"

#include "../base/alloc.h"
#include "../base/number.h"
#include "redact.h"
#include "wait.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <time.h>

/* Copies the value of a header line, if its name is `name`; else returns false. `capacity` is that
 * of `value`. */
static bool header_is(const char *line, size_t size, const char *name, char *value, size_t capacity)
{
    size_t i = strlen(name);
    if (i >= size || line[i] != ':' || !curl_strnequal(line, name, i))
        return false;
    for (i++; i < size && (line[i] == ' ' || line[i] == '\t'); i++)
        continue;
    size_t length = size - i;
    while (length && isspace((unsigned char)line[i + length - 1]))
        length--;
    if (length >= capacity)
        length = capacity - 1;
    memcpy(value, line + i, length);
    value[length] = '\0';
    return true;
}

void tc_headers_begin(struct tc_header_notes *notes)
{
    notes->encoded = false;
    notes->retry_after = -1;
    for (unsigned i = 0; i < TC_LIMITS; i++)
        notes->limits[i] = (struct tc_limit){-1, false};
    notes->request_id[0] = notes->redirect[0] = '\0';
}

void tc_headers_reset(struct tc_header_notes *notes)
{
    tc_headers_begin(notes);
    notes->size = notes->count = 0;
    tc_free(notes->location);
    notes->location = NULL;
}

/* ---- how long to wait ---- */

/* The moment that a value names, in seconds since 1970: a date, or a count of seconds or
 * milliseconds since 1970. Below 0 when it is none of these. */
static double moment_of(const char *value)
{
    double number = value[strspn(value, "0123456789.")] ? -1 : tc_decimal(value, -1);
    double moment = tc_moment(value);
    if (number >= 1e9)
        return number >= 1e11 ? number / 1000 : number;
    return moment < 0 && strchr(value, ' ') ? (double)curl_getdate(value, NULL) : moment;
}

/* Seconds until the moment that a value names; below 0 when it names none. */
static double seconds_until(const char *value)
{
    double moment = moment_of(value), now = (double)time(NULL);
    if (moment < 0)
        return -1;
    return moment > now ? moment - now : 0;
}

/* Seconds to wait: "120", "1.5", "1m30s", a date. RFC 9110, 10.2.3, has numbers and dates; servers
 * send the rest. CURLINFO_RETRY_AFTER knows no fractions, no units, and needs 7.66. */
static double wait_of(const char *value)
{
    double seconds = tc_duration(value);
    if (seconds >= 1e9) /* a moment, not a duration */
        return seconds_until(value);
    return seconds >= 0 ? seconds : seconds_until(value);
}

/* Notes the wait that a header asks for. False when it is no such header. */
static bool note_wait(struct tc_header_notes *notes, const char *line, size_t size)
{
    char value[64];
    double wait = -1;
    if (header_is(line, size, "retry-after-ms", value, sizeof(value)) ||
        header_is(line, size, "x-ms-retry-after-ms", value, sizeof(value))) {
        wait = tc_decimal(value, -1);
        if (wait >= 0) /* it is more exact than retry-after */
            notes->retry_after = wait / 1000;
        return true;
    }
    if (!header_is(line, size, "retry-after", value, sizeof(value)))
        return false;
    if (notes->retry_after < 0)
        notes->retry_after = wait_of(value);
    return true;
}

/* Notes whether a limit is spent, and when it begins anew. */
static void note_limit(struct tc_header_notes *notes, const char *line, size_t size)
{
    static const struct {
        const char *reset, *remaining;
        unsigned limit;
    } names[] = {
        {"x-ratelimit-reset-requests", "x-ratelimit-remaining-requests", 0},
        {"x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens", 1},
        {"anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining", 0},
        {"anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining", 1},
        {"x-ratelimit-reset", "x-ratelimit-remaining", 0},
        {"ratelimit-reset", "ratelimit-remaining", 0},
    };
    char value[64];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tc_limit *limit = &notes->limits[names[i].limit];
        if (header_is(line, size, names[i].reset, value, sizeof(value)))
            limit->reset = wait_of(value);
        else if (header_is(line, size, names[i].remaining, value, sizeof(value)))
            limit->spent = tc_decimal(value, 1) <= 0;
    }
}

/* LiteLLM prefixes the headers of the service behind it with "llm_provider-". */
static void note_waits(struct tc_header_notes *notes, const char *line, size_t size)
{
    static const char upstream[] = "llm_provider-";
    size_t prefix = strlen(upstream);
    if (size > prefix && curl_strnequal(line, upstream, prefix)) {
        line += prefix;
        size -= prefix;
    }
    if (!note_wait(notes, line, size))
        note_limit(notes, line, size);
}

double tc_headers_limit_reset(const struct tc_header_notes *notes)
{
    bool spent = false;
    double reset = -1;
    for (unsigned i = 0; i < TC_LIMITS; i++)
        spent = spent || notes->limits[i].spent;
    for (unsigned i = 0; i < TC_LIMITS; i++)
        if (notes->limits[i].spent == spent && notes->limits[i].reset > reset)
            reset = notes->limits[i].reset;
    return reset;
}

/* ---- other headers ---- */

/* Notes where a redirect leads: scheme and host alone, as the rest may have secrets. */
static void note_redirect(struct tc_request *request, char *url)
{
    char *host = strstr(url, "://");
    if (host)
        host[3 + strcspn(host + 3, "/?#")] = '\0';
    tc_redact(request->exchange->notes.redirect, sizeof(request->exchange->notes.redirect), url,
              request->options.api_key);
}

/* Dollars; below 0 when the value is no plausible amount. */
static double cost_of(const char *value)
{
    double cost = tc_decimal(value, -1);
    return cost < 1e9 ? cost : -1;
}

void tc_headers_note(struct tc_request *request, const char *line, size_t size)
{
    struct tc_header_notes *notes = &request->exchange->notes;
    char value[256];
    if (header_is(line, size, "location", value, sizeof(value)))
        note_redirect(request, value);
    else if (header_is(line, size, "content-encoding", value, sizeof(value)))
        notes->encoded = true;
    else if (header_is(line, size, "x-litellm-call-id", value, sizeof(value)) ||
             (!notes->request_id[0] && header_is(line, size, "x-request-id", value, sizeof(value))))
        tc_redact(notes->request_id, sizeof(notes->request_id), value, request->options.api_key);
    else if (header_is(line, size, "x-litellm-response-cost", value, sizeof(value)))
        request->cost = cost_of(value);
    else
        note_waits(notes, line, size);
}

bool tc_headers_note_location(struct tc_request *request, const char *line, size_t size)
{
    if (!request->options.raw_image || request->status < 300 || request->status >= 400)
        return true;
    char *value = tc_realloc(NULL, size + 1);
    bool is_it = value && header_is(line, size, "location", value, size + 1);
    tc_free(is_it ? request->exchange->notes.location : value);
    if (is_it)
        request->exchange->notes.location = value;
    return value != NULL;
}
