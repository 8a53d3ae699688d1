/*
 * What an error response means: see refusal.h.
 *
 * The status alone misleads. The gateway sends 400, 422 and 429 for an exceeded budget, 400 for an
 * expired key, 401 when its own database fails, 500 for a refused prompt, and 429 for errors of a
 * service behind it. So codes in the body are looked at first, then its sentences, then the status.
 */
#include "refusal.h"

#include "redact.h"
#include "wait.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Seconds: a longer wait is a mistake. */
#define ABSURD (366 * 86400.0)

/* ---- kinds ---- */

struct sign {
    const char *text; /* in small letters */
    enum tc_kind kind;
    const char *advice; /* NULL: what the kind or the status advises */
};

static const char models[] = "`thucchien models` lists the models of your key";
static const char own_key[] = "the gateway's own key for the service behind it is refused: "
                              "tell those who run the gateway";
static const char route[] = "this key may not use the route: ask those who run the gateway";
static const char unknown_key[] = "check the API key: the gateway does not know it";
static const char no_database[] = "tell those who run the gateway; "
                                  "without its database it knows one key only";

/* Looked for in codes: error codes, types, reasons, names of statuses. */
static const struct sign code_signs[] = {
    {"budget_exceeded", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient_quota", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient_user_quota", TC_BUDGET_EXCEEDED, NULL},
    {"exceeded_current_quota", TC_BUDGET_EXCEEDED, NULL},
    {"billing_", TC_BUDGET_EXCEEDED, NULL}, /* billing_hard_limit_reached, billing_not_active */
    {"insufficient_credit", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient_balance", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient_funds", TC_BUDGET_EXCEEDED, NULL},
    {"payment_required", TC_BUDGET_EXCEEDED, NULL},
    {"arrearage", TC_BUDGET_EXCEEDED, NULL},
    {"content_policy", TC_CONTENT_POLICY, NULL},
    {"contentpolicy", TC_CONTENT_POLICY, NULL},
    {"contentfilter", TC_CONTENT_POLICY, NULL},
    {"content_filter", TC_CONTENT_POLICY, NULL},
    {"content_moderat", TC_CONTENT_POLICY, NULL},
    {"moderation_blocked", TC_CONTENT_POLICY, NULL},
    {"moderation_failed", TC_CONTENT_POLICY, NULL},
    {"moderated", TC_CONTENT_POLICY, NULL},
    {"responsibleai", TC_CONTENT_POLICY, NULL},
    {"policy_violation", TC_CONTENT_POLICY, NULL},
    {"sensitivecontent", TC_CONTENT_POLICY, NULL},
    {"sensitive_content", TC_CONTENT_POLICY, NULL},
    {"datainspection", TC_CONTENT_POLICY, NULL},
    {"data_inspection", TC_CONTENT_POLICY, NULL},
    {"prohibited_content", TC_CONTENT_POLICY, NULL},
    {"image_safety", TC_CONTENT_POLICY, NULL},
    {"nsfw", TC_CONTENT_POLICY, NULL},
    {"model_access_denied", TC_PERMISSION_DENIED, models},
    {"expired_key", TC_AUTHENTICATION, NULL},
    {"token_not_found", TC_AUTHENTICATION, NULL},
    {"no_db_connection", TC_SERVER_ERROR, no_database},
    {"api_key_invalid", TC_SERVER_ERROR, own_key},
    {"service_disabled", TC_SERVER_ERROR, own_key},
    {"consumer_suspended", TC_SERVER_ERROR, own_key},
    {"model_not_found", TC_INVALID_REQUEST, models},
    {"model_not_available", TC_INVALID_REQUEST, models},
    {"deploymentnotfound", TC_INVALID_REQUEST, models},
    {"throttl", TC_RATE_LIMIT, NULL},
    {"rate_limit", TC_RATE_LIMIT, NULL},
    {"ratelimit", TC_RATE_LIMIT, NULL},
    {"too_many_requests", TC_RATE_LIMIT, NULL},
    {"toomanyrequests", TC_RATE_LIMIT, NULL},
    {"resource_exhausted", TC_RATE_LIMIT, NULL},
};

