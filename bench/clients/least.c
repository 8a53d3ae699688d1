/*
 * least strings|sink BASE COUNT [OUT]: the least that pictures in Lua can cost with this libcurl,
 * this decoder and this Lua. It is the floor (floor.c) with a receive buffer of 100 KiB, and
 * decodes what comes into one buffer that it keeps. With `strings` a whole picture becomes a Lua
 * string; with `sink` each 64 KiB become one, which is thrown away. There is no JSON, no error is
 * looked for, and nothing else is done: a picture is what stands between `b64_json":"` and the next
 * quotation mark. With OUT the last pictures go to the files OUT/1, OUT/2, ...
 */
#include "splitter/base64.h"
#include "post.h"

#include <lauxlib.h>
#include <malloc.h>

static const char begin[] = "b64_json\":\"";

enum { CHUNK = 64 * 1024, STREAMED = 256 * 1024, LARGEST = 16 << 20 };

struct reader {
    lua_State *L;
    bool streams, inside;
    size_t matched; /* of `begin` */
    struct tc_base64 decoder;
    unsigned char *bytes;
    size_t size;
    int pictures;
    const char *out; /* a directory, or NULL */
};

static void append_to_file(const struct reader *reader)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%d", reader->out, reader->pictures + 1);
    FILE *file = fopen(path, "ab");
    if (!file || fwrite(reader->bytes, 1, reader->size, file) < reader->size || fclose(file)) {
        perror(path);
        exit(1);
    }
}

static void make_strings(struct reader *reader)
{
    size_t each = reader->streams ? CHUNK : reader->size;
    if (reader->out)
        append_to_file(reader);
    for (size_t at = 0; at < reader->size; at += each) {
        size_t left = reader->size - at;
        lua_pushlstring(reader->L, (char *)reader->bytes + at, left < each ? left : each);
        if (reader->streams)
            lua_pop(reader->L, 1);
        else
            lua_rawseti(reader->L, 1, reader->pictures + 1);
    }
    reader->size = 0;
}

static void end_picture(struct reader *reader)
{
    size_t written;
    tc_base64_finish(&reader->decoder, reader->bytes + reader->size, &written);
    reader->size += written;
    make_strings(reader);
    reader->pictures++;
    reader->decoder = (struct tc_base64){0, 0, 0};
    reader->inside = false;
}

/* Takes what is inside a picture. Returns how many characters that were. */
static size_t decode(struct reader *reader, const char *text, size_t size)
{
    size_t written;
    size_t taken =
        tc_base64_decode(&reader->decoder, text, size, reader->bytes + reader->size, &written);
    reader->size += written;
    if (taken < size && text[taken] == '"')
        end_picture(reader);
    else if (taken < size)
        tc_base64_odd(&reader->decoder, (unsigned char)text[taken]);
    else if (reader->streams && reader->size >= STREAMED)
        make_strings(reader);
    return taken < size ? taken + 1 : taken;
}

static void find(struct reader *reader, char character)
{
    bool goes_on = character == begin[reader->matched];
    reader->matched = goes_on ? reader->matched + 1 : character == *begin;
    reader->inside = reader->matched == sizeof(begin) - 1;
    if (reader->inside)
        reader->matched = 0;
}

static size_t on_body(char *text, size_t one, size_t size, void *user)
{
    struct reader *reader = user;
    (void)one; /* always 1 */
    for (size_t at = 0; at < size;) {
        if (reader->inside)
            at += decode(reader, text + at, size - at);
        else
            find(reader, text[at++]);
    }
    return size;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: least strings|sink BASE COUNT [OUT]\n");
        return 2;
    }
    int count = atoi(argv[3]);
    CURLcode code = CURLE_OK;
    mallopt(M_MMAP_THRESHOLD, 2 * LARGEST); /* freed memory is used again */
    mallopt(M_TRIM_THRESHOLD, 2 * LARGEST);
    struct reader reader = {
        .L = luaL_newstate(), .streams = !strcmp(argv[1], "sink"), .bytes = malloc(LARGEST)};
    curl_global_init(CURL_GLOBAL_ALL);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *easy = post(argv[2], headers, on_body, &reader);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 100L * 1024);
    for (int i = 1; i <= count && code == CURLE_OK; i++) {
        lua_settop(reader.L, 0);
        lua_newtable(reader.L);
        reader.pictures = 0;
        reader.out = i == count && argc > 4 ? argv[4] : NULL;
        code = curl_easy_perform(easy);
    }
    if (code != CURLE_OK)
        fprintf(stderr, "least: Error: %s\n", curl_easy_strerror(code));
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    lua_close(reader.L);
    free(reader.bytes);
    return code != CURLE_OK;
}
