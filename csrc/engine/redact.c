/*
 * Keys and control characters in foreign text: see redact.h.
 */
#include "redact.h"

#include "../splitter/base64.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    TELLING = 4,      /* characters of a key at the end of a cut text that are redacted */
    TELLING_MUCH = 8, /* the same anywhere else */
    SHORT_KEY = 8, /* a shorter key is looked for as it is only: other spellings are in any text */
    SHORT_BASE64 = 10 /* characters of a key in base64 that are redacted; fewer tell nothing */
};

/* Bits for kinds of spellings: the key itself, its bytes in hex, and from ENCODED on its three
 * forms in base64. */
enum { KEY = 1, HEX = 2, ENCODED = 4 };

/* ---- spellings ---- */

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The number in `count` hex digits at `at`, or -1. */
static int hex_number(const char *at, const char *end, int count)
{
    int number = 0;
    for (int i = 0; i < count; i++) {
        int digit = at + i < end ? hex_digit(at[i]) : -1;
        if (digit < 0)
            return -1;
        number = number << 4 | digit;
    }
    return number;
}

/* A character, and where its spelling ends. */
struct spelling {
    int character;
    const char *behind;
};

/* Reads \u0073, \x73 or \/. JSON inside JSON doubles the backslashes. */
static struct spelling read_backslashes(const char *at, const char *end)
{
    const char *behind = at;
    while (behind < end && *behind == '\\')
        behind++;
    if (behind == end)
        return (struct spelling){'\\', at + 1};
    int digits = *behind == 'u' ? 4 : *behind == 'x' ? 2 : 0;
    int number = digits ? hex_number(behind + 1, end, digits) : -1;
    if (number < 0)
        return (struct spelling){(unsigned char)*behind, behind + 1};
    return (struct spelling){number, behind + 1 + digits};
}

/* Reads %73, or %2573, which was escaped twice. */
static struct spelling read_percent(const char *at, const char *end)
{
    const char *digits = at + 1;
    int number = hex_number(digits, end, 2), next;
    while (number == '%' && (next = hex_number(digits + 2, end, 2)) >= 0) {
        digits += 2;
        number = next;
    }
    return number < 0 ? (struct spelling){'%', at + 1} : (struct spelling){number, digits + 2};
}

static bool starts(const char *at, const char *end, const char *with)
{
    size_t size = strlen(with);
    return (size_t)(end - at) >= size && !memcmp(at, with, size);
}

/* Reads the rest of &#115; or &#x73; after the "&#". */
static struct spelling read_reference(const char *at, const char *end)
{
    bool hex = at < end && (*at | 0x20) == 'x';
    const char *digit = at + hex;
    int number = 0, value;
    while (digit < end && number < 0x110000 && (value = hex_digit(*digit)) >= 0 &&
           (hex || value < 10)) {
        number = number * (hex ? 16 : 10) + value;
        digit++;
    }
    return (struct spelling){number, digit + (digit < end && *digit == ';')};
}

