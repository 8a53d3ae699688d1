/*
 * From what a server or libcurl said to a kind and a line: see failure.h.
 *
 * Status alone misleads: the gateway sends an empty budget as 400 and as 429, an expired key as
 * 400, its own database's trouble as 401 and a refused prompt as 500. So the `type` is asked first,
 * then the message, then the status.
 */
#include "failure.h"

#include "number.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MESSAGE, TYPE, PARAM, CODE, ERROR };

const struct tc_rule tc_failure_rules[TC_FAILURE_RULES] = {
    [MESSAGE] = {TC_CAPTURE_TEXT, {"error", "message"}},
    [TYPE] = {TC_CAPTURE_TEXT, {"error", "type"}},
    [PARAM] = {TC_CAPTURE_TEXT, {"error", "param"}},
    [CODE] = {TC_CAPTURE_TEXT, {"error", "code"}},
    /* and in other places */
    [ERROR] = {TC_CAPTURE_TEXT, {"error"}},
    {TC_CAPTURE_TEXT, {"detail"}},
    {TC_CAPTURE_TEXT, {"detail", "error"}},
    {TC_CAPTURE_TEXT, {"detail", "message"}},
    {TC_CAPTURE_TEXT, {"detail", "[]", "msg"}},
    {TC_CAPTURE_TEXT, {"message"}},
};

const char *tc_kind_name(enum tc_kind kind)
{
    static const char *const names[] = {"none",
#define X(constant, name) name,
                                        TC_KINDS(X)
#undef X
    };
    return names[kind];
}

const char *tc_failure_advice(const struct tc_failure *failure)
{
    static const char *const advices[] = {
        [TC_AUTHENTICATION] = "check the API key",
        [TC_PERMISSION_DENIED] = "another model or another key may do",
        [TC_BUDGET_EXCEEDED] = "waiting does not help, ask for more budget",
        [TC_CONTENT_POLICY] = "change the prompt",
        [TC_NO_IMAGE] = "try again, or with another model",
        [TC_RATE_LIMIT] = "wait, then try again",
        [TC_NOT_FOUND] = "check the base URL",
        [TC_SERVER_ERROR] = "try again later",
        [TC_TIMEOUT] = "a longer timeout may help",
        [TC_CONNECTION] = "check the network and the base URL",
        [TC_TLS] = "check the base URL and the certificates that are trusted (ca_file)",
        [TC_BAD_RESPONSE] =
            "try again; check what stands before the gateway, a proxy or a login page",
        [TC_RESPONSE_TOO_LARGE] = "ask for fewer pictures",
        [TC_NO_MEMORY] = NULL,
    };
    return failure->advice ? failure->advice : advices[failure->kind];
}

void tc_failure_set(struct tc_failure *failure, enum tc_kind kind, const char *format, ...)
{
    va_list arguments;
    memset(failure, 0, sizeof(*failure));
    failure->kind = kind;
    failure->retry_after = -1;
    va_start(arguments, format);
    vsnprintf(failure->message, sizeof(failure->message), format, arguments);
    va_end(arguments);
}

/* ---- redaction ---- */

static bool is_key_char(char character)
{
    return isalnum((unsigned char)character) || character == '-' || character == '_';
}

static size_t run_of_key_chars(const char *text)
{
    size_t size = 0;
    while (is_key_char(text[size]))
        size++;
    return size;
}

static bool is_hash(const char *text, size_t size)
{
    if (size != 64)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    return true;
}

/* How much of `key` is at `text`: all of it, or what is left of it where the text was cut. */
static size_t key_at(const char *text, const char *key)
{
    enum { TELLING = 4 };
    size_t size = 0;
    while (key[size] && text[size] == key[size])
        size++;
    return !key[size] || (!text[size] && size >= TELLING) ? size : 0;
}

/* The length of the "user:password@" at `text`, which follows "://". */
static size_t userinfo_at(const char *text)
{
    size_t size = strcspn(text, "@/?# \t\r\n'\"");
    return text[size] == '@' ? size + 1 : 0;
}

/*
 * Is there a secret at `text`, in a string that begins at `start`? Returns its length and puts what
 * stands for it into `stand_in`. What follows a letter is part of a word: "task-force" is no key.
 */
