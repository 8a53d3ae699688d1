/*
 * libcurl's callbacks: see receive.h.
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
    REFUSAL_SIZE = 1024 * 1024, /* bytes that are read of a body that is no success */
    STREAMED = 256 * 1024,      /* bytes of a streamed picture before the transfer is paused */
    STEP_COST = 32,             /* bytes of budget that one step of the scanner costs */
    PAUSE_RATIO = 8,            /* a body with a higher compression ratio is not paused */
};

/* Freed bytes that the heap keeps while pictures are streamed: enough for chunks and the buffer. */
enum { STREAM_HEAP = 512 * 1024 };

/* ---- sending ---- */

/*
 * Has the server ended the kept connection that the request is about to be sent on? libcurl notices
 * only the end of the TCP connection. A server that closes an idle connection sends a close_notify
 * of TLS first, and until somebody reads that, libcurl takes the connection for alive. Between two
 * responses nothing else can be there to read.
 */
static bool is_stale(const struct tc_request *request, int local_port)
{
    intptr_t socket = tc_session_find_connection(request->session, local_port);
    long connects = 1;
    char byte;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_NUM_CONNECTS, &connects);
    /* A new connection is not stale. On HTTP/2 libcurl itself reads between two responses. */
    if (connects > 0 || request->session->settings.http2)
        return false;
    return socket >= 0 && recv((curl_socket_t)socket, &byte, 1, MSG_PEEK) >= 0;
}

/* Notes that the request is being sent, to the server at `ip`. */
static void note_sent(struct tc_request *request, const char *ip)
{
    request->timing.sent = tc_clock_now();
    request->attempt.at_private_address = /* a proxy's address is not the server's */
        !request->attempt.proxied && ip && tc_address_text_is_private(ip);
}

/* The same if on_connected has not noted it: libcurl asks for the body, or a response comes, so the
 * request is being sent. */
static void note_sent_late(struct tc_request *request)
{
    char *ip = NULL;
    if (request->timing.sent > 0)
        return;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_PRIMARY_IP, &ip);
    note_sent(request, ip);
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
 * There is a connection, and the request is about to be sent. This is called a second time when a
 * kept connection turns out to be dead after the request was sent: libcurl would send it again, but
 * the server may have drawn and billed the first one.
 *
 * HTTP/2 can say that a request was not processed: GOAWAY with an earlier last stream, and
 * REFUSED_STREAM. libcurl does not pass that on. 7.88 sends again, which looks the same here as a
 * lost response, or ends with CURLE_HTTP2, which also stands for framing errors. Only its debug
 * text tells them apart, and that changes with every release. So these cases count as risky too.
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
    note_sent(request, ip);
    return 0;
}

/* Writes the next bytes of the body into libcurl's buffer. */
static size_t on_send(char *out, size_t one, size_t size, void *user)
{
    struct tc_request *request = user;
    (void)one; /* always 1 */
    note_sent_late(request);
    return tc_body_read(request->options.body, &request->attempt.body_position, out, size);
}

/* libcurl sends the body again: a kept connection had ended, or HTTP/2 refused the stream. */
static int on_seek(void *user, curl_off_t offset, int origin)
{
    struct tc_request *request = user;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > request->options.body->size)
        return CURL_SEEKFUNC_CANTSEEK;
    request->attempt.body_position = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* Sets on_connected. False where libcurl is older than 7.80, here or where this was built. */
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

/* ---- the headers of a response ---- */

/*
 * The headers of a response begin; those of an interim one (100, 103) may have come before. The
 * status is what libcurl has read: it can tell a status line from a header that looks like one.
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

/* Is it a status line? Once the final response has begun there is no other: a line that looks like
 * one is a header. */
static bool is_status_line(const struct tc_request *request, const char *line, size_t size)
{
    return request->status < 200 && size >= 5 && !memcmp(line, "HTTP/", 5);
}

/* Has the status line a version that exists and three digits: "HTTP/1.1 200 OK", "HTTP/2 200"? */
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

