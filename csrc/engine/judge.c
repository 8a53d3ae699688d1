/*
 * What the end of an attempt means: see judge.h.
 */
#include "judge.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "headers.h"
#include "receive.h"
#include "refusal.h"
#include "url.h"

#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_REDIRECTS = 3, /* for one picture */
    LONGEST_WAIT = 60, /* seconds; if a server asks for more, there is no other attempt */
};

/* ---- what callbacks noticed ---- */

/* Sets a failure after which a picture may have been made. */
static void set_billed_failure(struct tc_request *request, enum tc_kind kind, const char *message)
{
    tc_failure_set(request->failure, kind, "%s", message);
    request->failure->status = request->status;
    request->failure->maybe_billed = true;
}

/* The scanner has failed, or what it took is no picture. */
static void judge_bad_body(struct tc_request *request)
{
    static const enum tc_kind kinds[] = {
        [TC_ENVELOPE_TOO_LARGE] = TC_RESPONSE_TOO_LARGE,
        [TC_ENVELOPE_TOO_MANY_VALUES] = TC_RESPONSE_TOO_LARGE,
        [TC_ENVELOPE_TOO_MANY_IMAGES] = TC_RESPONSE_TOO_LARGE,
        [TC_ENVELOPE_NO_MEMORY] = TC_NO_MEMORY,
    };
    char text[160] = "what is there is no picture (PNG, JPEG, WebP or GIF)";
    enum tc_kind kind = kinds[request->envelope->error];
    if (request->envelope->error)
        tc_envelope_describe(request->envelope, text, sizeof(text));
    else if (request->envelope->images.count)
        request->envelope->images.list[0]->bytes.size = 0; /* nobody is to get them */
    set_billed_failure(request, kind ? kind : TC_BAD_RESPONSE, text);
}

static void judge_too_large(struct tc_request *request)
{
    char text[96];
    snprintf(text, sizeof(text), "the response is larger than max_response_bytes (%llu)",
             (unsigned long long)request->session->settings.max_response_bytes);
    set_billed_failure(request, TC_RESPONSE_TOO_LARGE, text);
    request->failure->advice = "raise it, or ask for fewer pictures";
}

static void judge_too_packed(struct tc_request *request)
{
    char text[96];
    snprintf(text, sizeof(text), "the response is compressed more than %d to 1, as no pictures are",
             TC_MAX_RATIO);
    set_billed_failure(request, TC_RESPONSE_TOO_LARGE, text);
    request->failure->advice = "check what stands before the gateway";
}

static void judge_many_headers(struct tc_request *request)
{
    char text[96];
    snprintf(text, sizeof(text), "the response has more than %d KiB or %d lines of headers",
             TC_HEADERS_SIZE / 1024, TC_HEADERS);
    set_billed_failure(request, TC_RESPONSE_TOO_LARGE, text);
}

static void judge_resent(struct tc_request *request)
{
    set_billed_failure(request, TC_CONNECTION,
                       "the server closed the connection without a response");
    request->failure->advice = "it may have been drawn, so trying again may cost twice";
    request->failure->repeat = TC_REPEAT_RISKY;
}

/* Sets the failure for the reason why a callback ended the transfer. */
static void judge_abort(struct tc_request *request)
{
    switch (request->attempt.abort) {
    case TC_ABORT_RESENT:
        judge_resent(request);
        break;
    case TC_ABORT_STALE: /* nothing was sent */
        tc_failure_set(request->failure, TC_CONNECTION, "the kept connection had ended");
        request->attempt.free_retry = true;
        break;
    case TC_ABORT_MANY_HEADERS:
        judge_many_headers(request);
        break;
    case TC_ABORT_BAD_HEADERS:
        set_billed_failure(request, TC_BAD_RESPONSE, "the response's headers are no HTTP");
        break;
    case TC_ABORT_TOO_LARGE:
        judge_too_large(request);
        break;
    case TC_ABORT_TOO_PACKED:
        judge_too_packed(request);
        break;
    case TC_ABORT_BAD_BODY:
        judge_bad_body(request);
        break;
    default:
        set_billed_failure(request, TC_NO_MEMORY, "not enough memory");
    }
}

