/* SPDX-License-Identifier: MIT */
/*
 * An attempt of a passage: a connection of the pool, the request over it, and the head of the
 * answer. A request that is all there, as nearly all are, goes in one send with the receive behind
 * it. Else a fiber of its own, the uploader, sends the body while this one awaits the head, for an
 * upstream may answer before it has read all (RFC 9112, section 9.5).
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "http/exchange.h"
#include "http/passing.h"
#include "http/proxy_parts.h"
#include "http/reading.h"
#include "leat/error.h"
#include "net/relay.h"
#include "wire/http1_chunked.h"

static int64_t in_ms(const struct passage *passage, int64_t delay_ms)
{
    return passage->loop->now_ns + delay_ms * LEAT_NS_PER_MS;
}

/* ---- The body, in a fiber of its own --------------------------------------------------------- */

/* Why the uploader ends: nothing, or whose fault it is. */
enum upload_end { UPLOAD_GOES_ON, UPLOAD_CLIENT_FAILED, UPLOAD_UPSTREAM_FAILED };

/* The upstream has closed its side, and may have answered before it did. */
static bool is_end_of_reading(int error)
{
    return error == -EPIPE || error == -ECONNRESET;
}

static enum upload_end send_up(struct passage *passage, const void *data, size_t size)
{
    const struct leat_vector vector = {.data = data, .size = size};
    const int64_t deadline_ns = in_ms(passage, passage->proxy->options.read_timeout_ms);
    const int error = link_send(&passage->link, &vector, 1, false, deadline_ns);
    passage->uploaded += size;
    passage->cannot_send = is_end_of_reading(error);
    return error ? UPLOAD_UPSTREAM_FAILED : UPLOAD_GOES_ON;
}

/* The client's turn has a timeout of its own, and says nothing of the upstream. */
static ssize_t read_more(struct passage *passage, void *data, size_t size)
{
    passage->awaits_client = true;
    const ssize_t result = leat_http_read(passage->request, data, size, LEAT_FOREVER);
    passage->awaits_client = false;
    return result;
}

static int await_more(struct passage *passage)
{
    passage->awaits_client = true;
    const int error = reading_await_plain(passage->request, LEAT_FOREVER);
    passage->awaits_client = false;
    return error;
}

/* What a step of a relay has taken from the client's socket since the last. */
static void note_taken(struct passage *passage, const struct relay *relay, uint64_t *taken)
{
    const uint64_t now = relay->moved + relay->held;
    if (now > *taken)
        reading_took_plain(passage->request, now - *taken);
    passage->uploaded += now - *taken;
    *taken = now;
}

/* What a step wants, or what has become of the relay. */
static enum upload_end serve_want(struct passage *passage, struct relay *relay,
                                  enum relay_want want)
{
    const int64_t timeout_ms = passage->proxy->options.read_timeout_ms;
    switch (want) {
    case RELAY_ENDED: (void)reading_end_of_plain(passage->request); return UPLOAD_CLIENT_FAILED;
    case RELAY_WANTS_INPUT: return await_more(passage) ? UPLOAD_CLIENT_FAILED : UPLOAD_GOES_ON;
    case RELAY_FAILED:
        passage->cannot_send = relay->is_to_blame && is_end_of_reading(relay->error);
        return relay->is_to_blame ? UPLOAD_UPSTREAM_FAILED : UPLOAD_CLIENT_FAILED;
    default:
        return relay_wait(relay, want, in_ms(passage, timeout_ms)) ? UPLOAD_UPSTREAM_FAILED
                                                                   : UPLOAD_GOES_ON;
    }
}

