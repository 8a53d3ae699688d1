/*
 * redact: no text shows the key, whatever stands around it and however it is written; what comes
 * out as a line has nothing that a terminal obeys; and without a key nothing is taken out of a text
 * that is to stay as it is.
 *
 * Input: the text; each byte 0x01 in it stands for the key, 0x02 for its letters as JSON escapes,
 * 0x03 as percent escapes.
 */
#include "fuzz.h"
#include "engine/redact.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define KEY "sk-Ab/Cd+Ef-0123"

/* Writes the text that the input stands for. Returns its length. */
static size_t expand(const uint8_t *data, size_t size, char *text)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0 || data[i] > 3) {
            text[length++] = (char)(data[i] ? data[i] : ' ');
            continue;
        }
        for (const char *at = KEY; *at; at++)
            length += (size_t)sprintf(text + length,
                                      data[i] == 1   ? "%c"
                                      : data[i] == 2 ? "\\u%04x"
                                                     : "%%%02X",
                                      *at);
    }
    text[length] = '\0';
    return length;
}

static void check_secret(const char *text)
{
    for (; *text; text++) {
        size_t i = 0;
        while (KEY[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)KEY[i]))
            i++;
        CLAIM(KEY[i]);
    }
}

static void check_line(const char *line)
{
    for (const char *at = line; *at; at++) {
        CLAIM((unsigned char)*at >= 0x20 && *at != 0x7f);
        CLAIM((unsigned char)*at != 0xc2 || (unsigned char)at[1] >= 0xa0); /* C1 */
        CLAIM(*at != ' ' || (at > line && at[1] && at[1] != ' '));
    }
}

static void check_verbatim(const char *text, size_t size, const char *key)
{
    struct tc_redaction redaction;
    const char *piece;
    size_t length, at = 0;
    tc_redact_begin(&redaction, TC_REDACT_VERBATIM, key);
    tc_redact_text(&redaction, text, size);
    for (; (piece = tc_redact_next(&redaction, &length)); at += length) {
        CLAIM(length > 0);
        if (!key)
            CLAIM(at + length <= size && !memcmp(piece, text + at, length));
    }
    CLAIM(key || at == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 500)
        return 0;
    char *text = malloc(size * sizeof(KEY) * 6 + 1), *exact_text, out[512];
    CLAIM(text);
    size_t length = expand(data, size, text);
    exact_text = exact_copy(text, length + 1);
    for (size_t room = sizeof(out); room > 4; room /= 3) {
        tc_redact(out, room, exact_text, KEY);
        CLAIM(strlen(out) < room);
        check_line(out);
        check_secret(out);
        tc_redact_body(out, room, exact_text, KEY);
        CLAIM(strlen(out) < room);
        check_secret(out);
    }
    check_verbatim(exact_text, length, NULL);
    check_verbatim(exact_text, length, KEY);
    free(exact_text);
    free(text);
    return 0;
}
