/*
 * The scanner: see envelope.h.
 *
 * This is a state machine over the bytes of RFC 8259's grammar. Nearly all bytes are in strings,
 * which are taken in spans: a kept string up to the next quote, backslash or control character, a
 * picture up to the first character that is not base64. What may be the head of a data URL is kept
 * like any text, and removed from the envelope once its base64 begins.
 *
 * What is being read is called current. A string at a rule's path may be undecided at first: its
 * first characters, which are in `key`, show whether it is a picture.
 */
#include "envelope.h"

#include "../base/alloc.h"
#include "scan.h"

#include <stdio.h>
#include <string.h>

enum state {
    VALUE,       /* a value must come */
    FIRST_VALUE, /* after '[': a value or ']' */
    FIRST_KEY,   /* after '{': a key or '}' */
    KEY,         /* after ',' in an object: a key */
    COLON,       /* after a key: ':' */
    AFTER,       /* after a value: ',' or the container's end */
    STRING,
    ESCAPE,  /* after a backslash */
    UNICODE, /* in the four digits of a \u escape */
    LITERAL, /* in true, false, null */
    MINUS,   /* a number so far: "-" */
    ZERO,    /* "0" */
    INTEGER, /* "12" */
    POINT,   /* "1." */
    FRACTION,
    EXPONENT, /* "1e" */
    EXPONENT_SIGN,
    EXPONENT_DIGITS,
    DONE, /* only white space may follow */
    FAILED
};

/* What a string is. */
enum role {
    ROLE_KEY,
    ROLE_KEPT,
    ROLE_MARK,           /* kept; it may say that its object's pictures are drafts */
    ROLE_IMAGE_TO_COME,  /* undecided: base64 or an address */
    ROLE_URL_TO_COME,    /* undecided: a picture only if it begins as a picture's base64 */
    ROLE_PROSE_TO_COME,  /* undecided: prose, or base64 if it begins as a picture's */
    ROLE_IMAGE,          /* a picture: base64 to the string's end */
    ROLE_URL,            /* kept, unless it begins with a data URL: then it is a picture */
    ROLE_PROSE,          /* kept, but data URLs in it are pictures */
    ROLE_IMAGE_IN_PROSE, /* prose, inside the base64 of a data URL */
    ROLE_SKIPPED         /* ignored: the envelope has something else for it already */
};

static bool fail(struct tc_envelope *e, enum tc_envelope_error error)
{
    if (!e->error)
        e->error = error;
    e->state = FAILED;
    return false;
}

/* ---- the envelope ---- */

/* How many bytes the envelope may have. */
static size_t most_text(const struct tc_envelope *e)
{
    return e->for_pictures ? TC_ENVELOPE_BESIDE : TC_ENVELOPE_SIZE;
}

/* Appends bytes to the envelope, unless they are in a container that is dropped. */
static bool keep(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (e->aside.silent)
        return true;
    if (size > most_text(e) - e->text.size)
        return fail(e, TC_ENVELOPE_TOO_LARGE);
    return tc_buffer_append(&e->text, bytes, size) || fail(e, TC_ENVELOPE_NO_MEMORY);
}

static bool keep_char(struct tc_envelope *e, char character)
{
    if (e->aside.silent || e->text.size == e->text.capacity || e->text.size == most_text(e))
        return keep(e, &character, 1);
    e->text.data[e->text.size++] = (unsigned char)character;
    return true;
}

/* What `texts` is while nothing has been captured. Most responses have nothing to capture, and a
 * request that waits has no response yet, so memory for texts is allocated when it is needed. */
static const struct tc_buffer no_texts[TC_PATH_RULES];

static bool make_texts(struct tc_envelope *e)
{
    struct tc_buffer *texts = tc_calloc(TC_PATH_RULES * sizeof(*texts));
    if (texts)
        e->texts = texts;
    return texts != NULL;
}

static void forget_texts(struct tc_envelope *e)
{
    e->texts = (struct tc_buffer *)(uintptr_t)no_texts; /* nobody writes to it */
}

static void free_texts(struct tc_envelope *e)
{
    for (unsigned i = 0; i < TC_PATH_RULES; i++)
        tc_buffer_free(&e->texts[i]);
    tc_free(e->texts);
    forget_texts(e);
}

/* Appends to the captured text of the current value, if it is captured. */
static bool capture(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (e->text_rule < 0)
        return true;
    if (e->texts == no_texts && !make_texts(e))
        return fail(e, TC_ENVELOPE_NO_MEMORY);
    struct tc_buffer *text = &e->texts[e->text_rule];
    size_t room = TC_ENVELOPE_TEXT - text->size;
    return tc_buffer_append(text, bytes, size < room ? size : room) ||
           fail(e, TC_ENVELOPE_NO_MEMORY);
}

/* ---- rules ---- */

/* What the next value is if it is a string. */
static enum role string_role(const struct tc_envelope *e)
{
    static const enum role roles[] = {
        [TC_CAPTURE_BASE64] = ROLE_IMAGE_TO_COME, [TC_CAPTURE_DATA_URL] = ROLE_URL_TO_COME,
        [TC_CAPTURE_PROSE] = ROLE_PROSE_TO_COME,  [TC_CAPTURE_TEXT] = ROLE_KEPT,
        [TC_CAPTURE_DRAFT] = ROLE_MARK,
    };
    int rule = tc_path_rule(&e->path);
    return rule < 0 ? ROLE_KEPT : roles[e->path.rules[rule].capture];
}

