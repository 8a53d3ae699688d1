/*
 * Refusals: why an answer that went well has no picture. Each gateway and each model has a place of
 * its own for that, so the whole document is looked through, for names that say it wherever they
 * are. Only where there is no picture: beside one they are notes.
 */
#include "lua_refusal.h"

#include <ctype.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DEEPEST = 16, LONGEST_NAME = 32 };

/* What of a field makes it a refusal. */
enum meaning {
    IS_TEXT,   /* there is one, and it says why */
    IS_WORDS,  /* the same, but it is for the reader of the answer's text */
    IS_REASON, /* it is one of those below */
    IS_TRUE,   /* it, or one of its elements */
    IS_FALSE
};

/* Fields, without case and signs; the earlier ones tell more. */
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

/* Why models stop when they refuse, again without case and signs. */
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

/* The best sign so far: its rank, and the index of the reason on the stack. */
struct find {
    size_t rank;
    int reason;
};

/* Copies the letters of a name, small ones; a path before them ("FinishReason.SAFETY") is left out.
 */
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

/* The rank of the sign that the key has, or how many there are. */
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

/* Is one of a list of flags up, or the one flag? */
static bool is_up(lua_State *L, int value)
{
    bool up = is_boolean(L, value, true);
    int count = lua_istable(L, value) ? (int)tc_rawlen(L, value) : 0;
    for (int i = 1; i <= count && !up; i++) {
        lua_rawgeti(L, value, i);
        up = is_boolean(L, -1, true);
        lua_pop(L, 1);
    }
    return up;
}

/* Words that are there and say something: Google has names for "nothing". */
static bool is_told(lua_State *L, int value)
{
    return lua_type(L, value) == LUA_TSTRING && tc_rawlen(L, value) &&
           !strstr(lua_tostring(L, value), "UNSPECIFIED");
}

/* Pushes why the value on top, which is text or a list of texts, refuses, and returns true; else
 * false, and nothing. */
static bool push_words(lua_State *L, enum meaning meaning)
{
    int value = lua_gettop(L);
    if (meaning == IS_TEXT && lua_istable(L, value))
        lua_rawgeti(L, value, 1);
    else
        lua_pushvalue(L, value);
    bool refuses = is_told(L, value + 1);
    if (meaning == IS_REASON)
        refuses = refuses && is_among(reasons, COUNT(reasons), lua_tostring(L, value + 1));
    if (!refuses)
        lua_pop(L, 1);
    return refuses;
}

/* Pushes the name of the field at `key`, and what it is about: the category beside it in the table
 * at `table`, or the name of that table, which is at `name` (0: it has none). */
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

/* Looks at one field of the table at `table`; its key and value are on top. The reason takes its
 * place when it is a better one. */
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
                                         : is_up(L, value);
    if (!refuses)
        return;
    if (!by_words || meaning == IS_WORDS)
        push_flag(L, table, by_words ? 0 : name, key);
    find->rank = rank;
    lua_replace(L, find->reason);
    lua_settop(L, value);
}

/* Looks through the table at `table`, whose name is at `name`. */
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
