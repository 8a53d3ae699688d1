/*
 * Kinds of failures, and what libcurl's errors mean: see failure.h. What servers say is read in
 * refusal.c.
 */
#include "failure.h"

#include "redact.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
    default: /* a response that began and broke off is a bad one */
        return status ? TC_BAD_RESPONSE : TC_CONNECTION;
    }
}

/* Words of OpenSSL and others, and what they mean. */
struct saying {
    const char *text, *meaning, *advice;
};

static const struct saying tls_sayings[] = {
    {"subject name", "the server's certificate is for another host", "check the base URL"},
    {"local issuer certificate", "nobody who is trusted here has signed the server's certificate",
     "if it is right all the same, name its authority's certificate in ca_file"},
    {"in certificate chain", "nobody who is trusted here has signed the server's certificate",
     "if it is right all the same, name its authority's certificate in ca_file"},
    {"signed certificate", "the server has signed its certificate itself",
     "if it is right all the same, name it in ca_file"},
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
     "put them into proxy, or check those that are there"},
    {"CONNECT tunnel failed, response 401", "the proxy asks for user name and password (401)",
     "put them into proxy, or check those that are there"},
    {"CONNECT tunnel failed, response 403", "the proxy refuses to connect to that server (403)",
     "use another proxy, or none"},
};

/* The saying that is in `text`, or NULL: then the text itself is shown. */
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
    tc_failure_set(failure, kind, "%s%s", status ? "the response broke off: " : "", line);
    failure->advice = plain ? plain->advice : advice_for_transfer(kind, text, sent);
    failure->status = status;
    failure->maybe_billed = sent;
    bool lasting = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
                   kind == TC_NO_MEMORY || kind == TC_RESPONSE_TOO_LARGE || plain ||
                   code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY ||
                   code == CURLE_BAD_CONTENT_ENCODING;
    failure->repeat = lasting ? TC_REPEAT_NEVER : sent ? TC_REPEAT_RISKY : TC_REPEAT_SAFE;
}