/* A value begins that a rule may capture. */
static bool begin_capture(struct tc_envelope *e)
{
    int rule = tc_path_rule(&e->path);
    e->text_rule = rule >= 0 && e->path.rules[rule].capture == TC_CAPTURE_TEXT ? rule : -1;
    return e->text_rule < 0 || !e->texts[rule].size || capture(e, "; ", 2);
}

/* ---- pictures ---- */

/* How many bytes of input are left, with those that are being read; 0 if nobody knows. */
static uint64_t input_left(const struct tc_envelope *e)
{
    return e->expected > e->position ? e->expected - e->position : 0;
}

/* Ends the open picture: its string ends, or the data URL in prose. */
static bool close_image(struct tc_envelope *e)
{
    bool broken = e->percent.digits != 0;
    e->percent.digits = 0;
    return tc_images_close(&e->images, broken) || fail(e, TC_ENVELOPE_NO_MEMORY);
}

static bool open_image(struct tc_envelope *e)
{
    if (tc_images_open(&e->images) && !close_image(e)) /* its rest never came */
        return false;
    if (e->images.count == TC_IMAGES)
        return fail(e, TC_ENVELOPE_TOO_MANY_IMAGES);
    struct tc_image *image = tc_images_add(&e->images);
    if (!image)
        return fail(e, TC_ENVELOPE_NO_MEMORY);
    bool in_scope = e->scope.depth && e->path.depth - e->scope.depth <= 1;
    image->draft = in_scope && e->scope.draft;
    image->held = in_scope && !e->scope.draft;
    image->lone = in_scope && e->path.depth == e->scope.depth;
    e->percent.digits = 0;
    return true;
}

/* Has the object at depth `owner` a picture already that has no fault? */
static bool has_image(const struct tc_envelope *e, unsigned owner)
{
    if (!owner || owner != e->item.depth)
        return false;
    const struct tc_image *image = e->images.list[e->item.image]; /* NULL: it was taken away */
    return !image || !image->fault;
}

/* Opens a picture that is the whole string. The envelope has its number instead, or null if its
 * object has a picture already. */
static bool open_numbered_image(struct tc_envelope *e)
{
    char number[12];
    unsigned owner = tc_path_owner(&e->path);
    if (has_image(e, owner)) {
        e->role = ROLE_SKIPPED;
        return keep(e, "null", 4);
    }
    if (!open_image(e))
        return false;
    e->item.depth = owner;
    e->item.image = e->images.count - 1;
    e->role = ROLE_IMAGE;
    return keep(e, number, (size_t)snprintf(number, sizeof(number), "%u", e->images.count));
}

/* Decodes up to the first character that is not base64. Spaces are skipped, except in prose, where
 * they may end the picture. Returns how many characters it took. */
static size_t image_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    size_t taken;
    if (e->percent.digits)
        return 0;
    if (!tc_images_decode(&e->images, bytes, size, e->role == ROLE_IMAGE, input_left(e), &taken))
        return fail(e, TC_ENVELOPE_NO_MEMORY);
    return taken;
}

/* A character is not base64: ends the picture, and ignores the rest of a string that was all of it.
 * There is no error if the picture's file is complete with the last, incomplete group. */
static bool break_image(struct tc_envelope *e, enum tc_base64_error error)
{
    e->role = e->role == ROLE_IMAGE_IN_PROSE ? ROLE_PROSE : ROLE_SKIPPED;
    if (tc_images_end_here(&e->images) == TC_END_SEEN)
        return close_image(e);
    e->percent.digits = 0;
    tc_images_end(&e->images, error);
    return true;
}

static int hex_value(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Takes any character of a picture: one from an escape, or one at which image_span stopped. */
static bool image_char(struct tc_envelope *e, char character)
{
    bool escaped = e->percent.digits != 0;
    if (escaped) {
        int value = hex_value(character);
        if (value < 0)
            return break_image(e, TC_BASE64_CHARACTER);
        e->percent.value = (unsigned char)(e->percent.value << 4 | value);
        if (--e->percent.digits)
            return true;
        character = (char)e->percent.value;
    }
    if (image_span(e, &character, 1) == 1)
        return true;
    if (e->state == FAILED)
        return false;
    if (character == '%' && !escaped) {
        e->percent.digits = 2;
        return true;
    }
    enum tc_base64_error error = tc_base64_odd(&e->images.base64, (unsigned char)character);
    if (error && character == '\'' && e->role == ROLE_IMAGE) { /* of Python's b'...' */
        e->role = ROLE_SKIPPED;
        return close_image(e);
    }
    return !error || break_image(e, error);
}

/* ---- strings that may be a picture ---- */

/* What addresses begin with; the last one is what is left of "data:image/". */
static const char *const schemes[] = {"data:", "http:", "https:", "image/"};

/* Words for no picture, most of which would pass for base64. */
static const char *const nothings[] = {"null",  "none", "nil",       "true",
                                       "false", "n/a",  "undefined", "nan"};

/* What Python writes around bytes. */
static const char *const quotes[] = {"b'", "b\""};

/* Is it not decided yet what the string is? */
static bool is_undecided(enum role role)
{
    return role == ROLE_IMAGE_TO_COME || role == ROLE_URL_TO_COME || role == ROLE_PROSE_TO_COME;
}

enum likeness { UNLIKE, MAY_BE, IS };

/* Is `text` one of the words, or the beginning of one? With `folded`, capitals count as small
 * letters. */
static enum likeness liken(const char *text, size_t size, const char *const *words, size_t count,
                           bool folded)
{
    enum likeness best = UNLIKE;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(words[i]), same = 0;
        while (same < size && same < length &&
               (text[same] | (folded && text[same] >= 'A' && text[same] <= 'Z' ? 0x20 : 0)) ==
                   words[i][same])
            same++;
        if (same == size && same == length)
            return IS;
        if (same == size)
            best = MAY_BE;
    }
    return best;
}

