/*
 * Removes keys and control characters from foreign text: what servers, models and libraries say.
 * All such text goes through here before a person sees it.
 *
 * The key of the request is found in all the spellings that programs use: as it is, in another
 * case, with JSON escapes, percent escapes or HTML entities (even applied several times), as base64
 * and as hex. Other keys are found by their form: "sk-...", hashes of 64 digits, user names and
 * passwords in URLs. A key is replaced by a short text that has its last four characters.
 */
#ifndef TC_REDACT_H
#define TC_REDACT_H

#include <stdbool.h>
#include <stddef.h>

/* What happens to the rest of the text. */
enum tc_redact_form {
    TC_REDACT_LINE, /* it becomes one line: any white space is one space, control characters show */
    TC_REDACT_LINES,   /* line ends and tabs stay, other control characters show */
    TC_REDACT_VERBATIM /* it stays as it is; only the request's own key is removed */
};

/* The state of redacting a text. */
struct tc_redaction {
    const char *start, *at, *end; /* what is before `start` is not looked at again */
    const char *key;              /* or NULL */
    size_t key_size;
    enum tc_redact_form form;
    char last; /* the character before, in one line */
    char stand_in[24];
    unsigned char
        may_begin[256];   /* by character: which spellings begin with it (KEY, HEX, ENCODED) */
    char encoded[3][512]; /* the key as base64 after 0, 1 and 2 other bytes, or "" */
};

/* Prepares to redact texts. `key` (NULL or "": none) must stay in place until the end. */
void tc_redact_begin(struct tc_redaction *redaction, enum tc_redact_form form, const char *key);

/* Begins a text, which must stay in place until its end. Any number of texts may follow each other.
 */
void tc_redact_text(struct tc_redaction *redaction, const char *text, size_t size);

/* The next piece of the redacted text and its length; NULL at the end. Valid until the next call.
 */
const char *tc_redact_next(struct tc_redaction *redaction, size_t *size);

/* Redacts a whole string to one line. It is cut at `size`, with "...". */
void tc_redact(char *out, size_t size, const char *text, const char *key);

/* The same, but line ends and white space stay. */
void tc_redact_body(char *out, size_t size, const char *text, const char *key);

#endif