/* Looked for in sentences. */
static const struct sign word_signs[] = {
    {"budget has been exceeded", TC_BUDGET_EXCEEDED, NULL},
    {"exceededbudget", TC_BUDGET_EXCEEDED, NULL},
    {"exceeded budget", TC_BUDGET_EXCEEDED, NULL},
    {"crossed budget", TC_BUDGET_EXCEEDED, NULL},
    {"max budget limit reached", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient_quota", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient quota", TC_BUDGET_EXCEEDED, NULL},
    {"billing_hard_limit", TC_BUDGET_EXCEEDED, NULL},
    {"billing hard limit", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient credit", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient_credit", TC_BUDGET_EXCEEDED, NULL},
    {"sufficient credits", TC_BUDGET_EXCEEDED, NULL},
    {"enough credits", TC_BUDGET_EXCEEDED, NULL},
    {"more credits", TC_BUDGET_EXCEEDED, NULL},
    {"available credits", TC_BUDGET_EXCEEDED, NULL},
    {"out of credits", TC_BUDGET_EXCEEDED, NULL},
    {"credits are depleted", TC_BUDGET_EXCEEDED, NULL},
    {"credit balance is too low", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient balance", TC_BUDGET_EXCEEDED, NULL},
    {"insufficient fund", TC_BUDGET_EXCEEDED, NULL},
    {"exhausted balance", TC_BUDGET_EXCEEDED, NULL},
    {"spending limit", TC_BUDGET_EXCEEDED, NULL},
    {"api usage limits", TC_BUDGET_EXCEEDED, NULL},
    {"account is not active", TC_BUDGET_EXCEEDED, NULL},
    {"payment required", TC_BUDGET_EXCEEDED, NULL},
    {"does not contain 'predictions'", TC_CONTENT_POLICY, NULL},
    {"bytesbase64encoded", TC_CONTENT_POLICY, NULL},
    {"responsible ai", TC_CONTENT_POLICY, NULL},
    {"responsibleai", TC_CONTENT_POLICY, NULL},
    {"contentpolicyviolation", TC_CONTENT_POLICY, NULL},
    {"content_policy_violation", TC_CONTENT_POLICY, NULL},
    {"moderation_blocked", TC_CONTENT_POLICY, NULL},
    {"moderation_failed", TC_CONTENT_POLICY, NULL},
    {"'content_filter'", TC_CONTENT_POLICY, NULL},
    {"\"content_filter\"", TC_CONTENT_POLICY, NULL},
    {"content policy", TC_CONTENT_POLICY, NULL},
    {"content filter", TC_CONTENT_POLICY, NULL},
    {"content moderat", TC_CONTENT_POLICY, NULL},
    {"content management policy", TC_CONTENT_POLICY, NULL},
    {"moderation system", TC_CONTENT_POLICY, NULL},
    {"usage polic", TC_CONTENT_POLICY, NULL},
    {"usage guidelines", TC_CONTENT_POLICY, NULL},
    {"safety system", TC_CONTENT_POLICY, NULL},
    {"safety filter", TC_CONTENT_POLICY, NULL},
    {"safety check", TC_CONTENT_POLICY, NULL},
    {"safety polic", TC_CONTENT_POLICY, NULL},
    {"safety reasons", TC_CONTENT_POLICY, NULL},
    {"response was blocked", TC_CONTENT_POLICY, NULL},
    {"flagged as", TC_CONTENT_POLICY, NULL},
    {"was flagged", TC_CONTENT_POLICY, NULL},
    {"sensitive words", TC_CONTENT_POLICY, NULL},
    {"inappropriate content", TC_CONTENT_POLICY, NULL},
    {"sensitive content", TC_CONTENT_POLICY, NULL},
    {"new_sensitive", TC_CONTENT_POLICY, NULL},
    {"content checker", TC_CONTENT_POLICY, NULL},
    {"violate our guardrails", TC_CONTENT_POLICY, NULL},
    {"vi phạm chính sách", TC_CONTENT_POLICY, NULL}, /* it violates a policy */
    {"敏感", TC_CONTENT_POLICY, NULL},               /* sensitive */
    {"内容审核", TC_CONTENT_POLICY, NULL},           /* moderation */
    {"nsfw", TC_CONTENT_POLICY, NULL},
    {"not allowed to access model", TC_PERMISSION_DENIED, models},
    {"does not have access to model", TC_PERMISSION_DENIED, models},
    {"allowed to call this route", TC_PERMISSION_DENIED, route},
    {"allowed to call routes", TC_PERMISSION_DENIED, route},
    {"expired key", TC_AUTHENTICATION, NULL},
    {"key not found", TC_NOT_FOUND, unknown_key},
    {"litellm.authenticationerror", TC_SERVER_ERROR, own_key},
    {"litellm.permissiondeniederror", TC_SERVER_ERROR, own_key},
    {"api key not valid", TC_SERVER_ERROR, own_key},
    {"api key expired", TC_SERVER_ERROR, own_key},
    {"reported as leaked", TC_SERVER_ERROR, own_key},
    {"had invalid authentication credentials", TC_SERVER_ERROR, own_key},
    {"unregistered callers", TC_SERVER_ERROR, own_key},
    {"has not been used in project", TC_SERVER_ERROR, own_key},
    {"invalid model", TC_INVALID_REQUEST, models},
    {"litellm.notfounderror", TC_INVALID_REQUEST, models},
    {"is not found for api version", TC_INVALID_REQUEST, models},
    {"is not a valid model", TC_INVALID_REQUEST, models},
    {"model identifier is invalid", TC_INVALID_REQUEST, models},
    {"unable to access model", TC_INVALID_REQUEST, models},
    {"no endpoints found", TC_INVALID_REQUEST, models},
};

/* Looked for in both when the status is a success. */
static const struct sign general_signs[] = {
    {"rate limit", TC_RATE_LIMIT, NULL},
    {"too many requests", TC_RATE_LIMIT, NULL},
    {"overloaded", TC_SERVER_ERROR, NULL},
    {"unauthorized", TC_AUTHENTICATION, NULL},
    {"unauthenticated", TC_AUTHENTICATION, NULL},
    {"authentication", TC_AUTHENTICATION, NULL},
    {"invalid_api_key", TC_AUTHENTICATION, NULL},
    {"permission", TC_PERMISSION_DENIED, NULL},
    {"forbidden", TC_PERMISSION_DENIED, NULL},
    {"invalid", TC_INVALID_REQUEST, "change the params"},
};

/* Is one of the phrases in `words`? */
static bool says(const char *words, const char *const *phrases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(words, phrases[i]))
            return true;
    return false;
}