#define LIKEN(e, words, folded)                                                                    \
    liken((e)->key.text, (e)->key.size, words, sizeof(words) / sizeof((words)[0]), folded)

/* ---- drafts ---- */

/* The innermost object has a field that says that its pictures are drafts. */
static void found_draft(struct tc_envelope *e)
{
    if (e->scope.depth == e->path.depth)
        e->scope.draft = true;
}

/* If an object that may hold drafts ends here, it is known now which of its pictures are drafts. */
static void close_scope(struct tc_envelope *e)
{
    if (e->scope.depth != e->path.depth)
        return;
    tc_images_mark_previews(&e->images, e->scope.first);
    tc_images_release(&e->images, e->scope.first, e->scope.draft);
    e->scope = e->outer_scope;
    e->outer_scope = (struct tc_draft_scope){0, 0, false};
}

/* ---- data URLs ---- */

/* Keeps plain text up to a colon, or to a place where a picture may begin. Returns how much. Where
 * no head has begun, only the last characters can matter to one. */
static size_t prose_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    size_t taken = tc_scan_plain(bytes, size, ':');
    if (taken < size && bytes[taken] == ':')
        taken++;
    size_t recent = sizeof(e->url.recent), i = e->url.head || taken <= recent ? 0 : taken - recent;
    while (i < taken && !(i && tc_data_url_has_head(&e->url))) /* where a picture may begin */
        tc_data_url_follow(&e->url, bytes[i++], 1, e->role == ROLE_PROSE);
    return keep(e, bytes, i) ? i : 0;
}

/*
 * A data URL's base64 begins. Removes its head from the envelope, opens the picture, and decodes
 * the base64 that was kept as text. In a string that is all data URL, the quotation mark that
 * begins the string is removed too.
 */
static bool open_payload(struct tc_envelope *e)
{
    struct tc_data_url url = e->url;
    e->url = (struct tc_data_url){.head = 0};
    e->text.size -= url.head;
    if (e->role == ROLE_URL) {
        e->text.size--;
        if (!open_numbered_image(e))
            return false;
        if (url.text && e->role == ROLE_IMAGE)
            tc_images_open(&e->images)->text = true;
        return true;
    }
    e->role = ROLE_IMAGE_IN_PROSE;
    if (!open_image(e))
        return false;
    for (unsigned i = 0; i < url.first_size && e->role == ROLE_IMAGE_IN_PROSE; i++)
        if (!image_char(e, url.first[i]))
            return false;
    return true;
}

/* Does the open picture in prose end before the character `next`? */
static bool ends_payload(const struct tc_envelope *e, char next)
{
    if (e->percent.digits)
        return hex_value(next) < 0;
    if (tc_base64_has((unsigned char)next))
        return e->images.base64.padding != 0;
    bool padding_fits =
        e->images.base64.sextets >= 2 && e->images.base64.sextets + e->images.base64.padding < 4;
    if (next == '=' || (next == '%' && padding_fits)) /* '%' may begin "%3D" */
        return !padding_fits;
    bool may_go_on = next == '%' || tc_scan_is_space(next); /* an escape, or the next line */
    return !may_go_on || tc_images_end_here(&e->images) != TC_END_MISSING;
}

/* Does the base64 of a data URL begin with the character `next`? Outside prose the head has to
 * begin the string: the quotation mark before it is the string's own, as any other is escaped. */
static bool begins_payload(const struct tc_envelope *e, char next)
{
    if (e->role != ROLE_URL)
        return tc_data_url_begins(&e->url, next);
    return tc_data_url_has_head(&e->url) && e->text.data[e->text.size - e->url.head - 1] == '"';
}

/* Before the character `next`: switches between text and picture, if a picture begins or ends. */
static bool switch_at(struct tc_envelope *e, char next)
{
    if (begins_payload(e, next) && !open_payload(e))
        return false;
    if (e->role != ROLE_IMAGE_IN_PROSE || !ends_payload(e, next))
        return true;
    e->role = ROLE_PROSE;
    return close_image(e);
}

/* ---- strings ---- */

/* Is the current string kept, and not captured? */
static bool is_plain(const struct tc_envelope *e)
{
    return e->role == ROLE_KEPT && e->text_rule < 0;
}

/* Replaces the current string in the envelope by null. */
static bool drop_string(struct tc_envelope *e)
{
    e->text.size = e->string_start;
    e->role = ROLE_SKIPPED;
    return keep(e, "null", 4);
}

/* May the rest of the open picture come in the prose of a stream's next document? */
static bool goes_on(const struct tc_envelope *e)
{
    return e->documents.count && string_role(e) == ROLE_PROSE_TO_COME &&
           tc_images_end_here(&e->images) == TC_END_MISSING;
}

