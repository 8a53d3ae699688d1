/*
 * libcurl's callbacks of an attempt: see receive.h.
 */
#include "receive.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "address.h"
#include "headers.h"
#include "problem.h"
#include "process.h"

#include <ctype.h>
#ifndef _WIN32
#include <sys/socket.h>
#endif
#include <curl/curl.h>
#include <string.h>

enum {
    REFUSAL_SIZE = 1024 * 1024, /* bytes of an error's body that are read */
    STREAMED = 256 * 1024,      /* bytes of a streamed picture that are held at most */
    STEP_COST = 32,             /* bytes of a turn that a step of the scanner is worth */
    TIGHT = 8, /* bytes that one compressed byte becomes: more are not to be held back */
};

/* Bytes of freed memory that are worth keeping for what comes next: a stream's chunks and buffer.
 */
enum { KEPT = 512 * 1024 };

/* ---- sending ---- */

/*
 * Has the kept connection that it is about to leave on ended? libcurl looks for the end of the TCP
 * connection only: it takes one for alive where the server's farewell in TLS waits to be read, as
 * it does after every server's idle time. Between two answers there is nothing else to read.
 */
static bool is_stale(const struct tc_request *request, int local_port)
{
    intptr_t socket = tc_session_find_connection(request->session, local_port);
    long connects = 1;
    char byte;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_NUM_CONNECTS, &connects);
    if (connects > 0 ||
        request->session->settings.http2) /* one of its own, or that libcurl reads */
        return false;
    return socket >= 0 && recv((curl_socket_t)socket, &byte, 1, MSG_PEEK) >= 0;
}

/* The request leaves for the server at `ip`. */
static void note_leaving(struct tc_request *request, const char *ip)
{
    request->timing.sent = tc_clock_now();
    request->attempt.at_private_address = /* a proxy's is not the server's */
        !request->attempt.proxied && ip && tc_address_text_is_private(ip);
}

/* The same where no on_connected says so: it has left when its body is asked for, or answered. */
static void note_left(struct tc_request *request)
{
    char *ip = NULL;
    if (request->timing.sent > 0)
        return;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_PRIMARY_IP, &ip);
    note_leaving(request, ip);
}

void tc_receive_check_sent(struct tc_request *request)
{
    curl_off_t microseconds = 0;
    long bytes = 0;
    if (request->timing.sent > 0 || request->attempt.watched || !request->attempt.easy)
        return;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_PRETRANSFER_TIME_T, &microseconds);
    curl_easy_getinfo(request->attempt.easy, CURLINFO_REQUEST_SIZE, &bytes);
    if (microseconds > 0 && bytes > 0)
        request->timing.sent = tc_clock_now();
}

/*
 * A connection is there and the request is about to leave. That happens twice when libcurl found a
 * kept-alive connection dead after it had sent: by itself it would send the POST again, and the
 * server may have drawn and billed the first one.
 *
 * HTTP/2 has words for a request that was not looked at: GOAWAY with an earlier last stream, and
 * REFUSED_STREAM. libcurl keeps them to itself: 7.88 sends again, which looks the same here as a
 * lost answer, or ends with CURLE_HTTP2 as after any mistake in the framing. Only its text for
 * debugging tells them apart, and that changes with every release. So they count as risky, too.
 */
static int on_connected(void *user, char *ip, char *local_ip, int port, int local_port)
{
    struct tc_request *request = user;
    (void)local_ip, (void)port;
    if (request->timing.sent > 0 && !request->options.retry_safe)
        request->attempt.abort = TC_ABORT_RESENT;
    else if (is_stale(request, local_port))
        request->attempt.abort = TC_ABORT_STALE;
    if (request->attempt.abort)
        return 1; /* CURL_PREREQFUNC_ABORT */
    note_leaving(request, ip);
    return 0;
}

/* Fills libcurl's own buffer with what comes next of the body. */
static size_t on_send(char *out, size_t one, size_t size, void *user)
{
    struct tc_request *request = user;
    (void)one; /* always 1 */
    note_left(request);
    return tc_body_read(request->options.body, &request->attempt.body_position, out, size);
}

