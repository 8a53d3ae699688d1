/*
 * Which certificates are trusted when the user names none.
 */
#ifndef TC_TRUST_H
#define TC_TRUST_H

/* A file of certificates, or a directory of them; the other is NULL. Both are NULL if libcurl's TLS
 * library finds certificates itself. The strings are valid until the environment changes. */
struct tc_trust {
    const char *file, *directory;
};

/* What the environment names ($CURL_CA_BUNDLE, $SSL_CERT_FILE), or what libcurl was built with. */
struct tc_trust tc_trust_default(void);

#endif