/* Is the line a header, the continuation of one, or the empty line at the end? */
static bool is_header(const char *line, size_t size)
{
    return memchr(line, ':', size) || isspace((unsigned char)*line);
}

/* What is wrong with the headers up to this line. libcurl checks that too, but differently in each
 * release. */
static enum tc_abort check_headers(const struct tc_request *request, const char *line, size_t size)
{
    const struct tc_header_notes *notes = &request->exchange->notes;
    bool ok = is_status_line(request, line, size) ? has_status(line, size) : is_header(line, size);
    if (notes->size > TC_HEADERS_SIZE || notes->count > TC_HEADERS)
        return TC_ABORT_MANY_HEADERS;
    return !ok || memchr(line, '\0', size) ? TC_ABORT_BAD_HEADERS : TC_ABORT_NONE;
}

static size_t on_header(char *line, size_t one, size_t size, void *user)
{
    struct tc_request *request = user;
    (void)one; /* always 1 */
    note_sent_late(request);
    request->exchange->notes.size += size;
    request->exchange->notes.count++;
    request->attempt.abort = check_headers(request, line, size);
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

/* JSON with pictures was asked for: does the server say that the body itself is a picture? */
static bool is_bare_picture(const struct tc_request *request)
{
    return request->envelope->for_pictures && is_image_type(request);
}

/* Does a body begin as JSON or events do? Then it is no picture, whatever its Content-Type says. */
static bool begins_document(char first)
{
    return first && strchr("{[: \t\r\nd\xef", first);
}

static void begin_body(struct tc_request *request, char first)
{
    curl_off_t length = 0;
    if (!is_success(request)) { /* an error has no pictures, and all its text is wanted */
        request->envelope->path.rule_count = TC_FAILURE_RULES;
        request->envelope->for_pictures = false;
    }
    if (!request->exchange->notes.encoded)
        curl_easy_getinfo(request->attempt.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    request->expected = length > 0 ? (uint64_t)length : 0;
    request->envelope->expected = request->expected;
    bool picture =
        request->options.raw_image || (is_bare_picture(request) && !begins_document(first));
    request->envelope->raw = is_success(request) && picture;
    if (is_success(request) && length > STREAM_HEAP)
        tc_keep_pages(request->envelope->images.streaming ? STREAM_HEAP : (size_t)length);
}

/* ---- what can be delivered ---- */

/*
 * Has an image something to deliver? An image that has ended has. One that is streamed has, if
 * `least` bytes or more have come and its type is known: a file's name depends on that, and bytes
 * that are no picture must not be delivered. An image that may be a draft has nothing to deliver,
 * and neither has a request whose next attempt will bring other images.
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

/* Has so much come that it should be taken before more comes? */
static bool is_full(const struct tc_request *request)
{
    return is_success(request) && find_image(request, STREAMED) < request->envelope->images.count;
}

/* Makes the request pending if it has something to deliver, or if received bytes are to be reported
 * and the last report was long enough ago. */
static void notify(struct tc_request *request)
{
    bool pending = is_full(request);
    if (request->options.progress && !pending) {
        double now = tc_clock_now();
        pending = now - request->attempt.notified_at >= TC_PROGRESS_EVERY;
        if (pending)
            request->attempt.notified_at = now;
    }
    if (pending)
        tc_request_notify(request);
}

/* Is the compression ratio of the body above `ratio`? libcurl may not have counted the last `slack`
 * compressed bytes yet. */
static bool is_packed(const struct tc_request *request, unsigned ratio, uint64_t slack)
{
    curl_off_t packed = 0;
    if (!request->exchange->notes.encoded)
        return false;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_SIZE_DOWNLOAD_T, &packed);
    return request->received > ratio * ((uint64_t)packed + slack);
}

/* While a transfer is paused libcurl still decompresses what it has read and keeps all of it: 100
 * KiB may become 100 MiB. So a body with a high ratio is not paused. */
static bool must_pause(const struct tc_request *request)
{
    bool full = request->session->budget.bytes == 0 || is_full(request);
    return request->held || (full && !is_packed(request, PAUSE_RATIO, 0));
}

/* Was all of the request's body sent? Some servers respond before they have read it. */
static bool is_sent(const struct tc_request *request)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(request->attempt.easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return !request->options.body || (uint64_t)sent >= request->options.body->size;
}

/*
 * Pauses the transfer after the bytes that libcurl is delivering. (CURL_WRITEFUNC_PAUSE would pause
 * it before them, and libcurl would copy them.) Once the body was sent, sending is paused too:
 * otherwise libcurl would serve the transfer again at once.
 */
static void pause_transfer(struct tc_request *request)
{
    if (request->attempt.paused)
        return;
    curl_easy_pause(request->attempt.easy, is_sent(request) ? CURLPAUSE_ALL : CURLPAUSE_RECV);
    request->attempt.paused = true;
    request->attempt.paused_at = tc_clock_now();
}

/* Has a streamed picture come to hold far more bytes than those after which a transfer is paused?
 */
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
    int code = curl_easy_pause(request->attempt.easy, CURLPAUSE_CONT); /* may call on_body */
    /* No callback of ours returns that here: libcurl had no memory to watch the socket. */
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

/* Keeps the beginning of the body, for error messages. */
static void keep_head(struct tc_exchange *exchange, const char *bytes, size_t size)
{
    size_t left = TC_HEAD_SIZE - exchange->head_size;
    size = size < left ? size : left;
    memcpy(exchange->head + exchange->head_size, bytes, size);
    exchange->head_size += size;
    exchange->head[exchange->head_size] = '\0';
}

/* Passes bytes of a success to the scanner, whose time is taken from the budget. */
static enum tc_abort scan(struct tc_request *request, const char *bytes, size_t size)
{
    if (request->received > request->session->settings.max_response_bytes)
        return TC_ABORT_TOO_LARGE;
    if (is_packed(request, TC_MAX_RATIO, 128 * 1024))
        return TC_ABORT_TOO_PACKED;
    uint64_t steps = request->envelope->steps;
    bool taken =
        tc_envelope_feed(request->envelope, bytes, size) && !tc_receive_is_no_picture(request);
    tc_session_spend(request->session, (size_t)(request->envelope->steps - steps) * STEP_COST);
    notify(request);
    return taken ? TC_ABORT_NONE : TC_ABORT_BAD_BODY;
}

/* Bytes that are read of a body that is no success: more if it seems to have a picture all the
 * same, which was paid for. */
static size_t refusal_limit(const struct tc_request *request)
{
    if (request->received <= REFUSAL_SIZE)
        return REFUSAL_SIZE;
    const struct tc_exchange *exchange = request->exchange;
    bool picture = tc_text_has_picture(exchange->head, exchange->head_size);
    return picture ? TC_ENVELOPE_SIZE : REFUSAL_SIZE;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *user)
{
    struct tc_request *request = user;
    (void)one; /* always 1 */
    /* While paused, libcurl still delivers what it decompresses from one buffer: many times as
     * much. These bytes come again after the pause. */
    if (request->attempt.paused && holds_much(request))
        return CURL_WRITEFUNC_PAUSE;
    tc_session_spend(request->session, size);
    if (request->received == 0)
        begin_body(request, size ? *bytes : '\0');
    keep_head(request->exchange, bytes, size);
    request->received += size;
    if (!is_success(request)) {
        (void)tc_envelope_feed(request->envelope, bytes, size); /* it need not be JSON */
        return request->received <= refusal_limit(request) ? size : 0;
    }
    request->attempt.abort = scan(request, bytes, size);
    if (request->attempt.abort)
        return 0;
    if (must_pause(request))
        pause_transfer(request);
    return size;
}

void tc_receive_attach(struct tc_request *request)
{
    CURL *easy = request->attempt.easy;
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    request->attempt.watched = watch_sending(easy, request);
    /* libcurl sends a second time only after a kept connection: without the callback none is used.
     */
    if (!request->attempt.watched)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    if (!request->options.body)
        return;
    request->attempt.body_position = 0;
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_READDATA, request);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, request);
}
