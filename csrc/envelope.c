/*
 * The splitter: see envelope.h for what it does and what may be cut where.
 *
 * A byte-driven state machine over RFC 8259's grammar. Strings, where nearly all bytes are, are
 * taken in spans: a kept one up to the next quote, backslash or control character, a picture's up
 * to the first character that is not base64. What may turn out to be the head of a data URL is
 * kept like any text, and taken out of the envelope again once its base64 begins. Which rules can
 * still match is one bit a rule, kept per open container, so a path costs one comparison a key.
 */
#include "envelope.h"

#include "alloc.h"
#include "scan.h"

#include <stdio.h>
#include <string.h>

enum state {
    START,       /* nothing but a byte order mark may come before the value */
    BOM,         /* inside it */
    VALUE,       /* a value must come */
    FIRST_VALUE, /* behind '[': a value or ']' */
    FIRST_KEY,   /* behind '{': a key or '}' */
    KEY,         /* behind ',' in an object */
    COLON,       /* behind a key */
    AFTER,       /* behind a value: ',' or the container's end */
    STRING,
    ESCAPE,  /* behind a backslash */
    UNICODE, /* in the digits of \uXXXX */
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

enum role {
    ROLE_KEY,
    ROLE_KEPT,
    ROLE_IMAGE_TO_COME,
    ROLE_IMAGE,
    ROLE_URL,           /* a data URL from its beginning, or kept */
    ROLE_PROSE,         /* kept, with data URLs inside */
    ROLE_IMAGE_IN_PROSE /* inside one of those */
};

#define OBJECT 0x80000000U /* in a level: it is an object, not a list */

static bool fail(struct tc_envelope *e, enum tc_envelope_error error)
{
    if (!e->error)
        e->error = error;
    e->state = FAILED;
    return false;
}

/* ---- the envelope ---- */

static bool keep(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (size > TC_ENVELOPE_SIZE - e->text.size)
        return fail(e, TC_ENVELOPE_TOO_LARGE);
    return tc_buffer_append(&e->text, bytes, size) || fail(e, TC_ENVELOPE_NO_MEMORY);
}

static bool keep_char(struct tc_envelope *e, char character)
{
    return keep(e, &character, 1);
}

/* Adds to the captured text of the value under way, if it is captured at all. */
static bool capture(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (e->text_rule < 0)
        return true;
    struct tc_buffer *text = &e->texts[e->text_rule];
    size_t room = TC_ENVELOPE_TEXT - text->size;
    return tc_buffer_append(text, bytes, size < room ? size : room) ||
           fail(e, TC_ENVELOPE_NO_MEMORY);
}

/* ---- rules ---- */

/* Of the rules that lead to the innermost container, those that `step` leads on. */
static uint32_t matching(const struct tc_envelope *e, const char *step, size_t size)
{
    uint32_t candidates = e->levels[e->depth - 1] & ~OBJECT, matched = 0;
    bool is_list = !(e->levels[e->depth - 1] & OBJECT); /* an object may have a key "[]" */
    size_t place = e->depth - 1;
    if (place >= sizeof(e->rules->path) / sizeof(e->rules->path[0]))
        return 0;
    for (unsigned i = 0; i < e->rule_count; i++) {
        const char *wanted = e->rules[i].path[place];
        if ((candidates >> i & 1) && wanted && strlen(wanted) == size &&
            !memcmp(wanted, step, size) && is_list == !strcmp(wanted, "[]"))
            matched |= 1U << i;
    }
    return matched;
}

/* The rule whose path ends at the value to come, or -1. */
static int rule_here(const struct tc_envelope *e)
{
    if (e->depth >= sizeof(e->rules->path) / sizeof(e->rules->path[0]))
        return -1;
    for (unsigned i = 0; i < e->rule_count; i++)
        if ((e->value_rules >> i & 1) && !e->rules[i].path[e->depth])
            return (int)i;
    return -1;
}

/* What a string would be if it were the value to come. */
static enum role string_role(const struct tc_envelope *e)
{
    static const enum role roles[] = {
        [TC_CAPTURE_BASE64] = ROLE_IMAGE_TO_COME,
        [TC_CAPTURE_DATA_URL] = ROLE_URL,
        [TC_CAPTURE_PROSE] = ROLE_PROSE,
        [TC_CAPTURE_TEXT] = ROLE_KEPT,
    };
    int rule = rule_here(e);
    return rule < 0 ? ROLE_KEPT : roles[e->rules[rule].capture];
}

static bool begin_capture(struct tc_envelope *e)
{
    int rule = rule_here(e);
    e->text_rule = rule >= 0 && e->rules[rule].capture == TC_CAPTURE_TEXT ? rule : -1;
    return e->text_rule < 0 || !e->texts[rule].size || capture(e, "; ", 2);
}

/* ---- pictures ---- */

struct tc_image *tc_envelope_open_image(const struct tc_envelope *e)
{
    struct tc_image *last = e->image_count ? e->images[e->image_count - 1] : NULL;
    return last && !last->whole ? last : NULL;
}

static bool open_image(struct tc_envelope *e)
{
    if (e->image_count == TC_ENVELOPE_IMAGES)
        return fail(e, TC_ENVELOPE_TOO_MANY_IMAGES);
    struct tc_image *image = tc_calloc(sizeof(*image));
    if (!image)
        return fail(e, TC_ENVELOPE_NO_MEMORY);
    e->images[e->image_count++] = image;
    e->base64 = (struct tc_base64){0, 0, 0};
    return true;
}

/* Opens a picture that is the whole string: its number is what the envelope has for it. */
static bool open_numbered_image(struct tc_envelope *e)
{
    char number[12];
    if (!open_image(e))
        return false;
    e->role = ROLE_IMAGE;
    return keep(e, number, (size_t)snprintf(number, sizeof(number), "%u", e->image_count));
}

/* Are there whole pictures that nobody has taken yet? The last one, under way, does not count. */
static bool is_waited_for(const struct tc_envelope *e)
{
    for (unsigned i = 0; i + 1 < e->image_count; i++)
        if (e->images[i])
            return true;
    return false;
}

/* Goes on in the spare buffer, if that is larger; the one it had was small. */
static void move_to_spare(struct tc_envelope *e, struct tc_buffer *bytes)
{
    struct tc_buffer *spare = e->spare;
    if (!spare || spare->capacity <= bytes->capacity)
        return;
    if (bytes->size)
        memcpy(spare->data, bytes->data, bytes->size);
    spare->size = bytes->size;
    tc_buffer_free(bytes);
    *bytes = *spare;
    *spare = (struct tc_buffer){NULL, 0, 0};
}

/* Bytes of input to come, those under way included; 0 where nobody knows. */
static uint64_t input_left(const struct tc_envelope *e)
{
    return e->expected > e->position ? e->expected - e->position : 0;
}

/*
 * Makes room for `size` more bytes of the picture, of which `rest` may come at most. New memory
 * costs more than the decoding: pages that were used before are taken first, and what is new is as
 * large as the rest can need. A picture that begins while another one waits to be taken stays
 * small, for that one's buffer will be free in a moment.
 */
static bool make_room(struct tc_envelope *e, struct tc_buffer *bytes, size_t size, uint64_t rest)
{
    if (bytes->capacity - bytes->size >= size)
        return true;
    move_to_spare(e, bytes);
    if (bytes->capacity - bytes->size >= size)
        return true;
    bool all = rest > size && rest <= SIZE_MAX && !e->streaming && !is_waited_for(e);
    return (all && tc_buffer_reserve(bytes, (size_t)rest)) || tc_buffer_reserve(bytes, size) ||
           fail(e, TC_ENVELOPE_NO_MEMORY);
}

static void image_grew(struct tc_image *image, size_t size)
{
    tc_signature_feed(&image->signature, image->bytes.data + image->bytes.size, size);
    image->bytes.size += size;
    image->size += size;
}

static bool bad_base64(struct tc_envelope *e, enum tc_base64_error error)
{
    e->base64_error = error;
    return fail(e, TC_ENVELOPE_NOT_BASE64);
}

/* Decodes as far as the characters are base64. Returns how many it took. */
static size_t image_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (e->role == ROLE_IMAGE_TO_COME && !open_numbered_image(e))
        return 0;
    struct tc_image *image = tc_envelope_open_image(e);
    if (!make_room(e, &image->bytes, TC_BASE64_ROOM(size), TC_BASE64_ROOM(input_left(e))))
        return 0;
    size_t written;
    size_t taken =
        tc_base64_decode(&e->base64, bytes, size, image->bytes.data + image->bytes.size, &written);
    image_grew(image, written);
    return taken;
}

