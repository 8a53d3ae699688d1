/*
 * What a server says went wrong: see problem.h.
 *
 * The document is scanned a second time, with the rules below. A sentence that is a document itself
 * is read in the same way, down to NESTED of them: an error of a gateway may have the error of
 * another gateway in it.
 */
#include "problem.h"

#include "wait.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    NESTED = 3,           /* documents inside one another that are read */
    SEARCHED = 64 * 1024, /* bytes of a document in which flags and pictures are looked for */
    FIRST_ERROR = 400,    /* the HTTP statuses of errors */
    LAST_ERROR = 599,
};

/* What a text in a document is: an index into tc_failure_rules. */
enum slot {
    /* Sentences, the most telling first. */
    RAW, /* of the service behind OpenRouter */
    ERROR_MESSAGE,
    CHOICE_MESSAGE,
    ERROR,
    OTHER_ERROR, /* the first that TC_FAILURE_RULES leaves out */
    LIST_MESSAGE,
    LIST,
    DETAIL_MESSAGE,
    DETAIL,
    NESTED_MESSAGE,
    MESSAGE,
    OTHER_MESSAGE,
    ERRORS_MESSAGE,
    RESPONSE_MESSAGE,
    TITLE,
    /* Codes, the error's own first. */
    ERROR_CODE,
    CHOICE_CODE,
    NESTED_CODE,
    LIST_CODE,
    CODE,
    RESPONSE_CODE,
    STATUS,
    /* Other words for programs. */
    ERROR_TYPE,
    ERROR_STATUS,
    INNER_CODE,
    REASON,
    LIST_TYPE,
    FAULT_CODE,
    NAME,
    /* The rest. */
    FINISH_REASON,
    PARAM,
    RETRY_DELAY,
    RETRY_AFTER,
    INNER_RETRY_AFTER,
    ADDRESS,
    SLOTS
};

const struct tc_rule tc_failure_rules[] = {
    [RAW] = {TC_CAPTURE_TEXT, {"error", "metadata", "raw"}},
    [ERROR_MESSAGE] = {TC_CAPTURE_TEXT,
                       {"error|Error|fault",
                        "message|Message|msg|faultstring|detail|description|error"}},
    [CHOICE_MESSAGE] = {TC_CAPTURE_TEXT, {"choices", "[]", "error", "message"}},
    [ERROR] = {TC_CAPTURE_TEXT, {"error"}},
    [OTHER_ERROR] = {TC_CAPTURE_TEXT, {"errors|Error|fault|err"}},
    [LIST_MESSAGE] = {TC_CAPTURE_TEXT,
                      {"errors|detail|details", "[]", "message|msg|detail|title|error"}},
    [LIST] = {TC_CAPTURE_TEXT, {"errors|detail|message|messages", "[]"}},
    [DETAIL_MESSAGE] = {TC_CAPTURE_TEXT,
                        {"detail|details|errors|data|result", "error|message|msg|reason"}},
    [DETAIL] = {TC_CAPTURE_TEXT, {"detail|details"}},
    [NESTED_MESSAGE] = {TC_CAPTURE_TEXT,
                        {"ResponseMetadata|Response|detail|error|data", "Error|error",
                         "Message|message"}},
    [MESSAGE] = {TC_CAPTURE_TEXT, {"message|Message|msg|error_msg|error_message|errorMessage"}},
    [OTHER_MESSAGE] = {TC_CAPTURE_TEXT, {"error_description|description|reason"}},
    [ERRORS_MESSAGE] = {TC_CAPTURE_TEXT, {"error", "errors", "[]", "message"}},
    [RESPONSE_MESSAGE] = {TC_CAPTURE_TEXT, {"base_resp", "status_msg"}},
    [TITLE] = {TC_CAPTURE_TEXT, {"title"}},
    [ERROR_CODE] = {TC_CAPTURE_TEXT, {"error|Error|fault", "code|Code|error_code"}},
    [CHOICE_CODE] = {TC_CAPTURE_TEXT, {"choices", "[]", "error", "code"}},
    [NESTED_CODE] = {TC_CAPTURE_TEXT,
                     {"ResponseMetadata|Response|detail|error|data", "Error|error", "Code|code"}},
    [LIST_CODE] = {TC_CAPTURE_TEXT, {"errors", "[]", "code|status"}},
    [CODE] = {TC_CAPTURE_TEXT, {"code|Code|error_code|errorCode|statusCode|status_code|__type"}},
    [RESPONSE_CODE] = {TC_CAPTURE_TEXT, {"base_resp", "status_code"}},
    [STATUS] = {TC_CAPTURE_TEXT, {"status"}},
    [ERROR_TYPE] = {TC_CAPTURE_TEXT, {"error|Error", "type|Type"}},
    [ERROR_STATUS] = {TC_CAPTURE_TEXT, {"error", "status"}},
    [INNER_CODE] = {TC_CAPTURE_TEXT,
                    {"error", "innererror|inner_error|metadata", "code|error_type"}},
    [REASON] = {TC_CAPTURE_TEXT, {"error", "errors|details", "[]", "reason"}},
    [LIST_TYPE] = {TC_CAPTURE_TEXT, {"detail|errors", "[]", "type"}},
    [FAULT_CODE] = {TC_CAPTURE_TEXT, {"fault", "detail", "errorcode"}},
    [NAME] = {TC_CAPTURE_TEXT, {"name|error_type|error_name"}},
    [FINISH_REASON] = {TC_CAPTURE_TEXT, {"choices", "[]", "finish_reason"}},
    [PARAM] = {TC_CAPTURE_TEXT, {"error", "param"}},
    [RETRY_DELAY] = {TC_CAPTURE_TEXT, {"error", "details", "[]", "retryDelay"}},
    [RETRY_AFTER] = {TC_CAPTURE_TEXT, {"retry_after|retryAfter|retry_after_seconds"}},
    [INNER_RETRY_AFTER] = {TC_CAPTURE_TEXT,
                           {"error|detail|details|parameters", "retry_after|retryAfter"}},
    [ADDRESS] = {TC_CAPTURE_TEXT, {"data|images|output", "[]", "url|b64_json|image_url"}},
};

