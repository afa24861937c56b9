/* SPDX-License-Identifier: MIT */
/*
 * See conn.h for the states. conn_run moves a connection as far as it goes without waiting;
 * callbacks note what has happened and call it. It never calls itself: a handler or a send that is
 * done at once is found in the loop's next round.
 */
#include "http/conn.h"

#include <errno.h>
#include <linux/tcp.h> /* the C library's lacks tcpi_bytes_acked */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/counters.h"
#include "http/server.h"

static void conn_run(struct conn *conn);

/* ---- Time ------------------------------------------------------------------------------------ */

/* Storing a later deadline is all a request costs: the timer, once it runs, finds it. */
static void set_deadline(struct conn *conn, int64_t deadline_ns)
{
    conn->deadline_ns = deadline_ns;
    if (!conn->timer.is_running || conn->timer.deadline_ns > deadline_ns)
        loop_timer_start(conn->stream.loop, &conn->timer, deadline_ns);
}

static int64_t in_ms(const struct conn *conn, int64_t delay_ms)
{
    return conn->stream.loop->now_ns + delay_ms * LEAT_NS_PER_MS;
}

/* ---- End ------------------------------------------------------------------------------------- */

static void give_exchange(struct conn *conn)
{
    counter_add(&conn->server->bytes_sent, conn->exchange->sender.sent);
    response_release(&conn->exchange->response);
    pool_give(&conn->server->exchange_pool, conn->exchange);
    conn->exchange = NULL;
}

static void try_free(struct conn *conn)
{
    if (conn->is_running || conn->is_receiving || conn->is_deferred || conn->fiber ||
        receiver_is_busy(&conn->receiver) ||
        (conn->exchange && sender_is_busy(&conn->exchange->sender)))
        return;
    struct leat_http_server *server = conn->server;
    if (conn->exchange)
        give_exchange(conn);
    loop_timer_stop(conn->stream.loop, &conn->timer);
    stream_fini(&conn->stream);
    list_remove(&conn->node);
    free(conn->overflow);
    server->refusal_count -= conn->is_refused;
    server->conn_count--;
    pool_give(&server->conn_pool, conn);
    server_conn_gone(server);
}

static void conn_close(struct conn *conn)
{
    conn->state = CONN_CLOSING;
    conn->stream.ops->receive_cancel(&conn->stream, &conn->receiver);
    if (conn->exchange)
        conn->stream.ops->send_cancel(&conn->stream, &conn->exchange->sender);
    if (conn->fiber)
        fiber_cancel(conn->fiber);
    try_free(conn);
}

void conn_end(struct conn *conn, bool is_gentle)
{
    if (conn->state == CONN_CLOSING)
        return;
    conn->is_last = true;
    const bool serves =
        conn->state == CONN_HEAD || conn->state == CONN_HANDLING || conn->state == CONN_SENDING;
    if (!is_gentle || !serves)
        conn_close(conn);
}

