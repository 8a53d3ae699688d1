/*
 * The request userdata: what a request has given so far, as Lua values, and where it goes.
 */
#ifndef TC_LUA_REQUEST_H
#define TC_LUA_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/writer.h"
#include "../engine/request.h"
#include "lua_compat.h"
#include "lua_models.h"

struct tc_order;

/* One engine's request of a user's: for some of the pictures, or for one that an answer points to.
 */
struct tc_part {
    struct tc_part *next;
    struct tc_request *request;
    struct tc_writer writer;  /* of the picture that is being saved as it comes */
    unsigned saving;          /* that picture's place in the answer */
    unsigned position;        /* from 1 */
    unsigned first, quota;    /* its pictures are the numbers behind `first`, so many */
    unsigned numbered;        /* its pictures and drafts that have come, addresses too */
    unsigned *numbers;        /* of those, 0 of drafts; NULL: none has come */
    unsigned given;           /* numbers that are not 0 */
    uint32_t sample;          /* of the bytes of the picture under way, if they go on */
    const struct tc_part *of; /* whose answer points to it, or NULL */
    bool noted;               /* its end is known to the whole */
    bool put_off;             /* it has brought something while a function was called */
    bool kept;                /* and its end, with the client's reference, which is held here */
};

struct tc_request_box {
    struct tc_part *parts, *last_part; /* none until it is submitted */
    unsigned count;                    /* pictures that were asked for */
    unsigned last_number;              /* the largest of a picture so far, at least `count` */
    double ratio, own_ratio;           /* as in tc_order */
    enum tc_via via;
    bool json;                   /* the result is an answer as it is */
    uint64_t told;               /* bytes that on_progress knows of */
    double told_at;              /* since when, tc_clock_now's seconds */
    const struct tc_part *cause; /* with which the whole was ended from here, or NULL */
    struct tc_part *reading;     /* whose end is taken note of, or NULL */
    bool stopped;                /* no more of the user's functions are called */
    bool busy;                   /* what came is being given or read: what comes has to wait */
    bool waited;                 /* somebody is in wait */
    bool awaited;                /* its parts are: see tc_client_poll_awaited */
    unsigned early;              /* how often a coroutine in await was resumed too early */
    double early_since;          /* the moment from which a thousand of them are counted */
};

void tc_register_request(lua_State *L);

/* Pushes what the params of the request whose uservalue is at `state` have as `name`. */
void tc_push_param(lua_State *L, int state, const char *name);

/* Pops a value and keeps it under a number, or a part's position, in the table `name` of the
 * uservalue at `state`. */
void tc_request_keep(lua_State *L, int state, const char *name, unsigned number);

/* What the request userdata at `index` stands for. */
struct tc_request_box *tc_request_box(lua_State *L, int index);

/*
 * Pushes a request userdata that holds nothing yet, of the client at `client`. The params at
 * `params` have its takers (on_image, sink, ...); `done` is the index of a function or nil.
 */
struct tc_request_box *tc_push_request(lua_State *L, int client, int params, int done,
                                       const struct tc_order *order);

/*
 * Puts the requests of an order into the queue of the client at `client`, for the userdata at
 * `index`. Raises when memory is short; nothing is sent then.
 */
void tc_request_submit(lua_State *L, int index, int client, const struct tc_order *order);

/* Have all its parts ended, and is there nothing more to fetch? */
bool tc_request_is_over(const struct tc_request_box *box);

/*
 * Pushes the response, or nil and the error, of the request at `index`, which is over; or raises
 * what one of the user's functions raised while somebody waited. Returns how much it pushed.
 */
int tc_request_push_result(lua_State *L, int index);

/*
 * What is called protected for a request, under these names of tc_own_push: with its userdata, and
 * the first two with a part as a light userdata. What they call may do anything.
 */
#define TC_GIVE   "give"   /* hands out what has come */
#define TC_NOTE   "note"   /* takes note of a part's end */
#define TC_SETTLE "settle" /* makes the result of a request that is over */
#define TC_FINISH "finish" /* tells `done` of it */
#define TC_RESUME "resume" /* resumes a coroutine that is in await */

/*
 * Calls one of them for the request at `index`, as tc_hooks_pcall does. An error ends the request
 * because of the part (NULL: of the one whose end was being taken note of, if any).
 */
int tc_request_call(lua_State *L, int index, const char *name, struct tc_part *part,
                    bool *interrupted);

/* Is it settled, and is there nobody left to be told? */
bool tc_request_is_told(lua_State *L, int index);

/* How many coroutines are in await? */
int tc_request_waiters(lua_State *L, int index);

/* The part that is the engine's `request`. */
struct tc_part *tc_request_part(const struct tc_request_box *box, const struct tc_request *request);

/* From here on what comes for it has to wait, until it is busy no more: things come in order. */
void tc_request_set_busy(struct tc_request_box *box, bool busy);

/* It is busy, and `news` of one of its parts were just taken from the client: they will be told
 * again. */
void tc_request_put_off(const struct tc_request_box *box, struct tc_request *news);

/* The number of the part's picture `index` (from 0), 0 for a draft. One that nobody asked for comes
 * behind all. */
unsigned tc_request_number(lua_State *L, struct tc_request_box *box, struct tc_part *part,
                           unsigned index);

/* Ends it because of one of its parts: no more functions are called for it. */
void tc_request_stop(struct tc_request_box *box, struct tc_part *part, enum tc_kind kind,
                     const char *message);

/* The same because of the error on top, which stays. */
void tc_request_stop_by_error(lua_State *L, struct tc_request_box *box, struct tc_part *part);

/* Keeps the error on top for who waits for the request at `index`; false: nobody does. */
bool tc_request_keep_error(lua_State *L, int index);

/* Says whether somebody waits for the request at `index`. Returns whether somebody did. */
bool tc_request_set_waited(lua_State *L, int index, bool waited);

/* Says whether that is one of the user's functions, called while news are handed out. Returns
 * whether one did. */
bool tc_request_set_awaited(struct tc_request_box *box, bool awaited);

/* Cancels the request at `index`, of which nobody wants to hear any more. */
void tc_request_abandon(lua_State *L, int index);

#endif