/* From socket to socket, down to the last byte. */
static enum upload_end splice_up(struct passage *passage)
{
    struct relay relay;
    enum relay_want want;
    enum upload_end end = UPLOAD_GOES_ON;
    uint64_t taken = 0;
    relay_init(&relay, passing_stream(passage->response), &passage->link.conn->stream,
               passage->request->body.left);
    do {
        want = relay_step(&relay);
        note_taken(passage, &relay, &taken);
        if (want != RELAY_DONE)
            end = serve_want(passage, &relay, want);
    } while (want != RELAY_DONE && end == UPLOAD_GOES_ON);
    proxy_count(&passage->proxy->spliced_bytes, relay.moved);
    relay_fini(&relay);
    return end;
}

/* What of the body is buffered goes first, then the rest as it comes. */
static enum upload_end upload_sized(struct passage *passage)
{
    struct leat_http_request *request = passage->request;
    const struct body *body = &request->body;
    enum upload_end end = UPLOAD_GOES_ON;
    while (end == UPLOAD_GOES_ON && body_is_open(body)) {
        ssize_t size = reading_take(request, passage->out, LINK_BUFFER_SIZE);
        if (size == 0 && body->left >= PROXY_SPLICE_MIN) {
            if (reading_begin_plain(request) != 0)
                return UPLOAD_CLIENT_FAILED;
            size = reading_take(request, passage->out, LINK_BUFFER_SIZE);
            if (size == 0)
                return splice_up(passage);
        }
        if (size == 0)
            size = read_more(passage, passage->out, LINK_BUFFER_SIZE);
        if (size <= 0)
            return UPLOAD_CLIENT_FAILED;
        proxy_count(&passage->proxy->copied_bytes, (uint64_t)size);
        end = send_up(passage, passage->out, (size_t)size);
    }
    return end;
}

/* The chunks are ours: what the client made of them nobody else sees. */
static enum upload_end upload_chunked(struct passage *passage)
{
    const struct leat_http_request *request = passage->request;
    char *const data = passage->out + HTTP1_CHUNK_HEAD_SIZE;
    const size_t room = LINK_BUFFER_SIZE - HTTP1_CHUNK_HEAD_SIZE - 2;
    ssize_t size;
    while ((size = read_more(passage, data, room)) > 0) {
        char head[HTTP1_CHUNK_HEAD_SIZE];
        const size_t head_size = http1_chunk_head((uint64_t)size, head);
        memcpy(data - head_size, head, head_size);
        memcpy(data + size, "\r\n", 2);
        proxy_count(&passage->proxy->copied_bytes, (uint64_t)size);
        if (send_up(passage, data - head_size, head_size + (size_t)size + 2))
            return UPLOAD_UPSTREAM_FAILED;
    }
    if (size < 0)
        return UPLOAD_CLIENT_FAILED;
    memcpy(passage->out, "0\r\n", 3);
    struct leat_slice lines = slice_of(request->body.trailer, request->body.trailer_size);
    if (!proxy_head_keeps_trailer(passage->head))
        lines.size = 0;
    const ssize_t trailer_size = proxy_head_trailer(lines, passage->out + 3, LINK_BUFFER_SIZE - 5);
    if (trailer_size < 0)
        return UPLOAD_CLIENT_FAILED;
    memcpy(passage->out + 3 + trailer_size, "\r\n", 2);
    return send_up(passage, passage->out, 3 + (size_t)trailer_size + 2);
}

/* Who awaits the head hears of what went wrong by the end of its stream. */
static void run_upload(void *arg)
{
    struct passage *passage = arg;
    const bool is_chunked = passage->request->body.state == BODY_CHUNKED;
    const enum upload_end end = is_chunked ? upload_chunked(passage) : upload_sized(passage);
    passage->link.is_sent = end == UPLOAD_GOES_ON;
    passage->has_client_failed = end == UPLOAD_CLIENT_FAILED;
    if (end != UPLOAD_GOES_ON && !passage->cannot_send) {
        const struct backend_sys *sys = passage->loop->sys;
        (void)sys->shutdown(sys, passage->link.conn->stream.fd, SHUT_RDWR);
    }
}

static int start_upload(struct passage *passage)
{
    static const struct leat_fiber_options options = {.name = "proxy upload"};
    passage->has_read_body = true;
    leat_scope_init(&passage->scope);
    passage->has_scope = true;
    return leat_spawn(&passage->scope, run_upload, passage, &options);
}

