/*
 * Responses without a picture: see lua_refusal.h.
 *
 * Each gateway and each model has its own field for a refusal. So the whole document is searched,
 * at all depths, for names that mean one. This is only done for a document without a picture;
 * beside a picture such fields mean no refusal.
 */
#include "lua_refusal.h"

#include "../engine/failure.h"
#include "../engine/redact.h"
#include "lua_failure.h"
#include "lua_fields.h"
#include "lua_job.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DEEPEST = 16, LONGEST_NAME = 32 };

/* When a field is a refusal. */
enum meaning {
    IS_TEXT,   /* when it has a string, which says why */
    IS_WORDS,  /* the same, but the string is part of the answer's text */
    IS_REASON, /* when it is one of `reasons` */
    IS_TRUE,   /* when it, or one of its elements, is true */
    IS_FALSE
};

/* Names in lower case, letters only. If a document has several, the earliest in this list counts:
 * it says more than those after it. */
static const struct sign {
    const char *name;
    enum meaning meaning;
} signs[] = {
    {"raifilteredreason", IS_TEXT},
    {"raimediafilteredreasons", IS_TEXT},
    {"filteredreason", IS_TEXT},
    {"blockreason", IS_TEXT},
    {"blockedreason", IS_TEXT},
    {"nativefinishreason", IS_REASON}, /* OpenRouter's, as the model has it */
    {"finishreason", IS_REASON},
    {"stopreason", IS_REASON},
    {"reason", IS_REASON}, /* in finish_details, incomplete_details */
    {"status", IS_REASON},
    {"filtered", IS_TRUE}, /* in content_filter_results, by category */
    {"blocked", IS_TRUE},  /* in safetyRatings, beside a category */
    {"flagged", IS_TRUE},
    {"moderated", IS_TRUE},
    {"nsfw", IS_TRUE},
    {"isnsfw", IS_TRUE},
    {"hasnsfwconcepts", IS_TRUE},
    {"nsfwcontentdetected", IS_TRUE},
    {"respectmoderation", IS_FALSE},
    {"isimagesafe", IS_FALSE},
    {"refusal", IS_WORDS},
};

/* The reasons that models give when they stop because they refuse; lower case, letters only. */
static const char *const reasons[] = {
    "contentfilter",
    "contentfiltered",
    "safety",
    "imagesafety",
    "prohibitedcontent",
    "imageprohibitedcontent",
    "recitation",
    "imagerecitation",
    "blocklist",
    "spii",
    "refusal",
    "refused",
    "moderation",
    "moderated",
    "moderationblocked",
    "contentmoderated",
    "contentmoderation",
    "requestmoderated",
    "contentpolicy",
    "contentpolicyviolation",
    "blocked",
    "guardrailintervened",
    "nsfw",
    "sensitive",
};

/* The best sign that was found so far. */
struct find {
    size_t rank; /* its index in `signs`; their count: none */
    int reason;  /* stack index of the refusal's reason, or of nil */
};

/* Copies the letters of a name in lower case, without what is before a dot
 * ("FinishReason.SAFETY"). */
static void plain(char out[LONGEST_NAME], const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t size = 0;
    for (name = dot ? dot + 1 : name; *name && size < LONGEST_NAME - 1; name++)
        if (isalpha((unsigned char)*name))
            out[size++] = (char)tolower((unsigned char)*name);
    out[size] = '\0';
}