static bool begin_string(struct tc_envelope *e, enum role role)
{
    if (role == ROLE_PROSE_TO_COME && tc_images_open(&e->images))
        role = ROLE_IMAGE_IN_PROSE;
    e->state = STRING;
    e->role = (unsigned char)role;
    e->escape.surrogate = 0;
    e->key.size = 0;
    e->url = (struct tc_data_url){.head = 0};
    e->string_start = e->text.size;
    if (e->for_pictures && is_plain(e) && e->text.size > TC_ENVELOPE_BESIDE / 2)
        return drop_string(e);
    return is_undecided(role) || keep_char(e, '"');
}

/* Drops the current string once it is too long. */
static bool check_length(struct tc_envelope *e)
{
    size_t size = e->text.size - e->string_start;
    return !e->for_pictures || !is_plain(e) || size <= TC_ENVELOPE_STRING || drop_string(e);
}

/* Adds unescaped text to `key`, or to the captured text, as the role of the string is. */
static bool string_bytes(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (e->role != ROLE_KEY && e->role != ROLE_MARK)
        return capture(e, bytes, size);
    for (size_t i = 0; i < size && e->key.size < TC_ENVELOPE_KEY; i++)
        e->key.text[e->key.size++] = bytes[i];
    return true;
}

/* Is the current string text that may have a data URL inside? */
static bool is_prose(const struct tc_envelope *e)
{
    return e->role == ROLE_URL || e->role == ROLE_PROSE;
}

/* Is the current string a picture at this place? */
static bool is_image(const struct tc_envelope *e)
{
    return e->role == ROLE_IMAGE || e->role == ROLE_IMAGE_IN_PROSE;
}

/* Decides that the undecided string is base64. */
static bool begin_image(struct tc_envelope *e)
{
    if (!open_numbered_image(e))
        return false;
    for (unsigned i = 0; i < e->key.size && e->role == ROLE_IMAGE; i++)
        if (!image_char(e, e->key.text[i]))
            return false;
    return true;
}

/* Decides that the undecided string is an address or prose: its characters so far are text. */
static bool begin_address(struct tc_envelope *e)
{
    unsigned size = e->key.size;
    e->key.size = 0;
    e->role = e->role == ROLE_PROSE_TO_COME ? ROLE_PROSE : ROLE_URL;
    if (!keep_char(e, '"') || !keep(e, e->key.text, size))
        return false;
    for (unsigned i = 0; i < size; i++)
        tc_data_url_follow(&e->url, e->key.text[i], 1, e->role == ROLE_PROSE);
    return true;
}

/* Is the character of an undecided string ignored? At its beginning white space, a byte order mark
 * and quotes are, and after a word for nothing white space is. */
static bool is_passed_over(const struct tc_envelope *e, char character)
{
    bool odd = tc_scan_is_space(character) || (unsigned char)character >= 0x80 ||
               character == '"' || character == '\'';
    if (!e->key.size)
        return odd && e->role != ROLE_PROSE_TO_COME;
    return tc_scan_is_space(character) && e->role == ROLE_IMAGE_TO_COME &&
           LIKEN(e, nothings, true) == IS;
}

/* One character of an undecided string. */
static bool undecided_char(struct tc_envelope *e, char character)
{
    if (is_passed_over(e, character))
        return true;
    e->key.text[e->key.size++] = character;
    bool prose = e->role == ROLE_PROSE_TO_COME, known = e->role != ROLE_IMAGE_TO_COME;
    enum likeness address = prose ? UNLIKE : LIKEN(e, schemes, true);
    enum likeness quoted = prose ? UNLIKE : LIKEN(e, quotes, false);
    enum likeness picture = known ? LIKEN(e, tc_picture_heads, false) : UNLIKE;
    bool nothing = !prose && LIKEN(e, nothings, true) != UNLIKE;
    if (quoted == IS)
        e->key.size = 0;
    if (address == IS)
        return begin_address(e);
    if (picture == IS)
        return begin_image(e);
    if (address || quoted || picture || nothing)
        return true;
    return known ? begin_address(e) : begin_image(e);
}

/* Decides what an undecided string is, because its next character settles that. */
static bool decide(struct tc_envelope *e)
{
    return e->role == ROLE_IMAGE_TO_COME ? begin_image(e) : begin_address(e);
}

/* Decides what an undecided string is at its end. */
static bool end_undecided(struct tc_envelope *e)
{
    bool nothing = e->role != ROLE_PROSE_TO_COME && LIKEN(e, nothings, true) == IS;
    if (nothing)
        e->key.size = 0;
    return e->key.size ? decide(e) : begin_address(e);
}

/* Writes a code point as UTF-8. Returns its length. */
static size_t utf8(uint32_t point, char *out)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(0xf00 >> size | point);
    return size;
}

/* "\u001f" for a point below 0x100. Returns its length. */
static size_t escape_point(char *out, uint32_t point)
{
    static const char digits[] = "0123456789abcdef";
    memcpy(out, "\\u00", 4);
    out[4] = digits[point >> 4];
    out[5] = digits[point & 15];
    return 6;
}