void passage_stop_upload(struct passage *passage)
{
    if (!passage->has_scope)
        return;
    leat_scope_fini(&passage->scope);
    passage->has_scope = false;
}

/* ---- The head of the answer ------------------------------------------------------------------ */

static int say_continue(struct passage *passage)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    passage->request->body.awaits_continue = false;
    passage->said_continue = true;
    return passing_interim(passage->response, text, sizeof text - 1, LEAT_FOREVER);
}

/* An interim head has come. 0, or an error of the client's side. */
static int take_interim(struct passage *passage)
{
    struct body *body = &passage->request->body;
    if (passage->link.head.status == 100 && passage->said_continue)
        return 0; /* the client has ours */
    const int error = passage_pass_interim(passage);
    if (passage->link.head.status == 100)
        body->awaits_continue = false;
    return error;
}

/* Until the final head: 0 or an error; *ret_is_ours: of the client's side, or of ours. The
 * upstream's time runs while nothing moves towards it, and not while its client is slow. */
static int await_answer(struct passage *passage, bool *ret_is_ours)
{
    struct link *link = &passage->link;
    const struct leat_proxy_options *options = &passage->proxy->options;
    const struct body *body = &passage->request->body;
    while (!link->has_head) {
        const uint64_t uploaded = passage->uploaded;
        const bool may_ask_on = body->awaits_continue && !passage->cannot_send;
        const int64_t timeout_ms = may_ask_on ? PROXY_CONTINUE_MS : options->answer_timeout_ms;
        int error = link_await_head(link, in_ms(passage, timeout_ms));
        *ret_is_ours = false;
        if (error == -ETIMEDOUT && (passage->awaits_client || passage->uploaded != uploaded))
            continue;
        if (error && !(error == -ETIMEDOUT && may_ask_on))
            return error;
        if (!error && link->has_head)
            return 0;
        *ret_is_ours = true;
        error = error ? say_continue(passage) : take_interim(passage);
        if (!error && may_ask_on && !body->awaits_continue)
            error = start_upload(passage);
        if (error)
            return error;
    }
    return 0;
}

/* ---- An attempt ------------------------------------------------------------------------------ */

/* The head, in passage->out: its size, or as proxy_head_request. */
static ssize_t make_request(struct passage *passage)
{
    const struct upstream *upstream = passage->attempt.upstream;
    const struct leat_proxy_options *options = &passage->proxy->options;
    const struct body *body = &passage->request->body;
    struct proxy_request_facts facts = {
        .via = passage->proxy->via,
        .authority = slice_from_text(upstream->authority),
        .base = slice_from_text(upstream->base),
        .prefix_size = passage->proxy->prefix.size,
        .passes_host = options->keeps_host,
        .trusts_forwarded = options->trusts_forwarded,
        .is_upgrade = passage->is_upgrade,
        .expects_continue = body->awaits_continue,
        .peer = &passage->peer,
        .framing = PROXY_NO_BODY,
    };
    if (passage->head->is_chunked)
        facts.framing = PROXY_CHUNKED;
    else if (passage->head->has_content_length)
        facts.framing = PROXY_SIZED;
    facts.size = passage->head->content_length;
    return proxy_head_request(&passage->request->head, &facts, passage->out, LINK_BUFFER_SIZE);
}

/* Sends the head, and with it the body when all of that is there: then the answer's head is awaited
 * in the same breath. */
