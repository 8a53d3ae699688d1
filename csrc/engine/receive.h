/*
 * What libcurl's callbacks note of an attempt: when the request leaves, what is asked for of its
 * body, what comes of the answer. They touch nothing but the request; the client tells the outside
 * what happened, after libcurl has returned.
 *
 * A transfer is paused while what it has brought is not yet taken away: a whole picture, or much of
 * one that is streamed. So no more than one picture exists twice, and a stream's memory is flat.
 */
#ifndef TC_RECEIVE_H
#define TC_RECEIVE_H

#include "request.h"

/* Gives the callbacks to the easy handle of an attempt. */
void tc_receive_attach(struct tc_request *request);

/*
 * Where on_connected did not say that a request leaves (before 7.80), libcurl can be asked
 * whether it did. Either sign alone is wrong: since 8.21 a time is set without any connection, too,
 * and what was said to a proxy counts as sent.
 */
void tc_receive_check_sent(struct tc_request *request);

/* The type that the server gives the answer while the attempt's handle is there, or "". */
const char *tc_receive_content_type(const struct tc_request *request);

/* Is what was fetched as a picture none that we know, and not called one by its server? A page of
 * HTML is to reach nobody. */
bool tc_receive_is_no_picture(const struct tc_request *request);

/* The first image that has something to deliver, or `images.count`. */
unsigned tc_receive_next_image(const struct tc_request *request);

/* Bytes of all images that can be delivered. */
size_t tc_receive_deliverable_bytes(const struct tc_request *request);

/* Is the transfer paused, without any more reason to wait? */
bool tc_receive_can_resume(const struct tc_request *request);

/* Is the transfer paused until somebody takes away what it has brought? */
bool tc_receive_is_stalled(const struct tc_request *request);

/* No more comes for it while it is held, nor does another attempt begin: what it has brought is
 * being taken away. */
void tc_receive_hold(struct tc_request *request, bool held);

/* Goes on with a paused transfer. Returns a CURLcode: anything but CURLE_OK ended the attempt. */
int tc_receive_resume(struct tc_request *request);

#endif
