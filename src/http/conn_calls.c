/* SPDX-License-Identifier: MIT */
/*
 * What a handler's fiber asks of its connection: to receive no more by itself, to send, to wait for
 * room. While it waits for the client to take something, the client has the time to send.
 */
#include <errno.h>
#include <poll.h>

#include "base/assert.h"
#include "http/conn.h"
#include "http/server.h"
#include "net/address.h"

int conn_peer(const struct conn *conn, struct leat_address *ret_peer)
{
    return address_of_peer(conn->stream.loop->sys, conn->stream.fd, ret_peer);
}

static void stop_waiting(void *user)
{
    fiber_wake(user);
}

int conn_stop_receiving(struct conn *conn, int64_t deadline_ns)
{
    struct exchange *exchange = conn->exchange;
    int reason = conn->state == CONN_CLOSING ? -ECONNRESET : fiber_interruption(deadline_ns);
    if (reason || !receiver_is_busy(&conn->receiver))
        return reason;
    ASSERT(!exchange->reader); /* one fiber at a time */
    conn->stream.ops->receive_cancel(&conn->stream, &conn->receiver);
    exchange->reader = fiber_current();
    reason = fiber_park(deadline_ns, stop_waiting, exchange->reader);
    exchange->reader = NULL;
    return reason;
}

static void stop_sending(void *user)
{
    struct conn *conn = user;
    conn->stream.ops->send_cancel(&conn->stream, &conn->exchange->sender);
}

/* The calling fiber is about to wait for the client to take something: it has the time to send. */
static void begin_writing(struct conn *conn)
{
    ASSERT(!conn->exchange->writer); /* one fiber at a time */
    conn->exchange->writer = fiber_current();
    const int64_t stalled_ns = conn_in_ms(conn, conn->server->options.send_timeout_ms);
    if (conn->deadline_ns > stalled_ns)
        conn_set_deadline(conn, stalled_ns);
}

static void end_writing(struct conn *conn)
{
    conn->exchange->writer = NULL;
    conn_deadline_changed(conn);
}

int conn_send(struct conn *conn, const struct leat_vector *vectors, size_t count,
              int64_t deadline_ns)
{
    struct exchange *exchange = conn->exchange;
    int reason = conn->state == CONN_CLOSING ? -ECONNRESET : fiber_interruption(deadline_ns);
    if (reason)
        return reason;
    int result = conn->stream.ops->send_start(&conn->stream, &exchange->sender, vectors, count,
                                              conn_on_sent);
    if (result != -EINPROGRESS)
        return result;
    exchange->send_result = 1;
    begin_writing(conn);
    /* The vectors are the caller's: whatever interrupts us, the sender has the last word. */
    reason = fiber_park(deadline_ns, stop_sending, conn);
    ASSERT(exchange->send_result <= 0);
    end_writing(conn);
    result = exchange->send_result;
    return result == -ECANCELED && reason ? reason : result;
}

int conn_await_room(struct conn *conn, int64_t deadline_ns)
{
    struct op op;
    if (conn->state == CONN_CLOSING)
        return -ECONNRESET;
    op_init(&op, OP_POLL, conn->stream.fd, fiber_op_done);
    op.poll.events = POLLOUT;
    begin_writing(conn);
    const int32_t result = fiber_await(&op, deadline_ns);
    end_writing(conn);
    return result < 0 ? result : 0;
}
