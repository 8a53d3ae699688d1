/*
 * What a client and its requests share: the settings, the key, a buffer for the next picture, the
 * budget, the connections that libcurl keeps, and the list of pending requests, those that have
 * something to deliver.
 *
 * Sessions are counted: the client and each of its requests hold one, so requests may outlive their
 * client. A request does not know its client; what it needs of it is here. The session does point
 * to the client, so that tc_client_fail and tc_client_cancel find it.
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

/* What a host that may not wait still has time for: see tc_client_renew_budget. */
struct tc_budget {
    size_t bytes;    /* to receive or to hand out */
    unsigned starts; /* attempts to begin */
};

/* A connection that libcurl may still have open: its socket, found by its local port. */
struct tc_connection {
    intptr_t socket;
    long local_port;
};

enum { TC_CONNECTIONS = 64 };

struct tc_connections {
    struct tc_connection ring[TC_CONNECTIONS]; /* the latest */
    unsigned next;    /* connections noted so far; modulo TC_CONNECTIONS, the next index */
    double broke_off; /* when an attempt last ended without a whole response */
};

/* The link of a request in the list of pending ones. */
struct tc_pending {
    struct tc_pending *next;
    bool listed;
};

struct tc_session {
    unsigned references;
    struct tc_client *client;    /* not counted; NULL once freed, when all requests have ended */
    bool closed;                 /* the client was closed: nothing is sent any more */
    bool is_loopback;            /* the base URL is one of this machine's */
    struct tc_settings settings; /* with copies of all that they point to */
    struct tc_key *key;          /* the last request's, or NULL */
    struct tc_rule *rules;  /* for responses with pictures; NULL before the first request for one */
    struct tc_buffer spare; /* the buffer of an earlier picture, for the next one */
    struct tc_budget budget;
    struct tc_connections connections;
    unsigned delivering; /* requests in flight whose result is inside a user callback */
    struct tc_pending *first_pending, *last_pending;
};

/* A session with one reference and a copy of the settings. Where those name no certificates, it
 * finds out which are to be trusted. NULL when memory is short. */
struct tc_session *tc_session_new(const struct tc_settings *settings);

/* Gives up a reference; the last one frees it. NULL is fine. */
void tc_session_release(struct tc_session *session);

/* A copy of the key `text`, with a reference for the caller. Requests with the same key share one
 * copy. NULL when memory is short. */
struct tc_key *tc_session_share_key(struct tc_session *session, const char *text);

/* Gives up the session's own reference to the last key. */
void tc_session_forget_key(struct tc_session *session);

/* Gives up a reference; the last one wipes the key and frees it. NULL is fine. */
void tc_key_release(struct tc_key *key);

/* The rules for the response to a request: those for failures, then `count` of its own, which are
 * the same for all requests that have any. They stay as long as the session. NULL when memory is
 * short.
 */
const struct tc_rule *tc_session_share_rules(struct tc_session *session,
                                             const struct tc_rule *rules, unsigned count);

/* Takes so many bytes from the budget. */
void tc_session_spend(struct tc_session *session, size_t bytes);

/* Notes the socket of a connection that libcurl may keep open. */
void tc_session_keep_connection(struct tc_session *session, intptr_t socket, long local_port);

/* The socket that was noted for a local port, or -1. */
intptr_t tc_session_find_connection(const struct tc_session *session, long local_port);

/* Appends a request to the list of pending ones, unless it is in it. */
void tc_session_add_pending(struct tc_session *session, struct tc_pending *pending);

/* Removes one from that list, which it is in. */
void tc_session_remove_pending(struct tc_session *session, struct tc_pending *pending);

#endif