/* Do the words name a status from `first` to `last` after "code": "code": 500, error code: 502? */
static bool names_status(const char *words, long first, long last)
{
    for (const char *at = words; (at = strstr(at, "code")) != NULL;) {
        at += strlen("code");
        const char *number = at + strspn(at, " \"'\\:=");
        if (number == at || strspn(number, "0123456789") != 3)
            continue;
        long status = (number[0] - '0') * 100 + (number[1] - '0') * 10 + (number[2] - '0');
        if (status >= first && status <= last)
            return true;
    }
    return false;
}

/* Are these the words of a service behind LiteLLM, which has added its own? */
static bool is_wrapped(const char *words)
{
    static const char *const phrases[] = {"litellm.", "exception - ",
                                          "received model group=", "litellm: model group"};
    return says(words, phrases, COUNT(phrases));
}

static bool is_unknown_model(const char *words)
{
    return strstr(words, "model") && (strstr(words, "not exist") || strstr(words, "not found"));
}

/* How OpenAI's and Google's words for an empty account differ from Google's for a busy minute. */
static bool is_empty_account(const struct tc_problem *problem)
{
    return strstr(problem->words, "exceeded your current quota") && problem->wait < 0 &&
           tc_wait_in(problem->words) < 0 && !strstr(problem->words, "quota exceeded for metric");
}

static const struct sign *find_sign(const char *text, const struct sign *signs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(text, signs[i].text))
            return &signs[i];
    return NULL;
}

static const struct sign *sign_of(const struct tc_problem *problem, long status)
{
    static const struct sign empty = {"", TC_BUDGET_EXCEEDED, NULL};
    static const struct sign refused = {"", TC_SERVER_ERROR, own_key};
    static const struct sign unknown = {"", TC_INVALID_REQUEST, models};
    bool unpaid = is_wrapped(problem->words) && names_status(problem->words, 402, 402);
    if (status == 402 || unpaid || is_empty_account(problem))
        return &empty;
    if (strstr(problem->words, "invalid response object")) /* what follows is the picture's data */
        return NULL;
    const struct sign *sign = find_sign(problem->codes, code_signs, COUNT(code_signs));
    bool vague = !sign || sign->kind == TC_RATE_LIMIT;
    const struct sign *better =
        vague ? find_sign(problem->words, word_signs, COUNT(word_signs)) : NULL;
    if (better)
        return better;
    if (sign && sign->kind == TC_RATE_LIMIT &&
        status >= 500) /* an error that happens to mention a limit */
        return NULL;
    if (!sign && status == 401 && problem->google)
        return &refused;
    if (!sign && (status == 404 || status == 400) && is_unknown_model(problem->words))
        return &unknown;
    if (!sign && status < 300)
        sign = find_sign(problem->codes, general_signs, COUNT(general_signs));
    return sign || status >= 300 ? sign
                                 : find_sign(problem->words, general_signs, COUNT(general_signs));
}

