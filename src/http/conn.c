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
#include "http/coding.h"
#include "http/crowd.h"
#include "http/lot.h"
#include "http/record.h"
#include "http/server.h"
#include "http/writing.h"

static void conn_run(struct conn *conn);
static void on_turn(struct task *task);

/* ---- Time ------------------------------------------------------------------------------------ */

/* Storing a later deadline is all a request costs: the timer, once it runs, finds it. */
void conn_set_deadline(struct conn *conn, int64_t deadline_ns)
{
    conn->deadline_ns = deadline_ns;
    if (!conn->timer.is_running || conn->timer.deadline_ns > deadline_ns)
        loop_timer_start(conn->stream.loop, &conn->timer, deadline_ns);
}

/* Until when it may ask for nothing. */
static int64_t idle_deadline(const struct conn *conn)
{
    const struct leat_http_server *server = conn->server;
    const int64_t idle_ns = conn_in_ms(conn, server->options.idle_timeout_ms);
    return server->is_closing && server->idle_until_ns < idle_ns ? server->idle_until_ns : idle_ns;
}

void conn_deadline_changed(struct conn *conn)
{
    if (conn->state == CONN_HANDLING)
        conn_set_deadline(conn, conn->exchange->request.deadline_ns);
}

/* ---- End ------------------------------------------------------------------------------------- */

static bool take_exchange(struct conn *conn)
{
    if (conn->exchange)
        return true;
    struct exchange *exchange = pool_take(&conn->server->exchange_pool);
    if (!exchange)
        return false;
    exchange_init(exchange, conn);
    exchange->turn = (struct task){.run = on_turn};
    sender_init(&exchange->sender, conn->stream.loop, conn->stream.fd);
    conn->exchange = exchange;
    return true;
}

static void give_exchange(struct conn *conn)
{
    record_end(conn, true); /* unless it had ended before */
    exchange_fini(conn->exchange);
    pool_give(&conn->server->exchange_pool, conn->exchange);
    conn->exchange = NULL;
}

static void try_free(struct conn *conn)
{
    const struct exchange *exchange = conn->exchange;
    if (conn->is_running || conn->is_receiving || conn->is_deferred ||
        receiver_is_busy(&conn->receiver) ||
        (exchange && (exchange->fiber || sender_is_busy(&exchange->sender))))
        return;
    struct leat_http_server *server = conn->server;
    if (conn->exchange)
        give_exchange(conn);
    loop_timer_stop(conn->stream.loop, &conn->timer);
    stream_fini(&conn->stream);
    list_remove(&conn->node);
    intake_fini(&conn->intake);
    keep_destroy(conn->keep);
    crowd_leave(&server->crowd, conn->crowd);
    server->refusal_count -= conn->is_refused;
    server->conn_count--;
    pool_give(&server->conn_pool, conn);
    server_conn_gone(server);
}