/* ---- texts ---- */

/* Copies a text to `out` and returns that: "" where there is none, and for Python's "None". */
static const char *text_of(const struct tc_buffer *texts, enum slot slot, char *out, size_t size)
{
    const struct tc_buffer *text = &texts[slot];
    size_t used = text->size < size ? text->size : size - 1;
    for (size_t i = 0; i < used; i++)
        out[i] = text->data[i] ? (char)text->data[i] : ' ';
    out[used] = '\0';
    if (!strcmp(out, "None"))
        *out = '\0';
    return out;
}

/* Appends a line to `words`, with ASCII letters in lower case in any locale. */
static void add_line(char *words, size_t size, const void *text, size_t length)
{
    const unsigned char *from = text;
    size_t used = strlen(words);
    if (used + 2 > size || !length)
        return;
    for (; length && used + 2 < size; length--, from++)
        words[used++] = *from >= 'A' && *from <= 'Z' ? (char)(*from | 0x20)
                        : *from                      ? (char)*from
                                                     : ' ';
    words[used++] = '\n';
    words[used] = '\0';
}

static void take_words(struct tc_problem *problem, const struct tc_buffer *texts)
{
    for (unsigned i = 0; i < ERROR_CODE; i++)
        add_line(problem->words, sizeof(problem->words), texts[i].data, texts[i].size);
    for (unsigned i = ERROR_CODE; i <= NAME; i++)
        add_line(problem->codes, sizeof(problem->codes), texts[i].data, texts[i].size);
}

