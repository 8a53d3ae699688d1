/*
 * What a server says went wrong, read out of whatever document it says that with.
 *
 * There are as many shapes as there are services, and gateways pass them on as they are, inside
 * their own or as a text: {"error": {"message": ...}}, {"detail": [{"msg": ...}]}, {"code": ...,
 * "message": ...}. All of them are read by one list of places.
 */
#ifndef TC_PROBLEM_H
#define TC_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "../splitter/envelope.h"

enum {
    TC_PROBLEM_TEXT = 4096,      /* bytes of a message; more is cut */
    TC_PROBLEM_WORDS = 16 * 1024 /* bytes in which signs are looked for */
};

struct tc_problem {
    char message[TC_PROBLEM_TEXT]; /* the sentence that tells most, or "" */
    char code[64], type[96], param[160];
    char state[64];               /* what has become of a task: "Request Moderated" */
    char words[TC_PROBLEM_WORDS]; /* all that it says, in small letters, a line each */
    char codes[1024];             /* the same of codes, types and such: words of machines */
    long status;                  /* the HTTP status that it names, or 0 */
    double wait;                  /* seconds that a field asks for, or below 0 */
    bool google;                  /* it has a status in words, as Google's errors have */
    bool is_error;                /* it is an object with an "error" */
    bool says_error;              /* it has an error somewhere where errors are */
    bool tells_failure;           /* it has not, but where a picture was asked for it is one */
    bool has_address;             /* it has the address of a picture, too */
    bool has_picture;             /* it has the base64 of one somewhere */
    bool held_back;               /* a picture was made, and moderation keeps it */
};

/* Where the sentences are, for a scanner that drops long texts elsewhere: the first of the list. */
enum { TC_FAILURE_RULES = 4 };
extern const struct tc_rule tc_failure_rules[];

/* Reads a document, or as much of one as there is. False when memory is short. */
bool tc_problem_read(struct tc_problem *problem, const void *bytes, size_t size);

/* The same for words without a document. */
void tc_problem_take(struct tc_problem *problem, const char *text);

#endif