static size_t secret_at(const char *start, const char *text, const char *key, char stand_in[16])
{
    size_t size = key && *key ? key_at(text, key) : 0;
    if (size) {
        bool whole = size >= 12 && !key[size];
        snprintf(stand_in, 16, "%s...%s", strncmp(key, "sk-", 3) ? "" : "sk-",
                 whole ? key + size - 4 : "");
        return size;
    }
    if (text - start >= 3 && !memcmp(text - 3, "://", 3) && (size = userinfo_at(text)) > 0) {
        snprintf(stand_in, 16, "...@");
        return size;
    }
    if (text > start && is_key_char(text[-1]))
        return 0;
    size = run_of_key_chars(text);
    if (!strncmp(text, "sk-", 3) && (size >= 11 || (size > 3 && !text[size]))) {
        snprintf(stand_in, 16, "sk-...%.4s", size >= 11 ? text + size - 4 : "");
        return size;
    }
    if (is_hash(text, size)) {
        snprintf(stand_in, 16, "[hash]");
        return size;
    }
    return 0;
}

/* Where text goes, one piece at a time, never half a piece and never beyond `size`. */
struct out {
    char *text;
    size_t used, size;
    bool full;
};

static void put(struct out *out, const char *piece, size_t size)
{
    if (out->full || out->used + size >= out->size) {
        out->full = true;
        return;
    }
    memcpy(out->text + out->used, piece, size);
    out->used += size;
}

/* Ends the text. One that was cut ends in "...", not in the middle of a UTF-8 character. */
static void end(struct out *out)
{
    if (out->full && out->size > 4) {
        size_t cut = out->used < out->size - 4 ? out->used : out->size - 4;
        while (cut > 0 && ((unsigned char)out->text[cut - 1] & 0xc0) == 0x80)
            cut--;
        if (cut > 0 && (unsigned char)out->text[cut - 1] >= 0xc0)
            cut--;
        memcpy(out->text + cut, "...", 3);
        out->used = cut + 3;
    }
    out->text[out->used] = '\0';
}

static void redact(char *to, size_t size, const char *text, const char *key, bool one_line)
{
    struct out out = {to, 0, size, false};
    char stand_in[16];
    const char *start = text;
    while (*text && !out.full) {
        size_t secret = secret_at(start, text, key, stand_in);
        if (secret) {
            put(&out, stand_in, strlen(stand_in));
            text += secret;
            start = text; /* nothing before it counts any more */
            continue;
        }
        bool control = (unsigned char)*text < 0x20 || *text == 0x7f;
        char character = control && one_line ? ' ' : *text;
        bool doubled = one_line && character == ' ' && (out.used == 0 || to[out.used - 1] == ' ');
        if (!doubled)
            put(&out, &character, 1);
        text++;
    }
    end(&out);
    while (one_line && out.used > 0 && to[out.used - 1] == ' ')
        to[--out.used] = '\0';
}

void tc_redact(char *out, size_t size, const char *text, const char *key)
{
    redact(out, size, text, key, true);
}

void tc_redact_body(char *out, size_t size, const char *text, const char *key)
{
    redact(out, size, text, key, false);
}

/* ---- what the server said ---- */

/* Where `part` begins in `text`, whatever its case, or NULL. */
static const char *find(const char *text, const char *part)
{
    size_t size = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < size && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == size)
            return text;
    }
    return NULL;
}

/* A captured text as a string, or "" for none and for Python's "None". `room` is where it goes. */
static const char *captured(const struct tc_answer *answer, unsigned rule, char *room, size_t size)
{
    const struct tc_buffer *text = answer->texts ? &answer->texts[rule] : NULL;
    size_t used = text ? text->size : 0;
    if (used >= size)
        used = size - 1;
    for (size_t i = 0; i < used; i++)
        room[i] = text->data[i] ? (char)text->data[i] : ' ';
    room[used] = '\0';
    return strcmp(room, "None") ? room : "";
}

/* The text between <title> and </title>, for the error pages of proxies. */
static bool html_title(const char *page, char *title, size_t size)
{
    const char *at = find(page, "<title");
    at = at ? strchr(at, '>') : NULL;
    if (!at)
        return false;
    size_t length = strcspn(at + 1, "<");
    if (length >= size)
        length = size - 1;
    memcpy(title, at + 1, length);
    title[length] = '\0';
    return length > 0;
}

