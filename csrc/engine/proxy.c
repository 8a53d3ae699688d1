/*
 * Proxies from the environment: see proxy.h.
 */
#include "proxy.h"

#include "address.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The value of the first variable that is set and not empty, or NULL. */
static const char *first_of(const char *const *names)
{
    for (; *names; names++) {
        const char *value = getenv(*names);
        if (value && *value)
            return value;
    }
    return NULL;
}

const char *tc_proxy_of_environment(const char *scheme)
{
    /* HTTP_PROXY is left out: in a CGI program it is the request header "Proxy". */
    static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                        NULL};
    return first_of(strcmp(scheme, "http") != 0 ? https : http);
}

static bool equals(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i]))
            return false;
    return true;
}

/* Is `name` the same as the entry, or a subdomain of it? A dot at either end of the entry is
 * ignored. */
static bool is_below(const char *name, const char *entry, size_t size)
{
    size_t length = strlen(name);
    if (length && name[length - 1] == '.')
        length--;
    if (size && entry[size - 1] == '.')
        size--;
    if (size && *entry == '.')
        entry++, size--;
    if (!size || size > length || !equals(name + length - size, entry, size))
        return false;
    return size == length || name[length - size - 1] == '.';
}

bool tc_proxy_is_in_list(const char *list, const char *host)
{
    static const char separators[] = ", \t";
    bool is_address = tc_address_text_is_in(host, host, strlen(host));
    if (!strcmp(list, "*"))
        return true;
    for (;;) {
        list += strspn(list, separators);
        size_t size = strcspn(list, separators);
        if (!size)
            return false;
        if (is_address ? tc_address_text_is_in(host, list, size) : is_below(host, list, size))
            return true;
        list += size;
    }
}

bool tc_proxy_is_exempt(const char *host)
{
    static const char *const names[] = {"no_proxy", "NO_PROXY", NULL};
    const char *list = first_of(names);
    return list && tc_proxy_is_in_list(list, host);
}
