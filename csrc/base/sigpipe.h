/*
 * Blocks SIGPIPE in this thread for a while. A thread gets that signal when it writes to a socket
 * or a pipe that has no reader any more, and it ends a process that does not handle it. The host's
 * handler stays as it was, and so does a SIGPIPE that was pending before.
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

/* Removes a SIGPIPE that came since tc_sigpipe_block, and ends the blocking. */
void tc_sigpipe_restore(const struct tc_sigpipe *guard);

#endif
