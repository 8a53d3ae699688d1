/*
 * libcurl's callbacks of an attempt: they note when the request is sent, hand out its body, and
 * take in the response. They change nothing but the request and what it shares with its session.
 *
 * A transfer is paused while it has a whole picture, or much of one that is streamed, that was not
 * taken yet. So no more than one picture exists twice, and streaming needs little memory.
 */
#ifndef TC_RECEIVE_H
#define TC_RECEIVE_H

#include "request.h"

/* Sets the callbacks of the attempt's easy handle. */
void tc_receive_attach(struct tc_request *request);

/*
 * Sets timing.sent if the request was sent and no callback could say so (before libcurl 7.80). Two
 * values are needed for that: since 8.21 libcurl has a time even without a connection, and its
 * count of bytes includes those sent to a proxy.
 */
void tc_receive_check_sent(struct tc_request *request);

/* The Content-Type of the response, or "". The attempt must be under way. */
const char *tc_receive_content_type(const struct tc_request *request);

/* Was a picture to be fetched, and is the body something else? It counts as a picture if its format
 * is known, or if the server says so and it is not text: nobody should get an HTML page. */
bool tc_receive_is_no_picture(const struct tc_request *request);

/* The index of the first image that has something to deliver, or `images.count`. */
unsigned tc_receive_next_image(const struct tc_request *request);

/* How many bytes of images can be delivered. */
size_t tc_receive_deliverable_bytes(const struct tc_request *request);

/* Is the transfer paused, and the reason for it gone? */
bool tc_receive_can_resume(const struct tc_request *request);

/* Is the transfer paused until somebody takes what it has brought? */
bool tc_receive_is_stalled(const struct tc_request *request);

/* While what a request has brought is being taken, it is held: its transfer is paused, and no other
 * attempt begins. */
void tc_receive_hold(struct tc_request *request, bool held);

/* Resumes a paused transfer. Returns a CURLcode: anything but CURLE_OK has ended the attempt. */
int tc_receive_resume(struct tc_request *request);

#endif