/* Reads an HTML entity, or one like &amp;#115;, which was encoded twice. */
static struct spelling read_entity(const char *at, const char *end)
{
    static const struct {
        const char *name;
        int character;
    } names[] = {{"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
    const char *name = at + 1;
    while (starts(name, end, "amp;"))
        name += 4;
    if (name < end && *name == '#')
        return read_reference(name + 1, end);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (starts(name, end, names[i].name))
            return (struct spelling){names[i].character, name + strlen(names[i].name)};
    return (struct spelling){'&', name};
}

/* Reads the character at `at` in whatever spelling. */
static struct spelling spelled(const char *at, const char *end)
{
    switch (*at) {
    case '\\':
        return read_backslashes(at, end);
    case '%':
        return read_percent(at, end);
    case '&':
        return read_entity(at, end);
    default:
        return (struct spelling){(unsigned char)*at, at + 1};
    }
}

static bool is_same(int one, char other, bool any_case)
{
    if (one == (unsigned char)other)
        return true;
    return any_case && one < 128 && tolower(one) == tolower((unsigned char)other);
}

/* If the character `wanted` is at `at`, where it ends; else NULL. A key may contain what looks like
 * a spelling, so the plain character counts as well. */
static const char *behind_character(const char *at, const char *end, char wanted, bool any_case)
{
    struct spelling spelling = spelled(at, end);
    if (is_same(spelling.character, wanted, any_case))
        return spelling.behind;
    if (*at == '%' && wanted == '%' && hex_number(at + 1, end, 2) == '%')
        return at + 3;
    return is_same((unsigned char)*at, wanted, any_case) ? at + 1 : NULL;
}

/* The same for two hex digits, which a space or colon may precede. */
static const char *behind_hex(const char *at, const char *end, char wanted, bool any_case)
{
    if (*at == ' ' || *at == ':')
        at++;
    return is_same(hex_number(at, end, 2), wanted, any_case) ? at + 2 : NULL;
}

typedef const char *behind_function(const char *at, const char *end, char wanted, bool any_case);

/* The length of `secret` at `at`, or of its beginning if that is long enough to be redacted;
 * `*whole` says which. 0: it is not there. */
static size_t secret_length(const char *at, const char *end, const char *secret, bool any_case,
                            behind_function *behind, bool *whole)
{
    const char *text = at, *next;
    size_t matched = 0;
    for (; secret[matched] && text < end; matched++, text = next)
        if (!(next = behind(text, end, secret[matched], any_case)))
            break;
    *whole = !secret[matched];
    bool tells = *whole || matched >= TELLING_MUCH || (text >= end && matched >= TELLING);
    return tells ? (size_t)(text - at) : 0;
}

/* The characters of base64 that the key alone determines, when `before` other bytes precede it. */
static void encode_key(char *out, size_t capacity, const char *key, size_t before)
{
    unsigned char bytes[384] = {0};
    char text[TC_BASE64_ENCODED(sizeof(bytes)) + 1];
    size_t size = strlen(key), first = (before * 8 + 5) / 6, last;
    *out = '\0';
    if (before + size > sizeof(bytes))
        return;
    memcpy(bytes + before, key, size);
    tc_base64_encode(bytes, before + size, text);
    last = (before + size) * 8 / 6;
    if (last < first + SHORT_BASE64 || last - first >= capacity)
        return;
    memcpy(out, text + first, last - first);
    out[last - first] = '\0';
}

/* The length of the key as base64 at this point of the text, or 0. The alphabet for URLs counts as
 * another spelling. */
static size_t encoded_length(const struct tc_redaction *r, unsigned kinds)
{
    for (size_t i = 0; i < 3; i++) {
        const char *secret = r->encoded[i], *text = r->at;
        size_t matched = 0;
        while ((kinds & ENCODED << i) && secret[matched] && text < r->end) {
            struct spelling spelling = spelled(text, r->end);
            int character = spelling.character == '-'   ? '+'
                            : spelling.character == '_' ? '/'
                                                        : spelling.character;
            if (character != (unsigned char)secret[matched])
                break;
            text = spelling.behind;
            matched++;
        }
        if (matched >= SHORT_BASE64) /* a part gives that part of the key away */
            return (size_t)(text - r->at);
    }
    return 0;
}

/* ---- secrets of any kind ---- */

static bool is_key_char(char character)
{
    return isalnum((unsigned char)character) || character == '-' || character == '_';
}

static size_t run_of_key_chars(const struct tc_redaction *r)
{
    const char *text = r->at;
    while (text < r->end && is_key_char(*text))
        text++;
    return (size_t)(text - r->at);
}

static bool is_hash(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (hex_digit(text[i]) < 0)
            return false;
    return size == 64;
}

/* The length of "user:password@" after "://", or 0. */
static size_t userinfo_length(const struct tc_redaction *r)
{
    const char *text = r->at;
    if (text - r->start < 3 || memcmp(text - 3, "://", 3) != 0)
        return 0;
    while (text < r->end && !strchr("@/?# \t\r\n'\"", *text))
        text++;
    return text < r->end && *text == '@' ? (size_t)(text - r->at) + 1 : 0;
}

/* The length of another secret, found by its form, or 0. It cannot begin inside a word: there is no
 * key in "task-force". */
static size_t foreign_length(struct tc_redaction *r)
{
    size_t size = userinfo_length(r);
    if (size) {
        snprintf(r->stand_in, sizeof(r->stand_in), "...@");
        return size;
    }
    if (r->at > r->start && is_key_char(r->at[-1]))
        return 0;
    size = run_of_key_chars(r);
    bool cut = r->at + size == r->end;
    if (size > 3 && !memcmp(r->at, "sk-", 3) && (size >= 11 || cut)) {
        snprintf(r->stand_in, sizeof(r->stand_in), "sk-...%.4s",
                 size >= 11 ? r->at + size - 4 : "");
        return size;
    }
    if (!is_hash(r->at, size))
        return 0;
    snprintf(r->stand_in, sizeof(r->stand_in), "[hash]");
    return size;
}

/* The length of the request's own key in a spelling of the `kinds`, or 0. */
static size_t own_length(struct tc_redaction *r, unsigned kinds)
{
    bool whole = false, any_case = r->key_size >= SHORT_KEY;
    size_t size = 0;
    if (kinds & KEY)
        size = secret_length(r->at, r->end, r->key, any_case, behind_character, &whole);
    if (!size && kinds & HEX)
        size = secret_length(r->at, r->end, r->key, any_case, behind_hex, &whole);
    if (size) {
        snprintf(r->stand_in, sizeof(r->stand_in), "%s...%s",
                 strncmp(r->key, "sk-", 3) ? "" : "sk-",
                 whole && r->key_size >= 12 ? r->key + r->key_size - 4 : "");
        return size;
    }
    size = encoded_length(r, kinds);
    if (size)
        snprintf(r->stand_in, sizeof(r->stand_in), "...");
    return size;
}

/* The length of a secret at this point of the text, or 0; `stand_in` is shown in its place. A
 * spelling begins with its first backslash, so that a run of them is read once only. */
static size_t secret_here(struct tc_redaction *r)
{
    bool inside = *r->at == '\\' && r->at > r->start && r->at[-1] == '\\';
    unsigned kinds = inside ? 0 : r->may_begin[(unsigned char)*r->at];
    size_t size = kinds ? own_length(r, kinds) : 0;
    return size || r->form == TC_REDACT_VERBATIM ? size : foreign_length(r);
}

/* ---- characters ---- */

/* The UTF-8 character (RFC 3629) at this point of the text, and its length; -1 if there is none. */
static long utf8_here(const struct tc_redaction *r, size_t *size)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)*r->at;
    *size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (*size < 2)
        return *size ? first : -1;
    if (first > 0xf4 || (size_t)(r->end - r->at) < *size)
        return -1;
    long point = first & (0xff >> (*size + 1));
    for (size_t i = 1; i < *size; i++) {
        if (((unsigned char)r->at[i] & 0xc0) != 0x80)
            return -1;
        point = point << 6 | ((unsigned char)r->at[i] & 0x3f);
    }
    bool surrogate = point >= 0xd800 && point < 0xe000;
    return point < least[*size] || point > 0x10ffff || surrogate ? -1 : point;
}