/* One character that may be anything: from an escape, or where image_span stopped. */
static bool image_char(struct tc_envelope *e, char character)
{
    if (image_span(e, &character, 1) == 1)
        return true;
    if (e->state == FAILED)
        return false;
    enum tc_base64_error error = tc_base64_odd(&e->base64, (unsigned char)character);
    return !error || bad_base64(e, error);
}

static bool close_image(struct tc_envelope *e)
{
    struct tc_image *image = tc_envelope_open_image(e);
    size_t written;
    if (!tc_buffer_reserve(&image->bytes, 2))
        return fail(e, TC_ENVELOPE_NO_MEMORY);
    enum tc_base64_error error =
        tc_base64_finish(&e->base64, image->bytes.data + image->bytes.size, &written);
    if (error)
        return bad_base64(e, error);
    image_grew(image, written);
    if (!image->size) /* nothing but white space */
        return bad_base64(e, TC_BASE64_TRUNCATED);
    image->whole = true;
    return true;
}

/* ---- data URLs ---- */

#define DATA   UINT64_C(0x646174613a)       /* "data:" */
#define BASE64 UINT64_C(0x3b6261736536342c) /* ";base64," */

/* Has the head of a data URL of base64 just ended? */
static bool payload_is_next(const struct tc_envelope *e)
{
    return e->head && e->recent == BASE64;
}

