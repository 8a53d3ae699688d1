/*
 * The binding's files to each other: who reads a table, who builds one, who holds which userdata.
 *
 * Rules that all of them keep: no lua_State is stored anywhere; nothing that may raise runs while a
 * C resource is held by a local variable alone; functions of the user are called from here only,
 * never from inside libcurl.
 */
#ifndef TC_BINDING_H
#define TC_BINDING_H

#include "lua_compat.h"

#include "client.h"
#include "writer.h"

#define TC_CLIENT  "thucchien.client"
#define TC_REQUEST "thucchien.request"
#define TC_ERROR   "thucchien.error"
#define TC_IMAGE   "thucchien.image"

/* ---- thucchien.c ---- */

/* Pushes the function `name` of our own lua-cjson instance. */
void tc_push_json(lua_State *L, const char *name);

/* The largest whole number that our lua-cjson writes with all its digits. */
double tc_json_exact(lua_State *L);

/* Makes the metatable `name` with `metamethods`, and `methods` in its __index, and pops it. */
void tc_register_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                       const luaL_Reg *methods);

/* ---- lua_failure.c ---- */

void tc_register_failure(lua_State *L);

/*
 * Pushes an error table for `failure`; `request`, where there is one, adds what is known from its
 * answer. Raises when it is for want of memory, as Lua does.
 */
void tc_push_failure(lua_State *L, const struct tc_failure *failure,
                     const struct tc_request *request);

/* Pushes an error table of `kind` for the field `param` (or NULL); the message as lua_pushfstring
 * makes it. */
void tc_push_error(lua_State *L, enum tc_kind kind, const char *param, const char *format, ...);

/* ---- lua_fields.c: reading tables of named fields. All push an error table when false. ---- */

enum tc_type {
    TC_T_STRING,
    TC_T_WHOLE,
    TC_T_NUMBER,
    TC_T_BOOLEAN,
    TC_T_TABLE,
    TC_T_FUNCTION,
    TC_T_ANY
};

struct tc_field {
    const char *name;
    enum tc_type type;
};

/* Is every key of the table at `index` among the `count` fields, and every value of its type? */
bool tc_fields_check(lua_State *L, int index, const struct tc_field *fields, size_t count);

/* Reads a number of at least `least` and at most `most` into `*number`; an absent one stays. */
bool tc_field_number(lua_State *L, int index, const char *name, double least, double most,
                     double *number);

/* Like tc_field_number for a whole number; a float or a string that is one is taken too. */
bool tc_field_whole(lua_State *L, int index, const char *name, double least, double most,
                    double *number);

/* Reads how to retry ("safe", "all", "none"). */
bool tc_field_retry(lua_State *L, int index, enum tc_retry *retry);

/*
 * Reads a table of header names and values, checks them, and leaves on the stack one value that
 * anchors `*lines` (NULL at its end, as the engine takes it). An absent table is an empty one.
 */
bool tc_field_headers(lua_State *L, int index, const char *name, const char *const **lines);

/* The text at `index`, cut for a message and without what a terminal might obey. Pushes it. */
const char *tc_push_quoted(lua_State *L, int index);

/* Where `text` stops being UTF-8 (RFC 3629), from 1, or 0 where it never does. */
size_t tc_utf8_error(const char *text, size_t size);

/* ---- lua_params.c ---- */

/* What a client lends to its requests. */
struct tc_defaults {
    double timeout, connect_timeout, max_retries;
    enum tc_retry retry;
};

/*
 * Reads and checks the params at `index` (a table or a string) for a request of the client whose
 * uservalue is at `lent`. True: `*options` is complete but for the key and the body, and values on
 * the stack anchor its strings: the topmost are the model's name and the body's JSON. False: an
 * error table is on top.
 */
bool tc_params_read(lua_State *L, int index, int lent, const struct tc_defaults *defaults,
                    struct tc_request_options *options);

/* Raises, as Lua's own functions do, unless there is a table or a string at `index`. */
void tc_params_argument(lua_State *L, int index);

/* ---- lua_client.c ---- */

void tc_register_client(lua_State *L);
int tc_client_lua_new(lua_State *L);
int tc_client_lua_generate(lua_State *L);

/*
 * Drives the client at `client` until the request at `request` has ended or tc_clock_now() is past
 * `until`. Returns what lua_pcall does: an error is on top if Lua was interrupted.
 */
int tc_client_wait(lua_State *L, int client, int request, double until);

/* Pushes the function `name` of the driver of the client at `client`; false, and nothing, if there
 * is none. */
bool tc_client_push_driver(lua_State *L, int client, const char *name);

/* Tells the driver of the client at `client`, if it has one, what has changed. */
void tc_client_sync(lua_State *L, int client);

/* ---- lua_request.c ---- */

struct tc_request_box {
    struct tc_request *request; /* NULL until it is submitted */
    struct tc_writer writer;    /* of the picture that is being saved as it comes */
    uint64_t told;              /* bytes that on_progress knows of */
    bool stopped;               /* one of the user's functions refused or raised: no more of them */
    bool giving;                /* one of them is being called: what comes meanwhile has to wait */
    bool put_off;               /* and something has come */
};

void tc_register_request(lua_State *L);

/* What the request userdata at `index` stands for. */
struct tc_request_box *tc_request_box(lua_State *L, int index);

/*
 * Pushes a request userdata that holds nothing yet, of the client at `client`. The params at
 * `params` have its takers (on_image, sink, ...); `done` is the index of a function or nil, `model`
 * that of the name which its response gets where the answer has none.
 */
struct tc_request_box *tc_push_request(lua_State *L, int client, int params, int model, int done);

/*
 * Pushes the response, or nil and the error, of the request at `index`, which has ended; or raises
 * what one of the user's functions raised while somebody waited. Returns how much it pushed.
 */
int tc_request_push_result(lua_State *L, int index);

/* Lua functions of a request, for the client to call protected. They call the user's. */
int tc_request_give(lua_State *L);          /* hands out what has come */
int tc_request_finish(lua_State *L);        /* tells `done` of the end */
int tc_request_resume_waiter(lua_State *L); /* resumes a coroutine that is in await */

bool tc_request_has_waiter(lua_State *L, int index);

/*
 * Is one of the user's functions being called for the request at `index`? Then its `news`, just
 * taken from the client, have to wait until that returns: they will be told again.
 */
bool tc_request_put_off(lua_State *L, int index, struct tc_request *news);

/* Pops an error and keeps it for who waits for the request at `index`; false: nobody does. */
bool tc_request_keep_error(lua_State *L, int index);

/* Somebody waits for the request at `index`, or does so no longer. */
void tc_request_set_waited(lua_State *L, int index, bool waited);

/* Cancels the request at `index`, of which nobody wants to hear any more. */
void tc_request_abandon(lua_State *L, int index);

/* ---- lua_response.c ---- */

void tc_register_response(lua_State *L);

/* Pushes the table of one whole picture, with its bytes unless those were `streamed` elsewhere. */
void tc_push_image(lua_State *L, struct tc_image *image, bool streamed);

/* Can a file be written where the field `save` says? Pushes an error table when not. */
bool tc_check_save(lua_State *L, int table);

/*
 * Pushes `path` as picture `number` of a request is saved: numbered from the second on, and with
 * the extension `ext` (may be NULL) where it has none.
 */
const char *tc_push_path(lua_State *L, const char *path, const char *ext, unsigned number);

/*
 * Pushes the response of a request that succeeded, whose pictures are in the list at `images`.
 * False: an error table is on top instead.
 */
bool tc_push_response(lua_State *L, const struct tc_request *request, int images);

#endif
