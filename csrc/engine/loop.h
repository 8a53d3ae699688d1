/*
 * The sockets and the timer of one libcurl multi handle: waited for here, or lent to the loop that
 * a host has already (libuv, cqueues, a game's).
 *
 * libcurl tells through callbacks which sockets it waits for, and when it wants to be woken. They
 * only take notes, for they come from anywhere inside libcurl. A host is told of the changes later,
 * one by one, and a socket that was closed and came back under the same number is told as gone
 * first: a loop that did not notice would wait for it in vain.
 */
#ifndef TC_LOOP_H
#define TC_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TC_READ = 1, TC_WRITE = 2 };

struct tc_watch {
    intptr_t socket;
    unsigned char wanted; /* TC_READ | TC_WRITE, 0: not any more */
    unsigned char told;   /* what the host's loop knows of */
    bool replaced;        /* what it knows of is another socket of this number */
};

/* All zero, but for `timer`, is a loop without sockets. */
struct tc_loop {
    struct tc_watch *watches;
    struct pollfd *polled; /* as many as there is room for watches */
    unsigned count, room;
    unsigned ready; /* of `polled`, those to look at */
    unsigned first; /* served first this time: each has its turn */
    double timer;   /* when libcurl wants to be woken, tc_clock_now's seconds; below 0: never */
    bool lent;      /* a host's loop watches */
    bool no_memory; /* libcurl's, or for a note: the multi handle is of no use any more */
};

/* Gives the callbacks to the multi handle (a CURLM). */
void tc_loop_attach(struct tc_loop *loop, void *multi);

/* Makes room for so many more sockets, since the callbacks cannot say that there is none. */
bool tc_loop_reserve(struct tc_loop *loop, unsigned more);

/* Waits at most `seconds` for a socket or the timer. True: tc_loop_serve has something to do. */
bool tc_loop_wait(struct tc_loop *loop, double seconds);

/*
 * Lets libcurl serve what tc_loop_wait found ready, as long as there are bytes left of the turn:
 * the sockets' callbacks count `*turn_left` down. False when libcurl lost track of what it does.
 */
bool tc_loop_serve(struct tc_loop *loop, void *multi, const size_t *turn_left);

/* Lets libcurl serve one socket, or the timer if it is due. False as above. */
bool tc_loop_action(struct tc_loop *loop, void *multi, intptr_t socket, int events);

/* Lends the sockets to a host's loop, which knows of none, or takes all of them back from it. */
void tc_loop_lend(struct tc_loop *loop, bool lent);

/* The next change for the host's loop: `*events` is 0 for a socket to be forgotten. */
bool tc_loop_next_change(struct tc_loop *loop, intptr_t *socket, int *events);

/* It did not take note of the last change of that socket: it will be told again. */
void tc_loop_report_again(struct tc_loop *loop, intptr_t socket);

/* Frees the notes. */
void tc_loop_free(struct tc_loop *loop);

#endif