/* The last response is out: nothing more will be sent, what still comes is read away. */
static void begin_linger(struct conn *conn)
{
    give_exchange(conn);
    if (conn->is_peer_done || conn->stream.ops->finish(&conn->stream) != 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    set_deadline(conn, in_ms(conn, CONN_LINGER_MS));
    if (!receiver_is_busy(&conn->receiver))
        conn->stream.ops->receive_start(&conn->stream, &conn->receiver);
}

/* ---- Input ----------------------------------------------------------------------------------- */

static bool take_exchange(struct conn *conn)
{
    if (conn->exchange)
        return true;
    struct exchange *exchange = pool_take(&conn->server->exchange_pool);
    if (!exchange)
        return false;
    exchange->conn = conn;
    exchange->input_begin = exchange->input_end = 0;
    exchange->scanned = exchange->head_size = 0;
    response_reset(&exchange->response);
    sender_init(&exchange->sender, conn->stream.loop, conn->stream.fd);
    conn->exchange = exchange;
    return true;
}

static struct leat_slice input_of(const struct exchange *exchange)
{
    return slice_of(exchange->input + exchange->input_begin,
                    exchange->input_end - exchange->input_begin);
}

static size_t append_input(struct conn *conn, struct leat_slice data)
{
    struct exchange *exchange = conn->exchange;
    const size_t room = EXCHANGE_INPUT_SIZE - exchange->input_end;
    const size_t size = data.size < room ? data.size : room;
    memcpy(exchange->input + exchange->input_end, data.data, size);
    exchange->input_end += size;
    return size;
}

/* Keeps what the exchange has no room for, and stops receiving when that is enough. What the kernel
 * had under way still comes, so this is bounded by its receive buffer. */
static bool append_overflow(struct conn *conn, struct leat_slice data)
{
    if (data.size == 0)
        return true;
    const size_t wanted = conn->overflow_size + data.size;
    if (wanted > conn->overflow_capacity) {
        size_t capacity = conn->overflow_capacity ? conn->overflow_capacity : 4096;
        while (capacity < wanted)
            capacity *= 2;
        char *grown = realloc(conn->overflow, capacity);
        if (!grown)
            return false;
        conn->overflow = grown;
        conn->overflow_capacity = capacity;
    }
    memcpy(conn->overflow + conn->overflow_size, data.data, data.size);
    conn->overflow_size = wanted;
    if (conn->overflow_size >= CONN_OVERFLOW_MAX)
        conn->stream.ops->receive_cancel(&conn->stream, &conn->receiver);
    return true;
}

/* Into the exchange as much of the overflow as fits; receiving goes on when it is used up. */
static void pull_overflow(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (conn->overflow_size > 0 && exchange->input_begin > 0) {
        exchange->input_end -= exchange->input_begin;
        memmove(exchange->input, exchange->input + exchange->input_begin, exchange->input_end);
        exchange->input_begin = 0;
    }
    if (conn->overflow_size > 0) {
        const size_t size = append_input(conn, slice_of(conn->overflow, conn->overflow_size));
        conn->overflow_size -= size;
        memmove(conn->overflow, conn->overflow + size, conn->overflow_size);
        if (conn->overflow_size == 0) {
            free(conn->overflow);
            conn->overflow = NULL;
            conn->overflow_capacity = 0;
        }
    }
    if (conn->overflow_size == 0 && !conn->is_peer_done && !receiver_is_busy(&conn->receiver))
        conn->stream.ops->receive_start(&conn->stream, &conn->receiver);
}

static void on_bytes(struct conn *conn, struct leat_slice data)
{
    switch (conn->state) {
    case CONN_CLOSING: return;
    case CONN_LINGERING:
        conn->lingered += data.size;
        if (conn->lingered > CONN_LINGER_BYTES)
            conn_close(conn);
        return;
    case CONN_AWAITING:
        if (!take_exchange(conn)) {
            conn_close(conn);
            return;
        }
        break;
    default: break;
    }
    size_t taken = 0;
    const bool is_reading = conn->state == CONN_AWAITING || conn->state == CONN_HEAD;
    if (is_reading && conn->overflow_size == 0)
        taken = append_input(conn, data);
    if (!append_overflow(conn, slice_after(data, taken)))
        conn_close(conn);
    else if (is_reading)
        conn_run(conn);
}

/* The client sends nothing more: what it has asked is still answered, the pipelined too. */
static void on_end_of_input(struct conn *conn)
{
    conn->is_peer_done = true;
    if (conn->state == CONN_AWAITING || conn->state == CONN_HEAD || conn->state == CONN_LINGERING)
        conn_close(conn);
}

/* Bytes may come with the last completion of a receiver that was cancelled for a full overflow;
 * what they lead to must not free the connection under our feet. */
static void on_data(struct receiver *receiver, int32_t result, struct leat_slice data, bool more)
{
    struct conn *conn = CONTAINER_OF(receiver, struct conn, receiver);
    conn->is_receiving = true;
    if (result > 0)
        on_bytes(conn, data);
    else if (result == 0 && conn->state != CONN_CLOSING)
        on_end_of_input(conn);
    else if (result != -ECANCELED && conn->state != CONN_CLOSING)
        conn_close(conn);
    conn->is_receiving = false;
    if (conn->state == CONN_CLOSING)
        try_free(conn);
    else if (!more && !conn->is_peer_done &&
             (conn->state == CONN_LINGERING || conn->state == CONN_AWAITING ||
              conn->state == CONN_HEAD))
        /* The overflow has been used up since. */
        conn->stream.ops->receive_start(&conn->stream, &conn->receiver);
}

/* ---- A request ------------------------------------------------------------------------------- */

static void run_handler(void *arg)
{
    struct conn *conn = arg;
    struct exchange *exchange = conn->exchange;
    const struct leat_http_options *options = &conn->server->options;
    options->handler(&exchange->request, &exchange->response, options->user);
}

static void on_handler_end(void *user)
{
    struct conn *conn = user;
    conn->fiber = NULL;
    if (conn->state != CONN_CLOSING)
        conn->state = CONN_REPLY;
    conn_run(conn);
}

/* A reply of ours, to what no handler was asked about; it is the connection's last. */
static void reply_ourselves(struct conn *conn, int status)
{
    counter_add(&conn->server->errors, 1);
    conn->is_last = true;
    conn->exchange->request.head.head.minor_version = 1;
    (void)leat_http_reply_error(&conn->exchange->response, status);
    conn->state = CONN_REPLY;
}

static void begin_handling(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    const struct http1_request *request = &exchange->request.head;
    counter_add(&conn->server->requests, 1);
    exchange->response.is_head_only = request->method == HTTP1_HEAD;
    /* Bodies are not read yet: what follows such a head is not the next request. */
    if (!request->head.keep_alive || request->head.is_chunked || request->head.content_length > 0)
        conn->is_last = true;
    if (conn->is_refused) {
        conn->is_last = true;
        reply_ourselves(conn, 503);
        return;
    }
    conn->state = CONN_HANDLING;
    conn->deadline_ns = LEAT_FOREVER;
    static const struct leat_fiber_options options = {.name = "http handler"};
    if (fiber_start(conn->stream.loop, &options, run_handler, conn, on_handler_end, conn,
                    &conn->fiber) != 0)
        reply_ourselves(conn, 503);
}

/* The head, if it is all there. Returns whether there is something to go on with. */
static bool step_head(struct conn *conn)
{
    if (conn->overflow_size > 0 && !take_exchange(conn)) {
        conn_close(conn);
        return false;
    }
    if (!conn->exchange) {
        if (conn->is_peer_done)
            conn_close(conn);
        else if (!receiver_is_busy(&conn->receiver))
            conn->stream.ops->receive_start(&conn->stream, &conn->receiver);
        return false;
    }
    pull_overflow(conn);
    struct exchange *exchange = conn->exchange;
    const int size =
        http1_parse_request(input_of(exchange), exchange->scanned, NULL, &exchange->request.head);
    if (size > 0) {
        exchange->head_size = (size_t)size;
        begin_handling(conn);
        return true;
    }
    if (size < 0) {
        exchange->head_size = input_of(exchange).size;
        reply_ourselves(conn, -size);
        return true;
    }
    exchange->scanned = input_of(exchange).size;
    if (conn->is_peer_done) {
        conn_close(conn); /* the rest will not come */
    } else if (conn->state == CONN_AWAITING) {
        conn->state = CONN_HEAD;
        set_deadline(conn, in_ms(conn, conn->server->options.head_timeout_ms));
    }
    return false;
}

/* ---- A response ------------------------------------------------------------------------------ */

static void on_sent(struct sender *sender, int result)
{
    struct conn *conn = CONTAINER_OF(sender, struct exchange, sender)->conn;
    if (conn->state == CONN_CLOSING) {
        try_free(conn);
        return;
    }
    ASSERT(conn->state == CONN_SENDING);
    if (result == 0) {
        conn->state = CONN_SENT;
        conn_run(conn);
    } else {
        conn_close(conn);
    }
}

static bool step_reply(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    struct leat_http_response *response = &exchange->response;
    if (response->status == 0)
        (void)leat_http_reply_error(response, 500);
    if (response->status == 0) { /* not even memory for that */
        conn_close(conn);
        return false;
    }
    response->keep_alive = !conn->is_last;
    exchange_finish(exchange, server_date_line(conn->server));
    conn->state = CONN_SENDING;
    set_deadline(conn, in_ms(conn, conn->server->options.send_timeout_ms));
    const int result = conn->stream.ops->send_start(
        &conn->stream, &exchange->sender, exchange->vectors, exchange->vector_count, on_sent);
    if (result == -EINPROGRESS)
        return false;
    if (result != 0) {
        conn_close(conn);
        return false;
    }
    conn->state = CONN_SENT;
    return true;
}

/* On to the next request, or to the end. */
static bool step_sent(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (conn->is_last) {
        begin_linger(conn);
        return false;
    }
    exchange->input_begin += exchange->head_size;
    if (exchange->input_begin == exchange->input_end && conn->overflow_size == 0) {
        give_exchange(conn);
    } else {
        exchange->scanned = exchange->head_size = 0;
        response_release(&exchange->response);
        response_reset(&exchange->response);
    }
    conn->state = CONN_AWAITING;
    set_deadline(conn, in_ms(conn, conn->server->options.idle_timeout_ms));
    return true;
}

static void conn_run(struct conn *conn)
{
    if (conn->is_running || conn->is_deferred)
        return;
    conn->is_running = true;
    bool goes_on = true;
    unsigned answered = 0;
    while (goes_on) {
        switch (conn->state) {
        case CONN_AWAITING:
        case CONN_HEAD: goes_on = step_head(conn); break;
        case CONN_REPLY: goes_on = step_reply(conn); break;
        case CONN_SENT:
            goes_on = step_sent(conn);
            if (goes_on && ++answered == CONN_REQUESTS_A_TURN && conn->exchange) {
                conn->is_deferred = true;
                loop_defer(conn->stream.loop, &conn->task);
                goes_on = false;
            }
            break;
        case CONN_HANDLING:
        case CONN_SENDING:
        case CONN_LINGERING:
        case CONN_CLOSING: goes_on = false; break;
        }
    }
    conn->is_running = false;
    if (conn->state == CONN_CLOSING)
        try_free(conn);
}

static void on_turn(struct task *task)
{
    struct conn *conn = CONTAINER_OF(task, struct conn, task);
    conn->is_deferred = false;
    conn_run(conn);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Has the client taken something of late? What the sender sees is the socket's buffer, which tells
 * of room only when a third of it is free: at a slow client's rate, or a paced one's, that may be
 * long. Where the kernel does not tell more (unix sockets), that must do. What was taken before the
 * first look counts too: who stops is cut after one to two of its times. */
static bool has_taken_something(struct conn *conn)
{
    const struct backend_sys *sys = conn->stream.loop->sys;
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (sys->getsockopt(sys, conn->stream.fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return false;
    const bool has = info.tcpi_bytes_acked > conn->acknowledged;
    conn->acknowledged = info.tcpi_bytes_acked;
    return has;
}

static void on_time(struct timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
    int64_t deadline_ns = conn->deadline_ns;
    if (conn->state == CONN_SENDING) { /* it counts from the last byte that was taken */
        deadline_ns = conn->exchange->sender.progress_ns +
                      conn->server->options.send_timeout_ms * LEAT_NS_PER_MS;
        if (deadline_ns <= conn->stream.loop->now_ns &&
            (sender_awaits_disk(&conn->exchange->sender) || has_taken_something(conn)))
            deadline_ns = in_ms(conn, conn->server->options.send_timeout_ms);
    }
    if (deadline_ns > conn->stream.loop->now_ns) {
        loop_timer_start(conn->stream.loop, timer, deadline_ns);
        return;
    }
    switch (conn->state) {
    case CONN_HEAD:
        counter_add(&conn->server->timeouts, 1);
        reply_ourselves(conn, 408);
        conn_run(conn);
        break;
    case CONN_SENDING:
        counter_add(&conn->server->timeouts, 1);
        conn_close(conn);
        break;
    case CONN_AWAITING:
    case CONN_LINGERING: conn_close(conn); break;
    default: break;
    }
}

bool conn_start(struct leat_http_server *server, int fd, bool is_refused)
{
    struct leat_loop *loop = server->loop;
    struct conn *conn = pool_take(&server->conn_pool);
    if (!conn) {
        loop->ops->close(loop->backend, fd);
        return false;
    }
    *conn = (struct conn){.server = server,
                          .is_refused = is_refused,
                          .state = CONN_AWAITING,
                          .task = {.run = on_turn}};
    stream_init(&conn->stream, loop, fd);
    receiver_init(&conn->receiver, on_data);
    timer_init(&conn->timer, on_time);
    list_push_back(&server->conns, &conn->node);
    server->conn_count++;
    server->refusal_count += is_refused;
    /* Who is refused is told when he asks, and must ask soon: such places are few. */
    set_deadline(conn, in_ms(conn, is_refused ? CONN_LINGER_MS : server->options.idle_timeout_ms));
    conn->stream.ops->receive_start(&conn->stream, &conn->receiver);
    return true;
}