/* ---- what a response means ---- */

static struct tc_response response_of(const struct tc_request *request)
{
    return (struct tc_response){
        .status = request->status,
        .retry_after = request->exchange->notes.retry_after,
        .reset = tc_headers_limit_reset(&request->exchange->notes),
        .content_type = tc_receive_content_type(request),
        .redirect = request->exchange->notes.redirect,
        .head = request->exchange->head,
        .head_size = request->exchange->head_size,
        .document = &request->envelope->text,
        .key = request->options.api_key,
    };
}

/*
 * Reads the pictures out of a document that was kept as text because its status is an error's: they
 * were made, and may have been billed. Returns false when memory is short.
 */
static bool rescue_pictures(struct tc_request *request)
{
    struct tc_envelope *envelope = request->envelope;
    struct tc_buffer document = envelope->text;
    envelope->text = (struct tc_buffer){NULL, 0, 0};
    envelope->path.rule_count = request->options.rule_count;
    tc_envelope_reset(envelope);
    envelope->for_pictures = true;
    envelope->expected = document.size;
    (void)tc_envelope_feed(envelope, (const char *)document.data, document.size);
    (void)tc_envelope_finish(envelope);
    tc_buffer_free(&document);
    return envelope->error != TC_ENVELOPE_NO_MEMORY;
}

static void judge_response(struct tc_request *request)
{
    const struct tc_response response = response_of(request);
    bool picture = tc_refusal_from_response(request->failure, &response);
    bool wanted = request->options.rule_count > TC_FAILURE_RULES && !request->options.raw_image;
    if (picture && wanted && !rescue_pictures(request))
        tc_failure_set(request->failure, TC_NO_MEMORY, "not enough memory");
}

/* Is there a picture that is not just a draft? */
static bool has_picture(const struct tc_envelope *envelope)
{
    unsigned dropped = 0;
    for (unsigned i = 0; i < envelope->images.count; i++)
        if (!envelope->images.list[i])
            dropped++;
        else if (!envelope->images.list[i]->draft)
            return true;
    return dropped > envelope->images.dropped_drafts;
}

/* A fetched picture that is not whole is fetched again, which costs nothing: some servers give a
 * URL out before they have stored the picture. */
static void judge_picture(struct tc_request *request)
{
    const struct tc_image *image = request->envelope->images.list[0];
    char text[160];
    if (!image || !image->fault)
        return;
    tc_image_describe(image, 1, text, sizeof(text));
    tc_failure_set(request->failure, TC_BAD_RESPONSE, "%s", text);
    request->failure->status = request->status;
    request->failure->repeat = TC_REPEAT_RISKY;
}

/* The status is a success. It is one if the document is whole, and has a picture or no error. */
static void judge_success(struct tc_request *request)
{
    struct tc_envelope *envelope = request->envelope;
    if (request->options.may_be_empty && request->status == 204 && !request->received)
        (void)tc_envelope_feed(envelope, "{}", 2);
    if (!tc_envelope_finish(envelope) || tc_receive_is_no_picture(request)) {
        judge_bad_body(request);
        return;
    }
    if (request->options.raw_image) {
        judge_picture(request);
        return;
    }
    const struct tc_response response = response_of(request);
    if (!has_picture(envelope))
        tc_refusal_in_success(request->failure, &response,
                              request->options.rule_count > TC_FAILURE_RULES);
}

/* Did the whole response come, though the connection broke? A server that responds before it has
 * read the whole request may close the connection after its response, and that is paid for. Whether
 * a compressed body is complete is not known here. */
static bool came_whole(const struct tc_request *request, int code)
{
    return (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR) &&
           !request->exchange->notes.encoded && tc_envelope_is_whole(request->envelope);
}