/* May the character be in a media type or its parameters (RFC 2045's token, and "/;=")? */
static bool is_media_type(char character)
{
    return character > ' ' && character < '\x7f' && !strchr("()<>@,:\\\"[]?", character);
}

/* Takes note of a character that was kept. A colon is in no head but behind its "data". */
static void follow_head(struct tc_envelope *e, char character)
{
    bool capital = character >= 'A' && character <= 'Z', inside = e->head && !payload_is_next(e);
    e->recent = e->recent << 8 | (unsigned char)(capital ? character | 0x20 : character);
    if ((e->recent & UINT64_C(0xffffffffff)) == DATA)
        e->head = 5;
    else if (inside && e->head < TC_ENVELOPE_HEAD &&
             (is_media_type(character) || e->recent == BASE64))
        e->head++;
    else
        e->head = 0;
}

/* Keeps plain text: up to a colon, or one character of what may be a head. Returns how much. */
static size_t prose_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (e->head)
        size = 1;
    size_t taken = tc_scan_plain(bytes, size, ':');
    if (taken < size && bytes[taken] == ':')
        taken++;
    if (!keep(e, bytes, taken))
        return 0;
    for (size_t i = taken > sizeof(e->recent) ? taken - sizeof(e->recent) : 0; i < taken; i++)
        follow_head(e, bytes[i]);
    return taken;
}

/*
 * The head and what belongs to it leave the envelope. Each of its characters is one byte there, and
 * a quotation mark in front of it can only be the string's own: others are escaped.
 */
static bool open_payload(struct tc_envelope *e)
{
    e->text.size -= e->head;
    e->head = 0;
    if (e->role == ROLE_URL) {
        e->text.size--;
        return open_numbered_image(e);
    }
    e->role = ROLE_IMAGE_IN_PROSE;
    return open_image(e);
}

/* Where a picture begins or ends inside a string, before the string's next character. */
static bool turn(struct tc_envelope *e, char next)
{
    if (e->role == ROLE_IMAGE_IN_PROSE && next != '=' && !tc_base64_has((unsigned char)next)) {
        e->role = ROLE_PROSE;
        return close_image(e);
    }
    if (!payload_is_next(e))
        return true;
    bool begins = e->role == ROLE_URL ? e->text.data[e->text.size - e->head - 1] == '"'
                                      : tc_base64_has((unsigned char)next);
    return !begins || open_payload(e);
}

/* ---- strings ---- */

static bool begin_string(struct tc_envelope *e, enum role role)
{
    e->state = STRING;
    e->role = (unsigned char)role;
    e->surrogate = 0;
    e->key_size = 0;
    e->recent = e->head = 0;
    return role == ROLE_IMAGE_TO_COME || keep_char(e, '"');
}

/* Adds unescaped text to what the string is for, the envelope aside. */
static bool string_bytes(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (e->role != ROLE_KEY)
        return capture(e, bytes, size);
    for (size_t i = 0; i < size && e->key_size < TC_ENVELOPE_KEY; i++)
        e->key[e->key_size++] = bytes[i];
    return true;
}