static bool is_among(const char *const *names, size_t count, const char *reason)
{
    char name[LONGEST_NAME];
    plain(name, reason);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

bool tc_is_cut_off(const char *reason)
{
    static const char *const names[] = {"length",      "maxtokens",  "maxoutputtokens",
                                        "modellength", "tokenlimit", "maxcompletiontokens"};
    return is_among(names, COUNT(names), reason);
}

/* The index of the key in `signs`, or their count. */
static size_t rank_of(const char *key)
{
    char name[LONGEST_NAME];
    size_t rank = 0;
    plain(name, key);
    while (rank < COUNT(signs) && strcmp(name, signs[rank].name))
        rank++;
    return rank;
}

static bool is_boolean(lua_State *L, int index, bool value)
{
    return lua_type(L, index) == LUA_TBOOLEAN && lua_toboolean(L, index) == value;
}

/* Is the value true, or a list with an element that is true? */
static bool has_true(lua_State *L, int value)
{
    bool has = is_boolean(L, value, true);
    int count = lua_istable(L, value) ? (int)tc_rawlen(L, value) : 0;
    for (int i = 1; i <= count && !has; i++) {
        lua_rawgeti(L, value, i);
        has = is_boolean(L, -1, true);
        lua_pop(L, 1);
    }
    return has;
}

/* Is the value a string that says something? Google's "..._UNSPECIFIED" says nothing. */
static bool says_something(lua_State *L, int value)
{
    return lua_type(L, value) == LUA_TSTRING && tc_rawlen(L, value) &&
           !strstr(lua_tostring(L, value), "UNSPECIFIED");
}

/* If the value on top, a text or a list of texts, is a refusal, pushes that text and returns true.
 * Otherwise pushes nothing. */
static bool push_words(lua_State *L, enum meaning meaning)
{
    int value = lua_gettop(L);
    if (meaning == IS_TEXT && lua_istable(L, value))
        lua_rawgeti(L, value, 1);
    else
        lua_pushvalue(L, value);
    bool refuses = says_something(L, value + 1);
    if (meaning == IS_REASON)
        refuses = refuses && is_among(reasons, COUNT(reasons), lua_tostring(L, value + 1));
    if (!refuses)
        lua_pop(L, 1);
    return refuses;
}

/* Pushes the reason that a flag gives: its name, which is at `key`, and its category. That is the
 * field `category` of the same table, which is at `table`, or else the name of that table, which is
 * at `name` (0: it has none). */
static void push_flag(lua_State *L, int table, int name, int key)
{
    lua_getfield(L, table, "category");
    if (lua_type(L, -1) != LUA_TSTRING && name) {
        lua_pop(L, 1);
        lua_pushvalue(L, name);
    }
    if (lua_type(L, -1) == LUA_TSTRING)
        lua_pushfstring(L, "%s: %s", lua_tostring(L, key), lua_tostring(L, -1));
    else
        lua_pushvalue(L, key);
    lua_remove(L, -2);
}

/* Looks at one field of the table at `table`; its key and value are on top. If it is a better sign
 * of a refusal than the one found so far, it replaces that. */
static void look_at(lua_State *L, struct find *find, int table, int name)
{
    int value = lua_gettop(L), key = value - 1;
    size_t rank = rank_of(lua_tostring(L, key));
    if (rank >= find->rank)
        return;
    enum meaning meaning = signs[rank].meaning;
    bool by_words = meaning == IS_TEXT || meaning == IS_WORDS || meaning == IS_REASON;
    bool refuses = by_words              ? push_words(L, meaning)
                   : meaning == IS_FALSE ? is_boolean(L, value, false)
                                         : has_true(L, value);
    if (!refuses)
        return;
    if (!by_words || meaning == IS_WORDS)
        push_flag(L, table, by_words ? 0 : name, key);
    find->rank = rank;
    lua_replace(L, find->reason);
    lua_settop(L, value);
}

/* Looks at all fields of the table at `table`, and of the tables in it. Its own name is at `name`
 * (0: it has none). */
static void search(lua_State *L, struct find *find, int table, int name, unsigned depth)
{
    tc_checkstack(L, 8);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        int value = lua_gettop(L);
        bool named = lua_type(L, value - 1) == LUA_TSTRING;
        if (named)
            look_at(L, find, table, name);
        if (lua_istable(L, value) && depth < DEEPEST)
            search(L, find, value, named ? value - 1 : 0, depth + 1);
    }
}

void tc_push_refusal(lua_State *L, int document)
{
    lua_pushnil(L);
    struct find find = {COUNT(signs), lua_gettop(L)};
    search(L, &find, document, 0, 0);
}

/* ---- the errors ---- */

#define TC_MORE_TOKENS "allow more tokens (max_tokens in extra_body), or ask for less"

/* Is this the reason of a model that is simply done? "stop", "STOP", "completed" */
static bool is_ordinary(const char *reason)
{
    return ((*reason | 0x20) == 's' && strlen(reason) == 4) || !strcmp(reason, "completed");
}

/* Makes the failure for an answer without a picture or a refusal. `said`, its text, and `reason`,
 * why the model stopped, may be NULL. */
