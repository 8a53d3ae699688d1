/*
 * Markdown's images: see link.h. The grammar is CommonMark's (6.3, 6.4) without references to
 * definitions elsewhere, which nobody writes for a picture.
 */
#include "link.h"

#include <ctype.h>
#include <string.h>

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && isspace((unsigned char)*at))
        at++;
    return at;
}

static const char *limit_of(const char *at, const char *end)
{
    return end - at > TC_LINK_SIZE ? at + TC_LINK_SIZE : end;
}

/* The position after the bracket that closes the one at `at`; NULL if none does. Brackets between
 * them are in pairs, or have a backslash before them. */
static const char *skip_brackets(const char *at, const char *end)
{
    unsigned depth = 0;
    for (end = limit_of(at, end); at < end; at++) {
        if (*at == '\\' && end - at > 1)
            at++;
        else if (*at == '[')
            depth++;
        else if (*at == ']' && --depth == 0)
            return at + 1;
    }
    return NULL;
}

/* The end of an address: white space, or a parenthesis that was not opened inside the address. */
static const char *skip_address(const char *at, const char *end)
{
    unsigned depth = 0;
    for (end = limit_of(at, end); at < end && !isspace((unsigned char)*at); at++) {
        if (*at == '\\' && end - at > 1)
            at++;
        else if (*at == '(')
            depth++;
        else if (*at == ')' && depth-- == 0)
            break;
    }
    return at;
}

/* The end of an address in angle brackets: the closing one, or NULL. `at` is after the opening one.
 */
static const char *skip_angle(const char *at, const char *end)
{
    for (end = limit_of(at, end); at < end && *at != '\n'; at++) {
        if (*at == '>')
            return at;
        if (*at == '\\' && end - at > 1)
            at++;
    }
    return NULL;
}

/* The end of a title in quotes, if there is one. */
static const char *skip_title(const char *at, const char *end)
{
    const char *title = skip_space(at, end);
    if (title == at || title == end || !strchr("\"'(", *title))
        return at;
    char last = *title == '(' ? ')' : *title;
    end = limit_of(title, end);
    for (at = title + 1; at < end && *at != last; at++)
        if (*at == '\\' && end - at > 1)
            at++;
    return at < end ? at + 1 : title;
}

/* Reads the image whose "![" is at `at`. */
static bool read_link(const char *at, const char *end, struct tc_link *link)
{
    link->start = at;
    at = skip_brackets(at + 1, end);
    if (!at || at == end || *at != '(')
        return false;
    at = skip_space(at + 1, end);
    bool angle = at < end && *at == '<';
    link->address = at + angle;
    at = angle ? skip_angle(at + 1, end) : skip_address(at, end);
    if (!at)
        return false;
    link->size = (size_t)(at - link->address);
    at = skip_space(skip_title(at + angle, end), end);
    link->end = at + 1;
    return at < end && *at == ')';
}

bool tc_link_next(const char *text, const char *end, unsigned *tries, struct tc_link *link)
{
    while (*tries && text < end && (text = memchr(text, '!', (size_t)(end - text)))) {
        if (end - text > 1 && text[1] == '[') {
            --*tries;
            if (read_link(text, end, link))
                return true;
        }
        text++;
    }
    return false;
}

bool tc_link_is_address(const char *address, size_t size)
{
    static const char scheme[] = "https://";
    size_t i = 0;
    for (const char *wanted = scheme; *wanted; wanted++) {
        if (i < size && tolower((unsigned char)address[i]) == *wanted)
            i++;
        else if (*wanted != 's')
            return false;
    }
    return i < size && size <= TC_LINK_SIZE;
}

bool tc_link_whole(const char *text, size_t size, struct tc_link *link)
{
    const char *end = text + size;
    link->start = text = skip_space(text, end);
    link->end = end;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    if (end - text > 2 && *text == '<' && end[-1] == '>') {
        text++;
        end--;
    }
    link->address = text;
    link->size = (size_t)(end - text);
    while (text < end && !isspace((unsigned char)*text) && *text != '<' && *text != '>')
        text++;
    return text == end && tc_link_is_address(link->address, link->size);
}

size_t tc_link_unescape(char *out, const char *address, size_t size)
{
    static const char amp[] = "&amp;"; /* of text that passed through HTML */
    char *to = out;
    for (size_t i = 0; i < size; i++) {
        if (address[i] == '\\' && i + 1 < size && ispunct((unsigned char)address[i + 1]))
            i++;
        *to++ = address[i];
        if (size - i >= sizeof(amp) - 1 && !memcmp(address + i, amp, sizeof(amp) - 1))
            i += sizeof(amp) - 2;
    }
    return (size_t)(to - out);
}