/* Is it text that may have a data URL inside? */
static bool is_prose(const struct tc_envelope *e)
{
    return e->role == ROLE_URL || e->role == ROLE_PROSE;
}

/* Is the string under way a picture, here at least? */
static bool is_image(const struct tc_envelope *e)
{
    return e->role == ROLE_IMAGE || e->role == ROLE_IMAGE_TO_COME || e->role == ROLE_IMAGE_IN_PROSE;
}

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

/* One code point that was escaped. What JSON need not escape goes to the envelope as UTF-8. */
static bool string_point(struct tc_envelope *e, uint32_t point)
{
    char text[8];
    size_t size = utf8(point, text);
    char character = text[0]; /* beyond ASCII it is neither base64 nor in a head */
    if (!turn(e, character))
        return false;
    if (is_image(e))
        return image_char(e, character);
    if (!string_bytes(e, text, size))
        return false;
    if (is_prose(e))
        follow_head(e, character);
    if (point < 0x20 || point == '"' || point == '\\')
        size = (size_t)snprintf(text, sizeof(text), "\\u%04x", (unsigned)point);
    return keep(e, text, size);
}

/* A high surrogate whose low one did not come is no character. */
static bool drop_surrogate(struct tc_envelope *e)
{
    bool waits = e->surrogate != 0;
    e->surrogate = 0;
    return !waits || string_point(e, 0xfffd);
}

static bool unicode_escape(struct tc_envelope *e, uint32_t unit)
{
    bool low = unit >= 0xdc00 && unit <= 0xdfff;
    if (low && e->surrogate) {
        uint32_t high = e->surrogate;
        e->surrogate = 0;
        return string_point(e, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
    }
    if (!drop_surrogate(e))
        return false;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        e->surrogate = unit;
        return true;
    }
    return string_point(e, low ? 0xfffd : unit);
}

static bool on_escape(struct tc_envelope *e, char character)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (character == 'u') {
        e->state = UNICODE;
        e->escape = 0;
        e->escape_digits = 0;
        return true;
    }
    const char *letter = character ? strchr(letters, character) : NULL;
    if (!letter)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    e->state = STRING;
    return drop_surrogate(e) && string_point(e, (unsigned char)meanings[letter - letters]);
}

static int hex_value(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool on_unicode(struct tc_envelope *e, char character)
{
    int value = hex_value(character);
    if (value < 0)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    e->escape = e->escape << 4 | (uint32_t)value;
    if (++e->escape_digits < 4)
        return true;
    e->state = STRING;
    return unicode_escape(e, e->escape);
}

static void value_ended(struct tc_envelope *e)
{
    e->text_rule = -1;
    e->state = e->depth ? AFTER : DONE;
}

static bool end_string(struct tc_envelope *e)
{
    if (!drop_surrogate(e))
        return false;
    switch (e->role) {
    case ROLE_KEY:
        e->state = COLON;
        e->value_rules = e->key_size < TC_ENVELOPE_KEY ? matching(e, e->key, e->key_size) : 0;
        return keep_char(e, '"');
    case ROLE_IMAGE_TO_COME:
        value_ended(e);
        return keep(e, "\"\"", 2);
    case ROLE_IMAGE:
        value_ended(e);
        return close_image(e);
    case ROLE_IMAGE_IN_PROSE:
        value_ended(e);
        return close_image(e) && keep_char(e, '"');
    default:
        value_ended(e);
        return keep_char(e, '"');
    }
}

static size_t kept_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    size_t taken = tc_scan_plain(bytes, size, '"');
    return string_bytes(e, bytes, taken) && keep(e, bytes, taken) ? taken : 0;
}

/* As much of a string as can be taken at once, from a character that is plain. */
static size_t string_span(struct tc_envelope *e, const char *bytes, size_t size)
{
    if (is_image(e))
        return image_span(e, bytes, size);
    return is_prose(e) ? prose_span(e, bytes, size) : kept_span(e, bytes, size);
}

