/*
 * The binding's files to each other: who reads a table, who builds one, who holds which userdata.
 *
 * Rules that all of them keep: no lua_State is stored anywhere; nothing that may raise runs while a
 * C resource is held by a local variable alone; functions of the user are called from here only,
 * never from inside libcurl.
 */
#ifndef TC_BINDING_H
#define TC_BINDING_H

#include "../base/writer.h"
#include "../engine/client.h"
#include "lua_compat.h"

#define TC_CLIENT  "thucchien.client"
#define TC_REQUEST "thucchien.request"
#define TC_ERROR   "thucchien.error"
#define TC_IMAGE   "thucchien.image"

/* ---- lua_host.c: the process and the state that we are loaded into ---- */

/* Raises unless this is the Lua that the module was built for. Asks nothing of it but luaL_error.
 */
void tc_host_check_lua(lua_State *L);

/*
 * Keeps this library, and libcurl with it, in memory to the process's end. lua_close would unload
 * them, while a resolver thread of libcurl's may still run its code.
 */
void tc_host_pin(void);

/* Pushes the field `name` of a global table, or, with NULL, the global itself; nil where there is
 * none. No metatable is asked: some raise for what was not declared. */
void tc_push_field_of_global(lua_State *L, const char *global, const char *name);

/* Pushes what require has loaded as `name`, or nil. */
void tc_push_loaded(lua_State *L, const char *name);

/* Tells whoever runs the program, on standard error: for what no function's result can tell. */
void tc_host_warn(const char *message);

/* Finds the JSON that tc_json_convert uses: lua-cjson, where it is there and its calls do not go
 * astray; else our own. */
void tc_host_open_json(lua_State *L);

/* Replaces the value on top by what "encode" or "decode" makes of it. False: by a message that says
 * why it cannot be done. Raises whatever else is raised meanwhile. */
bool tc_json_convert(lua_State *L, const char *name);

/* The largest whole number that is written with all its digits. */
double tc_json_exact(lua_State *L);

/* ---- lua_json.c: our own ---- */

int tc_json_encode(lua_State *L);
int tc_json_decode(lua_State *L);

/* ---- lua_own.c ---- */

/* Makes the table of what this copy of the module keeps, unless it is there. */
void tc_own_open(lua_State *L);

/* Pushes what is kept as `name`, or nil. Allocates nothing where something is kept. */
void tc_own_push(lua_State *L, const char *name);

/* Keeps the value on top as `name`, and pops it. Allocates nothing where something is kept. */
void tc_own_keep(lua_State *L, const char *name);
void tc_own_function(lua_State *L, const char *name, lua_CFunction function);

/* Pushes what stands for no value, where any value may be one. Is that at `index`? */
void tc_push_nothing(lua_State *L);
bool tc_is_nothing(lua_State *L, int index);

/* Sets the functions into the table on top. */
void tc_set_functions(lua_State *L, const luaL_Reg *functions);

/* Makes the metatable `name` with `metamethods`, and `methods` in its __index. */
void tc_register_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                       const luaL_Reg *methods);

/* Gives the value on top the metatable `name`. */
void tc_set_class(lua_State *L, const char *name);

/* The userdata at `index`; raises, as luaL_checkudata does, unless it has the metatable `name`. */
void *tc_check_class(lua_State *L, int index, const char *name);

/* ---- lua_hooks.c ---- */

void tc_register_hooks(lua_State *L);

/* Calls a function, any function, so that a hook that was set meanwhile is run: Ctrl-C's, say. */
void tc_hooks_run(lua_State *L);

/* lua_pcall. `*interrupted`: the error is a hook's or a finalizer's, meant for whatever runs, or
 * that error raised on. */
int tc_hooks_pcall(lua_State *L, int arguments, int results, bool *interrupted);

/* The same without results; `*called` is false where a hook has raised before the function began.
 */
int tc_hooks_call(lua_State *L, int arguments, bool *called);

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
    unsigned routes; /* of a request's params: bits by enum tc_via */
};

