/*
 * The splitter: any pieces against the whole input at once: same envelope, texts, pictures, error
 * and position. And what it says must make sense by itself. The same for a picture that is alone.
 *
 * Input: one byte that picks the rules, three that cut (see fuzz.h), then the document.
 */
#include "splitter/envelope.h"
#include "fuzz.h"

static const struct tc_rule gateway[] = {
    {TC_CAPTURE_BASE64, {"data", "[]", "b64_json"}},
    {TC_CAPTURE_TEXT, {"data", "[]", "revised_prompt"}},
    {TC_CAPTURE_TEXT, {"error", "message"}},
    {TC_CAPTURE_TEXT, {"error"}},
    {TC_CAPTURE_TEXT, {"detail", "[]", "msg"}},
};
static const struct tc_rule anywhere[] = {
    {TC_CAPTURE_BASE64, {"[]"}},
    {TC_CAPTURE_TEXT, {"a"}},
    {TC_CAPTURE_BASE64, {"b"}},
    {TC_CAPTURE_TEXT, {"[]", "[]"}},
};
static const struct tc_rule chat[] = {
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "images", "[]", "image_url", "url"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "image", "url"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message", "content"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message", "content", "[]", "text"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "content", "[]", "image_url"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "content", "[]", "image_url", "url"}},
};
static const struct tc_rule gemini[] = {
    {TC_CAPTURE_BASE64, {"candidates", "[]", "content", "parts", "[]", "inlineData", "data"}},
    {TC_CAPTURE_BASE64, {"candidates", "[]", "content", "parts", "[]", "inline_data", "data"}},
    {TC_CAPTURE_PROSE, {"candidates", "[]", "content", "parts", "[]", "text"}},
};
static const struct tc_rule all_kinds[] = {
    {TC_CAPTURE_PROSE, {"[]"}},
    {TC_CAPTURE_DATA_URL, {"[]", "[]"}},
    {TC_CAPTURE_BASE64, {"[]", "[]", "[]"}},
    {TC_CAPTURE_PROSE, {"a"}},
    {TC_CAPTURE_DATA_URL, {"b"}},
};
/* What answers of every shape may have, and drafts. */
static const struct tc_rule union_of_all[] = {
    {TC_CAPTURE_TEXT, {"error", "message|reason"}},
    {TC_CAPTURE_BASE64, {"data|images", "[]", "b64_json"}},
    {TC_CAPTURE_DATA_URL, {"data|images", "[]", "url"}},
    {TC_CAPTURE_BASE64, {"images", "[]"}},
    {TC_CAPTURE_BASE64, {"b64_json"}},
    {TC_CAPTURE_DRAFT, {"type"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message|delta", "images|content", "[]", "image_url"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message|delta", "content"}},
    {TC_CAPTURE_BASE64,
     {"candidates", "[]", "content", "parts", "[]", "inlineData|inline_data", "data"}},
    {TC_CAPTURE_DRAFT, {"candidates", "[]", "content", "parts", "[]", "thought"}},
    {TC_CAPTURE_PROSE, {"candidates", "[]", "content", "parts", "[]", "text"}},
};
static const struct tc_rule root[] = {{TC_CAPTURE_BASE64, {NULL}}};
static const struct tc_rule root_text[] = {{TC_CAPTURE_TEXT, {NULL}}};
static const struct tc_rule root_url[] = {{TC_CAPTURE_DATA_URL, {NULL}}};
static const struct tc_rule root_prose[] = {{TC_CAPTURE_PROSE, {NULL}}};

static const struct {
    const struct tc_rule *rules;
    unsigned count;
} rule_sets[] = {{gateway, 5},    {anywhere, 4},  {root, 1},          {root_text, 1},
                 {NULL, 0},       {chat, 6},      {gemini, 3},        {root_url, 1},
                 {root_prose, 1}, {all_kinds, 5}, {union_of_all, 11}, {NULL, 0}};
enum { SETS = sizeof(rule_sets) / sizeof(rule_sets[0]), ALONE = SETS - 1 };

static bool alone; /* the input is one picture's own bytes */

static void start(struct tc_envelope *e, uint8_t pick, uint64_t expected)
{
    unsigned set = (unsigned)(uint8_t)(pick - '0') % SETS;
    alone = set == ALONE;
    tc_envelope_init(e, rule_sets[set].rules, rule_sets[set].count);
    e->expected = expected;
    e->raw = alone;
    e->for_pictures = (uint8_t)(pick - '0') / SETS & 1;
}