/* A plain run of a string, or one character of it. Returns the count. */
static size_t on_string(struct tc_envelope *e, const char *bytes, size_t size)
{
    char character = *bytes;
    if (e->surrogate && character != '\\' && !drop_surrogate(e))
        return 0;
    if (character == '"')
        return end_string(e);
    if (character == '\\') {
        e->state = ESCAPE;
        return 1;
    }
    if ((unsigned char)character < 0x20)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (!turn(e, character))
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
    return capture(e, &character, 1) && keep_char(e, character);
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

/* ---- structure ---- */

static bool open_container(struct tc_envelope *e, uint32_t kind)
{
    if (e->depth == TC_ENVELOPE_DEPTH)
        return fail(e, TC_ENVELOPE_TOO_DEEP);
    e->levels[e->depth++] = e->value_rules | kind;
    e->state = kind ? FIRST_KEY : FIRST_VALUE;
    e->text_rule = -1;
    if (!kind)
        e->value_rules = matching(e, "[]", 2);
    return keep_char(e, kind ? '{' : '[');
}

static bool close_container(struct tc_envelope *e, char character)
{
    bool object = (e->levels[e->depth - 1] & OBJECT) != 0;
    if (character != (object ? '}' : ']'))
        return fail(e, TC_ENVELOPE_NOT_JSON);
    e->depth--;
    value_ended(e);
    return keep_char(e, character);
}

static bool on_value(struct tc_envelope *e, char character)
{
    enum role role = string_role(e);
    if (character == 'n')
        return begin_literal(e, "null");
    if (character == ']' && e->state == FIRST_VALUE)
        return close_container(e, character);
    if (!strchr("\"{[tf-0123456789", character) || !character)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (character == '"' && role != ROLE_KEPT)
        return begin_string(e, role);
    if (role == ROLE_IMAGE_TO_COME)
        return fail(e, TC_ENVELOPE_NOT_AN_IMAGE);
    if (character == '{' || character == '[')
        return open_container(e, character == '{' ? OBJECT : 0);
    if (character == 't' || character == 'f')
        return begin_literal(e, character == 't' ? "true" : "false");
    if (!begin_capture(e))
        return false;
    if (character == '"')
        return begin_string(e, ROLE_KEPT);
    return number_char(e, character, character == '-' ? MINUS : character == '0' ? ZERO : INTEGER);
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
    bool object = (e->levels[e->depth - 1] & OBJECT) != 0;
    e->state = object ? KEY : VALUE;
    if (!object)
        e->value_rules = matching(e, "[]", 2);
    return keep_char(e, ',');
}

static bool on_start(struct tc_envelope *e, char character)
{
    if (character == '\xef' && e->position == 0) {
        e->state = BOM;
        e->literal = "\xbb\xbf";
        return true;
    }
    return on_value(e, character);
}

static bool on_bom(struct tc_envelope *e, char character)
{
    if (character != *e->literal)
        return fail(e, TC_ENVELOPE_NOT_JSON);
    if (!*++e->literal)
        e->state = VALUE;
    return true;
}

static bool is_space(char character)
{
    return character == ' ' || character == '\n' || character == '\r' || character == '\t';
}

/* One character between values. */
static bool on_structure(struct tc_envelope *e, char character)
{
    if (is_space(character))
        return true;
    switch (e->state) {
    case START:
        return on_start(e, character);
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
    switch (e->state) {
    case STRING:
        return on_string(e, bytes, size);
    case ESCAPE:
        return on_escape(e, *bytes);
    case UNICODE:
        return on_unicode(e, *bytes);
    case LITERAL:
        return on_literal(e, *bytes);
    case BOM:
        return on_bom(e, *bytes);
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

void tc_envelope_init(struct tc_envelope *e, const struct tc_rule *rules, unsigned count)
{
    memset(e, 0, sizeof(*e));
    e->rules = rules;
    e->rule_count = count;
    e->value_rules = (1U << count) - 1;
    e->text_rule = -1;
    e->state = START;
}

void tc_envelope_reset(struct tc_envelope *e)
{
    struct tc_buffer *spare = e->spare;
    bool streaming = e->streaming;
    tc_envelope_free(e);
    tc_envelope_init(e, e->rules, e->rule_count);
    e->spare = spare;
    e->streaming = streaming;
}

bool tc_envelope_feed(struct tc_envelope *e, const char *bytes, size_t size)
{
    while (size && e->state != FAILED) {
        size_t taken = step(e, bytes, size);
        bytes += taken;
        size -= taken;
        e->position += taken;
    }
    return e->state != FAILED;
}

bool tc_envelope_feed_picture(struct tc_envelope *e, const void *bytes, size_t size)
{
    if (e->state == FAILED || !size)
        return e->state != FAILED;
    if (!tc_envelope_open_image(e) && !open_image(e))
        return false;
    struct tc_image *image = tc_envelope_open_image(e);
    if (!make_room(e, &image->bytes, size, input_left(e)))
        return false;
    memcpy(image->bytes.data + image->bytes.size, bytes, size);
    image_grew(image, size);
    e->position += size;
    return true;
}

bool tc_envelope_finish_picture(struct tc_envelope *e)
{
    struct tc_image *image = tc_envelope_open_image(e);
    if (e->state == FAILED || !image)
        return fail(e, TC_ENVELOPE_TRUNCATED);
    image->whole = true;
    e->state = DONE;
    return true;
}

bool tc_envelope_finish(struct tc_envelope *e)
{
    if (e->state == FAILED)
        return false;
    if (e->state == ZERO || e->state == INTEGER || e->state == FRACTION ||
        e->state == EXPONENT_DIGITS)
        value_ended(e);
    return e->state == DONE || fail(e, TC_ENVELOPE_TRUNCATED);
}

void tc_envelope_describe(const struct tc_envelope *e, char *text, size_t size)
{
    unsigned long long at = e->position;
    switch (e->error) {
    case TC_ENVELOPE_NOT_JSON:
        snprintf(text, size, "the answer is not JSON (byte %llu)", at);
        break;
    case TC_ENVELOPE_NOT_BASE64:
        snprintf(text, size, "image %u has %s (byte %llu of the answer)", e->image_count,
                 tc_base64_error_text(e->base64_error), at);
        break;
    case TC_ENVELOPE_NOT_AN_IMAGE:
        snprintf(text, size, "the answer has no string where an image belongs (byte %llu)", at);
        break;
    case TC_ENVELOPE_TRUNCATED:
        snprintf(text, size,
                 at ? "the answer ends too early (after %llu bytes)" : "the answer is empty", at);
        break;
    case TC_ENVELOPE_TRAILING:
        snprintf(text, size, "the answer has something behind its end (byte %llu)", at);
        break;
    case TC_ENVELOPE_TOO_DEEP:
        snprintf(text, size, "the answer nests deeper than %d (byte %llu)", TC_ENVELOPE_DEPTH, at);
        break;
    case TC_ENVELOPE_TOO_LARGE:
        snprintf(text, size, "the answer has more than %d MiB beside its images",
                 TC_ENVELOPE_SIZE >> 20);
        break;
    case TC_ENVELOPE_TOO_MANY_IMAGES:
        snprintf(text, size, "the answer has more than %d images", TC_ENVELOPE_IMAGES);
        break;
    case TC_ENVELOPE_NO_MEMORY:
        snprintf(text, size, "not enough memory");
        break;
    default:
        snprintf(text, size, "no error");
    }
}

/* Keeps the larger of the two as the spare buffer, unless it is too large to lie about. */
static void keep_spare(struct tc_envelope *e, struct tc_buffer *bytes)
{
    struct tc_buffer *spare = e->spare;
    if (bytes->capacity > TC_ENVELOPE_SPARE)
        tc_buffer_trim(bytes);
    if (spare && bytes->capacity > spare->capacity && bytes->capacity <= TC_ENVELOPE_SPARE) {
        struct tc_buffer old = *spare;
        *spare = *bytes;
        spare->size = 0;
        *bytes = old;
    }
    tc_buffer_free(bytes);
}

static void free_image(struct tc_envelope *e, unsigned index)
{
    struct tc_image *image = e->images[index];
    if (!image)
        return;
    e->images[index] = NULL;
    keep_spare(e, &image->bytes);
    tc_free(image);
}

void tc_envelope_drop_image(struct tc_envelope *e, unsigned index)
{
    if (e->images[index] && e->images[index]->whole)
        free_image(e, index);
}

void tc_envelope_free(struct tc_envelope *e)
{
    tc_buffer_free(&e->text);
    for (unsigned i = 0; i < TC_ENVELOPE_RULES; i++)
        tc_buffer_free(&e->texts[i]);
    for (unsigned i = 0; i < e->image_count; i++)
        free_image(e, i);
    e->image_count = 0;
}
