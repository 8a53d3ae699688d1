/*
 * Where in a document the scanner is, and which rules match there.
 *
 * The next value is the one that the scanner reads next. The depth of a container is the number of
 * open containers, itself included. For each open container the path has the set of rules that can
 * still match inside it, one bit for each rule. So a step costs one comparison for each rule that
 * is left.
 */
#ifndef TC_PATH_H
#define TC_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TC_PATH_DEPTH = 1000, /* open containers at most */
    TC_PATH_RULES = 40,   /* rules at most; 64 would fit into a set */
    TC_PATH_STEPS = 8     /* keys in a rule's path at most */
};

/* What the scanner does with the value at a rule's path. */
enum tc_capture {
    TC_CAPTURE_BASE64,   /* a string is a picture, in base64 or as a data URL. An address
                          * ("https:...") is kept; a word for nothing ("None") becomes "" */
    TC_CAPTURE_DATA_URL, /* the same, but base64 is a picture only if it begins as a picture's does;
                          * any other string is kept */
    TC_CAPTURE_PROSE, /* a string is kept, but the data URLs with base64 in it are pictures. If it
                       * begins as a picture's base64 does, all of it is a picture */
    TC_CAPTURE_TEXT,  /* a value is kept, and a copy of it, unescaped, is in `texts` */
    TC_CAPTURE_DRAFT  /* if it is true, or a string with "partial" in it, the pictures of the
                       * object with this field, and of objects in that, are drafts */
};

/*
 * What to do with the value at a path. A path is the keys from the root on, and NULL. "[]" stands
 * for any element of a list, "message|delta" for one key or the other. If the document is a list,
 * each of its elements is a root. If a root has an object in "response", that object is a root too.
 */
struct tc_rule {
    enum tc_capture capture;
    const char *path[TC_PATH_STEPS + 1];
};

struct tc_path {
    const struct tc_rule *rules;
    unsigned rule_count;
    unsigned depth; /* of the innermost open container; 0: none is open */

    /* Private: */
    bool in_list;                       /* the document is a list of documents */
    bool wraps;                         /* the next value is in a root's "response" */
    bool wrapped;                       /* there was an object in a root's "response" */
    unsigned wrapper;                   /* the depth of that object while it is open, else 0 */
    uint64_t next;                      /* rules whose path leads to the next value */
    uint64_t levels[TC_PATH_STEPS + 2]; /* for outer containers: rules whose path leads there */
    unsigned char objects[TC_PATH_DEPTH / 8 + 1]; /* a bit for each container: it is an object */
};

/* Begins a document: the next value is its root. */
void tc_path_begin(struct tc_path *path, const struct tc_rule *rules, unsigned count);

/* Enters the next value, a container. In a list, its first element is the next value then. False if
 * that is too deep. */
bool tc_path_open(struct tc_path *path, bool object);

/* Leaves the innermost container. */
void tc_path_close(struct tc_path *path);

/* Is the innermost container an object? */
bool tc_path_in_object(const struct tc_path *path);

/* The depth of the object that has the next value as a field. If that object is itself a field of
 * an object ("image_url": {"url": ...}), the depth of the outer one. 0 if the next value is an
 * element of a list, a root, or a field of a root. */
unsigned tc_path_owner(const struct tc_path *path);

/* The next value is that of `key` in the innermost container, an object. With NULL, the key matches
 * no rule. */
void tc_path_key(struct tc_path *path, const char *key, size_t size);

/* The next value is the next element of the innermost container, a list. */
void tc_path_element(struct tc_path *path);

/* The first rule whose path ends at the next value, or -1. */
int tc_path_rule(const struct tc_path *path);

/* Is there a rule whose path ends at the next value, or may end inside it? */
bool tc_path_is_named(const struct tc_path *path);

/* Is there a rule of that kind for a field of the next value? */
bool tc_path_has_field(const struct tc_path *path, enum tc_capture capture);

#endif