static bool is_html(const struct tc_answer *answer)
{
    const char *text = answer->head + strspn(answer->head, " \t\r\n");
    return find(answer->content_type, "html") || *text == '<';
}

/* Cuts away what frameworks put around a message: "400: ", {'error': '...'}, tracebacks. */
static char *unwrap(char *message)
{
    static const char *const tails[] = {"Traceback (most recent call last)",
                                        "Received Model Group=", "Available Model Group"};
    if (strspn(message, "0123456789") == 3 && !strncmp(message + 3, ": ", 2))
        message += 5;
    if (!strncmp(message, "{'error': ", 10)) {
        char *last = message + strlen(message);
        message += 10;
        while (last > message && strchr("}'\"", last[-1]))
            *--last = '\0';
        message += strspn(message, "'\"");
    }
    for (size_t i = 0; i < COUNT(tails); i++) {
        char *tail = strstr(message, tails[i]);
        if (tail && tail > message)
            *tail = '\0';
    }
    size_t size = strlen(message);
    while (size && strchr(" .\r\n\t", message[size - 1]))
        message[--size] = '\0';
    return message;
}

bool tc_failure_in_body(const struct tc_buffer *texts)
{
    return texts[MESSAGE].size || texts[ERROR].size;
}

/* Where a message is itself a document like those of errors, as Google's are behind the gateway:
 * puts the message of that into its place. */
static char *unwrap_document(char *message, size_t size)
{
    struct tc_envelope document;
    if (*message != '{' && *message != '[')
        return message;
    tc_envelope_init(&document, tc_failure_rules, TC_FAILURE_RULES);
    (void)tc_envelope_feed(&document, message, strlen(message)); /* it may be cut, or none */
    const struct tc_answer inner = {.texts = document.texts};
    char text[4096];
    if (size <= sizeof(text) && *captured(&inner, MESSAGE, text, size))
        memcpy(message, text, strlen(text) + 1);
    tc_envelope_free(&document);
    return message;
}

/* The best sentence of an answer, into `room`. Returns where in it. */
static const char *find_message(const struct tc_answer *answer, char *room, size_t size)
{
    static const unsigned places[] = {MESSAGE, ERROR, 5, 6, 7, 8, 9};
    for (size_t i = 0; i < COUNT(places); i++)
        if (*captured(answer, places[i], room, size))
            return unwrap(unwrap_document(room, size));
    if (is_html(answer) && html_title(answer->head, room, size))
        return room;
    bool words = !is_html(answer) && !strchr("{[", answer->head[strspn(answer->head, " \t\r\n")]);
    snprintf(room, size, "%s", words ? answer->head : "");
    return unwrap(room);
}

/* ---- what it means ---- */

struct sign {
    const char *text; /* in a type or message, whatever its case */
    enum tc_kind kind;
};

static const struct sign type_signs[] = {
    {"budget_exceeded", TC_BUDGET_EXCEEDED}, {"model_access_denied", TC_PERMISSION_DENIED},
    {"expired_key", TC_AUTHENTICATION},      {"token_not_found", TC_AUTHENTICATION},
    {"throttling_error", TC_RATE_LIMIT},     {"no_db_connection", TC_SERVER_ERROR},
};

static const struct sign message_signs[] = {
    {"budget has been exceeded", TC_BUDGET_EXCEEDED},
    {"exceededbudget", TC_BUDGET_EXCEEDED},
    {"max budget limit reached", TC_BUDGET_EXCEEDED},
    {"does not contain 'predictions'", TC_CONTENT_POLICY},
    {"bytesbase64encoded", TC_CONTENT_POLICY},
    {"responsible ai practices", TC_CONTENT_POLICY},
    {"contentpolicyviolation", TC_CONTENT_POLICY},
    {"content_policy_violation", TC_CONTENT_POLICY},
    {"response was blocked", TC_CONTENT_POLICY},
    {"rejected by the safety system", TC_CONTENT_POLICY},
    {"not allowed to access model", TC_PERMISSION_DENIED},
    {"expired key", TC_AUTHENTICATION},
    {"litellm.authenticationerror", TC_SERVER_ERROR}, /* the gateway's own key upstream */
    {"invalid model name", TC_INVALID_REQUEST},
    {"litellm.notfounderror", TC_INVALID_REQUEST}, /* a model that is not there upstream */
    {"is not found for api version", TC_INVALID_REQUEST},
    {"api key not valid", TC_SERVER_ERROR}, /* the gateway's own key again */
};

