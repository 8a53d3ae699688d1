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
#include <string.h>

enum {
    REDIRECTS = 3,     /* of one picture */
    LONGEST_WAIT = 60, /* seconds; a server that wants more gets no second attempt */
};

static struct tc_answer answer_of(const struct tc_request *request)
{
    return (struct tc_answer){
        .status = request->status,
        .retry_after = request->retry_after,
        .reset = tc_headers_limit_reset(request),
        .content_type = request->exchange->content_type,
        .redirect = request->exchange->redirect,
        .head = request->exchange->head,
        .head_size = request->exchange->head_size,
        .document = &request->envelope->text,
        .key = request->key,
    };
}

static void judge_answer(struct tc_request *request)
{
    const struct tc_answer answer = answer_of(request);
    tc_failure_from_answer(request->failure, &answer);
}

/* Are there pictures that are more than steps on the way to one? */
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

/* A picture that was fetched and is not whole may be so the next time, which costs nothing: servers
 * tell an address before all is there. */
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

/* A success has the whole document. A document that speaks of an error and has no picture is none.
 */
static void judge_success(struct tc_request *request)
{
    struct tc_envelope *envelope = request->envelope;
    if (request->may_be_empty && request->status == 204 && !request->received)
        (void)tc_envelope_feed(envelope, "{}", 2);
    if (!tc_envelope_finish(envelope) || tc_receive_is_no_picture(request)) {
        tc_receive_input_failed(request);
        return;
    }
    if (request->picture) {
        judge_picture(request);
        return;
    }
    const struct tc_answer answer = answer_of(request);
    if (!has_picture(envelope))
        tc_failure_in_success(request->failure, &answer, request->rule_count > TC_FAILURE_RULES);
}

/* A server that answers before it has the whole request may break the connection behind its answer:
 * when all of that came, it holds what was paid for. What was packed has no end that is seen here.
 */
static bool came_whole(const struct tc_request *request, int code)
{
    return (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR) && !request->encoded &&
           tc_envelope_is_whole(request->envelope);
}

static void judge_transfer(struct tc_request *request, int code)
{
    long status = request->status >= 200 ? request->status : 0; /* 103 was no answer yet */
    tc_receive_check_sent(request);
    /* libcurl says so of a header line beyond 100 KiB too (of late CURLE_TOO_LARGE). */
    bool long_line = code == CURLE_OUT_OF_MEMORY && request->timing.sent > 0 &&
                     request->received == 0 && request->envelope->error != TC_ENVELOPE_NO_MEMORY;
    /* And of more than 64 MiB that it unpacked while it was paused. */
    bool stashed = code == CURLE_OUT_OF_MEMORY && request->encoded && request->received > 0;
    bool no_memory = (code == CURLE_OUT_OF_MEMORY && !long_line && !stashed) ||
                     request->envelope->error == TC_ENVELOPE_NO_MEMORY;
    if (no_memory)
        tc_failure_set(request->failure, TC_NO_MEMORY, "not enough memory");
    else if (stashed) {
        tc_receive_packed_too_tightly(request->failure);
        request->failure->status = status;
        request->failure->maybe_billed = true;
    } else if (long_line || code == 100) { /* CURLE_TOO_LARGE, 8.6 */
        tc_failure_set(request->failure, TC_RESPONSE_TOO_LARGE,
                       "the answer's headers are too large%s",
                       long_line ? " (or memory is short)" : "");
        request->failure->status = status;
        request->failure->maybe_billed = true;
    } else if (request->kept_away && code == CURLE_COULDNT_CONNECT)
        tc_failure_set(request->failure, TC_CONNECTION, "it is at a private address");
    else if (status >= 300)
        judge_answer(request);
    else if (code == CURLE_FILESIZE_EXCEEDED) { /* it says so beforehand */
        tc_receive_too_large(request, request->failure);
        request->failure->status = status;
        request->failure->maybe_billed = true;
    } else if (code != CURLE_OK && !came_whole(request, code))
        tc_failure_from_transfer(request->failure, code, request->exchange->error_text,
                                 request->key, request->timing.sent > 0, status);
    else if (!status) {
        tc_failure_set(request->failure, TC_BAD_RESPONSE, "the server asks for another protocol");
        request->failure->status = request->status;
        request->failure->maybe_billed = true;
    } else
        judge_success(request);
}

/* The URL that a redirect leads to, to be freed with curl_free: as the server has it, where libcurl
 * of late leaves out user names. NULL when it is none, or when `*no_memory`. */
static char *redirect_url(const struct tc_request *request, bool *no_memory)
{
    char *url = NULL;
    CURLU *parts = curl_url();
    CURLUcode code = parts ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_URL, request->url, 0);
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_URL, request->exchange->location,
                            CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_URL, &url, 0);
    curl_url_cleanup(parts);
    *no_memory = code == CURLUE_OUT_OF_MEMORY;
    return url;
}

