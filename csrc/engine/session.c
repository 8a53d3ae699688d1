/*
 * What a client and its requests share: see session.h.
 */
#include "session.h"

#include "../base/alloc.h"
#include "problem.h"
#include "trust.h"
#include "url.h"

#include <string.h>

/* ---- settings ---- */

/* Replaces a text by a copy of it. False when memory is short: then it is NULL. */
static bool own(const char **text)
{
    if (!*text)
        return true;
    *text = tc_strndup(*text, strlen(*text));
    return *text != NULL;
}

/* The same for all that the settings point to. */
static bool own_settings(struct tc_settings *settings)
{
    const char **const texts[] = {&settings->base_url, &settings->proxy, &settings->ca_file,
                                  &settings->ca_directory, &settings->user_agent};
    bool copied = true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        copied = own(texts[i]) && copied;
    settings->headers = (const char *const *)tc_copy_texts(settings->headers);
    return settings->headers && copied;
}

static void free_settings(const struct tc_settings *settings)
{
    const void *const blocks[] = {settings->base_url,     settings->proxy,      settings->ca_file,
                                  settings->ca_directory, settings->user_agent, settings->headers};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++)
        tc_free((void *)(uintptr_t)blocks[i]);
}

static void trim_slashes(char *url)
{
    size_t size = strlen(url);
    while (size && url[size - 1] == '/')
        url[--size] = '\0';
}

/* ---- life ---- */

struct tc_session *tc_session_new(const struct tc_settings *settings)
{
    struct tc_session *session = tc_calloc(sizeof(*session));
    if (!session)
        return NULL;
    session->references = 1;
    session->settings = *settings;
    if (!settings->ca_file) {
        struct tc_trust trust = tc_trust_default();
        session->settings.ca_file = trust.file;
        session->settings.ca_directory = trust.directory;
    }
    if (own_settings(&session->settings) &&
        tc_url_is_loopback(session->settings.base_url, &session->is_loopback)) {
        trim_slashes((char *)(uintptr_t)session->settings.base_url);
        return session;
    }
    tc_session_release(session);
    return NULL;
}

void tc_session_release(struct tc_session *session)
{
    if (!session || --session->references)
        return;
    tc_session_forget_key(session);
    tc_buffer_free(&session->spare);
    tc_free(session->rules);
    free_settings(&session->settings);
    tc_free(session);
}

/* ---- what requests share ---- */

void tc_key_release(struct tc_key *key)
{
    if (!key || --key->references)
        return;
    tc_wipe(key->text, strlen(key->text));
    tc_free(key);
}

struct tc_key *tc_session_share_key(struct tc_session *session, const char *text)
{
    size_t size = strlen(text) + 1;
    struct tc_key *key = session->key;
    if (!key || strcmp(key->text, text) != 0) {
        key = tc_calloc(sizeof(*key) + size);
        if (!key)
            return NULL;
        memcpy(key->text, text, size);
        key->references = 1; /* the session's */
        tc_key_release(session->key);
        session->key = key;
    }
    key->references++;
    return key;
}

void tc_session_forget_key(struct tc_session *session)
{
    tc_key_release(session->key);
    session->key = NULL;
}

const struct tc_rule *tc_session_share_rules(struct tc_session *session,
                                             const struct tc_rule *rules, unsigned count)
{
    if (!count)
        return tc_failure_rules;
    if (session->rules)
        return session->rules;
    struct tc_rule *all = tc_calloc((TC_FAILURE_RULES + count) * sizeof(*all));
    if (!all)
        return NULL;
    memcpy(all, tc_failure_rules, TC_FAILURE_RULES * sizeof(*all));
    memcpy(all + TC_FAILURE_RULES, rules, count * sizeof(*all));
    session->rules = all;
    return all;
}

void tc_session_spend(struct tc_session *session, size_t bytes)
{
    struct tc_budget *budget = &session->budget;
    budget->bytes -= bytes < budget->bytes ? bytes : budget->bytes;
}

/* ---- connections ---- */

void tc_session_keep_connection(struct tc_session *session, intptr_t socket, long local_port)
{
    struct tc_connections *connections = &session->connections;
    unsigned i = 0;
    while (i < TC_CONNECTIONS && connections->ring[i].local_port != local_port)
        i++;
    if (i == TC_CONNECTIONS)
        i = connections->next++ % TC_CONNECTIONS;
    connections->ring[i] = (struct tc_connection){socket, local_port};
}

intptr_t tc_session_find_connection(const struct tc_session *session, long local_port)
{
    const struct tc_connection *ring = session->connections.ring;
    for (unsigned i = 0; local_port && i < TC_CONNECTIONS; i++)
        if (ring[i].local_port == local_port)
            return ring[i].socket;
    return -1;
}

/* ---- pending requests ---- */

void tc_session_add_pending(struct tc_session *session, struct tc_pending *pending)
{
    if (pending->listed)
        return;
    *pending = (struct tc_pending){NULL, true};
    *(session->last_pending ? &session->last_pending->next : &session->first_pending) = pending;
    session->last_pending = pending;
}

void tc_session_remove_pending(struct tc_session *session, struct tc_pending *pending)
{
    struct tc_pending *before = session->first_pending;
    while (before != pending && before->next != pending)
        before = before->next;
    *(before == pending ? &session->first_pending : &before->next) = pending->next;
    if (session->last_pending == pending)
        session->last_pending = before == pending ? NULL : before;
    *pending = (struct tc_pending){NULL, false};
}