/* Does the text mean nothing, or a success? */
static bool is_empty(const char *text)
{
    static const char *const words[] = {"",        "0",       "200",    "201",  "ok",
                                        "OK",      "None",    "null",   "none", "false",
                                        "success", "SUCCESS", "Success"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (!strcmp(text, words[i]))
            return true;
    return false;
}

static bool has(const struct tc_buffer *texts, enum slot slot)
{
    char text[32];
    return !is_empty(text_of(texts, slot, text, sizeof(text)));
}

/* ---- codes ---- */

static bool is_number(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0';
}

/* The HTTP status of an error that a code is, or 0. */
static long status_of(const char *code)
{
    long status = 0;
    if (strspn(code, "0123456789") != 3 || (code[3] && code[3] != ';'))
        return 0;
    for (int i = 0; i < 3; i++)
        status = status * 10 + (code[i] - '0');
    return status >= FIRST_ERROR && status <= LAST_ERROR ? status : 0;
}

/* Takes the first code that there is, and the first status. */
static void take_codes(struct tc_problem *problem, const struct tc_buffer *texts)
{
    char code[64] = "";
    for (enum slot slot = ERROR_CODE; slot <= STATUS; slot++) {
        if (!*text_of(texts, slot, code, sizeof(code)))
            continue;
        if (!*problem->code && slot < STATUS)
            memcpy(problem->code, code, sizeof(code));
        if (!problem->status)
            problem->status = status_of(code);
    }
    if (!*problem->state && !is_number(text_of(texts, STATUS, code, sizeof(code))))
        memcpy(problem->state, code, sizeof(code));
    if (!*problem->type)
        text_of(texts, ERROR_TYPE, problem->type, sizeof(problem->type));
    if (!*problem->param)
        text_of(texts, PARAM, problem->param, sizeof(problem->param));
    text_of(texts, ERROR_STATUS, code, sizeof(code));
    problem->google = problem->google || (*code >= 'A' && *code <= 'Z');
    if (!problem->status)
        problem->status = status_of(code);
}

static void take_waits(struct tc_problem *problem, const struct tc_buffer *texts)
{
    char text[32];
    for (enum slot slot = RETRY_DELAY; slot <= INNER_RETRY_AFTER; slot++) {
        double wait = tc_duration(text_of(texts, slot, text, sizeof(text)));
        if (wait > problem->wait)
            problem->wait = wait;
    }
}

/* ---- is it an error? ---- */

/* Is `part` in the document, which has no white space between its tokens? */
static bool contains(const struct tc_buffer *document, const char *part)
{
    size_t size = strlen(part), searched = document->size < SEARCHED ? document->size : SEARCHED;
    for (size_t i = 0; i + size <= searched; i++)
        if (document->data[i] == (unsigned char)*part && !memcmp(document->data + i, part, size))
            return true;
    return false;
}

static bool contains_any(const struct tc_buffer *document, const char *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (contains(document, parts[i]))
            return true;
    return false;
}

/* Does the document's status mean a failure: a word for the state of a task, or an HTTP status? */
static bool status_is_bad(const char *status)
{
    static const char *const words[] = {"error", "Error", "ERROR",   "fail",
                                        "FAIL",  "Fail",  "oderated"}; /* "Request Moderated" */
    for (size_t i = 0; i < COUNT(words); i++)
        if (strstr(status, words[i]))
            return true;
    return status_of(status) != 0;
}

/* Has the document a field that only errors have? */
static bool names_error(const struct tc_buffer *texts)
{
    static const enum slot slots[] = {ERROR_MESSAGE, CHOICE_MESSAGE, ERROR,          OTHER_ERROR,
                                      LIST_MESSAGE,  LIST,           NESTED_MESSAGE, ERROR_CODE,
                                      CHOICE_CODE,   NESTED_CODE,    ERROR_TYPE,     ERROR_STATUS};
    char reason[256];
    for (size_t i = 0; i < COUNT(slots); i++)
        if (has(texts, slots[i]))
            return true;
    return strstr(text_of(texts, FINISH_REASON, reason, sizeof(reason)), "error") != NULL;
}

/*
 * Does a document without such a field report a failure all the same? These do: {"code": 1,
 * "message": ...}, {"success": false}, and a sentence without the list that would have the
 * pictures.
 */
static bool tells_failure(const struct tc_buffer *document, const struct tc_buffer *texts)
{
    static const char *const flags[] = {"\"success\":false", "\"ok\":false", "\"error\":true",
                                        "\"data\":null"};
    static const char *const lists[] = {"\"data\":[",   "\"choices\":[", "\"candidates\":[",
                                        "\"images\":[", "\"output\":[",  "\"created\":"};
    char status[64];
    bool sentence = has(texts, MESSAGE) || has(texts, DETAIL) || has(texts, DETAIL_MESSAGE) ||
                    has(texts, OTHER_MESSAGE) || has(texts, TITLE);
    bool code = has(texts, CODE) || has(texts, RESPONSE_CODE);
    return contains_any(document, flags, 3) ||
           status_is_bad(text_of(texts, STATUS, status, sizeof(status))) ||
           (sentence && (code || contains(document, flags[3]) ||
                         !contains_any(document, lists, COUNT(lists)))) ||
           (code && has(texts, RESPONSE_MESSAGE));
}

static void take_evidence(struct tc_problem *problem, const struct tc_envelope *document)
{
    const struct tc_buffer *text = &document->text, *texts = document->texts;
    problem->held_back = contains(text, "\"respect_moderation\":false");
    problem->has_address = has(texts, ADDRESS);
    problem->has_picture =
        tc_text_has_picture(text->data, text->size < SEARCHED ? text->size : SEARCHED);
    problem->is_error = text->size && *text->data == '{' && !document->path.wrapped &&
                        (has(texts, ERROR) || has(texts, ERROR_MESSAGE));
    problem->says_error = names_error(texts);
    problem->tells_failure = tells_failure(text, texts);
    if (contains(text, "\"content_filter_result") && contains(text, "\"filtered\":true"))
        add_line(problem->codes, sizeof(problem->codes), "content_filter", 14);
}

/* ---- sentences ---- */

/* Removes what frameworks put around a sentence: "400: ", {'error': '...'}, tracebacks. */
static void unwrap(char *message)
{
    static const char *const tails[] = {"Traceback (most recent call last)",
                                        "Received Model Group=", "Available Model Group",
                                        "LiteLLM: model group ", "Deployment Info: "};
    char *from = message;
    if (strspn(from, "0123456789") == 3 && !strncmp(from + 3, ": ", 2))
        from += 5;
    if (!strncmp(from, "{'error': ", 10)) {
        char *last = from + strlen(from);
        from += 10;
        while (last > from && strchr("}'\"", last[-1]))
            *--last = '\0';
        from += strspn(from, "'\"");
    }
    for (size_t i = 0; i < COUNT(tails); i++) {
        char *tail = strstr(from, tails[i]);
        if (tail && tail > from)
            *tail = '\0';
    }
    size_t size = strlen(from);
    while (size && strchr(" .\r\n\t", from[size - 1]))
        size--;
    memmove(message, from, size);
    message[size] = '\0';
}

/* {"error": "Forbidden", "message": "no access to this model"}: both are shown. */
static void join_message(struct tc_problem *problem, const struct tc_buffer *texts)
{
    char more[1024];
    size_t used = strlen(problem->message);
    if (!*text_of(texts, MESSAGE, more, sizeof(more)))
        text_of(texts, LIST, more, sizeof(more));
    if (*more && strcmp(more, problem->message) != 0)
        snprintf(problem->message + used, sizeof(problem->message) - used, ": %s", more);
}

static bool read_document(struct tc_problem *problem, const void *bytes, size_t size,
                          unsigned depth);

/* Finds the most telling sentence; if it is a document itself, the one in there. */
static bool take_message(struct tc_problem *problem, const struct tc_buffer *texts, unsigned depth)
{
    for (enum slot slot = RAW; slot <= TITLE && !*problem->message; slot++) {
        const struct tc_buffer *text = &texts[slot];
        bool document = text->size && strchr("{[", text->data[0]);
        if (document && depth < NESTED && !read_document(problem, text->data, text->size, depth))
            return false;
        if (*problem->message || !*text_of(texts, slot, problem->message, sizeof(problem->message)))
            continue;
        if (slot == ERROR && is_number(problem->message)) { /* {"error": 1, "message": ...} */
            *problem->message = '\0';
            continue;
        }
        if (slot == ERROR)
            join_message(problem, texts);
        unwrap(problem->message);
    }
    return true;
}

static bool read_document(struct tc_problem *problem, const void *bytes, size_t size,
                          unsigned depth)
{
    struct tc_envelope document;
    tc_envelope_init(&document, tc_failure_rules, SLOTS);
    (void)tc_envelope_feed(&document, bytes, size); /* it may be cut, or not JSON */
    bool ok = document.error != TC_ENVELOPE_NO_MEMORY;
    if (ok && depth == 0)
        take_evidence(problem, &document);
    take_words(problem, document.texts);
    take_codes(problem, document.texts);
    take_waits(problem, document.texts);
    ok = ok && take_message(problem, document.texts, depth + 1);
    tc_envelope_free(&document);
    return ok;
}

bool tc_problem_read(struct tc_problem *problem, const void *bytes, size_t size)
{
    memset(problem, 0, sizeof(*problem));
    problem->wait = -1;
    return read_document(problem, bytes, size, 0);
}

void tc_problem_take(struct tc_problem *problem, const char *text)
{
    add_line(problem->words, sizeof(problem->words), text, strlen(text));
    problem->has_picture = problem->has_picture || tc_text_has_picture(text, strlen(text));
    snprintf(problem->message, sizeof(problem->message), "%s", text);
    unwrap(problem->message);
}
