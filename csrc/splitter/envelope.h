/*
 * The scanner: reads a JSON response (RFC 8259) while it arrives, and separates the pictures from
 * everything else.
 *
 * Rules (path.h) name the places where pictures are: a string there is base64, a data URL, or text
 * with data URLs inside. Its base64 is decoded at once into the picture's own buffer (images.h).
 * Everything else is copied into the envelope, which is small and capped, and which a JSON parser
 * reads at the end. In the place of a picture the envelope has its number (1, 2, ...); only the
 * scanner writes numbers there. A picture inside text leaves nothing behind, and takes the next
 * number.
 *
 * One object has one picture. If its fields hold several, the first one that is neither damaged
 * nor cut is taken, and the envelope has null for the others.
 *
 * A picture inside text may go on in the text of a stream's next document. A picture that is a
 * field of the root is a draft if there are pictures in lists too.
 *
 * In front of base64 the scanner skips white space, quotes (Python's b'...') and what is not
 * ASCII, such as a byte order mark.
 *
 * framing.h finds the document among what stands around it. If the input is a stream of events, or
 * objects on lines of their own, the envelope is the list of these documents. If the input is a
 * bare picture, the envelope is {"data":[{"b64_json":1}]}.
 *
 * The base64 of a data URL (data_url.h) may be percent-encoded, or broken into lines. A data URL
 * without base64 stays in the envelope. Inside text, white space ends the base64 if the picture's
 * file has ended, or if its type is not known; and if white space or '%' follows the comma, only
 * the first characters of a known type make it a picture.
 *
 * Wrong base64, or a file that ends too early, is not an error of the document: it is noted with
 * the picture, and the scan goes on.
 *
 * The input may be cut anywhere, down to one byte at a time: inside an escape, a surrogate pair, a
 * number, a key, a group of base64, the head of a data URL. The result is the same. The first
 * error is final.
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
    unsigned first; /* of its pictures, by their order in the response */
    bool draft;
};

/* The documents of a stream of events, or on lines of their own. */
struct tc_documents {
    unsigned count;  /* that have begun */
    bool new_line;   /* nothing of its line has come: a document may begin with it */
    bool line_ended; /* behind a document that is no event's */
    size_t start;    /* where in `text` the last one begins */
    uint64_t values; /* that had begun before it */
    unsigned images; /* pictures before it */
};

/* Containers that no rule leads into. Large ones are dropped: null stands for them. */
struct tc_aside {
    unsigned depth;   /* of the outermost one that is open, or 0 */
    bool silent;      /* it is dropped: nothing of it is kept */
    size_t start;     /* where in `text` it begins */
    uint64_t values;  /* that had begun before it */
    uint64_t dropped; /* values in those that were dropped */
};

/* A \u escape. */
struct tc_escape {
    unsigned digits;    /* hex digits seen */
    uint32_t unit;      /* their value */
    uint32_t surrogate; /* a high one that waits for its low one, or 0 */
};

/* A percent escape inside base64. */
struct tc_percent {
    unsigned digits; /* that it still needs */
    unsigned char value;
};

struct tc_envelope {
    struct tc_buffer text;   /* the envelope so far: JSON */
    struct tc_buffer *texts; /* of TC_CAPTURE_TEXT, by rule; joined with "; " */
    struct tc_images images;
    enum tc_envelope_error error;
    uint64_t position; /* bytes taken; with an error, where it is */
    uint64_t expected; /* bytes the whole input has, if known: sizes buffers */
    bool for_pictures; /* pictures are what is wanted: a bare one is a response, and what is long
                        * and not named by a rule becomes null */
    bool raw;          /* the input is one picture's own bytes, whatever they look like */

    /* The scanner's own: */
    uint64_t steps; /* that it took: its time goes into them more than into bytes */
    struct tc_framing framing;
    struct tc_documents documents;
    struct tc_path path; /* where in the document it is */
    unsigned char state;
    unsigned char role;     /* what the string under way is: key, kept, picture, ... */
    size_t string_start;    /* where in `text` it begins */
    struct tc_data_url url; /* in the string under way */
    struct tc_escape escape;
    struct tc_percent percent;
    struct {
        unsigned size;
        char text[TC_ENVELOPE_KEY];
    } key;               /* the key under way, or the beginning of what may be a picture */
    bool muted;          /* the number under way is where a picture's number could be */
    int text_rule;       /* the rule that captures the value under way, or -1 */
    const char *literal; /* what is still to come of true, false, null */
    uint64_t values;     /* that have begun */
    struct tc_aside aside;
    struct tc_draft_scope scope, outer_scope;
    struct {
        unsigned depth; /* containers open inside an object that has its picture, or 0 */
        unsigned image; /* which one that is, from 0 */
    } item;
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