/* libcurl begins the body anew: a kept connection had ended, or HTTP/2 refused the stream. */
static int on_seek(void *user, curl_off_t offset, int origin)
{
    struct tc_request *request = user;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > request->options.body->size)
        return CURL_SEEKFUNC_CANTSEEK;
    request->attempt.body_position = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* False where libcurl is older than 7.80, here or where this was built. */
static bool watch_sending(CURL *easy, struct tc_request *request)
{
#if TC_LIBCURL >= 0x075000
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
    return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected) == CURLE_OK;
#else
    (void)easy, (void)request, (void)on_connected;
    return false;
#endif
}

/* ---- the head of an answer ---- */

/*
 * An answer's headers begin; those of an interim one (100, 103) may have come before. The status is
 * what libcurl has read, which knows status lines from header lines that look like one.
 */
static void begin_response(struct tc_request *request)
{
    request->status = 0;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_RESPONSE_CODE, &request->status);
    tc_headers_begin(&request->exchange->notes);
    request->cost = -1;
    if (request->status >= 200) {
        request->state = TC_RECEIVING;
        request->timing.first_byte = tc_clock_now();
    }
}

/* Headers of the final answer may look like one. */
static bool is_status_line(const struct tc_request *request, const char *line, size_t size)
{
    return request->status < 200 && size >= 5 && !memcmp(line, "HTTP/", 5);
}

/* "HTTP/1.1 200 OK", "HTTP/2 200": of a version that is there, and with three digits. */
static bool has_status(const char *line, size_t size)
{
    static const char *const versions[] = {"HTTP/1.1 ", "HTTP/1.0 ", "HTTP/2 ", "HTTP/3 "};
    size_t i = 0, digits = 0;
    for (size_t k = 0; k < sizeof(versions) / sizeof(*versions); k++)
        if (size > strlen(versions[k]) && !memcmp(line, versions[k], strlen(versions[k])))
            i = strlen(versions[k]);
    while (i && i < size && line[i] == ' ')
        i++;
    while (i + digits < size && isdigit((unsigned char)line[i + digits]))
        digits++;
    i += digits;
    return digits == 3 && (i == size || isspace((unsigned char)line[i]));
}

/* Is it a header, more of the one before, or the end of them? */
static bool is_header(const char *line, size_t size)
{
    return memchr(line, ':', size) || isspace((unsigned char)*line);
}

/*
 * What is wrong with an answer up to this line of its head: the same whatever libcurl makes of it,
 * which changes with its releases.
 */
static enum tc_abort check_head(const struct tc_request *request, const char *line, size_t size)
{
    const struct tc_header_notes *notes = &request->exchange->notes;
    bool well =
        is_status_line(request, line, size) ? has_status(line, size) : is_header(line, size);
    if (notes->size > TC_HEADERS_SIZE || notes->count > TC_HEADERS)
        return TC_ABORT_MANY_HEADERS;
    return !well || memchr(line, '\0', size) ? TC_ABORT_BAD_HEADERS : TC_ABORT_NONE;
}

static size_t on_header(char *line, size_t one, size_t size, void *user)
{
    struct tc_request *request = user;
    (void)one; /* always 1 */
    note_left(request);
    request->exchange->notes.size += size;
    request->exchange->notes.count++;
    request->attempt.abort = check_head(request, line, size);
    if (request->attempt.abort)
        return 0;
    if (is_status_line(request, line, size)) {
        begin_response(request);
        return size;
    }
    tc_headers_note(request, line, size);
    if (tc_headers_note_location(request, line, size))
        return size;
    request->attempt.abort = TC_ABORT_NO_MEMORY;
    return 0;
}

/* ---- the body ---- */

static bool is_success(const struct tc_request *request)
{
    return request->status >= 200 && request->status < 300;
}

const char *tc_receive_content_type(const struct tc_request *request)
{
    char *type = NULL;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_CONTENT_TYPE, &type);
    return type ? type : "";
}

/* Does the server call it an image: "image/png", "IMAGE/avif; q=1"? */
static bool is_image_type(const struct tc_request *request)
{
    return curl_strnequal(tc_receive_content_type(request), "image/", strlen("image/"));
}

/* Is the picture itself the answer to a request for pictures? */
static bool has_image(const struct tc_request *request)
{
    return request->envelope->for_pictures && is_image_type(request);
}

/* Does a body begin as JSON or events do? It is that, then, whatever its server calls it: no
 * picture begins so. */
