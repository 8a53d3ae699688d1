/*
 * What is known of models, by their names: their route, what they take, how many pictures a
 * request gives.
 */
#ifndef TC_LUA_MODELS_H
#define TC_LUA_MODELS_H

#include <stdbool.h>

enum tc_via { TC_VIA_IMAGES, TC_VIA_CHAT, TC_VIA_GEMINI };

/* The pixels that a model makes for an aspect ratio. Models round: Imagen's 3:4 is 7 % off. */
struct tc_shape {
    const char *ratio; /* "16:9"; NULL at the end of a list */
    unsigned width, height;
};

/* A size for which a model makes a square. */
struct tc_squared {
    const char *size;  /* "1536x1024"; NULL at the end of a list */
    const char *ratio; /* the aspect ratio nearest to it */
};

/* Models that share their route and limits. */
struct tc_family {
    const char *pattern; /* of a model's name, '*' for any characters */
    enum tc_via via;
    unsigned most;        /* pictures per request */
    unsigned limit;       /* pictures that may be asked for; 0: as many as an answer may have */
    const char *sizes[4]; /* NULL at the end; none at all: any */
    const struct tc_shape *shapes;    /* the ratios that it takes; NULL: any */
    const struct tc_squared *squared; /* sizes that come out square; NULL: none that is known */

    /* The ratio is sent as `aspect_ratio` and as `aspectRatio`. Vertex knows only the latter.
     * LiteLLM 1.79 translates the former, newer releases pass both on. For models of other makers
     * the second name may be an error. */
    bool spells_ratio_twice;
};

/* The family of a model, or NULL. A provider before a '/' is left out. */
const struct tc_family *tc_family_of(const char *model);

/* What a model of `family` (may be NULL) makes for `ratio`; NULL where that is not known. */
const struct tc_shape *tc_shape_of(const struct tc_family *family, const char *ratio);

/* The aspect ratio nearest to `size`, if models of `family` (may be NULL) make a square for that;
 * else NULL. */
const char *tc_ratio_for_squared(const struct tc_family *family, const char *size);

#endif