static enum tc_kind by_status(long status)
{
    if (status >= 500)
        return TC_SERVER_ERROR;
    switch (status) {
    case 401:
        return TC_AUTHENTICATION;
    case 403:
        return TC_PERMISSION_DENIED;
    case 404:
    case 405:
        return TC_NOT_FOUND;
    case 407: /* sent by a proxy */
        return TC_CONNECTION;
    case 408:
        return TC_TIMEOUT;
    case 409:
        return TC_SERVER_ERROR;
    case 429:
        return TC_RATE_LIMIT;
    default: /* an error in a success counts as the server's */
        return status >= 400 ? TC_INVALID_REQUEST : status >= 300 ? TC_NOT_FOUND : TC_SERVER_ERROR;
    }
}

/* ---- money ---- */

/* Was a picture made, though the response is an error: is it there, or could the gateway not read
 * or store it? */
static bool speaks_of_picture(const struct tc_problem *problem)
{
    static const char *const phrases[] = {
        "invalid response object", "was generated",      "been generated",  "validation error for",
        "original response",       "unable to get json", "expecting value",
    };
    return problem->has_address || problem->has_picture ||
           says(problem->words, phrases, COUNT(phrases));
}

/* Does the error say that work had begun? */
static bool speaks_of_work(const struct tc_problem *problem)
{
    static const char *const phrases[] = {
        "traceback",       "incomplete chunked", "had an error",        "internal server error",
        "bad gateway",     "gateway time",       "internalservererror", "server error '5",
        "exception - 500", "exception - 502",    "exception - 504",     "peer closed connection",
    };
    return problem->status >= 500 || speaks_of_picture(problem) ||
           says(problem->words, phrases, COUNT(phrases)) || names_status(problem->words, 500, 599);
}

/* Does it say that a limit was reached: LiteLLM's, or the quota of a service? */
static bool speaks_of_limit(const struct tc_problem *problem)
{
    static const char *const phrases[] = {
        "rate limit",
        "rate_limit",
        "user-defined ratelimit",
        "quota",
        "limit type",
        "limit reached",
        "limit exceeded",
        "limit is exceeded",
        "rate-limit",
        "too many requests",
        "too many tokens",
        "too many concurrent",
        "too_many_requests",
        "no deployments available",
        "max parallel request",
        "max_parallel_request",
        "crossed tpm",
        "crossed rpm",
        "resource_exhausted",
        "resource exhausted",
        "resource has been exhausted",
        "throttl",
        "per min",
        "requests per",
        "concurrency",
        "concurrent request",
        "out of capacity",
        "overloaded",
        "slow down",
    };
    return says(problem->words, phrases, COUNT(phrases)) ||
           names_status(problem->words, 429, 429) || strstr(problem->codes, "resource_exhausted");
}

/*
 * Is a 429 certain to have come before anything was drawn? The gateway turns every error whose text
 * has "429" in it into a 429, even if that is part of a request id or of a picture's base64. So
 * where it passes on the words of a service behind it, those must speak of a limit.
 */
static bool is_certain_limit(const struct tc_problem *problem)
{
    return !speaks_of_work(problem) && (!is_wrapped(problem->words) || speaks_of_limit(problem));
}

/* Google's words for having refused a request because of load, with status 503, 500 or 429. */
static bool is_overload(const struct tc_problem *problem)
{
    return strstr(problem->words, "the model is overloaded") && !speaks_of_picture(problem);
}

static enum tc_repeat repeat_of(const struct tc_problem *problem, enum tc_kind kind, long status)
{
    bool limit = kind == TC_RATE_LIMIT, failed = kind == TC_SERVER_ERROR;
    bool unavailable = status == 503 && !speaks_of_picture(problem);
    if ((limit || failed) && (unavailable || is_overload(problem)))
        return TC_REPEAT_SAFE;
    if (limit && status == 429)
        return is_certain_limit(problem) ? TC_REPEAT_SAFE : TC_REPEAT_RISKY;
    if ((failed &&
         (status == 409 || (status >= 500 && status <= 504 && status != 501) || status < 300)) ||
        (kind == TC_TIMEOUT && status == 408))
        return TC_REPEAT_RISKY;
    return TC_REPEAT_NEVER;
}

