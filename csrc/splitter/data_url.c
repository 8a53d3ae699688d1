/*
 * Where a data URL's base64 begins: see data_url.h.
 */
#include "data_url.h"

#include "base64.h"
#include "signature.h"
#include "scan.h"

#include <string.h>

#define DATA   UINT64_C(0x646174613a)       /* "data:" */
#define IMAGE  UINT64_C(0x696d6167652f)     /* "image/" */
#define TEXT   UINT64_C(0x746578742f)       /* "text/" */
#define BASE64 UINT64_C(0x3b6261736536342c) /* ";base64," */
#define LAST_5 UINT64_C(0xffffffffff)
#define LAST_6 UINT64_C(0xffffffffffff)

bool tc_data_url_has_head(const struct tc_data_url *url)
{
    return url->gap || (url->head && url->recent == BASE64);
}

/* May the character be in a media type or its parameters (RFC 2045's token, and "/;=")? */
static bool is_media_type(char character)
{
    return character > ' ' && character < '\x7f' && !strchr("()<>@,:\\\"[]?", character);
}

/* Does a picture's base64 begin with the text? JPEG's slash may be percent-encoded. */
static bool begins_picture(const char *text, size_t size)
{
    bool begins = !memcmp(text, "%2F9", size) || !memcmp(text, "%2f9", size);
    for (size_t i = 0; i < TC_PICTURE_HEADS; i++)
        begins = begins || !memcmp(text, tc_picture_heads[i], size);
    return begins;
}

/* A character comes after the comma, and the base64 has not begun. It belongs to the URL if it is
 * white space, or one of the first characters of a picture. Returns whether it does. */
static bool follow_gap(struct tc_data_url *url, char character)
{
    url->gap = true;
    if (!url->first_size && tc_scan_is_space(character))
        return true;
    if (url->first_size == TC_DATA_URL_FIRST)
        return false;
    url->first[url->first_size++] = character;
    return begins_picture(url->first, url->first_size);
}

void tc_data_url_follow(struct tc_data_url *url, char character, size_t kept, bool in_prose)
{
    bool inside = url->head && url->head < TC_DATA_URL_HEAD, next = tc_data_url_has_head(url);
    if (next && in_prose && follow_gap(url, character)) {
        url->head += (unsigned)kept;
        return;
    }
    bool capital = character >= 'A' && character <= 'Z';
    url->recent = url->recent << 8 | (unsigned char)(capital ? character | 0x20 : character);
    url->gap = false;
    url->first_size = 0;
    if ((url->recent & LAST_5) == DATA) {
        url->head = 5;
        url->text = false;
    } else if (!in_prose && !url->head && (url->recent & LAST_6) == IMAGE)
        url->head = 6;
    else if (inside && !next && (is_media_type(character) || url->recent == BASE64))
        url->head += (unsigned)kept; /* a head has no colon but that of "data:" */
    else
        url->head = 0;
    if (url->head == 10 && (url->recent & LAST_5) == TEXT)
        url->text = true;
}

bool tc_data_url_begins(const struct tc_data_url *url, char next)
{
    if (url->gap)
        return url->first_size == TC_DATA_URL_FIRST;
    return tc_data_url_has_head(url) && !url->text && tc_base64_has((unsigned char)next) &&
           next != '-';
}
