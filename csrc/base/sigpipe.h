/*
 * Keeps SIGPIPE off this thread for a while. Whoever writes to a socket or a pipe that nobody reads
 * from any more gets that signal, and it ends a process that does not expect it. A host's own
 * handler, and a SIGPIPE that was pending before, stay as they were.
 */
#ifndef TC_SIGPIPE_H
#define TC_SIGPIPE_H

#include <stdbool.h>

#ifdef _WIN32
struct tc_sigpipe {
    int unused;
};
#else
#include <signal.h>

struct tc_sigpipe {
    sigset_t old_mask;
    bool was_pending;
};
#endif

void tc_sigpipe_block(struct tc_sigpipe *guard);

void tc_sigpipe_restore(const struct tc_sigpipe *guard);

#endif
