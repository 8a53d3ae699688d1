/*
 * A job: one request of the user's, which is one or more requests of the engine's, and what it has
 * given so far.
 */
#ifndef TC_LUA_JOB_H
#define TC_LUA_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/writer.h"
#include "../engine/request.h"
#include "lua_compat.h"
#include "lua_models.h"

#define TC_REQUEST "thucchien.request"

struct tc_client;
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

void tc_register_job(lua_State *L);

/* What the request userdata at `index` stands for. */
struct tc_request_box *tc_request_box(lua_State *L, int index);

/* The same of a method's argument; raises unless it is a request that was submitted. */
struct tc_request_box *tc_check_request(lua_State *L, int index);

/* Pushes what the params of the request whose uservalue is at `state` have as `name`. */
void tc_push_param(lua_State *L, int state, const char *name);

/* Pops a value and keeps it under a number, or a part's position, in the table `name` of the
 * uservalue at `state`. */
void tc_request_keep(lua_State *L, int state, const char *name, unsigned number);

/* Appends the value on top to the list `name` of the uservalue at `state`, and pops it. */
void tc_job_append(lua_State *L, int state, const char *name);

/* Is the result made? From here on nothing changes any more. */
bool tc_job_is_settled(lua_State *L, int state);

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

/* Adds a part that has no request yet. NULL when memory is short. */
struct tc_part *tc_job_add_part(struct tc_request_box *box, unsigned first, unsigned quota);

/* Has the client, whose uservalue is at `lent`, hold the userdata at `index` for the next `count`
 * requests that it gets: all that can fail in Lua comes first, for what is in the queue is sent,
 * and paid. */
void tc_job_hold(lua_State *L, int index, int lent, const struct tc_client *client, unsigned count);

/* What to send for a picture that the answer of `part` points to; its time limits are those of the
 * request itself. */
struct tc_request_options tc_job_fetch_options(const struct tc_part *part);

/* The part that is the engine's `request`. */
struct tc_part *tc_request_part(const struct tc_request_box *box, const struct tc_request *request);

/* The number of the part's picture `index` (from 0), 0 for a draft. One that nobody asked for comes
 * behind all. */
unsigned tc_request_number(lua_State *L, struct tc_request_box *box, struct tc_part *part,
                           unsigned index);

/* Have all its parts ended, and is there nothing more to fetch? */
bool tc_request_is_over(const struct tc_request_box *box);

/* Sums up the bytes of all parts; `*total` is 0 where one does not know how many it will be. */
uint64_t tc_job_received(const struct tc_request_box *box, uint64_t *total);

/* Pushes both. */
void tc_job_push_received(lua_State *L, uint64_t received, uint64_t total);

/*
 * Calls one of them for the request at `index`, as tc_hooks_pcall does. An error ends the request
 * because of the part (NULL: of the one whose end was being taken note of, if any).
 */
int tc_request_call(lua_State *L, int index, const char *name, struct tc_part *part,
                    bool *interrupted);

/* From here on what comes for it has to wait, until it is busy no more: things come in order. */
void tc_request_set_busy(struct tc_request_box *box, bool busy);

/* It is busy, and `news` of one of its parts were just taken from the client: they will be told
 * again. */
void tc_request_put_off(const struct tc_request_box *box, struct tc_request *news);

/* Raises what is raised where functions of the request's own wait for it. */
int tc_job_raise_busy(lua_State *L);

/* May functions of the user's be called for a part? One of them may have ended it. */
bool tc_job_goes_on(const struct tc_request_box *box, const struct tc_part *part);

/* Ends it because of one of its parts: no more functions are called for it. */
void tc_request_stop(struct tc_request_box *box, struct tc_part *part, enum tc_kind kind,
                     const char *message);

/* The same because of the error on top, which stays. */
void tc_request_stop_by_error(lua_State *L, struct tc_request_box *box, struct tc_part *part);

/* Cancels it as a whole: what has come goes along with the error. False: it had ended. */
bool tc_job_cancel(struct tc_request_box *box);

/* Cancels the request at `index`, of which nobody wants to hear any more. */
void tc_request_abandon(lua_State *L, int index);

/* Keeps the error on top for who waits for the request at `index`; false: nobody does. */
bool tc_request_keep_error(lua_State *L, int index);

/* Says whether somebody waits for the request at `index`. Returns whether somebody did. */
bool tc_request_set_waited(lua_State *L, int index, bool waited);

/* Says whether that is one of the user's functions, called while news are handed out. Returns
 * whether one did. */
bool tc_request_set_awaited(struct tc_request_box *box, bool awaited);

#endif