enum { TC_LONGEST_TIMEOUT = 86400 }; /* seconds */

/* What a client lends to its requests. */
struct tc_defaults {
    double timeout, connect_timeout, max_retries;
    enum tc_retry retry;
};

/* Is every key of the table at `index` among the `count` fields, and every value of its type?
 * `noun`, here and below, is what errors call one: "field" or "option". */
bool tc_fields_check(lua_State *L, int index, const char *noun, const struct tc_field *fields,
                     size_t count);

/* The same, and replaces the table by a plain one of these fields: what is looked at from here on
 * is what was checked, whatever a metatable would say the next time. */
bool tc_fields_resolve(lua_State *L, int index, const struct tc_field *fields, size_t count);

/* Reads a request's own time limit and ways to retry, which win over the client's. */
bool tc_field_settings(lua_State *L, int index, const struct tc_defaults *defaults,
                       struct tc_request_options *options);

/* Reads a number of at least `least` and at most `most` into `*number`; an absent one stays. */
bool tc_field_number(lua_State *L, int index, const char *noun, const char *name, double least,
                     double most, double *number);

/* Like tc_field_number for a whole number; a float or a string that is one is taken too. */
bool tc_field_whole(lua_State *L, int index, const char *noun, const char *name, double least,
                    double most, double *number);

/* Reads how to retry ("safe", "all", "none"). */
bool tc_field_retry(lua_State *L, int index, const char *noun, enum tc_retry *retry);

/*
 * Reads a table of header names and values, checks them, and leaves on the stack one value that
 * anchors `*lines` (NULL at its end, as the engine takes it). An absent table is an empty one.
 */
bool tc_field_headers(lua_State *L, int index, const char *noun, const char *name,
                      const char *const **lines);

/* The text at `index`, cut for a message and without what a terminal might obey. Pushes it. */
const char *tc_push_quoted(lua_State *L, int index);

/* Where `text` stops being UTF-8 (RFC 3629), from 1, or 0 where it never does. */
size_t tc_utf8_error(const char *text, size_t size);

/* ---- lua_models.c, lua_routes.c ---- */

enum tc_via { TC_VIA_IMAGES, TC_VIA_CHAT, TC_VIA_GEMINI };

/* What a model makes of an aspect ratio: models round, Imagen's 3:4 is seven percent off. */
struct tc_shape {
    const char *ratio; /* "16:9"; NULL at the end of a list */
    unsigned width, height;
};

/* A size that comes out as a square, whatever it says. */
struct tc_squared {
    const char *size;  /* "1536x1024"; NULL at the end of a list */
    const char *ratio; /* the aspect ratio that comes near to it */
};

/* Models that share their ways and limits. */
struct tc_family {
    const char *pattern; /* of a model's name, '*' for any characters */
    enum tc_via via;
    unsigned most;        /* pictures that one request gives */
    unsigned limit;       /* pictures that may be asked for; 0: as many as an answer may have */
    const char *sizes[4]; /* NULL at the end; none at all: any */
    const struct tc_shape *shapes;    /* the ratios that it takes; NULL: any */
    const struct tc_squared *squared; /* by its route; NULL: none that is known */

    /* LiteLLM 1.79 makes Vertex's aspectRatio of aspect_ratio, newer ones pass that on as it is,
     * and Vertex does not know it. All pass aspectRatio on. For other models it may be an error. */
    bool spells_ratio_twice;
};

/* The family of a model, or NULL. A provider's name before a '/' does not count. */
const struct tc_family *tc_family_of(const char *model);

/* What a model of `family` (may be NULL) makes of `ratio`; NULL where that is not known. */
const struct tc_shape *tc_shape_of(const struct tc_family *family, const char *ratio);

/* The aspect ratio that comes near to a size which models of `family` (may be NULL) make a square
 * of; NULL for other sizes. */
const char *tc_ratio_for_squared(const struct tc_family *family, const char *size);

/* One way to a picture. */
struct tc_route {
    const char *name; /* "chat" */
    enum tc_base base;
    const char *path; /* "{model}" stands for the model's name */
    enum tc_credentials credentials;