/* The end of the stream is then seen as a reset. */
static void reset_at_close(const struct conn *conn)
{
    const struct linger at_once = {.l_onoff = 1};
    const struct backend_sys *sys = conn->stream.loop->sys;
    (void)sys->setsockopt(sys, conn->stream.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* Is a response under way whose end is that of the connection? */
static bool is_sending_to_close(const struct conn *conn)
{
    const struct exchange *exchange = conn->exchange;
    return exchange && exchange->has_request && exchange->response.is_head_out &&
           (exchange->response.kind == RESPONSE_TO_CLOSE ||
            exchange->response.kind == RESPONSE_PASSED);
}

/* Nobody waits for the answer of a parked request any more: it ends as others do. */
static void forget_parked(struct conn *conn)
{
    if (take_exchange(conn)) {
        lot_restore(conn);
        give_exchange(conn);
    } else {
        lot_place_destroy(conn->place);
    }
}

static void conn_close(struct conn *conn)
{
    if (is_sending_to_close(conn))
        reset_at_close(conn);
    if (conn->state == CONN_PARKED)
        forget_parked(conn);
    conn->state = CONN_CLOSING;
    conn->stream.ops->receive_cancel(&conn->stream, &conn->receiver);
    if (conn->exchange)
        conn->stream.ops->send_cancel(&conn->stream, &conn->exchange->sender);
    if (conn->exchange && conn->exchange->fiber)
        fiber_cancel(conn->exchange->fiber);
    try_free(conn);
}

void conn_end(struct conn *conn, bool is_gentle)
{
    if (conn->state == CONN_CLOSING)
        return;
    if (!is_gentle)
        conn_close(conn);
    else if (conn->state == CONN_PARKED)
        lot_place_wake(conn->place);
    else if (conn->state == CONN_AWAITING && !conn->exchange)
        conn_set_deadline(conn, conn->server->idle_until_ns);
}

static void receive(struct conn *conn)
{
    if (!conn->is_peer_done && !receiver_is_busy(&conn->receiver))
        conn->stream.ops->receive_start(&conn->stream, &conn->receiver);
}

/* The last response is out: nothing more will be sent, what still comes is read away. */
static void begin_linger(struct conn *conn)
{
    give_exchange(conn);
    intake_fini(&conn->intake);
    if (conn->is_peer_done || conn->stream.ops->finish(&conn->stream) != 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    conn->lingered = 0;
    conn->linger_until_ns =
        conn_in_ms(conn, conn->ends_soon ? CONN_LINGER_SOON_MS : CONN_LINGER_MAX_MS);
    conn_set_deadline(conn,
                      conn_in_ms(conn, conn->ends_soon ? CONN_LINGER_SOON_MS : CONN_LINGER_MS));
    receive(conn);
}

void conn_end_soon(struct conn *conn)
{
    conn->ends_soon = true;
}

/* A response that will not be whole must not look so: the client is to see a reset, where the end
 * of the stream could be taken for the end of the body. */
static void break_off(struct conn *conn)
{
    reset_at_close(conn);
    conn_close(conn);
}

/* ---- Input ----------------------------------------------------------------------------------- */

/* Does it go on by itself when something comes? */
static bool is_reading(const struct conn *conn)
{
    return conn->state == CONN_AWAITING || conn->state == CONN_HEAD || conn->state == CONN_SKIPPING;
}

/* Does it receive all the time, whatever it does? */
static bool is_listening(const struct conn *conn)
{
    return is_reading(conn) || conn->state == CONN_PARKED || conn->state == CONN_LINGERING;
}

static void on_bytes(struct conn *conn, struct leat_slice data)
{
    counter_add(&conn->server->bytes_received, data.size);
    switch (conn->state) {
    case CONN_CLOSING: return;
    case CONN_LINGERING: {
        conn->lingered += (uint32_t)data.size;
        if (conn->lingered > CONN_LINGER_BYTES) {
            conn_close(conn);
            return;
        }
        const int64_t next_ns = conn_in_ms(conn, CONN_LINGER_MS);
        conn->deadline_ns = next_ns < conn->linger_until_ns ? next_ns : conn->linger_until_ns;
        return;
    }
    case CONN_AWAITING:
        if (!take_exchange(conn)) {
            conn_close(conn);
            return;
        }
        break;
    default: break;
    }
    const bool may_fill_input = conn->state == CONN_AWAITING || conn->state == CONN_HEAD;
    if (!intake_append(&conn->intake, conn->exchange, data, may_fill_input)) {
        conn_close(conn);
        return;
    }
    if (intake_is_full(&conn->intake))
        conn->stream.ops->receive_cancel(&conn->stream, &conn->receiver);
    if (is_reading(conn))
        conn_run(conn);
}

/* The client sends nothing more: what it has asked is still answered, the pipelined too. But who is
 * parked may have to wait for long, and it cannot be told from one who has gone. */
static void on_end_of_input(struct conn *conn)
{
    conn->is_peer_done = true;
    if (is_listening(conn))
        conn_close(conn);
}

/* Bytes may come with the last completion of a receiver that was cancelled; what they lead to must
 * not free the connection under our feet. */
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
    if (conn->exchange && conn->exchange->reader && !more)
        fiber_wake(conn->exchange->reader);
    if (conn->state == CONN_CLOSING)
        try_free(conn);
    else if (!more && is_listening(conn) && !intake_is_full(&conn->intake))
        receive(conn); /* the overflow has been used up since */
}

/* ---- A request ------------------------------------------------------------------------------- */

static void run_handler(void *arg)
{
    struct conn *conn = arg;
    struct exchange *exchange = conn->exchange;
    const struct leat_http_options *options = &conn->server->options;
    options->handler(&exchange->request, &exchange->response, options->user);
    if ((exchange->response.compress.mode | options->compress.mode) != LEAT_COMPRESS_UNSET)
        coding_end(exchange);
}

static void on_handler_end(void *user)
{
    struct conn *conn = user;
    conn->exchange->fiber = NULL;
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
    (void)response_set_error(&conn->exchange->response, status);
    conn->state = CONN_REPLY;
}

/* The head could not be read, and nothing of it holds. */
static void refuse_head(struct conn *conn, int status)
{
    struct exchange *exchange = conn->exchange;
    exchange->rest = exchange->input_end;
    record_begin(conn);
    exchange->request.head.method_text = slice_of(NULL, 0);
    reply_ourselves(conn, status);
    /* A TLS handshake (RFC 8446, section 5.1): people are told what they did. Its first byte has
     * decided, and may have come alone. */
    static const char tls[] = "400 Bad Request: this port speaks plain HTTP, not TLS\n";
    const char *input = exchange->input + exchange->input_begin;
    if (status == 400 && input[0] == 0x16)
        response_set(&exchange->response, status, SLICE("text/plain; charset=utf-8"), tls,
                     sizeof tls - 1);
}

/* What no handler can answer: 0, or the status that does. An https target is not for a plain
 * connection (RFC 9110, section 7.4); behind CONNECT may come the bytes of a tunnel, which are no
 * requests (9.3.6). */
static int status_of_refusal(const struct http1_request *request)
{
    if (request->is_https)
        return 421;
    return request->method == HTTP1_CONNECT ? 501 : 0;
}

/* What the head says of the body and of the response. */
static void obey_head(struct conn *conn)
{
    struct leat_http_request *request = &conn->exchange->request;
    conn->exchange->response.is_head_only = request->head.method == HTTP1_HEAD;
    body_init(&request->body, &request->head, conn->server->options.body_size_max, &request->arena);
}

static void start_handler(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    const int64_t timeout_ms = conn->server->options.handler_timeout_ms;
    if (timeout_ms > 0)
        exchange->request.deadline_ns = conn_in_ms(conn, timeout_ms);
    conn->state = CONN_HANDLING;
    conn_deadline_changed(conn);
    static const struct leat_fiber_options options = {.name = "http handler"};
    if (fiber_start(conn->stream.loop, &options, run_handler, conn, on_handler_end, conn,
                    &exchange->fiber) != 0)
        reply_ourselves(conn, 503);
}

static void begin_handling(struct conn *conn)
{
    struct leat_http_server *server = conn->server;
    struct leat_http_request *request = &conn->exchange->request;
    counter_add(&server->requests, 1);
    conn->requests++;
    record_begin(conn);
    obey_head(conn);
    if (!request->head.head.keep_alive || conn->requests == server->options.requests_max)
        conn->is_last = true;
    const int status = conn->is_refused ? 503 : status_of_refusal(&request->head);
    if (status)
        reply_ourselves(conn, status);
    else
        start_handler(conn);
}

/* The head, if it is all there. Returns whether there is something to go on with. */
static bool step_head(struct conn *conn)
{
    if (intake_overflow(&conn->intake) > 0 && !take_exchange(conn)) {
        conn_close(conn);
        return false;
    }
    if (!conn->exchange) {
        if (conn->is_peer_done)
            conn_close(conn);
        else
            receive(conn);
        return false;
    }
    struct exchange *exchange = conn->exchange;
    intake_pull(&conn->intake, exchange);
    if (intake_overflow(&conn->intake) == 0)
        receive(conn);
    const struct leat_slice input = slice_of(exchange->input + exchange->input_begin,
                                             exchange->input_end - exchange->input_begin);
    const int size = http1_parse_request(input, exchange->scanned, &conn->server->limits,
                                         &exchange->request.head);
    if (size > 0) {
        exchange->rest = exchange->input_begin + (size_t)size;
        begin_handling(conn);
        return true;
    }
    if (size < 0) {
        refuse_head(conn, -size);
        return true;
    }
    exchange->scanned = input.size;
    if (conn->is_peer_done) {
        conn_close(conn); /* the rest will not come */
    } else if (conn->state == CONN_AWAITING) {
        conn->state = CONN_HEAD;
        conn_set_deadline(conn, conn_in_ms(conn, conn->server->options.head_timeout_ms));
    }
    return false;
}

/* ---- A response ------------------------------------------------------------------------------ */

void conn_on_sent(struct sender *sender, int result)
{
    struct exchange *exchange = CONTAINER_OF(sender, struct exchange, sender);
    struct conn *conn = exchange->conn;
    if (exchange->writer) {
        exchange->send_result = result;
        fiber_wake(exchange->writer);
        return;
    }
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

/* Of a body that the handler has left: may the next request be found behind it? */
static bool may_skip_body(const struct body *body)
{
    return body->state == BODY_DONE ||
           (!body->awaits_continue && (body->state == BODY_CHUNKED ||
                                       (body->state == BODY_SIZED && body->left <= CONN_SKIP_MAX)));
}

void conn_settle(struct conn *conn, bool ends_connection)
{
    struct exchange *exchange = conn->exchange;
    if (conn->keep)
        keep_set_pace(conn, exchange->response.pace_bytes_per_s);
    /* A server that closes still answers what a client had sent before it could know. */
    const bool has_more = intake_next(&conn->intake, exchange).size > 0;
    if (conn->server->is_closing && (!has_more || body_is_open(&exchange->request.body)))
        conn->is_last = true;
    if (!may_skip_body(&exchange->request.body) || ends_connection)
        conn->is_last = true;
    exchange->response.keep_alive = !conn->is_last;
}

void conn_finish_head(struct conn *conn)
{
    conn_settle(conn, conn->exchange->response.kind == RESPONSE_TO_CLOSE);
    exchange_finish(conn->exchange, server_date_line(conn->server));
}

/* Chooses what is to be sent now; false: nothing can be, the connection closes. */
static bool prepare_reply(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    struct leat_http_response *response = &exchange->response;
    if (response->kind != RESPONSE_WHOLE)
        return writing_end(response);
    if (response->status == 0 && exchange->read_error == -ECONNRESET)
        return false;
    if (response->status == 0)
        (void)leat_http_reply_error(response, exchange_status_of_silence(exchange));
    if (response->status == 0) /* not even memory for that */
        return false;
    conn_finish_head(conn);
    return true;
}

/* From a handler's end to its next run the request is an idle connection's. */
static void begin_parking(struct conn *conn)
{
    if (conn->is_peer_done) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_PARKED;
    lot_settle(conn);
    give_exchange(conn);
    conn_set_deadline(conn, conn->place->deadline_ns);
    if (!intake_is_full(&conn->intake))
        receive(conn);
}

void conn_resume(struct conn *conn)
{
    ASSERT(conn->state == CONN_PARKED && !conn->is_running && !conn->is_deferred);
    if (!take_exchange(conn)) {
        conn_close(conn);
        return;
    }
    conn->is_running = true;
    lot_restore(conn);
    obey_head(conn);
    start_handler(conn);
    conn->is_running = false;
    conn_run(conn);
}

static bool step_reply(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (exchange->place && lot_is_wanted(exchange)) {
        begin_parking(conn);
        return false;
    }
    if (exchange->place)
        lot_place_leave(exchange->place);
    if (!prepare_reply(conn)) {
        break_off(conn);
        return false;
    }
    conn->state = CONN_SENDING;
    conn_set_deadline(conn, conn_in_ms(conn, conn->server->options.send_timeout_ms));
    const int result = conn->stream.ops->send_start(
        &conn->stream, &exchange->sender, exchange->to_send, exchange->vector_count, conn_on_sent);
    if (result == -EINPROGRESS)
        return false;
    if (result != 0) {
        conn_close(conn);
        return false;
    }
    conn->state = CONN_SENT;
    return true;
}

/* Will the client send nothing more, by its own word, and has it sent nothing that we left? Then
 * there is nothing to read away. */
static bool is_done_with(const struct conn *conn)
{
    const struct exchange *exchange = conn->exchange;
    const struct http1_request *request = &exchange->request.head;
    return request->method_text.data && !request->head.keep_alive &&
           exchange->request.body.state == BODY_DONE &&
           intake_next(&conn->intake, exchange).size == 0;
}

/* On to the next request, or to the end. */
static bool step_sent(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    record_end(conn, false);
    if (!may_skip_body(&exchange->request.body))
        conn->is_last = true;
    if (conn->is_last) {
        if (is_done_with(conn))
            conn_close(conn);
        else
            begin_linger(conn);
        return false;
    }
    if (exchange->request.body.state != BODY_DONE) {
        conn->state = CONN_SKIPPING;
        exchange->request.body.size_max = exchange->request.body.received + CONN_SKIP_MAX;
        conn_set_deadline(conn, conn_in_ms(conn, conn->server->options.body_timeout_ms));
        return true;
    }
    exchange->input_begin = exchange->rest;
    const bool has_more =
        exchange->input_begin < exchange->input_end || intake_overflow(&conn->intake) > 0;
    if (!has_more && conn->server->is_closing &&
        conn->server->idle_until_ns <= conn->stream.loop->now_ns) {
        begin_linger(conn); /* it could not be told so, and may be asking already */
        return false;
    }
    if (!has_more)
        give_exchange(conn);
    else
        exchange_reset(exchange);
    conn->state = CONN_AWAITING;
    conn_set_deadline(conn, idle_deadline(conn));
    return true;
}

/* The rest of a body nobody wants. Its response is out. */
static bool step_skip(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    struct body *body = &exchange->request.body;
    struct leat_slice input;
    while (body_is_open(body) && (input = intake_next(&conn->intake, exchange)).size > 0) {
        struct leat_slice left = input, data;
        (void)body_next(body, &left, &data);
        intake_consume(&conn->intake, exchange, input.size - left.size);
    }
    if (!body_is_open(body)) { /* done, or broken: then that was the last request */
        conn->state = CONN_SENT;
        return true;
    }
    if (conn->is_peer_done)
        conn_close(conn);
    else
        receive(conn);
    return false;
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
        case CONN_SKIPPING: goes_on = step_skip(conn); break;
        case CONN_SENT:
            goes_on = step_sent(conn);
            if (goes_on && ++answered == CONN_REQUESTS_A_TURN && conn->exchange) {
                conn->is_deferred = true;
                loop_defer(conn->stream.loop, &conn->exchange->turn);
                goes_on = false;
            }
            break;
        case CONN_HANDLING:
        case CONN_PARKED:
        case CONN_SENDING:
        case CONN_LINGERING:
        case CONN_CLOSING:
        case CONN_STATES: goes_on = false; break;
        }
    }
    conn->is_running = false;
    if (conn->state == CONN_CLOSING)
        try_free(conn);
}

static void on_turn(struct task *task)
{
    struct conn *conn = CONTAINER_OF(task, struct exchange, turn)->conn;
    conn->is_deferred = false;
    conn_run(conn);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Has the client taken enough of late? What the sender sees is the socket's buffer, which tells of
 * room only when a third of it is free: at a slow client's rate, or a paced one's, that may be
 * long. Where the kernel does not tell more (unix sockets), that must do. What was taken before the
 * first look counts too: who stops is cut after one to two of its times. */
static bool takes_enough(struct conn *conn)
{
    const struct leat_http_options *options = &conn->server->options;
    const struct sender *sender = &conn->exchange->sender;
    const struct backend_sys *sys = conn->stream.loop->sys;
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (sender_awaits_disk(sender))
        return true;
    if (sys->getsockopt(sys, conn->stream.fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return sender->progress_ns > conn_in_ms(conn, -options->send_timeout_ms);
    const uint64_t taken = info.tcpi_bytes_acked - conn->acknowledged;
    const uint64_t wanted = options->send_rate_min * (uint64_t)options->send_timeout_ms / 1000;
    conn->acknowledged = info.tcpi_bytes_acked;
    return taken > 0 && taken >= wanted;
}

/* A handler's deadline, or its client's when it writes. Returns when to look again. */
static int64_t look_at_handler(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (exchange->request.deadline_ns <= conn->stream.loop->now_ns) {
        counter_add(&conn->server->timeouts, 1);
        exchange->is_late = true;
        exchange->request.deadline_ns = LEAT_FOREVER;
        conn->deadline_ns = LEAT_FOREVER;
        fiber_cancel(exchange->fiber);
        return LEAT_FOREVER;
    }
    if (!exchange->writer)
        return exchange->request.deadline_ns;
    if (!takes_enough(conn)) {
        counter_add(&conn->server->timeouts, 1);
        conn_close(conn);
        return LEAT_FOREVER;
    }
    const int64_t next_ns = conn_in_ms(conn, conn->server->options.send_timeout_ms);
    const int64_t deadline_ns = exchange->request.deadline_ns;
    return next_ns < deadline_ns ? next_ns : deadline_ns;
}

static void on_time(struct timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
    if (conn->deadline_ns > conn->stream.loop->now_ns) {
        conn_set_deadline(conn, conn->deadline_ns);
        return;
    }
    switch (conn->state) {
    case CONN_HEAD:
        counter_add(&conn->server->timeouts, 1);
        refuse_head(conn, 408);
        conn_run(conn);
        break;
    case CONN_HANDLING: {
        const int64_t next_ns = look_at_handler(conn);
        if (next_ns != LEAT_FOREVER)
            conn_set_deadline(conn, next_ns);
        break;
    }
    case CONN_SENDING:
        if (takes_enough(conn)) {
            conn_set_deadline(conn, conn_in_ms(conn, conn->server->options.send_timeout_ms));
            break;
        }
        counter_add(&conn->server->timeouts, 1);
        conn_close(conn);
        break;
    case CONN_SKIPPING: /* it may not have read the response yet */
        counter_add(&conn->server->timeouts, 1);
        begin_linger(conn);
        break;
    case CONN_AWAITING:
        if (!conn->is_deferred)
            conn_close(conn);
        break;
    case CONN_PARKED:
        conn->deadline_ns = LEAT_FOREVER;
        lot_place_wake(conn->place);
        break;
    case CONN_LINGERING: conn_close(conn); break;
    default: break;
    }
}

bool conn_start(struct leat_http_server *server, int fd, struct crowd_entry *crowd, bool is_refused)
{
    struct leat_loop *loop = server->loop;
    struct conn *conn = pool_take(&server->conn_pool);
    if (!conn) {
        loop->ops->close(loop->backend, fd);
        crowd_leave(&server->crowd, crowd);
        return false;
    }
    *conn = (struct conn){
        .server = server, .crowd = crowd, .is_refused = is_refused, .state = CONN_AWAITING};
    stream_init(&conn->stream, loop, fd);
    receiver_init(&conn->receiver, on_data);
    timer_init(&conn->timer, on_time);
    list_push_back(&server->conns, &conn->node);
    server->conn_count++;
    server->refusal_count += conn->is_refused;
    conn_set_deadline(conn,
                      conn->is_refused ? conn_in_ms(conn, CONN_REFUSED_MS) : idle_deadline(conn));
    conn->stream.ops->receive_start(&conn->stream, &conn->receiver);
    return true;
}
