/* SPDX-License-Identifier: MIT */
/*
 * Reading a request's body, in its handler's fiber. What had come with the head is used first; then
 * receiving by itself is stopped, and bytes are received straight into the reader's memory when it
 * asks for them, so that nothing is copied and nothing is taken from the client too early. The
 * chunked coding is taken off in place.
 *
 * Time is the client's only while we wait for it: body_timeout_ms of waiting make a window, in
 * which body_rate_min must have come.
 */
#include "http/reading.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/assert.h"
#include "base/counters.h"
#include "http/conn.h"
#include "http/decoding.h"
#include "http/server.h"
#include "leat/error.h"

/* A body of unknown size grows in such steps at least. */
enum { READ_ALL_STEP = 4096 };

/* Copies of what is there already; 0: nothing is, or the body has ended; or body->error. */
static ssize_t read_buffered(struct conn *conn, char *data, size_t size)
{
    struct exchange *exchange = conn->exchange;
    struct body *body = &exchange->request.body;
    size_t taken = 0;
    while (taken < size && body_is_open(body)) {
        const struct leat_slice input = intake_next(&conn->intake, exchange);
        struct leat_slice left = input, piece;
        if (input.size == 0) {
            /* What is too large may be known so before a byte of it has come. */
            const int result = body_next(body, &left, &piece);
            return taken > 0 || result >= 0 ? (ssize_t)taken : result;
        }
        body->awaits_continue = false; /* it did not wait */
        /* A view that ends where the memory does: framing is never longer than what it frames. */
        if (left.size > size - taken)
            left.size = size - taken;
        const size_t shown = left.size;
        const int result = body_next(body, &left, &piece);
        if (result > 0) {
            memcpy(data + taken, piece.data, piece.size);
            taken += piece.size;
        }
        intake_consume(&conn->intake, exchange, shown - left.size);
        if (result < 0)
            return taken > 0 ? (ssize_t)taken : result;
    }
    return (ssize_t)taken;
}

/* Received bytes, in place; what belongs to the next request is kept. Returns the data's size, or
 * body->error. */
static ssize_t decode(struct conn *conn, char *data, size_t size)
{
    struct leat_slice rest;
    struct body *body = &conn->exchange->request.body;
    const ssize_t result = body_decode(body, data, size, &rest);
    if (body->state == BODY_DONE && rest.size > 0 &&
        !intake_append(&conn->intake, conn->exchange, rest, false))
        return -ENOMEM;
    return result;
}

static int say_continue(struct conn *conn, int64_t deadline_ns)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct exchange *exchange = conn->exchange;
    if (!exchange->request.body.awaits_continue)
        return 0;
    if (exchange->response.is_head_out) {
        exchange->request.body.awaits_continue = false;
        return 0;
    }
    const struct leat_vector vector = {.data = text, .size = sizeof text - 1};
    const uint64_t sent_before = exchange->sender.sent;
    int error = fiber_interruption(deadline_ns);
    if (error) /* it waits on: what comes next is not the body */
        return error;
    error = conn_send(conn, &vector, 1, deadline_ns);
    exchange->head_size += exchange->sender.sent - sent_before;
    exchange->request.body.awaits_continue = error != 0;
    if (error)
        leat_http_abort(&exchange->response); /* nothing can follow a part of it */
    return error == -EPIPE ? -ECONNRESET : error;
}

/* The window is over: was it enough? */
static bool was_too_slow(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    const struct leat_http_options *options = &conn->server->options;
    const uint64_t wanted = options->body_rate_min * (uint64_t)options->body_timeout_ms / 1000;
    const bool is_slow = exchange->waited_bytes == 0 || exchange->waited_bytes < wanted;
    exchange->waited_ns = 0;
    exchange->waited_bytes = 0;
    if (is_slow)
        counter_add(&conn->server->timeouts, 1);
    return is_slow;
}

static ssize_t await_input(struct conn *conn, int64_t deadline_ns)
{
    struct op op;
    op_init(&op, OP_POLL, conn->stream.fd, fiber_op_done);
    op.poll.events = POLLIN;
    return fiber_await(&op, deadline_ns);
}

/* Waits for bytes: their count, 0 at the stream's end, or an error. Without `data` they stay where
 * they are. */
static ssize_t receive(struct conn *conn, void *data, size_t size, int64_t deadline_ns)
{
    struct exchange *exchange = conn->exchange;
    struct leat_loop *loop = conn->stream.loop;
    const int64_t window_ns = conn->server->options.body_timeout_ms * LEAT_NS_PER_MS;
    for (;;) {
        const int64_t begin_ns = loop->now_ns;
        const int64_t end_ns = begin_ns + window_ns - exchange->waited_ns;
        const int64_t until_ns = end_ns < deadline_ns ? end_ns : deadline_ns;
        const ssize_t result = data ? leat_stream_read(&conn->stream, data, size, until_ns)
                                    : await_input(conn, until_ns);
        exchange->waited_ns += loop->now_ns - begin_ns;
        if (data && result > 0)
            exchange->waited_bytes += (uint64_t)result;
        const bool is_over = exchange->waited_ns >= window_ns;
        if (is_over && was_too_slow(conn)) {
            exchange->request.body.state = BODY_BROKEN;
            exchange->request.body.error = -ETIMEDOUT;
            return -ETIMEDOUT;
        }
        if (result != -ETIMEDOUT || !is_over)
            return result;
    }
}

