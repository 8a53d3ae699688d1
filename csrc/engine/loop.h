/*
 * The sockets and the timer of one libcurl multi handle. They are waited for here, or lent to an
 * event loop that the host has already (libuv, cqueues, a game's).
 *
 * libcurl says through callbacks which sockets it waits for, and when it wants to be woken. The
 * callbacks only take notes, because they may be called from anywhere inside libcurl. The host asks
 * for the changes later, one by one. When a socket was closed and another one got its number, the
 * old one is reported as gone first; without that a host's loop would wait for it in vain.
 */
#ifndef TC_LOOP_H
#define TC_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_READ = 1, TC_WRITE = 2 };

struct tc_watch {
    intptr_t socket;
    unsigned char wanted;   /* by libcurl: TC_READ | TC_WRITE, 0: not any more */
    unsigned char reported; /* to the host's loop: the same */
    bool replaced;          /* what was reported is an older socket of the same number */
};

/* All zero, but for `timer`, is a loop without sockets. */
struct tc_loop {
    struct tc_watch *watches;
    struct pollfd *polled; /* `capacity` of them */
    unsigned count, capacity;
    unsigned polled_count; /* those of `polled` to look at after a poll */
    unsigned first;        /* the one that is served first, another one each time */
    double timer;   /* when libcurl wants to be woken, tc_clock_now's seconds; below 0: never */
    bool lent;      /* a host's loop watches the sockets */
    bool no_memory; /* libcurl or a callback had none: the multi handle is of no use any more */
};

/* Sets the callbacks of the multi handle (a CURLM). */
void tc_loop_attach(struct tc_loop *loop, void *multi);

/* Allocates notes for so many more sockets. The callbacks cannot fail, so this is done before.
 * False when memory is short. */
bool tc_loop_reserve(struct tc_loop *loop, unsigned more);

/* Waits at most `seconds` for a socket or the timer. True: tc_loop_serve has something to do. */
bool tc_loop_wait(struct tc_loop *loop, double seconds);

/*
 * Has libcurl serve what tc_loop_wait found ready, until `*budget` is 0: its callbacks count that
 * down. False when the state of libcurl's transfers is lost.
 */
bool tc_loop_serve(struct tc_loop *loop, void *multi, const size_t *budget);

/* Has libcurl serve one socket, or the timer if it is due. False as above. */
bool tc_loop_action(struct tc_loop *loop, void *multi, intptr_t socket, int events);

/* Lends the sockets to a host's loop, to which none was reported yet, or takes them back. */
void tc_loop_lend(struct tc_loop *loop, bool lent);

/* The next change for the host's loop: `*events` is 0 for a socket that it should forget. */
bool tc_loop_next_change(struct tc_loop *loop, intptr_t *socket, int *events);

/* The host's loop failed to note the last change of that socket: it will be reported again. */
void tc_loop_report_again(struct tc_loop *loop, intptr_t socket);

/* Frees the notes. */
void tc_loop_free(struct tc_loop *loop);

#endif
