/*
 * Separates the JSON documents of a response from what is around them, while it arrives.
 *
 * Most responses are one JSON document. Some servers send something else without being asked: a
 * stream of server-sent events (WHATWG HTML, 9.2) with one document in each event, comment lines
 * before the document that keep a connection awake, or the picture itself. The first character
 * tells which it is.
 *
 * The reader returns the input in runs, and says of each what it is. The input may be cut anywhere:
 * the runs of a kind, joined, are always the same.
 */
#ifndef TC_FRAMING_H
#define TC_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

enum tc_run_kind {
    TC_RUN_NONE,    /* not part of a document */
    TC_RUN_JSON,    /* bytes of a document */
    TC_RUN_LINE,    /* the next data line of an event begins: no bytes */
    TC_RUN_EVENT,   /* an event ends: no bytes */
    TC_RUN_PICTURE, /* bytes of a picture */
};

/* All zero is the beginning. */
struct tc_framing {
    unsigned char state;
    unsigned char matched; /* characters of "data" in the field's name; above 4: another name */
    bool behind_return;    /* the last character was a carriage return: one line end with '\n' */
    bool events;           /* it is a stream of events */
    bool picture;          /* it is a picture, or begins like one */
};

/* A run of input and what it is. `bytes` may point to a constant instead of the input. */
struct tc_run {
    enum tc_run_kind kind;
    const char *bytes;
    size_t size;
};

/* Takes input from the beginning of `bytes` (of which there is at least one), says what it is, and
 * returns how many bytes it took. It may take none and change its state instead. */
size_t tc_framing_next(struct tc_framing *framing, const char *bytes, size_t size,
                       struct tc_run *run);

#endif
