/*
 * A job: one request of the user's. It is carried out by one or more requests of the engine's, its
 * subrequests, and keeps what those have brought so far.
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

/* One request of the engine's. It asks for some of the job's pictures, or fetches one picture of
 * which a response has only the address (then it has a `parent`). */
struct tc_subrequest {
    struct tc_subrequest *next;
    struct tc_request *request;
    struct tc_writer writer; /* of the picture that is being saved as it comes */
    unsigned saved_index;    /* that picture's index in the envelope */
    unsigned position;       /* among the job's subrequests, from 1 */
    unsigned first, quota;   /* its pictures get the numbers first + 1 to first + quota */
    unsigned *numbers;       /* the number in the job of each picture, by index: first those in the
                              * response, then those at addresses; 0 for a draft. NULL: none yet */
    unsigned numbered;       /* how many elements of `numbers` are set */
    unsigned pictures;       /* how many of those are not drafts */
    uint32_t sample;         /* a hash of the picture under way, if its bytes go elsewhere */
    const struct tc_subrequest *parent; /* whose response has the address; NULL for others */
    bool finished;                      /* its end has been processed */
    bool deferred;  /* it brought something while the job was busy: deliver it again */
    bool holds_end; /* it is deferred and has ended: it keeps the client's reference to `request` */
};

/* The job of a request userdata. */
struct tc_job {
    /* What is asked for. */
    struct tc_request_options options; /* of each subrequest; empty once they are submitted */
    struct tc_body *last_body;         /* the last one's, if that asks for fewer pictures */
    unsigned count;                    /* pictures */
    unsigned per_request;              /* pictures that each subrequest asks for, at most */
    enum tc_via via;
    double ratio;     /* width by height that was asked for; 0: any */
    double own_ratio; /* the ratio that the model makes of it; `ratio` where that is not known */
    bool json;        /* not for pictures: the result is the response's JSON */

    /* How far it is. */
    struct tc_subrequest *subrequests, *last_subrequest; /* NULL until it is submitted */
    unsigned last_number;                /* the largest number of a picture, at least `count` */
    struct tc_subrequest *finishing;     /* whose end is being processed, or NULL */
    const struct tc_subrequest *culprit; /* which stopped the whole job, or NULL */
    bool stopped;                        /* no more of the user's functions are called */
    bool busy;                           /* something is being delivered: more has to wait */
    bool in_wait;                        /* somebody is in wait */
    bool awaited; /* by a function of the user's: see tc_client_poll_awaited */
    struct {
        uint64_t bytes;
        double at; /* tc_clock_now's seconds */
    } reported;    /* what on_progress was last called with, and when */
    struct {
        unsigned count;
        double since;
    } early; /* how often a coroutine in await was resumed too early, and since when */
};

void tc_register_job(lua_State *L);

/* The job of the request userdata at `index`. */
struct tc_job *tc_job_of(lua_State *L, int index);

/* The same for a method's argument; raises unless that is a request which was submitted. */
struct tc_job *tc_job_check(lua_State *L, int index);

/* ---- submitting ---- */

/*
 * Pushes the userdata of a new job for the client at `client`, and its uservalue on top of that.
 * `done` is the index of a function that is called with the result, or of nil. Then tc_params_read
 * or tc_call_read fills the job in, and tc_job_submit sends it.
 */
struct tc_job *tc_job_push(lua_State *L, int client, int done);

/*
 * Puts the subrequests of the job at `index` into the queue of the client at `client`. Raises when
 * memory is short; nothing is sent then.
 */
void tc_job_submit(lua_State *L, int index, int client);

/* Adds a subrequest to the job at `index` that fetches picture `number` from `address`, which the
 * response of `parent` has. Raises when memory is short. Returns the position. */
unsigned tc_job_fetch(lua_State *L, int index, const struct tc_subrequest *parent,
                      const char *address, unsigned number);

/* ---- the uservalue of a job ---- */

/* Pushes the field `name` of the params. */
void tc_job_push_param(lua_State *L, int uservalue, const char *name);

/* Pushes the table `name`, to be written to. Reading a uservalue's field may give the empty table
 * that all jobs share. */
void tc_job_push_table(lua_State *L, int uservalue, const char *name);

/* Pops a value and sets it in the table `name`, by a picture's number or a subrequest's position.
 */
void tc_job_keep(lua_State *L, int uservalue, const char *name, unsigned number);

/* Pops a value and appends it to the list `name`. */
void tc_job_append(lua_State *L, int uservalue, const char *name);

/* Is there a result? Then nothing changes any more. */
bool tc_job_is_settled(lua_State *L, int uservalue);

/* ---- how far it is ---- */

/* The subrequest for the engine's `request`. */
struct tc_subrequest *tc_job_subrequest(const struct tc_job *job, const struct tc_request *request);

/* The number that picture `index` (from 0) of a subrequest has in the job, 0 for a draft. Pictures
 * beyond the quota get the numbers after all others. Raises when memory is short. */
unsigned tc_job_picture_number(lua_State *L, struct tc_job *job, struct tc_subrequest *sub,
                               unsigned index);

/* Have all its subrequests ended, and is there nothing more to fetch? */
bool tc_job_is_over(const struct tc_job *job);

/* Pushes how many bytes have come, and how many there will be (nil where that is not known).
 * Returns the former. */
uint64_t tc_job_push_received(lua_State *L, const struct tc_job *job);

/* ---- calling the user's functions ---- */

/*
 * Calls the function that tc_own_push knows as `name`, protected by tc_hooks_pcall, with the
 * request userdata at `index` and a light userdata of `sub` (may be NULL). If it raises an error,
 * the job is stopped; the culprit is the subrequest whose end is being processed, or else `sub`.
 */
int tc_job_call(lua_State *L, int index, const char *name, struct tc_subrequest *sub,
                bool *interrupted);

/* What arrives for a busy job is deferred until it is not busy any more, so that all is delivered
 * in order. */
void tc_job_set_busy(struct tc_job *job, bool busy);

/* Defers what `request` has brought for a busy job. The request was just taken from the client. */
void tc_job_defer(const struct tc_job *job, struct tc_request *request);

/* Raises the error for a function of the user's that waits for the request which calls it. */
int tc_job_raise_busy(lua_State *L);

/* May functions of the user's still be called for a subrequest? One of them may have ended it. */
bool tc_job_goes_on(const struct tc_job *job, const struct tc_subrequest *sub);

/* ---- ending it ---- */

/* Stops the whole job because of one of its subrequests: no more functions are called for it. */
void tc_job_stop(struct tc_job *job, struct tc_subrequest *sub, enum tc_kind kind,
                 const char *message);

/* The same because of the error on top, which stays there. */
void tc_job_stop_by_error(lua_State *L, struct tc_job *job, struct tc_subrequest *sub);

/* Cancels the whole job; its error will have the pictures that have come. Returns false if it had
 * ended. */
bool tc_job_cancel(struct tc_job *job);

/* Ends all subrequests, and makes no error: nobody will ask for the result. */
void tc_job_abandon(struct tc_job *job);

/* ---- who waits ---- */

/* Keeps the error on top for whoever is in wait for the request at `index`. Returns false if
 * nobody is. */
bool tc_job_keep_error(lua_State *L, int index);

/* Sets whether somebody is in wait for the request at `index`. Returns whether somebody was before.
 */
bool tc_job_set_in_wait(lua_State *L, int index, bool in_wait);

/* Sets whether a function of the user's, called while something is delivered, waits for the job.
 * Returns whether one did before. */
bool tc_job_set_awaited(struct tc_job *job, bool awaited);

#endif
