/*
 * ready BASE COUNT BODY [OUT]: the least that sending costs with this libcurl. COUNT requests over
 * one connection with the file BODY, which is in memory as it is sent (CURLOPT_POSTFIELDS), and
 * libcurl's defaults; with OUT the last answer goes to the file OUT/body.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what)
{
    fprintf(stderr, "ready: %s\n", what);
    exit(1);
}

static char *read_body(const char *path, long *size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) || (*size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
        fail(path);
    char *body = malloc((size_t)*size);
    if (!body || fread(body, 1, (size_t)*size, file) != (size_t)*size)
        fail(path);
    fclose(file);
    return body;
}

static size_t keep(char *bytes, size_t one, size_t size, void *user)
{
    FILE *out = user;
    (void)one; /* always 1 */
    return out ? fwrite(bytes, 1, size, out) : size;
}

static FILE *open_answer(const char *directory)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/body", directory);
    FILE *file = fopen(path, "wb");
    if (!file)
        fail(path);
    return file;
}

static CURL *prepare(const char *base, const char *body, long size)
{
    char url[4096];
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof(url), "%s/chat/completions", base);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
    return easy;
}

int main(int argc, char **argv)
{
    long size;
    CURLcode code = CURLE_OK;
    if (argc < 4)
        fail("usage: ready BASE COUNT BODY [OUT]");
    int count = atoi(argv[2]);
    char *body = read_body(argv[3], &size);
    FILE *out = argc > 4 ? open_answer(argv[4]) : NULL;
    curl_global_init(CURL_GLOBAL_ALL);
    CURL *easy = prepare(argv[1], body, size);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    for (int i = 1; i <= count && code == CURLE_OK; i++) {
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, i == count ? out : NULL);
        code = curl_easy_perform(easy);
    }
    if (code != CURLE_OK || (out && fclose(out)))
        fail(curl_easy_strerror(code));
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    free(body);
    return 0;
}