static void no_image(struct tc_failure *failure, const struct tc_subrequest *sub, const char *said,
                     const char *reason)
{
    const char *colon = said ? ": " : "", *words = said ? said : "";
    if (reason && tc_is_cut_off(reason)) {
        tc_failure_set(failure, TC_NO_IMAGE,
                       "the model reached its token limit before there was a picture (%s)%s%s",
                       reason, colon, words);
        failure->advice = TC_MORE_TOKENS;
    } else if (reason && !strcmp(reason, "error")) {
        tc_failure_set(failure, TC_SERVER_ERROR,
                       "the model broke off before there was a picture%s%s", colon, words);
    } else if (sub->numbered) {
        tc_failure_set(failure, TC_NO_IMAGE, "the model made drafts, but no picture of them%s%s",
                       colon, words);
    } else if (said) {
        tc_failure_set(failure, TC_NO_IMAGE, "the model answered in words alone: %s", said);
        failure->advice = "ask for a picture in plain words, or another model";
    } else if (reason && !is_ordinary(reason)) {
        tc_failure_set(failure, TC_NO_IMAGE, "the response has no image: the model stopped (%s)",
                       reason);
    } else {
        tc_failure_set(failure, TC_NO_IMAGE,
                       "the response has no image: the model made none, or a filter held all back");
    }
}

/* Pushes the string at `index` as one short line, or nil for another value. */
static const char *push_line(lua_State *L, int index)
{
    char line[200];
    if (lua_type(L, index) != LUA_TSTRING) {
        lua_pushnil(L);
        return NULL;
    }
    tc_redact(line, sizeof(line), lua_tostring(L, index), NULL);
    lua_pushstring(L, line);
    return lua_tostring(L, -1);
}

void tc_push_no_image(lua_State *L, const struct tc_subrequest *sub, int answer, int refusal)
{
    struct tc_failure failure;
    const char *refused = push_line(L, refusal);
    lua_getfield(L, answer, "finish_reason");
    const char *reason = push_line(L, lua_gettop(L));
    lua_getfield(L, answer, "text");
    const char *said = lua_isstring(L, -1) ? tc_push_quoted(L, lua_gettop(L)) : NULL;
    if (refused)
        tc_failure_set(&failure, TC_CONTENT_POLICY, "the model refused to draw this (%s)%s%s",
                       refused, said ? ": " : "", said ? said : "");
    else
        no_image(&failure, sub, said, reason);
    tc_push_failed_success(L, sub->request, &failure);
}

/* Pops what is wrong with a picture, or nil, and adds it to `text`. */
static void add_fault(lua_State *L, char *text, size_t size)
{
    size_t used = strlen(text);
    if (lua_isstring(L, -1))
        snprintf(text + used, size - used, "%s%s", used ? "; " : "", lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* Pushes why the model stopped, or nil where that is not known. */
static void push_reason(lua_State *L, const struct tc_subrequest *sub, int uservalue)
{
    lua_getfield(L, uservalue, "answers");
    lua_rawgeti(L, -1, (int)sub->position);
    if (lua_istable(L, -1))
        lua_getfield(L, -1, "finish_reason");
    else
        lua_pushnil(L);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

bool tc_push_fault(lua_State *L, const struct tc_subrequest *sub, int uservalue)
{
    struct tc_failure failure;
    char text[sizeof(failure.message)] = "";
    int top = lua_gettop(L);
    lua_getfield(L, uservalue, "faults");
    for (unsigned i = 0; i < sub->numbered; i++) {
        lua_rawgeti(L, top + 1, (int)sub->numbers[i]);
        add_fault(L, text, sizeof(text));
    }
    push_reason(L, sub, uservalue);
    bool cut_off = lua_isstring(L, -1) && tc_is_cut_off(lua_tostring(L, -1));
    lua_settop(L, top);
    if (!*text)
        return false;
    tc_failure_set(&failure, TC_BAD_RESPONSE, "%s%s", text,
                   cut_off ? ": the model reached its token limit" : "");
    failure.advice =
        cut_off ? TC_MORE_TOKENS : "what came of it is in err.data; to try again may cost again";
    tc_push_failed_success(L, sub->request, &failure);
    return true;
}
