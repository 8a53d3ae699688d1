/*
 * What stands around the documents of an answer, told apart while it arrives.
 *
 * Most answers are one JSON document. Some servers send others without being asked: a stream of
 * server-sent events (WHATWG HTML, 9.2) with one document an event, comment lines that keep a
 * connection awake in front of the document, or the picture itself. The first character tells.
 *
 * The reader is a pure function over the bytes: it gives them out in pieces, each marked as what it
 * is. Where the input is cut makes no difference to the pieces once they are put together.
 */
#ifndef TC_FRAMING_H
#define TC_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

enum tc_piece_kind {
    TC_PIECE_NONE,    /* framing: nobody wants it */
    TC_PIECE_JSON,    /* bytes of a document */
    TC_PIECE_LINE,    /* the next data line of an event begins: no bytes */
    TC_PIECE_EVENT,   /* an event ends: no bytes */
    TC_PIECE_PICTURE, /* bytes of a picture */
};

/* All zero is the beginning. */
struct tc_framing {
    unsigned char state;
    unsigned char matched; /* characters of "data" seen in a line's name; above 4: it is another */
    bool behind_return;    /* a line feed now would belong to the carriage return before it */
    bool events;           /* it is a stream of events */
    bool picture;          /* it is a picture, or begins like one */
};

/* A run of input and what it is. `bytes` may point elsewhere than into the input. */
struct tc_run {
    enum tc_piece_kind kind;
    const char *bytes;
    size_t size;
};

/* Takes input from the beginning of `bytes` (of which there is at least one), says what it is, and
 * returns how many bytes it took: at least one, but for TC_PIECE_LINE and TC_PIECE_EVENT. */
size_t tc_framing_next(struct tc_framing *framing, const char *bytes, size_t size,
                       struct tc_run *run);

#endif
