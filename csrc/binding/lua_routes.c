/*
 * Routes, as data: see lua_routes.h.
 */
#include "lua_routes.h"

#include "../splitter/path.h"
#include "../engine/request.h"
#include "lua_body.h"
#include "lua_models.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Where responses have pictures. All rules hold on all routes, because servers behind the gateway
 * answer in each other's shapes. First come the fields of the images route, also as the events of a
 * stream; then those of chat, of today, of LiteLLM 1.76.1 and 1.76.2, and of before; then Gemini's;
 * then those of OpenAI's responses route. If a field may have other values too, only strings that
 * begin as pictures do are taken (TC_CAPTURE_DATA_URL). lua_answer.c reads the same fields.
 */
const struct tc_rule tc_picture_rules[TC_PICTURE_RULES] = {
    {TC_CAPTURE_BASE64,
     {"data|images|predictions|artifacts", "[]", "b64_json|bytesBase64Encoded|base64"}},
    {TC_CAPTURE_DATA_URL, {"data|images", "[]", "url|image|data|image_url"}},
    {TC_CAPTURE_DATA_URL, {"data|images", "[]", "image_url|image", "url"}},
    {TC_CAPTURE_BASE64, {"images", "[]"}},
    {TC_CAPTURE_DATA_URL, {"data", "[]"}},
    {TC_CAPTURE_DATA_URL, {"data|image|output"}},
    {TC_CAPTURE_DATA_URL, {"data|image|output", "b64_json|url|image|base64"}},
    {TC_CAPTURE_DATA_URL, {"data|result|output", "images", "[]"}},
    {TC_CAPTURE_DATA_URL, {"data|result|output", "images", "[]", "url|image"}},
    {TC_CAPTURE_BASE64, {"data|result|output", "images", "[]", "b64_json|base64"}},
    {TC_CAPTURE_BASE64, {"b64_json|partial_image_b64"}},
    {TC_CAPTURE_DRAFT, {"type"}},
    {TC_CAPTURE_DATA_URL,
     {"choices", "[]", "message|delta", "images|content", "[]", "image_url", "url"}},
    {TC_CAPTURE_DATA_URL,
     {"choices", "[]", "message|delta", "images|content", "[]", "image_url|url"}},
    {TC_CAPTURE_BASE64, {"choices", "[]", "message|delta", "images|content", "[]", "b64_json"}},
    {TC_CAPTURE_DATA_URL,
     {"choices", "[]", "message|delta", "images|content|parts", "[]",
      "source|inlineData|inline_data", "data"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message|delta", "image", "url"}},
    {TC_CAPTURE_DATA_URL, {"choices", "[]", "message|delta", "image"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message|delta", "content"}},
    {TC_CAPTURE_PROSE, {"choices", "[]", "message|delta", "content|parts", "[]", "text"}},
    {TC_CAPTURE_DRAFT, {"choices", "[]", "message|delta", "content|parts", "[]", "thought"}},
    {TC_CAPTURE_BASE64,
     {"candidates", "[]", "content", "parts", "[]", "inlineData|inline_data", "data"}},
    {TC_CAPTURE_DRAFT, {"candidates", "[]", "content", "parts", "[]", "thought"}},
    {TC_CAPTURE_PROSE, {"candidates", "[]", "content", "parts", "[]", "text"}},
    {TC_CAPTURE_BASE64, {"output", "[]", "result"}},
    {TC_CAPTURE_DATA_URL, {"output", "[]"}},
};

static const struct tc_route routes[] = {
    [TC_VIA_IMAGES] = {"images", TC_BASE_API, "/images/generations", TC_BEARER, tc_write_images},
    [TC_VIA_CHAT] = {"chat", TC_BASE_API, "/chat/completions", TC_BEARER, tc_write_chat},
    [TC_VIA_GEMINI] = {"gemini", TC_BASE_ROOT, "/gemini/v1beta/models/{model}:generateContent",
                       TC_GOOGLE_KEY, tc_write_gemini},
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
