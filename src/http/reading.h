/* SPDX-License-Identifier: MIT */
/*
 * Reading a request's body, inner half: for who passes it on as it lies in the socket, past our
 * memory. What the connection has buffered comes first (reading_take until it gives nothing), once
 * before and once after receiving was stopped. Public half: leat/http.h.
 */
#ifndef HTTP_READING_H
#define HTTP_READING_H

#include <stdint.h>
#include <sys/types.h>

struct leat_http_request;

/* As leat_http_read, of the body as it was sent: in its content coding, if it has one. */
ssize_t reading_coded(struct leat_http_request *request, void *data, size_t size,
                      int64_t deadline_ns);

/* Bytes of the body that are there already, without waiting or saying "100 Continue"; 0: none are,
 * or the body has ended; or what is wrong with it. */
ssize_t reading_take(struct leat_http_request *request, void *data, size_t size);

/* The rest of a sized body, nothing of which is buffered once reading_take has been called again,
 * is taken from the connection's socket by the caller, who waits for more by reading_await_plain
 * (under the server's body_timeout_ms and body_rate_min; -ETIMEDOUT is a 408) and tells what it
 * took. 0 or an error. */
int reading_begin_plain(struct leat_http_request *request);
int reading_await_plain(struct leat_http_request *request, int64_t deadline_ns);
void reading_took_plain(struct leat_http_request *request, uint64_t size);
/* The client has ended too early: -ECONNRESET. */
int reading_end_of_plain(struct leat_http_request *request);

#endif