static enum tc_kind by_sign(const char *text, const struct sign *signs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (find(text, signs[i].text))
            return signs[i].kind;
    return TC_NONE;
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
    case 407: /* of a proxy on the way */
        return TC_CONNECTION;
    case 408:
        return TC_TIMEOUT;
    case 409:
        return TC_SERVER_ERROR;
    case 429:
        return TC_RATE_LIMIT;
    default:
        return status >= 400 ? TC_INVALID_REQUEST : status >= 300 ? TC_NOT_FOUND : TC_BAD_RESPONSE;
    }
}

static enum tc_kind classify(const char *type, const char *message, long status)
{
    enum tc_kind kind = by_sign(type, type_signs, COUNT(type_signs));
    if (!kind)
        kind = by_sign(message, message_signs, COUNT(message_signs));
    return kind ? kind : by_status(status);
}

static enum tc_repeat repeat_of(enum tc_kind kind, long status)
{
    if ((kind == TC_RATE_LIMIT && status == 429) || (kind == TC_SERVER_ERROR && status == 503))
        return TC_REPEAT_SAFE;
    if ((kind == TC_SERVER_ERROR &&
         (status == 409 || status == 500 || status == 502 || status == 504)) ||
        (kind == TC_TIMEOUT && status == 408))
        return TC_REPEAT_RISKY;
    return TC_REPEAT_NEVER;
}

/* Seconds to wait that a message names in words, or below 0. */
static double wait_in(const char *message)
{
    static const char resets[] = "Limit resets at: ", again[] = "Try again in ";
    const char *at = strstr(message, resets);
    unsigned year, month, day;
    char hour[9], moment[48];
    if (at && sscanf(at + strlen(resets), "%4u-%2u-%2u %8s", &year, &month, &day, hour) == 4) {
        snprintf(moment, sizeof(moment), "%04u%02u%02u %s UTC", year, month, day, hour);
        time_t reset = curl_getdate(moment, NULL);
        double wait = difftime(reset, time(NULL));
        return reset < 0 ? -1 : wait > 0 ? wait : 0;
    }
    at = strstr(message, again);
    return at ? tc_decimal(at + strlen(again), -1) : -1;
}

/* The sentence for an answer that says nothing. */
static void no_words(char *message, size_t size, const struct tc_answer *answer)
{
    if (answer->status >= 300 && answer->status < 400)
        snprintf(message, size, "the server points elsewhere (%s)",
                 *answer->redirect ? answer->redirect : "it does not say where");
    else
        snprintf(message, size, "no message");
}

/* Where the status tells more than the kind what can be done. */
static const char *advice_for_status(enum tc_kind kind, long status)
{
    if (kind == TC_INVALID_REQUEST)
        return status == 413 ? "send less" : "change the params";
    if (kind == TC_TIMEOUT) /* not ours: the model's, behind the gateway */
        return "try again later";
    if (kind == TC_SERVER_ERROR && status < 500)
        return "tell those who run the gateway";
    return kind == TC_CONNECTION ? "check the proxy" : NULL;
}

void tc_failure_from_answer(struct tc_failure *failure, const struct tc_answer *answer)
{
    char room[4096] = "", text[512], type[96] = "";
    const char *message = find_message(answer, room, sizeof(room));
    double in_words = wait_in(message);
    tc_redact(text, sizeof(text), message, answer->key);
    captured(answer, TYPE, type, sizeof(type));
    enum tc_kind kind = classify(type, message, answer->status);
    if (!*text || (answer->status >= 300 && answer->status < 400))
        no_words(text, sizeof(text), answer);
    tc_failure_set(failure, kind, "%s", text);
    failure->status = answer->status;
    failure->advice = advice_for_status(kind, answer->status);
    failure->retry_after = answer->retry_after >= 0 ? answer->retry_after : in_words;
    failure->repeat = repeat_of(kind, answer->status);
    failure->maybe_billed =
        failure->repeat == TC_REPEAT_RISKY || (answer->status >= 500 && answer->status != 503);
    tc_redact(failure->type, sizeof(failure->type), captured(answer, TYPE, room, sizeof(room)),
              answer->key);
    tc_redact(failure->param, sizeof(failure->param), captured(answer, PARAM, room, sizeof(room)),
              answer->key);
    tc_redact(failure->code, sizeof(failure->code), captured(answer, CODE, room, sizeof(room)),
              answer->key);
}