/* One code point that was escaped. The envelope has it as UTF-8, unless JSON has to escape it. */
static bool string_point(struct tc_envelope *e, uint32_t point)
{
    char text[8];
    size_t size = utf8(point, text);
    char character = text[0]; /* beyond ASCII it is neither base64 nor in a head */
    if (!switch_at(e, character))
        return false;
    if (e->role == ROLE_SKIPPED)
        return true;
    bool quoted = point == '"' && e->key.size == 1 && e->key.text[0] == 'b'; /* Python's b"..." */
    bool plain = point >= 0x20 && point < 0x80 && (point != '"' || quoted) && point != '\\';
    if (is_undecided(e->role) && (plain || is_passed_over(e, character)))
        return undecided_char(e, character);
    if (is_undecided(e->role) && !decide(e))
        return false;
    if (is_image(e))
        return image_char(e, character);
    if (!string_bytes(e, text, size))
        return false;
    if (point < 0x20 || point == '"' || point == '\\')
        size = escape_point(text, point);
    if (is_prose(e))
        tc_data_url_follow(&e->url, character, size, e->role == ROLE_PROSE);
    return keep(e, text, size) && check_length(e);
}

/* A high surrogate without its low one is no character: U+FFFD stands for it. */
static bool drop_surrogate(struct tc_envelope *e)
{
    bool waits = e->escape.surrogate != 0;
    e->escape.surrogate = 0;
    return !waits || string_point(e, 0xfffd);
}

static bool unicode_escape(struct tc_envelope *e, uint32_t unit)
{
    bool low = unit >= 0xdc00 && unit <= 0xdfff;
    if (low && e->escape.surrogate) {
        uint32_t high = e->escape.surrogate;
        e->escape.surrogate = 0;
        return string_point(e, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
    }
    if (!drop_surrogate(e))
        return false;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        e->escape.surrogate = unit;
        return true;
    }
    return string_point(e, low ? 0xfffd : unit);
}

static bool on_escape(struct tc_envelope *e, char character)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (character == 'u') {
        e->state = UNICODE;
        e->escape.unit = 0;
        e->escape.digits = 0;
        return true;
    }
    const char *letter = character ? strchr(letters, character) : NULL;
    if (!letter)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    e->state = STRING;
    return drop_surrogate(e) && string_point(e, (unsigned char)meanings[letter - letters]);
}

static bool on_unicode(struct tc_envelope *e, char character)
{
    int value = hex_value(character);
    if (value < 0)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    e->escape.unit = e->escape.unit << 4 | (uint32_t)value;
    if (++e->escape.digits < 4)
        return true;
    e->state = STRING;
    return unicode_escape(e, e->escape.unit);
}

static void value_ended(struct tc_envelope *e)
{
    e->text_rule = -1;
    e->muted = false;
    e->state = e->path.depth ? AFTER : DONE;
}

/* A string that may say that its object is a draft: "image_generation.partial_image". */
static void read_mark(struct tc_envelope *e)
{
    static const char wanted[] = "partial";
    size_t size = sizeof(wanted) - 1;
    for (size_t i = 0; i + size <= e->key.size; i++)
        if (!memcmp(e->key.text + i, wanted, size))
            found_draft(e);
}

static bool end_string(struct tc_envelope *e)
{
    if (!drop_surrogate(e))
        return false;
    if (is_undecided(e->role) && !end_undecided(e))
        return false;
    unsigned char role = e->role;
    if (role == ROLE_KEY) {
        e->state = COLON;
        tc_path_key(&e->path, e->key.size < TC_ENVELOPE_KEY ? e->key.text : NULL, e->key.size);
        return keep_char(e, '"');
    }
    if (role == ROLE_MARK)
        read_mark(e);
    bool ends = is_image(e) && !goes_on(e);
    value_ended(e);
    if (ends && !close_image(e))
        return false;
    return role == ROLE_IMAGE || role == ROLE_SKIPPED || keep_char(e, '"');
}

/* Keeps plain text. Returns how much. */
static size_t kept_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    size_t most = TC_ENVELOPE_STRING + 1; /* one more than a string may have */
    if (e->for_pictures && is_plain(e) && size > most)
        size = most;
    size_t taken = tc_scan_plain(bytes, size, '"');
    bool kept = string_bytes(e, bytes, taken) && keep(e, bytes, taken) && check_length(e);
    return kept ? taken : 0;
}

/* Takes as much of a string as it can at once; the first character is plain. Returns how much; 0
 * for a character of a picture that is not base64. */
static size_t string_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    switch (e->role) {
    case ROLE_SKIPPED:
        return tc_scan_plain(bytes, size, '"');
    case ROLE_IMAGE_TO_COME:
    case ROLE_URL_TO_COME:
    case ROLE_PROSE_TO_COME:
        return undecided_char(e, *bytes);
    case ROLE_IMAGE:
    case ROLE_IMAGE_IN_PROSE:
        return image_span(e, bytes, size);
    default:
        return is_prose(e) ? prose_span(e, bytes, size) : kept_span(e, bytes, size);
    }
}

/* Takes a plain run of a string, or one character of it. Returns how many bytes. */
static size_t on_string(struct tc_envelope *e, const char *bytes, size_t size)
{
    char character = *bytes;
    if (e->escape.surrogate && character != '\\' && !drop_surrogate(e))
        return 0;
    if (character == '"')
        return end_string(e);
    if (character == '\\') {
        e->state = ESCAPE;
        return 1;
    }
    if ((unsigned char)character < 0x20)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (!switch_at(e, character))
        return 0;
    size_t taken = string_span(e, bytes, size);
    return taken || e->state == FAILED ? taken : image_char(e, character);
}

