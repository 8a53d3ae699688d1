/*
 * What a server says went wrong, read from the JSON that it sends.
 *
 * Every service has its own shape: {"error": {"message": ...}}, {"detail": [{"msg": ...}]},
 * {"code": ..., "message": ...}. Gateways pass these on as they are, inside documents of their own,
 * or as strings. One list of paths reads all of them.
 */
#ifndef TC_PROBLEM_H
#define TC_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "../splitter/envelope.h"

enum {
    TC_PROBLEM_TEXT = 4096,      /* bytes of a message; more is cut */
    TC_PROBLEM_WORDS = 16 * 1024 /* bytes of text in which signs are looked for */
};

struct tc_problem {
    char message[TC_PROBLEM_TEXT]; /* the most telling sentence, or "" */
    char code[64], type[96], param[160];
    char state[64];               /* the state of a task: "Request Moderated" */
    char words[TC_PROBLEM_WORDS]; /* all its sentences in lower case, one a line */
    char codes[1024];             /* the same for codes, types and the like */
    long status;                  /* the HTTP status that it names, or 0 */
    double wait;                  /* seconds that a field asks for, or below 0 */
    bool google;                  /* it names a status, as Google's errors do: "INVALID_ARGUMENT" */
    bool is_error;                /* the document is an object with "error" at its root */
    bool says_error;              /* it has some field that only errors have */
    bool tells_failure;           /* other fields say so; that counts if a picture was asked for */
    bool has_address;             /* it has the URL of a picture */
    bool has_picture;             /* it has the base64 of a picture */
    bool held_back;               /* a picture was made, and moderation withholds it */
};

/* The paths of texts in errors. The scanner needs only the first TC_FAILURE_RULES of them, so that
 * it keeps long sentences. */
enum { TC_FAILURE_RULES = 4 };
extern const struct tc_rule tc_failure_rules[];

/* Reads a document, which may be cut. False when memory is short. */
bool tc_problem_read(struct tc_problem *problem, const void *bytes, size_t size);

/* Reads plain text instead of a document. */
void tc_problem_take(struct tc_problem *problem, const char *text);

#endif