/* Is it a character that controls a terminal or an editor, or an invisible one? These are Unicode's
 * categories Cc and the common ones of Cf: directions, marks, separators of lines. */
static bool is_control(long point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0xad || point == 0x61c ||
           (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2060 && point <= 0x206f) || point == 0xfeff ||
           (point >= 0xfff9 && point <= 0xfffb) || (point >= 0xe0000 && point <= 0xe007f);
}

/* Is it white space that this form handles itself? */
static bool is_layout(const struct tc_redaction *r)
{
    char character = *r->at;
    if (r->form == TC_REDACT_LINE)
        return character == ' ' || character == '\t' || character == '\n' || character == '\r';
    return character == '\t' || character == '\n' ||
           (character == '\r' && r->at + 1 < r->end && r->at[1] == '\n');
}

/* Returns what is shown for the next character, and moves past it. */
static const char *show_character(struct tc_redaction *r, size_t *size)
{
    const char *here = r->at;
    long point = utf8_here(r, size);
    if (point < 0) {
        *size = (size_t)snprintf(r->stand_in, sizeof(r->stand_in), "\\x%02x", (unsigned char)*here);
        r->at++;
        return r->stand_in;
    }
    r->at += *size;
    if (!is_control(point))
        return here;
    *size = (size_t)snprintf(r->stand_in, sizeof(r->stand_in),
                             point < 0x80 ? "\\x%02lx" : "\\u{%lx}", point);
    return r->stand_in;
}

/* The same for white space: in one line, one space for any amount of it, and none at the beginning.
 */