static void judge_transfer(struct tc_request *request, int code)
{
    struct tc_failure *failure = request->failure;
    const struct tc_envelope *envelope = request->envelope;
    long status = request->status >= 200 ? request->status : 0; /* 103 was not the response yet */
    tc_receive_check_sent(request);
    /* CURLE_OUT_OF_MEMORY has two more meanings: a header line is longer than 100 KiB (new releases
     * say CURLE_TOO_LARGE), or more than 64 MiB were decompressed while the transfer was paused. */
    bool no_memory = code == CURLE_OUT_OF_MEMORY;
    bool in_scanner = envelope->error == TC_ENVELOPE_NO_MEMORY;
    bool long_line = no_memory && request->timing.sent > 0 && request->received == 0 && !in_scanner;
    bool decompressed = no_memory && request->exchange->notes.encoded && request->received > 0;
    if ((no_memory && !long_line && !decompressed) || in_scanner)
        tc_failure_set(failure, TC_NO_MEMORY, "not enough memory");
    else if (decompressed)
        judge_too_packed(request);
    else if (long_line || code == 100) { /* CURLE_TOO_LARGE, 8.6 */
        set_billed_failure(request, TC_RESPONSE_TOO_LARGE,
                           long_line ? "the response's headers are too large (or memory is short)"
                                     : "the response's headers are too large");
        failure->status = status;
    } else if (request->attempt.blocked_private && code == CURLE_COULDNT_CONNECT)
        tc_failure_set(failure, TC_CONNECTION, "it is at a private address");
    else if (status >= 300)
        judge_response(request);
    else if (code == CURLE_FILESIZE_EXCEEDED) /* by its Content-Length */
        judge_too_large(request);
    else if (code != CURLE_OK && !came_whole(request, code))
        tc_failure_from_transfer(failure, code, request->exchange->error_text,
                                 request->options.api_key, request->timing.sent > 0, status);
    else if (!status)
        set_billed_failure(request, TC_BAD_RESPONSE, "the server asks for another protocol");
    else
        judge_success(request);
}

/* The URL that a redirect leads to, to be freed with curl_free. NULL when it is no URL, or when
 * `*no_memory` is set. CURLINFO_REDIRECT_URL will not do: new releases leave user names out. */
static char *redirect_url(const struct tc_request *request, bool *no_memory)
{
    char *url = NULL;
    CURLU *parts = curl_url();
    CURLUcode code = parts ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_URL, request->url, 0);
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_URL, request->exchange->notes.location,
                            CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_URL, &url, 0);
    curl_url_cleanup(parts);
    *no_memory = code == CURLUE_OUT_OF_MEMORY;
    return url;
}

static void refuse_redirect(struct tc_request *request, const char *why)
{
    tc_failure_set(request->failure, TC_BAD_RESPONSE, "the server points elsewhere (%s): %s",
                   *request->exchange->notes.redirect ? request->exchange->notes.redirect
                                                      : "it does not say where",
                   why);
    request->failure->status = request->status;
}

/* Why a redirect must not be followed, or NULL. */
static const char *wrong_redirect(const struct tc_request *request, const char *url)
{
    if (request->retries.redirects == MAX_REDIRECTS)
        return "that is one redirect too many";
    return url ? tc_url_check_picture(url, request->session->is_loopback,
                                      request->options.allow_private)
               : "not a URL";
}

/* Follows the redirect of a picture, if its URL is fit for one: the next attempt asks that URL. */
static void follow_redirect(struct tc_request *request)
{
    bool no_memory = false;
    char *url = request->exchange->notes.location ? redirect_url(request, &no_memory) : NULL;
    const char *wrong = wrong_redirect(request, url);
    char *copy = wrong ? NULL : tc_strndup(url, strlen(url));
    curl_free(url);
    if (no_memory || (!wrong && !copy)) {
        tc_failure_set(request->failure, TC_NO_MEMORY, "not enough memory");
    } else if (wrong) {
        refuse_redirect(request, wrong);
    } else {
        tc_free(request->url);
        request->url = copy;
        request->retries.redirects++;
        refuse_redirect(request, "it is followed");
        request->attempt.free_retry = true;
    }
}