    /*
     * Pushes the pieces of a request's body: the table at `body`, and the conversation at `turns`
     * where the route has one. False: an error table is on top.
     */
    bool (*write)(lua_State *L, int body, int turns);
};

const struct tc_route *tc_route(enum tc_via via);

/* Where an answer has pictures, whatever its route. */
enum { TC_PICTURE_RULES = 26 };
extern const struct tc_rule tc_picture_rules[TC_PICTURE_RULES];

/* The route of that name; false when there is none. */
bool tc_via_of(const char *name, enum tc_via *via);

/* ---- lua_body.c ---- */

void tc_register_body(lua_State *L);

/* Pushes the conversation that the params' history, images and prompt make. False: an error table.
 */
bool tc_push_turns(lua_State *L, int params);

/* Pushes the value at `index` as JSON. False: an error table. */
bool tc_push_encoded(lua_State *L, int index);

bool tc_write_images(lua_State *L, int body, int turns);
bool tc_write_chat(lua_State *L, int body, int turns);
bool tc_write_gemini(lua_State *L, int body, int turns);

/* Pushes a userdata that holds the body made of the pieces at `pieces`, and its pictures. */
struct tc_body *tc_push_body(lua_State *L, int pieces);

/* ---- lua_params.c ---- */

/* What is asked for: one request, or several that share it. */
struct tc_order {
    struct tc_request_options options; /* of each, but for key and body */
    enum tc_via via;
    unsigned count;                   /* pictures */
    unsigned at_once;                 /* of them, in one request */
    double ratio;                     /* width by height; 0: any */
    double own_ratio;                 /* what the model makes of that, as far as is known */
    bool json;                        /* no pictures at all: the answer itself is wanted */
    struct tc_body *body, *last_body; /* the last request may be for fewer; NULL: none */
};

/*
 * Reads and checks the params at `index` (a table or a string) for an order to the client whose
 * uservalue is at `lent`. True: `*order` is complete but for the key; the params there are replaced
 * by a plain table which has the model's name, the list of `warnings` and, under 1 and 2, what
 * holds the bodies; values on the stack anchor the options' strings. False: an error table is on
 * top.
 */
bool tc_params_read(lua_State *L, int index, int lent, const struct tc_defaults *defaults,
                    struct tc_order *order);

/* Can the value at `index`, of the field `name`, be sent without a loss: is its text UTF-8, are its
 * numbers such as lua-cjson writes, is it no circle? Pushes an error table when false. */
bool tc_value_check(lua_State *L, int index, const char *name);

/* Raises, as Lua's own functions do, unless there is a table or a string at `index`. */
void tc_params_argument(lua_State *L, int index);

/* ---- lua_answer.c ---- */

struct tc_part;

/*
 * Reads the answer of `part` at `document`, of whatever route: see there. Pushes
 *
 *     the answer, tidied: what a response has of it, without the pictures
 *     a list of places: { number = 1 } or { url = "https://..." }, with `item` where the server
 *     says more of a picture
 *     why the model refused, as a string, or nil
 */
void tc_read_answer(lua_State *L, int document, const struct tc_part *part);

/* ---- lua_refusal.c ---- */

/* Pushes why the document, which has no picture, refuses to have one, as a string, or nil. */
void tc_push_refusal(lua_State *L, int document);

/* Is this reason, for which a model stopped, its token limit? */
bool tc_is_cut_off(const char *reason);

/* ---- lua_client.c ---- */

void tc_register_client(lua_State *L);
int tc_client_lua_new(lua_State *L);
int tc_client_lua_generate(lua_State *L);

/*
 * Drives the client at `client` until the request at `request` is over or tc_clock_now() is past
 * `until`. Returns what lua_pcall does: an error is on top if Lua was interrupted. Whoever waits
 * inside a function of the user's lets others wait for their news.
 */
int tc_client_wait(lua_State *L, int client, int request, double until);