/* ---- numbers and literals ---- */

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* The state of a number after one more character, or DONE when that is not part of it. */
static enum state number_next(unsigned char state, char character)
{
    bool digit = is_digit(character), e = character == 'e' || character == 'E';
    switch (state) {
    case MINUS:
        return character == '0' ? ZERO : digit ? INTEGER : FAILED;
    case ZERO:
        return character == '.' ? POINT : e ? EXPONENT : digit ? FAILED : DONE;
    case INTEGER:
        return digit ? INTEGER : character == '.' ? POINT : e ? EXPONENT : DONE;
    case POINT:
        return digit ? FRACTION : FAILED;
    case FRACTION:
        return digit ? FRACTION : e ? EXPONENT : DONE;
    case EXPONENT:
        return digit                                  ? EXPONENT_DIGITS
               : character == '+' || character == '-' ? EXPONENT_SIGN
                                                      : FAILED;
    case EXPONENT_SIGN:
        return digit ? EXPONENT_DIGITS : FAILED;
    default:
        return digit ? EXPONENT_DIGITS : DONE;
    }
}

static bool number_char(struct tc_envelope *e, char character, enum state state)
{
    e->state = (unsigned char)state;
    return capture(e, &character, 1) && (e->muted || keep_char(e, character));
}

/* Returns whether the character was part of the number. */
static bool on_number(struct tc_envelope *e, char character)
{
    enum state next = number_next(e->state, character);
    if (next == FAILED)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (next != DONE)
        return number_char(e, character, next);
    value_ended(e);
    return false;
}

static bool begin_literal(struct tc_envelope *e, const char *literal)
{
    e->state = LITERAL;
    e->literal = literal + 1;
    return keep(e, literal, strlen(literal));
}

static bool on_literal(struct tc_envelope *e, char character)
{
    if (character != *e->literal)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (!*++e->literal)
        value_ended(e);
    return true;
}

/* ---- values beside the pictures ---- */

/* Drops a container that no rule leads into once it is too large, to save time and memory. */
static bool check_aside(struct tc_envelope *e)
{
    if (!e->aside.depth || e->aside.silent)
        return true;
    if (e->values - e->aside.values <= TC_ENVELOPE_ASIDE_VALUES &&
        e->text.size - e->aside.start <= TC_ENVELOPE_STRING)
        return true;
    e->text.size = e->aside.start;
    bool kept = keep(e, "null", 4);
    e->aside.silent = true;
    return kept;
}

/* A value begins. If pictures are wanted, too many other values are an error. */
static bool count_value(struct tc_envelope *e)
{
    e->values++;
    if (!e->for_pictures || e->aside.silent)
        return true;
    if (e->values - e->aside.dropped > TC_ENVELOPE_VALUES)
        return fail(e, TC_ENVELOPE_TOO_MANY_VALUES);
    return check_aside(e);
}

/* A container opens. Notes it if it is the outermost one that no rule leads into. */
static void open_aside(struct tc_envelope *e)
{
    if (!e->for_pictures || e->aside.depth || tc_path_is_named(&e->path) || !e->path.depth)
        return;
    e->aside.depth = e->path.depth + 1;
    e->aside.start = e->text.size;
    e->aside.values = e->values;
}

/* A container closes. Returns whether it was dropped: null stands for it, without a bracket. */
static bool close_aside(struct tc_envelope *e)
{
    bool dropped = e->aside.silent && e->aside.depth == e->path.depth;
    if (e->aside.depth != e->path.depth)
        return false;
    e->aside.depth = 0;
    if (dropped)
        e->aside.dropped += e->values - e->aside.values;
    e->aside.silent = false;
    return dropped;
}

/* ---- structure ---- */

static bool open_container(struct tc_envelope *e, bool object)
{
    bool scope = object && tc_path_has_field(&e->path, TC_CAPTURE_DRAFT);
    open_aside(e);
    if (!tc_path_open(&e->path, object))
        return fail(e, TC_ENVELOPE_TOO_DEEP);
    if (scope) {
        e->outer_scope = e->scope;
        e->scope = (struct tc_draft_scope){e->path.depth, e->images.count, false};
    }
    e->state = object ? FIRST_KEY : FIRST_VALUE;
    e->text_rule = -1;
    return keep_char(e, object ? '{' : '[');
}

static bool close_container(struct tc_envelope *e, char character)
{
    if (character != (tc_path_in_object(&e->path) ? '}' : ']'))
        return fail(e, TC_ENVELOPE_NOT_JSON);
    close_scope(e);
    if (e->item.depth == e->path.depth)
        e->item.depth = 0;
    bool dropped = close_aside(e);
    tc_path_close(&e->path);
    value_ended(e);
    return dropped || keep_char(e, character);
}

/* Only the scanner writes numbers in the place of a picture: null stands for the server's. */
static bool begin_number(struct tc_envelope *e, char character, enum role role)
{
    e->muted = role == ROLE_IMAGE_TO_COME || role == ROLE_URL_TO_COME;
    if (e->muted && !keep(e, "null", 4))
        return false;
    return number_char(e, character, character == '-' ? MINUS : character == '0' ? ZERO : INTEGER);
}

static bool on_value(struct tc_envelope *e, char character)
{
    enum role role = string_role(e);
    if (character == 'n')
        return count_value(e) && begin_literal(e, "null");
    if (character == ']' && e->state == FIRST_VALUE)
        return close_container(e, character);
    if (!strchr("\"{[tf-0123456789", character) || !character)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (!count_value(e))
        return false;
    if (character == '"' && role != ROLE_KEPT)
        return begin_string(e, role);
    if (character == '{' || character == '[')
        return open_container(e, character == '{');
    if (character == 't' && role == ROLE_MARK)
        found_draft(e);
    if (character == 't' || character == 'f')
        return begin_literal(e, character == 't' ? "true" : "false");
    if (!begin_capture(e))
        return false;
    return character == '"' ? begin_string(e, ROLE_KEPT) : begin_number(e, character, role);
}