void tc_judge_end(struct tc_request *request, int code)
{
    if (request->attempt.abort)
        judge_abort(request);
    else
        judge_transfer(request, code);
    bool redirected = request->status >= 300 && request->status < 400;
    if (request->options.raw_image && redirected && !request->attempt.abort && code == CURLE_OK)
        follow_redirect(request);
    request->failure->attempts = request->attempts;
    if (request->failure->kind && request->retries.maybe_billed)
        request->failure->maybe_billed = true;
}

/* Seconds in which libcurl should report by itself that connecting took too long. */
static const double GRACE = 1;

double tc_judge_deadline(struct tc_request *request)
{
    tc_receive_check_sent(request);
    if (request->attempt.paused)
        return HUGE_VAL;
    return request->timing.sent > 0
               ? request->timing.sent + request->options.timeout + request->attempt.paused_for
               : request->timing.started + request->options.connect_timeout + GRACE;
}

void tc_judge_overdue(struct tc_request *request)
{
    struct tc_failure *failure = request->failure;
    if (request->status >= 300) { /* an error whose body does not end is still that error */
        tc_judge_end(request, CURLE_OPERATION_TIMEDOUT);
        return;
    }
    bool sent = request->timing.sent > 0;
    if (sent)
        tc_failure_set(failure, TC_TIMEOUT, "no whole response within %g seconds",
                       request->options.timeout);
    else
        tc_failure_set(failure, TC_TIMEOUT, "no connection within %g seconds",
                       request->options.connect_timeout);
    failure->status = request->status;
    failure->attempts = request->attempts;
    failure->maybe_billed = sent || request->retries.maybe_billed;
    failure->repeat = sent ? TC_REPEAT_RISKY : TC_REPEAT_SAFE;
}

/* A number from 0 to 1. It depends on the request, as many may end at the same moment. */
static double random_part(const struct tc_request *request)
{
    uint64_t mixed = (uint64_t)(tc_clock_now() * 1e9) + (uint64_t)(uintptr_t)request;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64's */
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((mixed ^ mixed >> 31) >> 11) / 9007199254740992.0;
}

/* 0.5 s, 1 s, 2 s, ... up to 8 s, shortened by up to a quarter so that many clients spread out. */
static double backoff(const struct tc_request *request)
{
    unsigned retries = request->attempts - 1;
    double wait = retries < 4 ? 0.5 * (double)(1U << retries) : 8;
    return wait * (1 - 0.25 * random_part(request));
}

/* 0.5 to 1 s, then 1 to 2 s: the limit is one of requests at a time, and they should spread out. */
static double brief_wait(const struct tc_request *request)
{
    return (request->attempts > 1 ? 1 : 0.5) * (1 + random_part(request));
}

double tc_judge_retry_wait(struct tc_request *request)
{
    const struct tc_failure *failure = request->failure;
    if (request->attempt.free_retry) {
        request->attempts--; /* not for ever: kept connections run out, and redirects are limited */
        return 0;
    }
    bool risky_allowed = request->options.retry == TC_RETRY_ALL ||
                         (request->options.retry_safe && request->options.retry == TC_RETRY_SAFE);
    bool allowed = (failure->repeat == TC_REPEAT_SAFE && request->options.retry != TC_RETRY_NONE) ||
                   (failure->repeat == TC_REPEAT_RISKY && risky_allowed);
    /* Has it pictures that were paid for, or that were delivered already? */
    bool has_some = request->envelope->images.count &&
                    !(request->options.retry_safe && !request->envelope->images.streaming);
    if (!allowed || request->attempts > request->options.max_retries || has_some)
        return -1;
    if (failure->brief)
        return brief_wait(request);
    if (failure->retry_after <= 0) /* 0 is no honest answer of an overloaded server */
        return backoff(request);
    return failure->retry_after <= LONGEST_WAIT ? failure->retry_after : -1;
}
