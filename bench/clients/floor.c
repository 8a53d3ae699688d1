/*
 * floor BASE COUNT [OUT]: the least that receiving costs with this libcurl. COUNT requests over one
 * connection, libcurl's default buffer, every byte of the answers thrown away; with OUT the last
 * body goes to the file OUT/body.
 *
 * BENCH_CA is the bundle of certificates, BENCH_HTTP2=1 asks for HTTP/2.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char request[] = "{\"prompt\":\"x\",\"n\":4,\"model\":\"bench\"}";

static size_t discard(char *bytes, size_t one, size_t size, void *user)
{
    FILE *out = user;
    (void)one; /* always 1 */
    return out ? fwrite(bytes, 1, size, out) : size;
}

static FILE *open_body(const char *directory)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/body", directory);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static CURL *prepare(const char *base, struct curl_slist *headers)
{
    char url[4096];
    const char *http2 = getenv("BENCH_HTTP2");
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof(url), "%s/images/generations", base);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     http2 && !strcmp(http2, "1") ? (long)CURL_HTTP_VERSION_2TLS
                                                  : (long)CURL_HTTP_VERSION_1_1);
    if (getenv("BENCH_CA"))
        curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("BENCH_CA"));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, NULL);
    return easy;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: floor BASE COUNT [OUT]\n");
        return 2;
    }
    int count = atoi(argv[2]);
    CURLcode code = CURLE_OK;
    FILE *out = argc > 3 ? open_body(argv[3]) : NULL;
    curl_global_init(CURL_GLOBAL_ALL);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *easy = prepare(argv[1], headers);
    for (int i = 1; i <= count && code == CURLE_OK; i++) {
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, i == count ? out : NULL);
        code = curl_easy_perform(easy);
    }
    if (code != CURLE_OK)
        fprintf(stderr, "floor: %s\n", curl_easy_strerror(code));
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    if (out)
        fclose(out);
    return code != CURLE_OK;
}