static int send_request(struct passage *passage, size_t head_size, bool *ret_is_ours)
{
    struct link *link = &passage->link;
    const struct body *body = &passage->request->body;
    struct leat_vector vector = {.data = passage->out, .size = head_size};
    if (body->state == BODY_SIZED && !body->awaits_continue) {
        const ssize_t taken =
            reading_take(passage->request, passage->out + head_size, LINK_BUFFER_SIZE - head_size);
        *ret_is_ours = taken < 0;
        if (taken < 0)
            return (int)taken;
        passage->has_read_body |= taken > 0;
        vector.size += (size_t)taken;
    }
    passage->has_sent = true;
    if (body->state == BODY_DONE) {
        const int64_t timeout_ms = passage->proxy->options.answer_timeout_ms;
        const int error = link_ask(link, &vector, 1, in_ms(passage, timeout_ms));
        if (error || link->has_head)
            return error;
        *ret_is_ours = true;
        return passage_pass_interim(passage);
    }
    const int64_t deadline_ns = in_ms(passage, passage->proxy->options.read_timeout_ms);
    const int error = link_send(link, &vector, 1, false, deadline_ns);
    passage->cannot_send = is_end_of_reading(error);
    if (error || body->awaits_continue)
        return passage->cannot_send ? 0 : error;
    *ret_is_ours = true;
    return start_upload(passage);
}

static enum passage_end end_of_error(const struct passage *passage, int error, bool is_ours)
{
    const struct link *link = &passage->link;
    if (is_ours || passage->has_client_failed || error == -ECANCELED)
        return PASSAGE_CLIENT_FAILED;
    if (error == -ETIMEDOUT)
        return PASSAGE_LATE;
    return !link->has_answered && link->conn->uses > 1 ? PASSAGE_STALE : PASSAGE_FAILED;
}

/* 0: the link is open. */
static enum passage_end connect_upstream(struct passage *passage)
{
    struct leat_proxy *proxy = passage->proxy;
    struct conn_pool_shelf *shelf = conn_pool_shelf_here(proxy->pool);
    struct pooled_conn *conn;
    const int64_t deadline_ns = in_ms(passage, proxy->options.queue_timeout_ms);
    const int error = shelf ? conn_pool_take(shelf, passage->attempt.upstream->destination,
                                             passage->want, deadline_ns, &conn)
                            : -ENOMEM;
    switch (-error) {
    case 0: break;
    case ECANCELED: return PASSAGE_CLIENT_FAILED;
    case LEAT_E_LIMIT:
    case ENOMEM:
    case EMFILE:
    case ENFILE: return PASSAGE_BUSY;
    case ETIMEDOUT:
        if (leat_now_ns() >= deadline_ns)
            return PASSAGE_BUSY;
        return PASSAGE_FAILED;
    default: return PASSAGE_FAILED;
    }
    if (link_open(&passage->link, conn) != 0) {
        conn_pool_give(conn, false);
        return PASSAGE_BUSY;
    }
    return PASSAGE_ANSWERED;
}

/* Who dies within a small answer costs a retry, as long as nobody has seen its head. Who takes long
 * for it is alive, and what has come goes on. */
static int gather(struct passage *passage)
{
    const int error = link_gather(&passage->link, in_ms(passage, PROXY_GATHER_MS));
    return error == -ETIMEDOUT ? 0 : error;
}

enum passage_end passage_attempt(struct passage *passage)
{
    struct link *link = &passage->link;
    const ssize_t head_size = make_request(passage);
    if (head_size < 0) {
        passage->refusal = head_size == -LEAT_E_LIMIT ? 431 : 404;
        return PASSAGE_REFUSED;
    }
    enum passage_end end = connect_upstream(passage);
    if (end != PASSAGE_ANSWERED)
        return end;
    link->asks_head = passage->request->head.method == HTTP1_HEAD;
    link->asks_upgrade = passage->is_upgrade;
    passage->attempt.begun_ns = passage->loop->now_ns;
    bool is_ours = false;
    int error = send_request(passage, (size_t)head_size, &is_ours);
    if (!error)
        error = await_answer(passage, &is_ours);
    if (!error)
        error = gather(passage);
    if (!error)
        return PASSAGE_ANSWERED;
    end = end_of_error(passage, error, is_ours); /* an uploader that is stopped has failed, too */
    passage_stop_upload(passage);
    link_close(link);
    return end;
}
