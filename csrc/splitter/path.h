/*
 * Where in a document the scanner is, and which of the rules lead there.
 *
 * Which rules can still match is one bit a rule, kept per open container, so a step costs one
 * comparison a rule that is left.
 */
#ifndef TC_PATH_H
#define TC_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_PATH_DEPTH = 1000, /* containers inside each other */
    TC_PATH_RULES = 40,   /* rules at most: no more than the bits of a set of them */
    TC_PATH_STEPS = 8     /* of a rule's path */
};

/* What becomes of the value at a rule's path. */
enum tc_capture {
    TC_CAPTURE_BASE64,   /* a string is a picture, in base64 or as a data URL; the address of one
                          * ("https:...") is kept, words for nothing ("None") are "" */
    TC_CAPTURE_DATA_URL, /* the same, but base64 only where it begins as pictures do; what is no
                          * picture is kept */
    TC_CAPTURE_PROSE,    /* a string is kept without the data URLs of base64 that are inside; one
                          * that begins as the base64 of pictures does is a picture */
    TC_CAPTURE_TEXT,     /* kept in the envelope, and a copy, unescaped, in `texts` */
    TC_CAPTURE_DRAFT     /* true, or a string with "partial" in it: the pictures of the object that
                          * has this field, or of an object in it, are drafts */
};

/*
 * A place in a document: keys from the root on, "[]" for any element of a list, and NULL. A key may
 * be several, "message|delta". Of a document that is a list, each element is a root; and so is what
 * a root has in "response", an object.
 */
struct tc_rule {
    enum tc_capture capture;
    const char *path[TC_PATH_STEPS + 1];
};

struct tc_path {
    const struct tc_rule *rules;
    unsigned rule_count;
    unsigned depth; /* containers open */

    /* Its own: */
    bool in_list;                       /* the document is a list of documents */
    bool wraps;                         /* the value to come is a root, if it is an object */
    bool wrapped;                       /* there was such a one */
    unsigned wrapper;                   /* containers open inside it, itself included; or 0 */
    uint64_t next;                      /* rules that lead to the value to come */
    uint64_t levels[TC_PATH_STEPS + 2]; /* of the outermost containers: rules that lead there */
    unsigned char objects[TC_PATH_DEPTH / 8 + 1]; /* per container a bit: it is no list */
};

/* Goes to the root of a document, which is the value to come. */
void tc_path_begin(struct tc_path *path, const struct tc_rule *rules, unsigned count);

/* The value to come is a container: goes inside. In a list, its first element is what comes. False
 * where that is too deep. */
bool tc_path_open(struct tc_path *path, bool object);

/* Leaves the innermost container. */
void tc_path_close(struct tc_path *path);

/* Is the innermost container an object? */
bool tc_path_in_object(const struct tc_path *path);

/* Containers open inside the object whose field the value to come is, itself included; where that
 * is a field of another ("image_url": {"url": ...}), inside that one. 0 in a list and at a root. */
unsigned tc_path_owner(const struct tc_path *path);

/* The value to come is that of a key, or of one that matches nothing (NULL). */
void tc_path_key(struct tc_path *path, const char *key, size_t size);

/* The value to come is the next element of the innermost container, a list. */
void tc_path_element(struct tc_path *path);

/* The rule whose path ends at the value to come, or -1; of several the first. */
int tc_path_rule(const struct tc_path *path);

/* Is there a rule whose path ends at the value to come, or may end inside it? */
bool tc_path_is_named(const struct tc_path *path);

/* Is there a rule of that kind for a field of the value to come? */
bool tc_path_has_field(const struct tc_path *path, enum tc_capture capture);

#endif