static void refuse_redirect(struct tc_request *request, const char *why)
{
    tc_failure_set(
        request->failure, TC_BAD_RESPONSE, "the server points elsewhere (%s): %s",
        *request->exchange->redirect ? request->exchange->redirect : "it does not say where", why);
    request->failure->status = request->status;
}

/* What speaks against going there, or NULL. */
static const char *wrong_redirect(const struct tc_request *request, const char *url)
{
    if (request->redirects == REDIRECTS)
        return "that is one redirect too many";
    return url ? tc_url_check_picture(url, request->session->is_loopback, request->trusted)
               : "not a URL";
}

/* Goes where a picture's server points to, if that is a place for a picture. */
static void follow_redirect(struct tc_request *request)
{
    bool no_memory = false;
    char *url = request->exchange->location ? redirect_url(request, &no_memory) : NULL;
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
        request->redirects++;
        refuse_redirect(request, "it is followed");
        request->uncounted = true;
    }
}

void tc_judge_end(struct tc_request *request, int code)
{
    if (!request->aborted) /* else one of the callbacks has said why */
        judge_transfer(request, code);
    bool led_on = request->status >= 300 && request->status < 400;
    if (request->picture && led_on && !request->aborted && code == CURLE_OK)
        follow_redirect(request);
    request->failure->attempts = request->attempts;
    if (request->failure->kind && request->was_maybe_billed)
        request->failure->maybe_billed = true;
}

/* Seconds that libcurl has to say by itself that connecting took too long. */
static const double GRACE = 1;

double tc_judge_deadline(struct tc_request *request)
{
    tc_receive_check_sent(request);
    if (request->paused)
        return HUGE_VAL;
    return request->timing.sent > 0 ? request->timing.sent + request->timeout + request->stood
                                    : request->timing.started + request->connect_timeout + GRACE;
}

void tc_judge_overdue(struct tc_request *request)
{
    struct tc_failure *failure = request->failure;
    if (request->status >= 300) { /* a refusal that does not end is one */
        tc_judge_end(request, CURLE_OPERATION_TIMEDOUT);
        return;
    }
    bool sent = request->timing.sent > 0;
    if (sent)
        tc_failure_set(failure, TC_TIMEOUT, "no whole answer within %g seconds", request->timeout);
    else
        tc_failure_set(failure, TC_TIMEOUT, "no connection within %g seconds",
                       request->connect_timeout);
    failure->status = request->status;
    failure->attempts = request->attempts;
    failure->maybe_billed = sent || request->was_maybe_billed;
    failure->repeat = sent ? TC_REPEAT_RISKY : TC_REPEAT_SAFE;
}

/* From 0 to 1, another one for each of the requests that end at the same moment. */
static double random_part(const struct tc_request *request)
{
    uint64_t mixed = (uint64_t)(tc_clock_now() * 1e9) + (uint64_t)(uintptr_t)request;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64's */
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((mixed ^ mixed >> 31) >> 11) / 9007199254740992.0;
}

/* 0.5 s, 1 s, 2 s, ... at most 8 s, less up to a quarter, so that many clients spread out. */
static double backoff(const struct tc_request *request)
{
    unsigned retries = request->attempts - 1;
    double wait = retries < 4 ? 0.5 * (double)(1U << retries) : 8;
    return wait * (1 - 0.25 * random_part(request));
}

/* 0.5 to 1 s, then 1 to 2 s: those who wait for each other's end should not come back together. */
static double brief_wait(const struct tc_request *request)
{
    return (request->attempts > 1 ? 1 : 0.5) * (1 + random_part(request));
}

double tc_judge_retry_wait(struct tc_request *request)
{
    const struct tc_failure *failure = request->failure;
    if (request->uncounted) {
        request->attempts--; /* each kept connection ends only once, and redirects are counted */
        return 0;
    }
    bool risky_allowed =
        request->retry == TC_RETRY_ALL || (request->unbilled && request->retry == TC_RETRY_SAFE);
    bool allowed = (failure->repeat == TC_REPEAT_SAFE && request->retry != TC_RETRY_NONE) ||
                   (failure->repeat == TC_REPEAT_RISKY && risky_allowed);
    /* Bytes that were paid for, or that somebody has already. */
    bool has_some = request->envelope->images.count &&
                    !(request->unbilled && !request->envelope->images.streaming);
    if (!allowed || request->attempts > request->max_retries || has_some)
        return -1;
    if (failure->brief)
        return brief_wait(request);
    if (failure->retry_after <= 0) /* "at once" is what an overloaded server does not mean */
        return backoff(request);
    return failure->retry_after <= LONGEST_WAIT ? failure->retry_after : -1;
}
