/* SPDX-License-Identifier: MIT */
/*
 * See passing.h.
 */
#include "http/passing.h"

#include <string.h>

#include "base/assert.h"
#include "http/conn.h"
#include "leat/error.h"

bool passing_settle(struct leat_http_response *response, bool ends_connection)
{
    ASSERT(response->kind == RESPONSE_WHOLE && !response->is_head_out);
    response_release(response);
    conn_settle(exchange_of_response(response)->conn, ends_connection);
    return response->keep_alive;
}

char *passing_room(struct leat_http_response *response)
{
    return exchange_of_response(response)->out;
}

void passing_reply(struct leat_http_response *response, int status, const char *text,
                   size_t head_size, size_t body_size)
{
    struct exchange *exchange = exchange_of_response(response);
    ASSERT(response->kind == RESPONSE_WHOLE && !response->is_head_out);
    response->kind = RESPONSE_PASSED;
    response->status = status;
    response->is_head_out = true;
    exchange->head_size += (unsigned)head_size;
    exchange->vectors[0] = (struct leat_vector){.data = text, .size = head_size + body_size};
    exchange->vector_count = 1;
}

int passing_interim(struct leat_http_response *response, const char *text, size_t size,
                    int64_t deadline_ns)
{
    struct exchange *exchange = exchange_of_response(response);
    const struct leat_vector vector = {.data = text, .size = size};
    ASSERT(!response->is_head_out);
    const int error = conn_send(exchange->conn, &vector, 1, deadline_ns);
    exchange->head_size += error ? 0 : (unsigned)size;
    if (error)
        leat_http_abort(response); /* nothing can follow a part of it */
    return error;
}

int passing_begin(struct leat_http_response *response, int status,
                  const struct leat_vector *vectors, size_t count, int64_t deadline_ns)
{
    ASSERT(response->kind == RESPONSE_WHOLE && !response->is_head_out && count > 0);
    struct exchange *exchange = exchange_of_response(response);
    response->kind = RESPONSE_PASSED;
    response->status = status;
    response->is_head_out = true;
    response->is_broken = true; /* until its end */
    exchange->head_size += (unsigned)vectors[0].size;
    exchange->vector_count = 0;
    return passing_send(response, vectors, count, deadline_ns);
}

int passing_send(struct leat_http_response *response, const struct leat_vector *vectors,
                 size_t count, int64_t deadline_ns)
{
    ASSERT(response->kind == RESPONSE_PASSED && response->is_head_out);
    return conn_send(exchange_of_response(response)->conn, vectors, count, deadline_ns);
}

struct leat_stream *passing_stream(struct leat_http_response *response)
{
    return &exchange_of_response(response)->conn->stream;
}

/* What was moved counts as sent; returns what the step came to. */
static enum relay_want step(struct exchange *exchange, struct relay *relay)
{
    const uint64_t before = relay->moved;
    const enum relay_want want = relay_step(relay);
    if (relay->moved > before)
        passing_count(&exchange->response, relay->moved - before);
    return want;
}

enum relay_want passing_relay(struct leat_http_response *response, struct relay *relay)
{
    struct exchange *exchange = exchange_of_response(response);
    for (;;) {
        const enum relay_want want = step(exchange, relay);
        if (want != RELAY_WANTS_ROOM && want != RELAY_WANTS_TURN)
            return want;
        relay->error = want == RELAY_WANTS_ROOM ? conn_await_room(exchange->conn, LEAT_FOREVER)
                                                : relay_wait(relay, want, LEAT_FOREVER);
        if (relay->error) {
            relay->is_to_blame = true;
            return RELAY_FAILED;
        }
    }
}

void passing_end(struct leat_http_response *response)
{
    ASSERT(response->kind == RESPONSE_PASSED && response->is_head_out);
    response->is_broken = false;
}

int passing_leave_http(struct leat_http_response *response)
{
    struct conn *conn = exchange_of_response(response)->conn;
    conn_end_soon(conn);
    return conn_stop_receiving(conn, LEAT_FOREVER);
}

size_t passing_take_input(struct leat_http_response *response, void *data, size_t size)
{
    struct exchange *exchange = exchange_of_response(response);
    const struct leat_slice input = intake_next(&exchange->conn->intake, exchange);
    const size_t taken = input.size < size ? input.size : size;
    if (taken > 0) {
        memcpy(data, input.data, taken);
        intake_consume(&exchange->conn->intake, exchange, taken);
    }
    return taken;
}

void passing_count(struct leat_http_response *response, uint64_t size)
{
    struct exchange *exchange = exchange_of_response(response);
    exchange->sender.sent += size;
    exchange->sender.progress_ns = exchange->conn->stream.loop->now_ns;
}

bool passing_end_of_handler(struct leat_http_response *response)
{
    struct exchange *exchange = exchange_of_response(response);
    if (response->is_broken || !response->is_head_out)
        return false;
    exchange->to_send = exchange->vectors;
    return true;
}
