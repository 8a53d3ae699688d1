/*
 * The one door through which what others wrote reaches a person: a server's words, a model's, those
 * of a library. No key passes, and nothing that a terminal would obey.
 *
 * The key of the request is known, and found in the spellings that programs give it: plain, in
 * capital or small letters, with JSON's escapes, percent escapes or HTML's entities (each of them
 * repeated too), as base64, in which headers carry it, and as hex. Keys of others are known by
 * their form ("sk-...", hashes of 64 digits, names and passwords in URLs). What stands for one
 * keeps its last four characters.
 */
#ifndef TC_REDACT_H
#define TC_REDACT_H

#include <stdbool.h>
#include <stddef.h>

/* What becomes of the text beside the keys. */
enum tc_redact_form {
    TC_REDACT_LINE,    /* one line: white space is one space, control characters are visible */
    TC_REDACT_LINES,   /* line ends and tabs stay, other control characters are visible */
    TC_REDACT_VERBATIM /* all stays as it is, foreign keys too: only the request's own is taken out
                        */
};

/* A text on its way through. */
struct tc_redaction {
    const char *start, *at, *end; /* nothing before `start` counts for what comes */
    const char *key;              /* or NULL */
    size_t key_size;
    enum tc_redact_form form;
    char last; /* the character before, of a line */
    char stand_in[24];
    unsigned char may_begin[256]; /* by character: bits of what begins with it, KEY and ENCODED */
    char encoded[3][512]; /* the key as base64, behind 0, 1 and 2 other bytes; "" for none */
};

/* Gets ready for texts with `key` (NULL or "": none), which stays where it is until the end. */
void tc_redact_begin(struct tc_redaction *redaction, enum tc_redact_form form, const char *key);

/* Begins a text, which stays where it is until its end; any number of them one after the other. */
void tc_redact_text(struct tc_redaction *redaction, const char *text, size_t size);

/* The next piece, and its length; NULL at the end. It is there until the next call. */
const char *tc_redact_next(struct tc_redaction *redaction, size_t *size);

/* The whole of a string as one line, cut at `size` with "...". */
void tc_redact(char *out, size_t size, const char *text, const char *key);

/* The same, but line ends and spaces stay as they are. */
void tc_redact_body(char *out, size_t size, const char *text, const char *key);

#endif
