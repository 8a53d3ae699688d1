/*
 * The ways to a picture, as data: where a request goes, who writes its body, where its answer has
 * pictures, and who reads the rest of that.
 */
#include "binding.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* data[].url is an address, or (from LiteLLM's stand-ins) a picture itself. */
static const struct tc_rule images_rules[] = {
    {TC_CAPTURE_BASE64, {"data", "[]", "b64_json"}},
    {TC_CAPTURE_DATA_URL, {"data", "[]", "url"}},
};

/* LiteLLM's of today, of 1.76.1 and .2, of before, and what others behind it send. */
static const struct tc_rule chat_rules[] = {
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "images", "[]", "image_url", "url"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "images", "[]", "image_url"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "image", "url"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message", "content", "[]", "image_url", "url"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message", "content"}},
};

static const struct tc_rule gemini_rules[] = {
    {TC_CAPTURE_BASE64, {"candidates", "[]", "content", "parts", "[]", "inlineData", "data"}},
    {TC_CAPTURE_BASE64, {"candidates", "[]", "content", "parts", "[]", "inline_data", "data"}},
};

static const struct tc_route routes[] = {
    [TC_VIA_IMAGES] = {"images", images_rules, COUNT(images_rules), TC_BASE_API,
                       "/images/generations", TC_BEARER, tc_write_images, tc_read_images},
    [TC_VIA_CHAT] = {"chat", chat_rules, COUNT(chat_rules), TC_BASE_API, "/chat/completions",
                     TC_BEARER, tc_write_chat, tc_read_chat},
    [TC_VIA_GEMINI] = {"gemini", gemini_rules, COUNT(gemini_rules), TC_BASE_ROOT,
                       "/gemini/v1beta/models/{model}:generateContent", TC_GOOGLE_KEY,
                       tc_write_gemini, tc_read_gemini},
};

const struct tc_route *tc_route(enum tc_via via)
{
    return &routes[via];
}

bool tc_via_of(const char *name, enum tc_via *via)
{
    for (size_t i = 0; i < COUNT(routes); i++)
        if (!strcmp(routes[i].name, name)) {
            *via = (enum tc_via)i;
            return true;
        }
    return false;
}
