/*
 * floor BASE COUNT [OUT]: the least that receiving costs with this libcurl. COUNT requests over one
 * connection, libcurl's default buffer, every byte of the answers thrown away; with OUT the last
 * body goes to the file OUT/body.
 */
#include "post.h"

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
    CURL *easy = post(argv[1], headers, discard, NULL);
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