static bool on_key(struct tc_envelope *e, char character)
{
    if (character == '"')
        return begin_string(e, ROLE_KEY);
    if (character == '}' && e->state == FIRST_KEY)
        return close_container(e, character);
    return fail(e, TC_ENVELOPE_NOT_JSON);
}

static bool on_after(struct tc_envelope *e, char character)
{
    if (character != ',')
        return close_container(e, character);
    bool object = tc_path_in_object(&e->path);
    e->state = object ? KEY : VALUE;
    if (!object)
        tc_path_element(&e->path);
    return keep_char(e, ',');
}

/* One character between values. */
static bool on_structure(struct tc_envelope *e, char character)
{
    if (tc_scan_is_space(character)) {
        e->documents.line_ended =
            e->documents.line_ended || (e->state == DONE && character == '\n');
        return true;
    }
    switch (e->state) {
    case VALUE:
    case FIRST_VALUE:
        return on_value(e, character);
    case FIRST_KEY:
    case KEY:
        return on_key(e, character);
    case COLON:
        if (character != ':')
            return fail(e, TC_ENVELOPE_NOT_JSON);
        e->state = VALUE;
        return keep_char(e, ':');
    case AFTER:
        return on_after(e, character);
    default:
        return fail(e, TC_ENVELOPE_TRAILING);
    }
}

/* Takes at least one byte unless it fails. Returns how many. */
static size_t step(struct tc_envelope *e, const char *bytes, size_t size)
{
    e->steps++;
    switch (e->state) {
    case STRING:
        return on_string(e, bytes, size);
    case ESCAPE:
        return on_escape(e, *bytes);
    case UNICODE:
        return on_unicode(e, *bytes);
    case LITERAL:
        return on_literal(e, *bytes);
    case MINUS:
    case ZERO:
    case INTEGER:
    case POINT:
    case FRACTION:
    case EXPONENT:
    case EXPONENT_SIGN:
    case EXPONENT_DIGITS:
        if (on_number(e, *bytes) || e->state == FAILED)
            return e->state != FAILED;
        return on_structure(e, *bytes);
    default:
        return on_structure(e, *bytes);
    }
}

/* ---- documents and what stands around them ---- */

static void begin_document(struct tc_envelope *e)
{
    e->state = VALUE;
    e->item.depth = 0;
    tc_path_begin(&e->path, e->path.rules, e->path.rule_count);
    e->text_rule = -1;
}

/* A model may think aloud in thousands of events before the picture comes. Once there are many, an
 * event without a picture is forgotten when the next one begins. */
static void forget_document(struct tc_envelope *e)
{
    bool many = e->values - e->aside.dropped > TC_ENVELOPE_VALUES / 2 ||
                e->text.size > TC_ENVELOPE_BESIDE / 2;
    if (!e->for_pictures || !e->documents.count || !many || e->documents.images != e->images.count)
        return;
    e->text.size = e->documents.start;
    e->aside.dropped += e->values - e->documents.values;
}

/* JSON comes. If it is the first of its line, a document begins with it, unless one is open. */
static bool begin_line(struct tc_envelope *e)
{
    bool begins = e->documents.new_line && (!e->documents.count || e->state == DONE);
    e->documents.new_line = false;
    if (!begins)
        return true;
    forget_document(e);
    begin_document(e);
    e->documents.start = e->text.size;
    e->documents.values = e->values;
    e->documents.images = e->images.count;
    return keep_char(e, e->documents.count++ ? ',' : '[');
}

/* Another document begins on a line of its own. The envelope becomes a list of them. */
static bool begin_another(struct tc_envelope *e)
{
    if (!e->documents.count) {
        if (!keep_char(e, '['))
            return false;
        memmove(e->text.data + 1, e->text.data, e->text.size - 1);
        e->text.data[0] = '[';
        e->documents.count = 1;
        e->documents.start = 1;
    }
    e->documents.new_line = true;
    e->documents.line_ended = false;
    return begin_line(e);
}

/* Does another document begin with the character `next`, on a line after the end of one? */
static bool begins_another(const struct tc_envelope *e, char next)
{
    return e->state == DONE && e->documents.line_ended && next == '{' && !e->framing.events &&
           (e->documents.count || (e->text.size && e->text.data[0] == '{'));
}

/* Returns how many bytes it took, fewer only when it fails. */
static size_t feed_json(struct tc_envelope *e, const char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size && e->state != FAILED) {
        if (begins_another(e, bytes[done]) && !begin_another(e))
            break;
        done += step(e, bytes + done, size - done);
    }
    return done;
}

/* The input only began like a picture. */
static bool no_picture(struct tc_envelope *e)
{
    tc_images_free(&e->images);
    return fail(e, TC_ENVELOPE_NOT_JSON);
}

/* Returns whether the bytes may be a picture's. */
static bool feed_picture(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (!e->for_pictures && !e->raw)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (!tc_images_open(&e->images) && !open_image(e))
        return false;
    const struct tc_image *image = tc_images_open(&e->images);
    if (!tc_images_append(&e->images, bytes, size, input_left(e)))
        return fail(e, TC_ENVELOPE_NO_MEMORY);
    bool may_be = tc_signature_end(&image->signature) != TC_END_UNKNOWN &&
                  !tc_signature_is_text(&image->signature);
    return e->raw || may_be || no_picture(e);
}

