/*
 * Which certificates are trusted where the caller names none.
 */
#ifndef TC_TRUST_H
#define TC_TRUST_H

/* A file of certificates, or a directory of them; one is NULL, or both where libcurl's TLS library
 * knows by itself. The strings last as long as the process leaves its environment alone. */
struct tc_trust {
    const char *file, *directory;
};

/* What the environment names ($CURL_CA_BUNDLE, $SSL_CERT_FILE), or what libcurl was built with. */
struct tc_trust tc_trust_default(void);

#endif