static bool may_be_billed(const struct tc_problem *problem, enum tc_kind kind,
                          enum tc_repeat repeat, long status)
{
    if (problem->has_address || repeat != TC_REPEAT_NEVER)
        return problem->has_address || repeat == TC_REPEAT_RISKY;
    if (kind == TC_INVALID_REQUEST || kind == TC_AUTHENTICATION || kind == TC_PERMISSION_DENIED ||
        kind == TC_BUDGET_EXCEEDED) /* whatever the status */
        return false;
    return problem->held_back || problem->has_picture || (status >= 500 && status != 503) ||
           (status == 429 && speaks_of_work(problem));
}

/* ---- waits ---- */

/* A limit of requests at a time: there is a free slot as soon as one of them ends. */
static bool is_brief(const struct tc_problem *problem)
{
    return strstr(problem->words, "limit type: max_parallel_requests") != NULL;
}

/* Is the response the same at any time? Not where a request is too large: that may change. */
static bool is_lasting(enum tc_kind kind, long status)
{
    return kind == TC_BUDGET_EXCEEDED || kind == TC_CONTENT_POLICY ||
           (kind == TC_INVALID_REQUEST && status != 413);
}

/* Seconds to wait: from headers, else from fields or sentences of the body. Below 0 where unknown.
 */
static double find_wait(const struct tc_problem *problem, const struct tc_response *response,
                        enum tc_kind kind, long status)
{
    if (is_lasting(kind, status))
        return -1;
    double wait = response->retry_after;
    bool passes = kind == TC_RATE_LIMIT || kind == TC_SERVER_ERROR;
    if (kind == TC_RATE_LIMIT && is_brief(problem))
        return 1;
    if (wait < 0 && passes) {
        double in_words = tc_wait_in(problem->words);
        wait = in_words > problem->wait ? in_words : problem->wait;
    }
    if (wait < 0 && kind == TC_RATE_LIMIT)
        wait = tc_wait_until(problem->words, time(NULL));
    if (wait < 0 && kind == TC_RATE_LIMIT)
        wait = response->reset;
    return wait <= ABSURD ? wait : -1;
}

/* ---- sentences ---- */

static bool is_markup(const struct tc_response *response)
{
    const char *text = response->head + strspn(response->head, " \t\r\n");
    return strstr(response->content_type, "html") || *text == '<';
}

static bool has_words(const char *text)
{
    return text[strspn(text, " \t\r\n")] != '\0';
}

/* The text between <tag> and the next one. */
static bool text_in(const char *page, const char *tag, char *text, size_t size)
{
    const char *at = page;
    size_t length = strlen(tag);
    while ((at = strchr(at, '<')) != NULL && !curl_strnequal(++at, tag, length))
        continue;
    at = at ? strchr(at, '>') : NULL;
    if (!at)
        return false;
    length = strcspn(at + 1, "<");
    snprintf(text, size, "%.*s", (int)(length < size ? length : size - 1), at + 1);
    return has_words(text);
}

/* Reads a body that is not JSON: the title of an HTML page, the message of an XML document, or
 * text. */
static void take_head(struct tc_problem *problem, const struct tc_response *response)
{
    static const char *const tags[] = {"title", "message", "faultstring", "h1"};
    char text[512];
    if (is_markup(response)) {
        for (size_t i = 0; i < COUNT(tags); i++)
            if (text_in(response->head, tags[i], text, sizeof(text))) {
                tc_problem_take(problem, text);
                return;
            }
    } else if (!strchr("{[", response->head[strspn(response->head, " \t\r\n")])) {
        tc_problem_take(problem, response->head);
    }
}

/* The message for a response that has none. */
static void no_words(char *message, size_t size, const struct tc_problem *problem,
                     const struct tc_response *response)
{
    const char *code = has_words(problem->code)   ? problem->code
                       : has_words(problem->type) ? problem->type
                                                  : problem->state;
    if (response->status >= 300 && response->status < 400)
        snprintf(message, size, "the server points elsewhere (%s)",
                 *response->redirect ? response->redirect : "it does not say where");
    else if (problem->held_back)
        snprintf(message, size, "moderation holds the picture back");
    else if (has_words(code))
        tc_redact(message, size, code, response->key);
    else if (problem->has_picture || problem->has_address)
        snprintf(message, size, "a picture came, but with the status of an error");
    else
        snprintf(message, size, "no message");
}

