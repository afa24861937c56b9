/* SPDX-License-Identifier: MIT */
/*
 * A response whose head and framing are its handler's own: what the proxy needs of a server's
 * connection. Either the whole response is one text, which is sent when the handler has returned:
 *
 *     passing_settle -> passing_reply
 *
 * or it goes out while the handler runs, and is broken off unless passing_end is called:
 *
 *     passing_settle -> passing_begin -> passing_send, passing_relay ... -> passing_end
 */
#ifndef HTTP_PASSING_H
#define HTTP_PASSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/http.h"
#include "net/relay.h"

/* Does the client's connection live on behind this response? To be asked once, when it is known
 * whether the response's end is the connection's. An error may still be replied in its place. */
bool passing_settle(struct leat_http_response *response, bool ends_connection);

/* `text` stays as it is until it is sent: it is in passing_room, or in the request's memory. */
void passing_reply(struct leat_http_response *response, int status, const char *text,
                   size_t head_size, size_t body_size);
/* EXCHANGE_OUT_SIZE bytes for such a text. */
char *passing_room(struct leat_http_response *response);

/* An interim response, before the final one: 0 or an error. */
int passing_interim(struct leat_http_response *response, const char *text, size_t size,
                    int64_t deadline_ns);
/* What has no head of a final response yet sends its head with the first vector. As leat_http_send:
 * 0 or an error, after which nothing can follow. */
int passing_begin(struct leat_http_response *response, int status,
                  const struct leat_vector *vectors, size_t count, int64_t deadline_ns);
int passing_send(struct leat_http_response *response, const struct leat_vector *vectors,
                 size_t count, int64_t deadline_ns);
/* Drives a relay to the client until it is done or wants input: RELAY_DONE, RELAY_ENDED,
 * RELAY_WANTS_INPUT; RELAY_FAILED: relay->error tells. */
enum relay_want passing_relay(struct leat_http_response *response, struct relay *relay);
struct leat_stream *passing_stream(struct leat_http_response *response);
/* The response is whole. */
void passing_end(struct leat_http_response *response);

/* ---- Behind a 101 ---------------------------------------------------------------------------- */

/* The bytes are no HTTP any more, in either direction: nothing is received by itself from here on,
 * and the connection ends with the handler, without waiting for what else may come. 0 or an
 * error. */
int passing_leave_http(struct leat_http_response *response);
/* What had been received behind the request: how much of it was taken; 0: nothing is left. */
size_t passing_take_input(struct leat_http_response *response, void *data, size_t size);
/* So many bytes have gone to the client's socket. */
void passing_count(struct leat_http_response *response, uint64_t size);

/* ---- For writing.c --------------------------------------------------------------------------- */

bool passing_end_of_handler(struct leat_http_response *response);

#endif
