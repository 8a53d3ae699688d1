/*
 * What a client and its requests share: settings, the key, memory for the next picture, the budget,
 * the connections that libcurl keeps, and the list of requests that have something to deliver.
 *
 * A session is counted: its client and each of its requests hold it, and the last of them frees it.
 * So a request may outlive its client.
 */
#ifndef TC_SESSION_H
#define TC_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../splitter/path.h"

struct tc_client;

/* What a client is made with. NULL where a string is not given. */
struct tc_settings {
    const char *base_url; /* checked by tc_url_check_base */
    const char *proxy;
    const char *ca_file, *ca_directory; /* one of them, or none: what the system trusts */
    const char *user_agent;
    const char *const *headers; /* "Name: value", NULL at the end */
    unsigned max_concurrency;
    unsigned requests_per_minute; /* 0: any number */
    uint64_t max_response_bytes;
    bool http2;
};

/* A key, counted. */
struct tc_key {
    unsigned references;
    char text[];
};

/* What one poll of a host that may not wait still may do. */
struct tc_budget {
    size_t bytes;    /* to take in, or to hand out */
    unsigned starts; /* attempts to begin */
};

/* A connection that libcurl may have kept: its socket, by its port here. */
struct tc_connection {
    intptr_t socket;
    long local_port;
};

enum { TC_CONNECTIONS = 64 };

struct tc_connections {
    struct tc_connection kept[TC_CONNECTIONS]; /* the latest, in turn */
    unsigned next;
    double broke_off; /* when an attempt last ended without a whole answer */
};

/* The link of a request in the list of those that have something to deliver. */
struct tc_pending {
    struct tc_pending *next;
    bool listed;
};

struct tc_session {
    unsigned references;
    struct tc_client *client;    /* NULL once it was freed; its requests have ended by then */
    bool closed;                 /* nothing is sent any more */
    bool is_loopback;            /* the base URL is one of this machine's */
    struct tc_settings settings; /* with copies of all that they point to */
    struct tc_key *key;          /* the last request's, or NULL */
    struct tc_rule *rules;       /* of answers with pictures; NULL: no request wanted any yet */
    struct tc_buffer spare;      /* a picture's buffer that the next one can use */
    struct tc_budget budget;
    struct tc_connections connections;
    unsigned delivering; /* requests in flight whose pictures a function of the user's takes */
    struct tc_pending *first_pending, *last_pending;
};

/* A session with one reference. It copies the settings, and fills in which certificates are trusted
 * where they do not say. NULL when memory is short. */
struct tc_session *tc_session_new(const struct tc_settings *settings);

/* One holder less; the last one frees it. NULL is fine. */
void tc_session_release(struct tc_session *session);

/* The key `text` with a reference for the caller: a copy that successive requests share. NULL when
 * memory is short. */
struct tc_key *tc_session_share_key(struct tc_session *session, const char *text);

/* Lets go of the session's own reference to the last key. */
void tc_session_forget_key(struct tc_session *session);

/* One holder less; the last one wipes it and frees it. NULL is fine. */
void tc_key_release(struct tc_key *key);

/*
 * The rules for a request's answers: those of failures, then `count` of its own, which are the same
 * for all requests of a session that have any. They stay as long as the session. NULL when memory
 * is short.
 */
const struct tc_rule *tc_session_share_rules(struct tc_session *session,
                                             const struct tc_rule *rules, unsigned count);

/* The budget pays for so many bytes. */
void tc_session_spend(struct tc_session *session, size_t bytes);

/* Notes the socket of a connection that libcurl may keep. */
void tc_session_keep_connection(struct tc_session *session, intptr_t socket, long local_port);

/* The socket that was noted for a connection, or -1. */
intptr_t tc_session_find_connection(const struct tc_session *session, long local_port);

/* Lists a request that has something to deliver, if it is not listed already. */
void tc_session_add_pending(struct tc_session *session, struct tc_pending *pending);

/* Takes one that is listed out again. */
void tc_session_remove_pending(struct tc_session *session, struct tc_pending *pending);

#endif