/* ---- advice ---- */

/* Advice where the status says more than the kind. */
static const char *advice_for(const struct tc_failure *failure, const struct tc_response *response)
{
    long status = failure->status;
    if (failure->repeat == TC_REPEAT_RISKY && failure->kind == TC_RATE_LIMIT)
        return "it may have been drawn, so trying again may cost twice";
    if (failure->kind == TC_INVALID_REQUEST)
        return status == 413 ? "send less" : "change the params";
    if (failure->kind == TC_TIMEOUT) /* the model's, behind the gateway: not the request's own */
        return "try again later";
    if (failure->kind == TC_SERVER_ERROR && status >= 400 && status < 500)
        return "tell those who run the gateway";
    if (failure->kind == TC_SERVER_ERROR && status == 500 &&
        strstr(response->content_type, "text/plain"))
        return "try again later; if that does not help, ask whether the key may use this route";
    return failure->kind == TC_CONNECTION ? "check the proxy" : NULL;
}

/* ---- the whole ---- */

/* Makes the failure for an error response whose text was read into `problem`. */
static void make_failure(struct tc_failure *failure, const struct tc_problem *problem,
                         const struct tc_response *response)
{
    char text[512];
    long status = response->status < 300 && problem->status ? problem->status : response->status;
    const struct sign *sign = problem->held_back ? NULL : sign_of(problem, status);
    enum tc_kind kind = problem->held_back ? TC_CONTENT_POLICY
                        : sign             ? sign->kind
                                           : by_status(status);
    tc_redact(text, sizeof(text), problem->message, response->key);
    if (!*text || (status >= 300 && status < 400))
        no_words(text, sizeof(text), problem, response);
    tc_failure_set(failure, kind, "%s", text);
    failure->status = status;
    failure->repeat = repeat_of(problem, kind, status);
    failure->maybe_billed = may_be_billed(problem, kind, failure->repeat, status);
    failure->retry_after = find_wait(problem, response, kind, status);
    failure->brief = kind == TC_RATE_LIMIT && is_brief(problem);
    failure->advice = sign && sign->advice ? sign->advice : advice_for(failure, response);
    tc_redact(failure->type, sizeof(failure->type), problem->type, response->key);
    tc_redact(failure->param, sizeof(failure->param), problem->param, response->key);
    tc_redact(failure->code, sizeof(failure->code), problem->code, response->key);
}

/* Reads an error's text. False when memory is short; that becomes the failure, because the text may
 * have said what was billed. */
static bool read_problem(struct tc_problem *problem, struct tc_failure *failure, const void *bytes,
                         size_t size)
{
    bool read = tc_problem_read(problem, bytes, size);
    if (!read)
        tc_failure_set(failure, TC_NO_MEMORY, "not enough memory");
    return read;
}

/* Is the body a picture itself? */
static bool is_picture(const struct tc_response *response)
{
    struct tc_signature signature = {0};
    tc_signature_feed(&signature, (const unsigned char *)response->head, response->head_size);
    return signature.mime != NULL;
}

bool tc_refusal_from_response(struct tc_failure *failure, const struct tc_response *response)
{
    struct tc_problem problem;
    const struct tc_buffer *document = response->document;
    if (!read_problem(&problem, failure, document->data, document->size))
        return false;
    bool address = problem.has_address, encoded = problem.has_picture;
    bool picture = encoded || is_picture(response);
    if (!*problem.message && /* very long texts are only in the head, not in the document */
        !read_problem(&problem, failure, response->head, strlen(response->head)))
        return false;
    problem.has_address = problem.has_address || address;
    problem.has_picture = problem.has_picture || picture;
    if (!*problem.message && !is_picture(response))
        take_head(&problem, response);
    make_failure(failure, &problem, response);
    return encoded;
}

bool tc_refusal_in_success(struct tc_failure *failure, const struct tc_response *response,
                           bool pictures)
{
    struct tc_problem problem;
    if (!read_problem(&problem, failure, response->document->data, response->document->size))
        return true;
    bool error = pictures ? !problem.has_address &&
                                (problem.says_error || problem.tells_failure || problem.held_back)
                          : problem.is_error;
    if (error)
        make_failure(failure, &problem, response);
    return error;
}
