/*
 * Blocks SIGPIPE in a thread: see sigpipe.h.
 */
#ifndef _WIN32
#define _XOPEN_SOURCE 700 /* pthread_sigmask */
#endif

#include "sigpipe.h"

#include <stddef.h>

#ifdef _WIN32
void tc_sigpipe_block(struct tc_sigpipe *guard)
{
    guard->unused = 0;
}

void tc_sigpipe_restore(const struct tc_sigpipe *guard)
{
    (void)guard;
}
#else
static bool is_pending(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

void tc_sigpipe_block(struct tc_sigpipe *guard)
{
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    guard->was_pending = is_pending();
    pthread_sigmask(SIG_BLOCK, &pipe_only, &guard->old_mask);
}

void tc_sigpipe_restore(const struct tc_sigpipe *guard)
{
    if (!guard->was_pending && is_pending()) {
        sigset_t pipe_only;
        int signal_number;
        sigemptyset(&pipe_only);
        sigaddset(&pipe_only, SIGPIPE);
        sigwait(&pipe_only, &signal_number);
    }
    pthread_sigmask(SIG_SETMASK, &guard->old_mask, NULL);
}
#endif
