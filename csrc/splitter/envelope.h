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
    TC_ENVELOPE_SIZE = 4 << 20,      /* bytes of the envelope if no pictures are wanted */
    TC_ENVELOPE_BESIDE = 1 << 20,    /* bytes of it if pictures are wanted; they do not count */
    TC_ENVELOPE_VALUES = 8192,       /* values if pictures are wanted; dropped ones do not count */
    TC_ENVELOPE_ASIDE_VALUES = 1024, /* values of a container that no rule leads into */
    TC_ENVELOPE_KEY = 64,            /* a key of so many bytes, or more, matches nothing */
    TC_ENVELOPE_TEXT = 64 * 1024,    /* bytes of a captured text; more is cut */
    TC_ENVELOPE_STRING = 64 * 1024,  /* bytes of a string that no rule captures, or of a container
                                      * that no rule leads into */
};

enum tc_envelope_error {
    TC_ENVELOPE_OK,
    TC_ENVELOPE_NOT_JSON,
    TC_ENVELOPE_TRUNCATED,
    TC_ENVELOPE_TRAILING, /* something follows the document */
    TC_ENVELOPE_TOO_DEEP,
    TC_ENVELOPE_TOO_LARGE,
    TC_ENVELOPE_TOO_MANY_VALUES,
    TC_ENVELOPE_TOO_MANY_IMAGES,
    TC_ENVELOPE_NO_MEMORY
};

/* An object that may turn out to hold drafts. */
struct tc_draft_scope {
    unsigned depth; /* of the object; 0: there is none */
    unsigned first; /* index of its first picture, if it has any */
    bool draft;     /* it has said that its pictures are drafts */
};

/* The documents of a stream of events, or on lines of their own. */
struct tc_documents {
    unsigned count;  /* documents that have begun */
    bool new_line;   /* the next JSON is the first of its line: a document may begin with it */
    bool line_ended; /* a document that is in no event has ended, and so has its line */
    size_t start;    /* where in `text` the last document begins */
    uint64_t values; /* values that had begun before it */
    unsigned images; /* pictures that had begun before it */
};

/* The outermost open container that no rule leads into. If it is large it is dropped: the envelope
 * has null instead. */
struct tc_aside {
    unsigned depth;   /* of the container; 0: none is open */
    bool silent;      /* it is dropped: nothing of it is kept */
    size_t start;     /* where in `text` it begins */
    uint64_t values;  /* values that had begun before it */
    uint64_t dropped; /* values in all containers and documents that were dropped */
};

/* A \u escape. */
struct tc_escape {
    unsigned digits;    /* hex digits so far */
    uint32_t unit;      /* their value */
    uint32_t surrogate; /* a high surrogate, which the low one has to follow; or 0 */
};

/* A percent escape inside base64. */
struct tc_percent {
    unsigned digits;     /* hex digits to come; 0: there is no escape */
    unsigned char value; /* of those that have come */
};

struct tc_envelope {
    struct tc_buffer text;   /* the envelope so far: JSON */
    struct tc_buffer *texts; /* what TC_CAPTURE_TEXT has captured, by rule; joined with "; " */
    struct tc_images images;
    enum tc_envelope_error error;
    uint64_t position; /* bytes taken; after an error, where it is */
    uint64_t expected; /* bytes of the whole input, or 0 if unknown; used to size buffers */
    bool for_pictures; /* pictures are wanted: the input may be a bare picture, and a long value
                        * that no rule names becomes null */
    bool raw;          /* the input is the bytes of one picture, whatever they look like */
    uint64_t steps;    /* how many the scanner took: they tell its time better than bytes do */

    /* Private. What is current is being read: the current string, the current value. */
    struct tc_framing framing;
    struct tc_documents documents;
    struct tc_path path; /* where in the document the scanner is */
    unsigned char state;
    unsigned char role;     /* what the current string is: key, kept, picture, ... */
    size_t string_start;    /* where in `text` it begins */
    struct tc_data_url url; /* in the current string */
    struct tc_escape escape;
    struct tc_percent percent;
    struct {
        unsigned size;
        char text[TC_ENVELOPE_KEY];
    } key;               /* the current key, or the beginning of a string that is undecided */
    bool muted;          /* the current number is the server's in a picture's place: null is kept */
    int text_rule;       /* the rule that captures the current value, or -1 */
    const char *literal; /* the rest of true, false or null */
    uint64_t values;     /* how many have begun */
    struct tc_aside aside;
    struct tc_draft_scope scope, outer_scope; /* the innermost, and the one around it */
    struct {
        unsigned depth; /* of an object that has its picture; 0: there is none */
        unsigned image; /* index of that picture */
    } item;
};

/* Begins. `rules` (at most TC_PATH_RULES) must stay where they are. */
void tc_envelope_init(struct tc_envelope *envelope, const struct tc_rule *rules, unsigned count);

/* Begins again with the same rules and settings. */
void tc_envelope_reset(struct tc_envelope *envelope);

/* Reads the next bytes. Returns false once there is an error. */
bool tc_envelope_feed(struct tc_envelope *envelope, const char *bytes, size_t size);

/* Is the document complete, so that only white space can follow? Never for a stream of events. */
bool tc_envelope_is_whole(const struct tc_envelope *envelope);

/* The input has ended: was the document complete? Returns false when there is an error. */
bool tc_envelope_finish(struct tc_envelope *envelope);

/* One line that says what is wrong and where, for a person. */
void tc_envelope_describe(const struct tc_envelope *envelope, char *text, size_t size);

/* Frees everything, pictures too. */
void tc_envelope_free(struct tc_envelope *envelope);

#endif
