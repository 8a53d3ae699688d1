/*
 * The system's certificates: see trust.h.
 *
 * Systems with OpenSSL have them twice: in one file, and in a directory where each file is named by
 * a hash. Reading the whole file takes 50 ms of CPU at a client's first connection: three frames of
 * a game. From the directory OpenSSL reads only what it needs, in 3 ms for each connection.
 */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "trust.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
/* No libcurl for Windows comes with such a directory. */
static bool is_hashed(const char *directory)
{
    (void)directory;
    return false;
}
#else
#include <dirent.h>

/* "002c0b4f.0" */
static bool is_hash(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && !strcmp(name + 8, ".0");
}

/* Has the directory files that are named by hashes? */
static bool is_hashed(const char *directory)
{
    const struct dirent *entry;
    bool found = false;
    DIR *listing = opendir(directory);
    if (!listing)
        return false;
    while (!found && (entry = readdir(listing)))
        found = is_hash(entry->d_name);
    (void)closedir(listing);
    return found;
}
#endif

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Does the TLS library look certificates up by hash? Others read the whole directory. */
static bool looks_up(const curl_version_info_data *built)
{
    const char *library = built->ssl_version ? built->ssl_version : "";
    return !strncmp(library, "OpenSSL/", 8) || !strncmp(library, "LibreSSL/", 9);
}

struct tc_trust tc_trust_default(void)
{
    struct tc_trust trust = {variable("CURL_CA_BUNDLE"), NULL};
    if (!trust.file)
        trust.file = variable("SSL_CERT_FILE");
    if (trust.file)
        return trust;
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
#if LIBCURL_VERSION_NUM >= 0x074600
    if (built->age < CURLVERSION_SEVENTH)
        return trust;
    if (built->capath && looks_up(built) && is_hashed(built->capath))
        trust.directory = built->capath;
    else
        trust.file = built->cainfo;
#else
    (void)built, (void)looks_up, (void)is_hashed;
#endif
    return trust;
}
