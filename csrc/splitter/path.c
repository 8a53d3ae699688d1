/*
 * Steps through a document, and the rules along them: see path.h.
 */
#include "path.h"

#include <string.h>

/* Notes whether the innermost container is an object or a list. */
static void note_kind(struct tc_path *path, bool object)
{
    unsigned index = path->depth - 1;
    unsigned char bit = (unsigned char)(1U << index % 8), *kinds = &path->objects[index / 8];
    *kinds = (unsigned char)(object ? *kinds | bit : *kinds & ~bit);
}

static bool is_object(const struct tc_path *path, unsigned depth)
{
    unsigned index = depth - 1;
    return path->objects[index / 8] >> index % 8 & 1;
}

bool tc_path_in_object(const struct tc_path *path)
{
    return is_object(path, path->depth);
}

unsigned tc_path_owner(const struct tc_path *path)
{
    unsigned depth = path->depth, root = 1U + path->in_list + (path->wrapper ? 1U : 0);
    if (depth <= root || !is_object(path, depth))
        return 0;
    return depth > root + 1 && is_object(path, depth - 1) ? depth - 1 : depth;
}

/* How many steps of a rule's path lead from the root to a value in the innermost container. A list
 * of documents, and an object with a "response", are outside the root. */
static unsigned steps(const struct tc_path *path)
{
    return path->depth - path->in_list - (path->wrapper ? 1U : 0);
}

static uint64_t all_rules(const struct tc_path *path)
{
    return path->rule_count ? UINT64_MAX >> (64 - path->rule_count) : 0;
}

/* Removes the first rule from a set that is not empty, and returns its index. */
static unsigned take_rule(uint64_t *set)
{
    uint64_t rest = *set;
    *set &= *set - 1;
#if defined(__GNUC__)
    return (unsigned)__builtin_ctzll(rest);
#else
    unsigned rule = 0;
    while (!(rest >> rule & 1))
        rule++;
    return rule;
#endif
}

/* Is the key one of those that a step names: "message|delta"? */
static bool is_key_of(const char *wanted, const char *key, size_t size)
{
    for (;; wanted++) {
        size_t length = strcspn(wanted, "|");
        if (length == size && !memcmp(wanted, key, size))
            return true;
        wanted += length;
        if (!*wanted)
            return false;
    }
}

/* The rules whose path leads to the innermost container and goes on with `key`. NULL stands for an
 * element of a list. */
static uint64_t matching(const struct tc_path *path, const char *key, size_t size)
{
    unsigned step = steps(path) - 1;
    uint64_t matched = 0;
    if (step >= TC_PATH_STEPS)
        return 0;
    for (uint64_t rules = path->levels[path->depth - 1] & all_rules(path); rules;) {
        unsigned rule = take_rule(&rules);
        const char *wanted = path->rules[rule].path[step];
        if (!wanted || !key != !strcmp(wanted, "[]"))
            continue;
        if (!key || is_key_of(wanted, key, size))
            matched |= UINT64_C(1) << rule;
    }
    return matched;
}

void tc_path_begin(struct tc_path *path, const struct tc_rule *rules, unsigned count)
{
    path->rules = rules;
    path->rule_count = count;
    path->depth = 0;
    path->in_list = path->wraps = path->wrapped = false;
    path->wrapper = 0;
    path->next = all_rules(path);
}

bool tc_path_open(struct tc_path *path, bool object)
{
    if (path->depth == TC_PATH_DEPTH)
        return false;
    if (!path->depth && !object)
        path->in_list = true;
    if (path->depth < sizeof(path->levels) / sizeof(path->levels[0]))
        path->levels[path->depth] = path->next;
    path->depth++;
    if (path->wraps && object) {
        path->wrapper = path->depth;
        path->wrapped = true;
        path->levels[path->depth - 1] = all_rules(path);
    }
    path->wraps = false;
    note_kind(path, object);
    if (!object)
        tc_path_element(path);
    return true;
}

void tc_path_close(struct tc_path *path)
{
    if (path->depth == path->wrapper)
        path->wrapper = 0;
    path->depth--;
}

void tc_path_key(struct tc_path *path, const char *key, size_t size)
{
    path->next = key ? matching(path, key, size) : 0;
    path->wraps = key && steps(path) == 1 && !path->wrapper && is_key_of("response", key, size);
}

void tc_path_element(struct tc_path *path)
{
    bool document = path->in_list && path->depth == 1;
    path->next = document ? all_rules(path) : matching(path, NULL, 0);
}

int tc_path_rule(const struct tc_path *path)
{
    unsigned step = steps(path);
    if (step > TC_PATH_STEPS)
        return -1;
    for (uint64_t rules = path->next & all_rules(path); rules;) {
        unsigned rule = take_rule(&rules);
        if (!path->rules[rule].path[step])
            return (int)rule;
    }
    return -1;
}

bool tc_path_is_named(const struct tc_path *path)
{
    return path->wraps || (path->next & all_rules(path)) != 0;
}

bool tc_path_has_field(const struct tc_path *path, enum tc_capture capture)
{
    unsigned step = steps(path);
    if (step >= TC_PATH_STEPS)
        return false;
    for (uint64_t rules = path->next & all_rules(path); rules;) {
        const struct tc_rule *rule = &path->rules[take_rule(&rules)];
        if (rule->capture == capture && rule->path[step] && !rule->path[step + 1])
            return true;
    }
    return false;
}
