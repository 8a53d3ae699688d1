/*
 * The splitter: an incremental JSON scanner (RFC 8259) that cuts an answer in two while it arrives.
 *
 * Strings at the places that the rules name are pictures, or data URLs of pictures, or prose with
 * such URLs inside: their base64 is decoded at once into the picture's own buffer. Everything else
 * is the envelope: it is copied, small and capped, for a JSON parser to read at the end. Where a
 * picture was, the envelope has its number (1, 2, ...), and only the scanner puts numbers there;
 * where it was inside prose there is nothing, and its number is the next one.
 *
 * One object has one picture, in whatever fields it is told again: the first one that is not
 * damaged or cut. Null stands for the others.
 *
 * A picture in words may go on in those of a stream's next document. One that is a field of the
 * root is a draft beside pictures in lists.
 *
 * In front of base64, white space, quotes (Python's b'...') and what is not ASCII, as a byte order
 * mark, do not count.
 *
 * What stands around the document is framing.h's. The envelope of a stream of events, or of objects
 * on lines of their own, is the list of its documents, and that of a bare picture is
 * {"data":[{"b64_json":1}]}.
 *
 * The base64 of a data URL (data_url.h) may be percent-encoded, and in lines. One whose base64 is
 * of no character at all is kept. Inside prose, white space ends the base64 once the picture's file
 * has ended, or where its type is not known; white space or '%' right behind the comma needs the
 * first characters of a type we know.
 *
 * A picture whose base64 is wrong, or whose file ends too early, is no error of the document: it is
 * told with the picture, and the scan goes on.
 *
 * The input may be cut anywhere, down to one byte at a time: inside an escape, a surrogate pair, a
 * number, a key, a group of base64, the head of a data URL. The result is the same. The first error
 * is kept for good.
 */
#ifndef TC_ENVELOPE_H
#define TC_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "data_url.h"
#include "framing.h"
#include "images.h"
#include "path.h"

enum {
    TC_ENVELOPE_SIZE = 4 << 20,   /* bytes of envelope, where no pictures are wanted */
    TC_ENVELOPE_BESIDE = 1 << 20, /* bytes of it beside pictures, which are not counted */
    TC_ENVELOPE_VALUES = 8192,    /* values beside pictures, those that are dropped not counted */
    TC_ENVELOPE_ASIDE_VALUES = 1024, /* values of a container that no rule leads into */
    TC_ENVELOPE_KEY = 64,            /* a key of so many bytes matches nothing */
    TC_ENVELOPE_TEXT = 64 * 1024,    /* bytes of a captured text; more is cut */
    TC_ENVELOPE_STRING = 64 * 1024,  /* bytes of a string or such a container */
};

enum tc_envelope_error {
    TC_ENVELOPE_OK,
    TC_ENVELOPE_NOT_JSON,
    TC_ENVELOPE_TRUNCATED,
    TC_ENVELOPE_TRAILING, /* something behind the document */
    TC_ENVELOPE_TOO_DEEP,
    TC_ENVELOPE_TOO_LARGE,
    TC_ENVELOPE_TOO_MANY_VALUES,
    TC_ENVELOPE_TOO_MANY_IMAGES,
    TC_ENVELOPE_NO_MEMORY
};

/* An object that may turn out to hold drafts. */
struct tc_draft_scope {
    unsigned depth; /* containers open inside it, itself included; 0: there is none */
    unsigned first; /* of its pictures, by their order in the answer */
    bool draft;
};

struct tc_envelope {
    struct tc_buffer text;   /* the envelope so far: JSON */
    struct tc_buffer *texts; /* of TC_CAPTURE_TEXT, by rule; joined with "; " */
    struct tc_images images;
    enum tc_envelope_error error;
    uint64_t position; /* bytes taken; with an error, where it is */
    uint64_t expected; /* bytes the whole input has, if known: sizes buffers */
    bool for_pictures; /* pictures are what is wanted: a bare one is an answer, and what is long
                        * and not named by a rule becomes null */
    bool raw;          /* the input is one picture's own bytes, whatever they look like */

    /* The scanner's own: */
    uint64_t steps; /* that it took: its time goes into them more than into bytes */
    struct tc_framing framing;
    struct tc_path path;      /* where in the document it is */
    struct tc_data_url url;   /* in the string under way */
    unsigned documents;       /* of a stream of events, those that have begun */
    bool new_line;            /* and nothing of its line has come: a document may begin with it */
    bool line_ended;          /* behind a document that is no event's */
    size_t document_start;    /* where in `text` the last one begins */
    uint64_t document_values; /* values that had begun before it */
    unsigned document_images; /* pictures before it */
    unsigned char state;
    unsigned char role;     /* what the string under way is: key, kept, picture, ... */
    bool muted;             /* the number under way is where a picture's number could be */
    int text_rule;          /* the rule that captures the value under way, or -1 */
    const char *literal;    /* what is still to come of true, false, null */
    size_t string_start;    /* where in `text` the string under way begins */
    bool silent;            /* inside a container for which null stands */
    unsigned aside_depth;   /* of the outermost container open that no rule leads into, or 0 */
    size_t aside_start;     /* where in `text` it begins */
    uint64_t values;        /* that have begun */
    uint64_t aside_values;  /* of them, when it began */
    uint64_t values_aside;  /* of them, in containers that were dropped */
    unsigned escape_digits; /* hex digits seen of a \u escape */
    uint32_t escape;        /* their value */
    uint32_t surrogate;     /* a high one that waits for its low one, or 0 */
    unsigned percent;       /* digits that a percent escape still needs */
    unsigned char percent_value;
    unsigned key_size;
    char key[TC_ENVELOPE_KEY];
    struct tc_draft_scope scope, outer_scope;
    unsigned item_depth; /* containers open inside an object that has its picture, or 0 */
    unsigned item_image; /* which one that is, from 0 */
};

/* Begins. `rules` (at most TC_PATH_RULES) must stay where they are. */
void tc_envelope_init(struct tc_envelope *envelope, const struct tc_rule *rules, unsigned count);

/* Begins again with the same rules and settings. */
void tc_envelope_reset(struct tc_envelope *envelope);

/* Takes the next bytes. Returns false once there is an error. */
bool tc_envelope_feed(struct tc_envelope *envelope, const char *bytes, size_t size);

/* Is the document whole already? What follows can only be white space. */
bool tc_envelope_is_whole(const struct tc_envelope *envelope);

/* The input has ended: was the document whole? Returns false when there is an error. */
bool tc_envelope_finish(struct tc_envelope *envelope);

/* One line that says what is wrong and where, for a person. */
void tc_envelope_describe(const struct tc_envelope *envelope, char *text, size_t size);

/* Frees everything, pictures too. */
void tc_envelope_free(struct tc_envelope *envelope);

#endif
