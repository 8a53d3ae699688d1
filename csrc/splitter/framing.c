/*
 * Events, comments and bare pictures: see framing.h.
 */
#include "framing.h"

#include <string.h>

enum state {
    BEGIN,        /* nothing but white space, comments and a byte order mark so far */
    MARK,         /* after the first byte of a byte order mark */
    MARK_END,     /* after its second byte */
    COMMENT,      /* in a comment before the document */
    JSON,         /* the rest is one document */
    PICTURE,      /* the rest is a picture */
    LINE,         /* of a stream of events: a line begins */
    NAME,         /* in the name of a line's field */
    BEHIND_COLON, /* after the colon of a data line: one space is ignored */
    DATA_START,   /* before the data, which may be "[DONE]" */
    BRACKET,      /* after a '[' at the beginning of the data */
    DATA,
    IGNORED /* the rest of a line that has no data */
};

/* Is it the first byte of PNG, JPEG, GIF or WebP? No JSON begins with these. */
static bool begins_picture(char character)
{
    return character == '\x89' || character == '\xff' || character == 'G' || character == 'R';
}

/* Is it the first letter of a field's name: "data", "event", "id", "retry"? */
static bool begins_event(char character)
{
    return character == 'd' || character == 'e' || character == 'i' || character == 'r';
}

static bool is_line_end(char character)
{
    return character == '\n' || character == '\r';
}

/* Takes `size` bytes of input, none of which belongs to a document. */
static size_t ignore(struct tc_run *run, size_t size)
{
    *run = (struct tc_run){TC_RUN_NONE, NULL, 0};
    return size;
}

/* Takes `size` bytes of input, and returns `bytes` as a run of that kind. */
static size_t give(struct tc_run *run, enum tc_run_kind kind, const char *bytes, size_t size)
{
    *run = (struct tc_run){kind, bytes, size};
    return size;
}

/* The length of the rest of a line, without its end. */
static size_t line_length(const char *bytes, size_t size)
{
    const char *feed = memchr(bytes, '\n', size);
    size_t length = feed ? (size_t)(feed - bytes) : size;
    const char *back = length ? memchr(bytes, '\r', length) : NULL;
    return back ? (size_t)(back - bytes) : length;
}

/* The character that ends a line, '\r' or '\n'; a pair of both is one end. */
static size_t end_line(struct tc_framing *framing, char character, struct tc_run *run)
{
    framing->behind_return = character == '\r';
    framing->state = LINE;
    return ignore(run, 1);
}

static size_t begin(struct tc_framing *framing, const char *bytes, size_t size, struct tc_run *run)
{
    char character = *bytes;
    if (character == ' ' || character == '\t' || is_line_end(character))
        return ignore(run, 1);
    if (character == ':') {
        framing->state = COMMENT;
        return ignore(run, 1);
    }
    if (character == '\xef') {
        framing->state = MARK;
        return ignore(run, 1);
    }
    framing->events = begins_event(character);
    if (framing->events) {
        framing->state = LINE;
        return ignore(run, 0);
    }
    framing->picture = begins_picture(character);
    framing->state = framing->picture ? PICTURE : JSON;
    return give(run, framing->picture ? TC_RUN_PICTURE : TC_RUN_JSON, bytes, size);
}

/* The rest of a byte order mark. If it is none, its first byte is returned: the scanner will say
 * that it is no JSON. */
static size_t read_mark(struct tc_framing *framing, char character, struct tc_run *run)
{
    bool second = framing->state == MARK;
    if (character != (second ? '\xbb' : '\xbf')) {
        framing->state = JSON;
        give(run, TC_RUN_JSON, "\xef", 1);
        return 0;
    }
    framing->state = second ? MARK_END : BEGIN;
    return ignore(run, 1);
}

static size_t read_comment(struct tc_framing *framing, const char *bytes, size_t size,
                           struct tc_run *run)
{
    size_t length = line_length(bytes, size);
    if (length < size)
        framing->state = BEGIN;
    return ignore(run, length < size ? length + 1 : size);
}

static size_t begin_line(struct tc_framing *framing, char character, struct tc_run *run)
{
    bool paired = framing->behind_return && character == '\n';
    framing->behind_return = false;
    if (paired)
        return ignore(run, 1);
    if (is_line_end(character)) {
        framing->behind_return = character == '\r';
        give(run, TC_RUN_EVENT, NULL, 0);
        return 1;
    }
    framing->matched = 0;
    framing->state = NAME;
    return ignore(run, 0);
}

static size_t read_name(struct tc_framing *framing, char character, struct tc_run *run)
{
    static const char wanted[] = "data";
    if (is_line_end(character))
        return end_line(framing, character, run);
    if (character == ':')
        framing->state = framing->matched == 4 ? BEHIND_COLON : IGNORED;
    else if (framing->matched < 4 && character == wanted[framing->matched])
        framing->matched++;
    else
        framing->matched = 5;
    if (framing->state != BEHIND_COLON)
        return ignore(run, 1);
    give(run, TC_RUN_LINE, NULL, 0);
    return 1;
}

static size_t begin_data(struct tc_framing *framing, const char *bytes, struct tc_run *run)
{
    if (framing->state == BEHIND_COLON) {
        framing->state = DATA_START;
        return ignore(run, *bytes == ' ' ? 1 : 0);
    }
    if (*bytes == ' ' || *bytes == '\t')
        return ignore(run, 1);
    if (*bytes == '[') {
        framing->state = BRACKET;
        return ignore(run, 1);
    }
    framing->state = DATA;
    return ignore(run, 0);
}

/* After a '[' at the beginning of the data: "[DONE]", or a document that is a list. */
static size_t read_bracket(struct tc_framing *framing, char character, struct tc_run *run)
{
    framing->state = character == 'D' ? IGNORED : DATA;
    if (framing->state == IGNORED)
        return ignore(run, 1);
    give(run, TC_RUN_JSON, "[", 1);
    return 0;
}

static size_t read_data(struct tc_framing *framing, const char *bytes, size_t size,
                        struct tc_run *run)
{
    size_t length = line_length(bytes, size);
    if (length)
        return give(run, framing->state == DATA ? TC_RUN_JSON : TC_RUN_NONE, bytes, length);
    return end_line(framing, *bytes, run);
}

size_t tc_framing_next(struct tc_framing *framing, const char *bytes, size_t size,
                       struct tc_run *run)
{
    switch (framing->state) {
    case BEGIN:
        return begin(framing, bytes, size, run);
    case MARK:
    case MARK_END:
        return read_mark(framing, *bytes, run);
    case COMMENT:
        return read_comment(framing, bytes, size, run);
    case JSON:
        return give(run, TC_RUN_JSON, bytes, size);
    case PICTURE:
        return give(run, TC_RUN_PICTURE, bytes, size);
    case LINE:
        return begin_line(framing, *bytes, run);
    case NAME:
        return read_name(framing, *bytes, run);
    case BEHIND_COLON:
    case DATA_START:
        return begin_data(framing, bytes, run);
    case BRACKET:
        return read_bracket(framing, *bytes, run);
    default:
        return read_data(framing, bytes, size, run);
    }
}
