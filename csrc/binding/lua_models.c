/*
 * What is known of models: see lua_models.h. If a model has no family here, the caller's params go
 * to it as they are, and only their types are checked. Models come and go with the service; this
 * table is the only place that names them.
 */
#include "lua_models.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Pixels as the models' makers document them. */
static const struct tc_shape imagen_shapes[] = {
    {"1:1", 1024, 1024}, {"3:4", 896, 1280},  {"4:3", 1280, 896},
    {"16:9", 1408, 768}, {"9:16", 768, 1408}, {NULL, 0, 0},
};
static const struct tc_shape gemini_shapes[] = {
    {"21:9", 1536, 672}, {"16:9", 1344, 768}, {"4:3", 1184, 864}, {"3:2", 1248, 832},
    {"1:1", 1024, 1024}, {"9:16", 768, 1344}, {"3:4", 864, 1184}, {"2:3", 832, 1248},
    {"5:4", 1152, 896},  {"4:5", 896, 1152},  {NULL, 0, 0},
};

/*
 * The service offers these sizes. LiteLLM turns sizes into aspect ratios, and these two into 1:1:
 * seen with LiteLLM 1.79.1 and Vertex's Imagen.
 */
static const struct tc_squared imagen_squared[] = {
    {"1536x1024", "4:3"},
    {"1024x1536", "3:4"},
    {NULL, NULL},
};

static const struct tc_family families[] = {
    {"imagen-4*", TC_VIA_IMAGES, .most = 4, .limit = 4,
     .sizes = {"1024x1024", "1536x1024", "1024x1536"}, .shapes = imagen_shapes,
     .squared = imagen_squared, .spells_ratio_twice = true},
    {"imagen-*", TC_VIA_IMAGES, .most = 4, .shapes = imagen_shapes, .squared = imagen_squared,
     .spells_ratio_twice = true},
    {"gemini-*image*", TC_VIA_CHAT, .most = 1, .shapes = gemini_shapes},
    {"nano-banana*", TC_VIA_CHAT, .most = 1, .shapes = gemini_shapes},
    {"gpt-image-2*", TC_VIA_IMAGES, .most = 1},
};

/* Does `name` match `pattern`, in which '*' stands for any characters? */
static bool matches(const char *name, const char *pattern)
{
    for (; *pattern && *pattern != '*'; pattern++, name++)
        if (*pattern != *name)
            return false;
    if (!*pattern)
        return !*name;
    do
        if (matches(name, pattern + 1))
            return true;
    while (*name++);
    return false;
}

const struct tc_family *tc_family_of(const char *model)
{
    const char *slash = strrchr(model, '/'); /* "vertex_ai/imagen-4.0-generate-001" */
    const char *name = slash ? slash + 1 : model;
    for (size_t i = 0; i < COUNT(families); i++)
        if (matches(name, families[i].pattern))
            return &families[i];
    return NULL;
}

const char *tc_ratio_for_squared(const struct tc_family *family, const char *size)
{
    const struct tc_squared *squared = family ? family->squared : NULL;
    while (squared && squared->size && strcmp(squared->size, size) != 0)
        squared++;
    return squared ? squared->ratio : NULL;
}

const struct tc_shape *tc_shape_of(const struct tc_family *family, const char *ratio)
{
    const struct tc_shape *shape = family ? family->shapes : NULL;
    while (shape && shape->ratio && strcmp(shape->ratio, ratio) != 0)
        shape++;
    return shape && shape->ratio ? shape : NULL;
}