/* Pushes the function `name` of the driver of the client at `client`; false, and nothing, if there
 * is none. */
bool tc_client_push_driver(lua_State *L, int client, const char *name);

/* Tells the driver of the client at `client`, if it has one, what has changed. */
void tc_client_sync(lua_State *L, int client);

/* The engine's client of the userdata at `index`. */
struct tc_client *tc_client_of(lua_State *L, int index);

/* How many of the user's functions are being called for the client at `index`, one inside another.
 */
unsigned *tc_client_calls(lua_State *L, int index);

/* ---- lua_call.c ---- */

/* Reads what client:call takes, at `index`, as tc_params_read does params. */
bool tc_call_read(lua_State *L, int index, int lent, const struct tc_defaults *defaults,
                  struct tc_order *order);

/* ---- lua_request.c ---- */

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

/* ---- lua_room.c ---- */

/* Memory of Lua's allocator for a string to come. All zero is none. */
struct tc_room {
    char *block;
    size_t size, touched; /* bytes; of them, those that are ready */
};

/*
 * Gets room for a string of `size` bytes ready, as far as that goes in a quarter of a millisecond.
 * Returns whether it is: if not, call again later.
 */
bool tc_room_make(lua_State *L, struct tc_room *room, size_t size);

/* Gives the room back to the allocator, ready or not. */
void tc_room_give_back(lua_State *L, struct tc_room *room);

/* ---- lua_image.c ---- */

void tc_register_image(lua_State *L);

/* Pushes the table of one whole picture, with its bytes unless those were `streamed` elsewhere. */
void tc_push_image(lua_State *L, struct tc_image *image, bool streamed);

/* ---- lua_save.c ---- */

void tc_register_save(lua_State *L);

/* Can `count` files be written as the fields `save`, `if_exists` and `fsync` say? Pushes an error
 * table when not. */
bool tc_check_save(lua_State *L, int table, unsigned count);

/*
 * For a part of the request whose uservalue is at `state`: writes what picture `index` of its
 * answer, under way, has; ends the picture's file and sets the `path` of its table, which is on
 * top. `number` is the picture's in the request.
 */
void tc_save_bytes(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                   unsigned index, unsigned number);
void tc_save_image(lua_State *L, int state, struct tc_request_box *box, struct tc_part *part,
                   unsigned index, unsigned number);

/* The same for a picture of which not all came: its file gets a name that says so. */
void tc_save_cut(lua_State *L, struct tc_part *part, unsigned index);

/* Does the name say a format of pictures, and not the one that has the extension `ext`? */
bool tc_is_misnamed(const char *path, const char *ext);

/* image:save(path [, options]) */
int tc_image_save(lua_State *L);

/* ---- lua_conceal.c ---- */

/* Takes the key out of all strings of the table at `table` and its fields' names, all the way down,
 * and pushes a table that has, by what they are now, the values that had it. */
void tc_conceal(lua_State *L, int table, const char *key);

/* ---- lua_response.c ---- */

/* JSON null to nil, and whole numbers to integers where Lua has those, all the way down. */
void tc_tidy(lua_State *L, int table);

/* Pushes the answer of a request that succeeded as a table. False: an error table is on top. */
bool tc_push_answer(lua_State *L, const struct tc_request *request);

/* Pushes the error for an answer without a picture; `refusal` is the index of why, or of nil. */
void tc_push_no_image(lua_State *L, const struct tc_part *part, int answer, int refusal);

/* Pushes the error for an answer that came well, but with pictures that are not whole; false, and
 * nothing, when there are none. */
bool tc_push_fault(lua_State *L, const struct tc_part *part, int state);

/* Pushes the answer of a request that is not for pictures, or a table that is a field of it. False:
 * an error table is on top instead. */
bool tc_push_json_answer(lua_State *L, const struct tc_request *request, const char *field);

/* Pushes the response of a request that is over, whose uservalue is at `state`. False: an error
 * table is on top instead. */
bool tc_push_response(lua_State *L, const struct tc_request_box *box, int state);

#endif
