/*
 * What is known of models, by their names: which way they are asked, what they take, how many
 * pictures one request gives. Models of no family are asked as the caller says, and checked for
 * types only.
 *
 * Families come and go with the service; nothing but this table knows them.
 */
#include "binding.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define GEMINI_RATIOS                                                                              \
    {                                                                                              \
        "21:9", "16:9", "4:3", "3:2", "1:1", "9:16", "3:4", "2:3", "5:4", "4:5"                    \
    }

static const struct tc_family families[] = {
    {"imagen-4*", TC_VIA_IMAGES, .most = 4, .limit = 4,
     .sizes = {"1024x1024", "1536x1024", "1024x1536"},
     .ratios = {"1:1", "3:4", "4:3", "16:9", "9:16"}},
    {"gemini-*image*", TC_VIA_CHAT, .most = 1, .ratios = GEMINI_RATIOS},
    {"nano-banana*", TC_VIA_CHAT, .most = 1, .ratios = GEMINI_RATIOS},
    {"gpt-image-2*", TC_VIA_IMAGES, .most = 1},
};

/* Is `name` like `pattern`, in which '*' stands for any characters? */
static bool is_like(const char *name, const char *pattern)
{
    for (; *pattern && *pattern != '*'; pattern++, name++)
        if (*pattern != *name)
            return false;
    if (!*pattern)
        return !*name;
    do
        if (is_like(name, pattern + 1))
            return true;
    while (*name++);
    return false;
}

const struct tc_family *tc_family_of(const char *model)
{
    const char *slash = strrchr(model, '/'); /* "vertex_ai/imagen-4.0-generate-001" */
    const char *name = slash ? slash + 1 : model;
    for (size_t i = 0; i < COUNT(families); i++)
        if (is_like(name, families[i].pattern))
            return &families[i];
    return NULL;
}