static bool begins_document(char first)
{
    return first && strchr("{[: \t\r\nd\xef", first);
}

static void begin_body(struct tc_request *request, char first)
{
    curl_off_t length = 0;
    if (!is_success(request)) { /* a refusal has no pictures, and every word of it counts */
        request->envelope->path.rule_count = TC_FAILURE_RULES;
        request->envelope->for_pictures = false;
    }
    if (!request->exchange->notes.encoded)
        curl_easy_getinfo(request->attempt.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    request->expected = length > 0 ? (uint64_t)length : 0;
    request->envelope->expected = request->expected;
    bool picture = request->options.raw_image || (has_image(request) && !begins_document(first));
    request->envelope->raw = is_success(request) && picture;
    if (is_success(request) && length > KEPT)
        tc_keep_pages(request->envelope->images.streaming ? KEPT : (size_t)length);
}

/* ---- what can be delivered ---- */

/*
 * Has an image something to deliver: all of it once it has ended, or, of one that is streamed, at
 * least `least` bytes? Not before it is known what they are: a file's name depends on that, and
 * what is no picture at all, or a draft, is to reach nobody. Nor where another attempt follows, for
 * what came is not what will be.
 */
static bool is_deliverable(const struct tc_request *request, const struct tc_image *image,
                           size_t least)
{
    if (!image || image->held || request->state == TC_RETRYING)
        return false;
    bool known = image->signature.mime || image->signature.settled;
    bool enough = request->envelope->images.streaming && image->bytes.size >= least;
    return image->ended || (enough && known);
}

/* The first image that has so much to deliver, or `images.count`. */
static unsigned find_image(const struct tc_request *request, size_t least)
{
    const struct tc_images *images = &request->envelope->images;
    unsigned i = 0;
    while (i < images->count && !is_deliverable(request, images->list[i], least))
        i++;
    return i;
}

unsigned tc_receive_next_image(const struct tc_request *request)
{
    return find_image(request, 1);
}

size_t tc_receive_deliverable_bytes(const struct tc_request *request)
{
    const struct tc_images *images = &request->envelope->images;
    size_t bytes = 0;
    for (unsigned i = 0; i < images->count; i++)
        if (is_deliverable(request, images->list[i], 1))
            bytes += images->list[i]->bytes.size;
    return bytes;
}

/* Has it brought what should be taken away before more comes? */
static bool is_full(const struct tc_request *request)
{
    return is_success(request) && find_image(request, STREAMED) < request->envelope->images.count;
}

/* Tells what is new: something to take away, or enough time gone by for those who watch. */
static void tell_news(struct tc_request *request)
{
    bool news = is_full(request);
    if (request->options.progress && !news) {
        double now = tc_clock_now();
        news = now - request->attempt.notified_at >= TC_PROGRESS_EVERY;
        if (news)
            request->attempt.notified_at = now;
    }
    if (news)
        tc_request_notify(request);
}

/* Has a compressed body become more than `ratio` times as large? `slack` compressed bytes may not
 * be counted yet. */
static bool is_packed(const struct tc_request *request, unsigned ratio, uint64_t slack)
{
    curl_off_t packed = 0;
    if (!request->exchange->notes.encoded)
        return false;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_SIZE_DOWNLOAD_T, &packed);
    return request->received > ratio * ((uint64_t)packed + slack);
}

/* While it is paused, libcurl keeps what it unpacks, and 100 KiB may become 100 MiB. */
static bool must_pause(const struct tc_request *request)
{
    bool full = request->session->budget.bytes == 0 || is_full(request);
    return request->held || (full && !is_packed(request, TIGHT, 0));
}

/* Has all of the body left? Some servers answer before they have read it. */
static bool is_sent(const struct tc_request *request)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return !request->options.body || (uint64_t)sent >= request->options.body->size;
}

/*
 * Stops libcurl behind the bytes that it is just delivering. (To return CURL_WRITEFUNC_PAUSE would
 * stop it before them, and have it copy them aside.) Sending is paused too once there is nothing to
 * send any more, as libcurl would else look after the transfer at once.
 */