/* ---- what libcurl said ---- */

static enum tc_kind kind_of_transfer(int code, long status)
{
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return TC_NO_MEMORY;
    case CURLE_OPERATION_TIMEDOUT:
        return TC_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        return TC_TLS;
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return TC_BAD_RESPONSE;
    default: /* an answer that had begun and broke off is a bad one */
        return status ? TC_BAD_RESPONSE : TC_CONNECTION;
    }
}

/* What OpenSSL and others call a thing, and what it is. */
struct saying {
    const char *text, *meaning, *advice;
};

static const struct saying tls_sayings[] = {
    {"wrong version number", "the server does not speak TLS on this port",
     "check the base URL: is it an http address?"},
    {"alert protocol version",
     "the server speaks no TLS 1.2 or later, only versions that are too old",
     "the server has to be updated"},
    {"unsupported protocol",
     "the server speaks no TLS 1.2 or later, only versions that are too old",
     "the server has to be updated"},
};

static const struct saying proxy_sayings[] = {
    {"CONNECT tunnel failed, response 407", "the proxy asks for user name and password (407)",
     "put them into proxy"},
    {"CONNECT tunnel failed, response 401", "the proxy does not accept user name or password (401)",
     "check them in proxy"},
    {"CONNECT tunnel failed, response 403", "the proxy refuses to connect to that server (403)",
     "use another proxy, or none"},
};

/* The saying that is in `text`, or NULL where that is plain enough. */
static const struct saying *saying_in(const char *text, enum tc_kind kind)
{
    const struct saying *sayings = kind == TC_TLS ? tls_sayings : proxy_sayings;
    size_t count = kind == TC_TLS          ? COUNT(tls_sayings)
                   : kind == TC_CONNECTION ? COUNT(proxy_sayings)
                                           : 0;
    for (size_t i = 0; i < count; i++)
        if (strstr(text, sayings[i].text))
            return &sayings[i];
    return NULL;
}

static const char *advice_for_transfer(enum tc_kind kind, const char *text, bool sent)
{
    if (kind == TC_TIMEOUT && !sent)
        return "check the network and the base URL, or raise connect_timeout";
    if (kind == TC_TLS && (strstr(text, "expired") || strstr(text, "not yet valid")))
        return "check the clock of this machine; else the server's certificate has to be renewed";
    if (kind == TC_CONNECTION && strstr(text, "CONNECT tunnel"))
        return "check the proxy";
    if (kind == TC_CONNECTION && sent)
        return "it may have been drawn, so trying again may cost twice";
    return kind == TC_RESPONSE_TOO_LARGE ? "raise max_response_bytes, or ask for fewer pictures"
                                         : NULL;
}

void tc_failure_from_transfer(struct tc_failure *failure, int code, const char *text,
                              const char *key, bool sent, long status)
{
    char line[400];
    enum tc_kind kind = kind_of_transfer(code, status);
    if (!*text)
        text = curl_easy_strerror((CURLcode)code);
    const struct saying *plain = saying_in(text, kind);
    tc_redact(line, sizeof(line), plain ? plain->meaning : text, key);
    tc_failure_set(failure, kind, "%s%s", status ? "the answer broke off: " : "", line);
    failure->advice = plain ? plain->advice : advice_for_transfer(kind, text, sent);
    failure->status = status;
    failure->maybe_billed = sent;
    bool lasting = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
                   kind == TC_NO_MEMORY || kind == TC_RESPONSE_TOO_LARGE || plain ||
                   code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY ||
                   code == CURLE_BAD_CONTENT_ENCODING;
    failure->repeat = lasting ? TC_REPEAT_NEVER : sent ? TC_REPEAT_RISKY : TC_REPEAT_SAFE;
}