static ssize_t read_some(struct conn *conn, char *data, size_t size, int64_t deadline_ns)
{
    struct body *body = &conn->exchange->request.body;
    for (;;) {
        ssize_t result = read_buffered(conn, data, size);
        if (result != 0 || body->state == BODY_DONE)
            return result;
        if (body->state == BODY_BROKEN)
            return body->error;
        if (receiver_is_busy(&conn->receiver)) {
            result = conn_stop_receiving(conn, deadline_ns);
            if (result != 0)
                return result;
            continue; /* something may have come meanwhile */
        }
        result = conn->is_peer_done ? -ECONNRESET : say_continue(conn, deadline_ns);
        if (result != 0)
            return result;
        result = receive(conn, data, size, deadline_ns);
        if (result == 0) {
            conn->is_peer_done = true;
            return -ECONNRESET;
        }
        if (result < 0)
            return result;
        counter_add(&conn->server->bytes_received, (uint64_t)result);
        result = decode(conn, data, (size_t)result);
        if (result != 0)
            return result;
    }
}

ssize_t reading_coded(struct leat_http_request *request, void *data, size_t size,
                      int64_t deadline_ns)
{
    struct exchange *exchange = exchange_of_request(request);
    const ssize_t result = read_some(exchange->conn, data, size, deadline_ns);
    exchange->read_error = result < 0 ? (int)result : 0;
    const bool may_go_on = result >= 0 || result == -ECANCELED || result == -ETIMEDOUT;
    if (!may_go_on && body_is_open(&request->body)) {
        request->body.state = BODY_BROKEN;
        request->body.error = (int)result;
    }
    return result;
}

ssize_t leat_http_read(struct leat_http_request *request, void *data, size_t size,
                       int64_t deadline_ns)
{
    ASSERT(size > 0);
    return request->decoding ? decoding_read(request, data, size, deadline_ns)
                             : reading_coded(request, data, size, deadline_ns);
}

/* Room for at least one byte more: the memory that is there, or more of it. NULL: none. */
static char *grow(struct leat_http_request *request, char *data, size_t size, size_t *capacity)
{
    if (size < *capacity)
        return data;
    const size_t grown = *capacity + (*capacity > READ_ALL_STEP ? *capacity : READ_ALL_STEP);
    char *memory = arena_alloc(&request->arena, grown + 1);
    if (memory && size > 0)
        memcpy(memory, data, size);
    *capacity = grown;
    return memory;
}

int leat_http_read_all(struct leat_http_request *request, size_t size_max, int64_t deadline_ns,
                       struct leat_slice *ret_body)
{
    const int64_t told = leat_http_body_size(request);
    struct exchange *exchange = exchange_of_request(request);
    if (told > 0 && (uint64_t)told > size_max)
        return exchange->read_error = -LEAT_E_LIMIT;
    size_t capacity = told > 0 ? (size_t)told : 0, size = 0;
    char *data = arena_alloc(&request->arena, capacity + 1);
    ssize_t result = data ? 1 : -ENOMEM;
    while (result > 0 && !(told >= 0 && size == capacity)) {
        data = grow(request, data, size, &capacity);
        result =
            data ? leat_http_read(request, data + size, capacity - size, deadline_ns) : -ENOMEM;
        size += result > 0 ? (size_t)result : 0;
        if (size > size_max)
            result = exchange->read_error = -LEAT_E_LIMIT;
    }
    if (result < 0)
        return (int)result;
    data[size] = '\0';
    *ret_body = slice_of(data, size);
    return 0;
}

/* ---- For who passes a body on ---------------------------------------------------------------- */

static int broken_off(struct leat_http_request *request, int error)
{
    request->body.state = BODY_BROKEN;
    request->body.error = error;
    return exchange_of_request(request)->read_error = error;
}

ssize_t reading_take(struct leat_http_request *request, void *data, size_t size)
{
    struct exchange *exchange = exchange_of_request(request);
    const ssize_t result = read_buffered(exchange->conn, data, size);
    exchange->read_error = result < 0 ? (int)result : 0;
    return result;
}

int reading_begin_plain(struct leat_http_request *request)
{
    struct conn *conn = exchange_of_request(request)->conn;
    ASSERT(request->body.state == BODY_SIZED && !request->body.awaits_continue);
    const int error = conn_stop_receiving(conn, LEAT_FOREVER);
    return error || !conn->is_peer_done ? error : broken_off(request, -ECONNRESET);
}

int reading_await_plain(struct leat_http_request *request, int64_t deadline_ns)
{
    struct exchange *exchange = exchange_of_request(request);
    const ssize_t result = receive(exchange->conn, NULL, 0, deadline_ns);
    return exchange->read_error = result < 0 ? (int)result : 0;
}

void reading_took_plain(struct leat_http_request *request, uint64_t size)
{
    struct exchange *exchange = exchange_of_request(request);
    counter_add(&exchange->conn->server->bytes_received, size);
    exchange->waited_bytes += size;
    body_skip(&request->body, size);
}

int reading_end_of_plain(struct leat_http_request *request)
{
    exchange_of_request(request)->conn->is_peer_done = true;
    return broken_off(request, -ECONNRESET);
}