static void pause_transfer(struct tc_request *request)
{
    if (request->attempt.paused)
        return;
    curl_easy_pause(request->attempt.easy, is_sent(request) ? CURLPAUSE_ALL : CURLPAUSE_RECV);
    request->attempt.paused = true;
    request->attempt.paused_at = tc_clock_now();
}

/* Has it much more to give than it should, though it is paused? */
static bool holds_much(const struct tc_request *request)
{
    const struct tc_image *open = tc_images_open(&request->envelope->images);
    return request->envelope->images.streaming && open && open->bytes.size >= 4 * (size_t)STREAMED;
}

bool tc_receive_can_resume(const struct tc_request *request)
{
    return request->attempt.paused && !must_pause(request);
}

void tc_receive_hold(struct tc_request *request, bool held)
{
    request->held = held;
    if (held && request->attempt.easy)
        pause_transfer(request);
}

bool tc_receive_is_stalled(const struct tc_request *request)
{
    return request->attempt.paused && is_full(request);
}

int tc_receive_resume(struct tc_request *request)
{
    request->attempt.paused = false;
    request->attempt.paused_for += tc_clock_now() - request->attempt.paused_at;
    int code =
        curl_easy_pause(request->attempt.easy, CURLPAUSE_CONT); /* calls on_body from inside */
    /* libcurl's word for a socket that it has no memory to watch: no callback of ours says it. */
    return code == CURLE_ABORTED_BY_CALLBACK ? CURLE_OUT_OF_MEMORY : code;
}

bool tc_receive_is_no_picture(const struct tc_request *request)
{
    const struct tc_envelope *envelope = request->envelope;
    const struct tc_image *image = envelope->images.count ? envelope->images.list[0] : NULL;
    bool foreign = image && tc_signature_end(&image->signature) == TC_END_UNKNOWN;
    bool text = image && tc_signature_is_text(&image->signature);
    foreign = foreign && !is_image_type(request);
    return request->options.raw_image && (text || foreign);
}

/* Keeps the beginning of the body. */
static void keep_head(struct tc_exchange *exchange, const char *bytes, size_t size)
{
    size_t room = TC_HEAD_SIZE - exchange->head_size;
    size = size < room ? size : room;
    memcpy(exchange->head + exchange->head_size, bytes, size);
    exchange->head_size += size;
    exchange->head[exchange->head_size] = '\0';
}

/* Has the scanner take bytes, and the budget pay for them. */
static enum tc_abort scan(struct tc_request *request, const char *bytes, size_t size)
{
    if (request->received > request->session->settings.max_response_bytes)
        return TC_ABORT_TOO_LARGE;
    if (is_packed(request, TC_TIGHTEST, 128 * 1024))
        return TC_ABORT_TOO_PACKED;
    uint64_t steps = request->envelope->steps;
    bool taken =
        tc_envelope_feed(request->envelope, bytes, size) && !tc_receive_is_no_picture(request);
    tc_session_spend(request->session, (size_t)(request->envelope->steps - steps) * STEP_COST);
    tell_news(request);
    return taken ? TC_ABORT_NONE : TC_ABORT_BAD_BODY;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *user)
{
    struct tc_request *request = user;
    (void)one;                                          /* always 1 */
    if (request->attempt.paused && holds_much(request)) /* one compressed buffer may be hundreds */
        return CURL_WRITEFUNC_PAUSE;                    /* the same bytes come again */
    tc_session_spend(request->session, size);
    if (request->received == 0)
        begin_body(request, size ? *bytes : '\0');
    keep_head(request->exchange, bytes, size);
    request->received += size;
    if (!is_success(request)) {
        (void)tc_envelope_feed(request->envelope, bytes, size); /* it may be no JSON at all */
        return request->received <= REFUSAL_SIZE ? size : 0;
    }
    request->attempt.abort = scan(request, bytes, size);
    if (request->attempt.abort)
        return 0;
    if (must_pause(request))
        pause_transfer(request);
    return size;
}

/* ---- all of them ---- */

void tc_receive_attach(struct tc_request *request)
{
    CURL *easy = request->attempt.easy;
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    request->attempt.watched = watch_sending(easy, request);
    if (!request->attempt
             .watched) /* libcurl sends anew on kept connections only, so there are none */
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    if (!request->options.body)
        return;
    request->attempt.body_position = 0;
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_READDATA, request);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, request);
}