static const char *show_layout(struct tc_redaction *r, size_t *size)
{
    const char *here = r->at++;
    *size = 1;
    if (r->form != TC_REDACT_LINE)
        return here;
    *size = r->last != ' ';
    return " ";
}

static void may_begin(struct tc_redaction *r, int character, unsigned kinds)
{
    r->may_begin[character] |= (unsigned char)kinds;
}

static void may_begin_with(struct tc_redaction *r, int character)
{
    may_begin(r, character, KEY);
    if (r->key_size >= SHORT_KEY)
        may_begin(r, "0123456789abcdef"[character >> 4], HEX);
    if (r->key_size >= SHORT_KEY)
        may_begin(r, "0123456789ABCDEF"[character >> 4], HEX);
}

/* Notes which characters the key may begin with in any spelling. */
static void note_beginnings(struct tc_redaction *r)
{
    unsigned all = KEY | ENCODED | ENCODED << 1 | ENCODED << 2;
    may_begin_with(r, tolower((unsigned char)r->key[0]));
    may_begin_with(r, toupper((unsigned char)r->key[0]));
    may_begin(r, '\\', all);
    may_begin(r, '%', all);
    may_begin(r, '&', all);
    for (size_t i = 0; i < 3; i++) {
        char first = r->encoded[i][0];
        if (first)
            may_begin(r, (unsigned char)first, ENCODED << i);
        if (first == '+' || first == '/')
            may_begin(r, first == '+' ? '-' : '_', ENCODED << i);
    }
}

void tc_redact_begin(struct tc_redaction *r, enum tc_redact_form form, const char *key)
{
    memset(r, 0, sizeof(*r));
    r->form = form;
    r->key = key;
    r->key_size = key ? strlen(key) : 0;
    for (size_t i = 0; i < 3 && r->key_size >= SHORT_KEY; i++)
        encode_key(r->encoded[i], sizeof(r->encoded[i]), key, i);
    if (r->key_size)
        note_beginnings(r);
}

void tc_redact_text(struct tc_redaction *r, const char *text, size_t size)
{
    r->start = r->at = text;
    r->end = text + size;
    r->last = ' ';
}

const char *tc_redact_next(struct tc_redaction *r, size_t *size)
{
    const char *piece = "";
    *size = 0;
    while (!*size) {
        if (r->at >= r->end)
            return NULL;
        size_t secret = secret_here(r);
        if (secret) {
            piece = r->stand_in;
            *size = strlen(piece);
            r->start = r->at += secret;
        } else if (r->form == TC_REDACT_VERBATIM) {
            piece = r->at++;
            while (r->at < r->end && !r->may_begin[(unsigned char)*r->at])
                r->at++;
            *size = (size_t)(r->at - piece);
        } else {
            piece = is_layout(r) ? show_layout(r, size) : show_character(r, size);
        }
    }
    r->last = piece[*size - 1];
    return piece;
}

/* ---- into a buffer ---- */

/* Ends a cut text with "...", but not inside a UTF-8 character. */
static size_t cut(char *out, size_t used, size_t size)
{
    if (size <= 4)
        return used;
    size_t end = used < size - 4 ? used : size - 4;
    while (end > 0 && end < used && ((unsigned char)out[end] & 0xc0) == 0x80)
        end--;
    memcpy(out + end, "...", 3);
    return end + 3;
}

static void redact(char *out, size_t size, const char *text, const char *key,
                   enum tc_redact_form form)
{
    struct tc_redaction r;
    const char *piece;
    size_t used = 0, length, space = 0; /* `space`: it is shown if something follows */
    tc_redact_begin(&r, form, key);
    tc_redact_text(&r, text, strlen(text));
    while ((piece = tc_redact_next(&r, &length))) {
        if (form == TC_REDACT_LINE && *piece == ' ') {
            space = 1;
            continue;
        }
        if (used + space + length >= size)
            break;
        memset(out + used, ' ', space);
        memcpy(out + used + space, piece, length);
        used += space + length;
        space = 0;
    }
    if (piece)
        used = cut(out, used, size);
    out[used] = '\0';
}

void tc_redact(char *out, size_t size, const char *text, const char *key)
{
    redact(out, size, text, key, TC_REDACT_LINE);
}

void tc_redact_body(char *out, size_t size, const char *text, const char *key)
{
    redact(out, size, text, key, TC_REDACT_LINES);
}