static void feed(struct tc_envelope *e, const char *text, size_t size)
{
    char *copy = exact_copy(text, size);
    uint64_t before = e->position;
    bool good = tc_envelope_feed(e, copy, size);
    CLAIM(good == !e->error);
    CLAIM(good ? e->position == before + size : e->position <= before + size);
    free(copy);
}

static void feed_pieces(struct tc_envelope *e, const uint8_t *cuts, const char *text, size_t size)
{
    size_t length;
    for (size_t turn = 0; size; turn++, text += length, size -= length) {
        length = piece_length(cuts, turn, size);
        feed(e, text, length);
    }
}

static void compare_buffers(const struct tc_buffer *one, const struct tc_buffer *other)
{
    CLAIM(one->size == other->size);
    CLAIM(!one->size || !memcmp(one->data, other->data, one->size));
}

static void compare_text(const char *one, const char *other)
{
    CLAIM(!one == !other && (!one || !strcmp(one, other)));
}

static void compare_images(const struct tc_image *one, const struct tc_image *other)
{
    compare_buffers(&one->bytes, &other->bytes);
    CLAIM(one->size == other->size && one->size == one->bytes.size);
    CLAIM(one->ended == other->ended && one->held == other->held && one->draft == other->draft);
    CLAIM(one->fault == other->fault && one->base64_error == other->base64_error);
    compare_text(one->signature.mime, other->signature.mime);
    compare_text(one->signature.ext, other->signature.ext);
    CLAIM(one->signature.width == other->signature.width);
    CLAIM(one->signature.height == other->signature.height);
}

static void compare(const struct tc_envelope *one, const struct tc_envelope *other)
{
    CLAIM(one->error == other->error);
    CLAIM(one->position == other->position);
    compare_buffers(&one->text, &other->text);
    for (unsigned i = 0; i < TC_PATH_RULES; i++)
        compare_buffers(&one->texts[i], &other->texts[i]);
    CLAIM(one->images.count == other->images.count);
    for (unsigned i = 0; i < one->images.count; i++)
        compare_images(one->images.list[i], other->images.list[i]);
}

/* What holds for any input. */
static void check_sense(const struct tc_envelope *e, size_t size)
{
    char text[128];
    CLAIM(e->position <= size && (e->error || e->position == size));
    for (unsigned i = 0; i < e->images.count; i++) {
        const struct tc_image *image = e->images.list[i];
        CLAIM(image->ended || (e->error && i + 1 == e->images.count));
        CLAIM((image->fault == TC_IMAGE_DAMAGED) == (image->base64_error != TC_BASE64_OK));
        CLAIM(e->error || !image->held);
        tc_image_describe(image, i + 1, text, sizeof(text));
        CLAIM(memchr(text, '\0', sizeof(text)));
    }
    memset(text, 'x', sizeof(text));
    tc_envelope_describe(e, text, sizeof(text));
    CLAIM(memchr(text, '\0', sizeof(text)));
    CLAIM((e->error == TC_ENVELOPE_OK) == !strcmp(text, "no error"));
}

/* A picture that is alone is the input. */
static void check_alone(const struct tc_envelope *e, const char *text, size_t size)
{
    if (!alone || !size)
        return;
    CLAIM(e->images.count == 1 && e->images.list[0]->size == size);
    CLAIM(!memcmp(e->images.list[0]->bytes.data, text, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tc_envelope whole, pieces;
    if (size < 1 + CUTS)
        return 0;
    const char *text = (const char *)data + 1 + CUTS;
    const uint8_t *cuts[] = {data + 1, (const uint8_t *)"000"};
    size -= 1 + CUTS;

    start(&whole, data[0], 0);
    feed(&whole, text, size);
    CLAIM(tc_envelope_finish(&whole) == !whole.error);
    check_sense(&whole, size);
    check_alone(&whole, text, size);
    for (unsigned i = 0; i < 2; i++) {
        start(&pieces, data[0], i ? size : size / 2);
        struct tc_buffer spare = {NULL, 0, 0};
        CLAIM(tc_buffer_reserve(&spare, i ? size / 3 : 0));
        pieces.images.spare = &spare;
        feed_pieces(&pieces, cuts[i], text, size);
        tc_envelope_finish(&pieces);
        compare(&whole, &pieces);
        tc_envelope_free(&pieces);
        tc_buffer_free(&spare);
    }
    tc_envelope_free(&whole);
    return 0;
}