/* An event ends, or its next line begins. If a document is open, the scanner reads a line's end. */
static bool feed_break(struct tc_envelope *e, enum tc_run_kind kind)
{
    e->documents.new_line = kind == TC_RUN_LINE;
    if (!e->documents.count || e->state == DONE)
        return true;
    if (!feed_json(e, "\n", 1))
        return false;
    return kind == TC_RUN_LINE || e->state == DONE || fail(e, TC_ENVELOPE_TRUNCATED);
}

/* Reads a run. Sets `*done` to how many of its bytes were taken, if that is not all. */
static bool feed_run(struct tc_envelope *e, const struct tc_run *run, size_t *done)
{
    switch (run->kind) {
    case TC_RUN_NONE:
        return true;
    case TC_RUN_JSON:
        *done = begin_line(e) ? feed_json(e, run->bytes, run->size) : 0;
        break;
    case TC_RUN_PICTURE:
        if (!feed_picture(e, run->bytes, run->size)) /* wrong from its beginning on */
            *done = e->position = 0;
        break;
    default:
        return feed_break(e, run->kind);
    }
    return e->state != FAILED;
}

void tc_envelope_init(struct tc_envelope *e, const struct tc_rule *rules, unsigned count)
{
    memset(e, 0, sizeof(*e));
    forget_texts(e);
    e->path.rules = rules;
    e->path.rule_count = count;
    begin_document(e);
}

void tc_envelope_reset(struct tc_envelope *e)
{
    struct tc_envelope old = *e;
    tc_envelope_free(e);
    tc_envelope_init(e, old.path.rules, old.path.rule_count);
    e->images.spare = old.images.spare;
    e->images.streaming = old.images.streaming;
    e->for_pictures = old.for_pictures;
}

bool tc_envelope_feed(struct tc_envelope *e, const char *bytes, size_t size)
{
    while (size && e->state != FAILED) {
        struct tc_run run = {TC_RUN_PICTURE, bytes, size};
        size_t taken = e->raw ? size : tc_framing_next(&e->framing, bytes, size, &run);
        size_t done = run.size;
        e->steps++;
        bool good = feed_run(e, &run, &done);
        taken = good ? taken : taken < done ? taken : done;
        bytes += taken;
        size -= taken;
        e->position += taken;
    }
    return e->state != FAILED;
}

/* The end of an input that is a picture. */
static bool finish_picture(struct tc_envelope *e)
{
    static const char text[] = "{\"data\":[{\"b64_json\":1}]}";
    if (!e->raw && !e->images.list[0]->signature.mime)
        return no_picture(e);
    e->state = DONE;
    tc_images_end(&e->images, TC_BASE64_OK);
    return keep(e, text, sizeof(text) - 1);
}

bool tc_envelope_is_whole(const struct tc_envelope *e)
{
    return e->state == DONE && !e->framing.events;
}

bool tc_envelope_finish(struct tc_envelope *e)
{
    if (e->state == FAILED)
        return false;
    if (e->state == ZERO || e->state == INTEGER || e->state == FRACTION ||
        e->state == EXPONENT_DIGITS)
        value_ended(e);
    if ((e->raw || e->framing.picture) && e->images.count)
        return finish_picture(e);
    if (e->framing.events && !e->documents.count)
        return fail(e, TC_ENVELOPE_NOT_JSON); /* it only began like a stream of events */
    if (e->state != DONE)
        return fail(e, TC_ENVELOPE_TRUNCATED);
    if (tc_images_open(&e->images) && !close_image(e))
        return false;
    tc_images_release(&e->images, 0, false);
    return !e->documents.count || keep_char(e, ']');
}

void tc_envelope_describe(const struct tc_envelope *e, char *text, size_t size)
{
    unsigned long long at = e->position;
    switch (e->error) {
    case TC_ENVELOPE_NOT_JSON:
        snprintf(text, size, "the response is not JSON (byte %llu)", at);
        break;
    case TC_ENVELOPE_TRUNCATED:
        snprintf(text, size,
                 at ? "the response ends too early (after %llu bytes)" : "the response is empty",
                 at);
        break;
    case TC_ENVELOPE_TRAILING:
        snprintf(text, size, "the response has something behind its end (byte %llu)", at);
        break;
    case TC_ENVELOPE_TOO_DEEP:
        snprintf(text, size, "the response nests deeper than %d (byte %llu)", TC_PATH_DEPTH, at);
        break;
    case TC_ENVELOPE_TOO_LARGE:
        snprintf(text, size, "the response has more than %d MiB beside its images",
                 (int)(most_text(e) >> 20));
        break;
    case TC_ENVELOPE_TOO_MANY_VALUES:
        snprintf(text, size, "the response has more than %d values beside its images",
                 TC_ENVELOPE_VALUES);
        break;
    case TC_ENVELOPE_TOO_MANY_IMAGES:
        snprintf(text, size, "the response has more than %d images", TC_IMAGES);
        break;
    case TC_ENVELOPE_NO_MEMORY:
        snprintf(text, size, "not enough memory");
        break;
    default:
        snprintf(text, size, "no error");
    }
}

void tc_envelope_free(struct tc_envelope *e)
{
    tc_buffer_free(&e->text);
    if (e->texts != no_texts)
        free_texts(e);
    tc_images_free(&e->images);
}
