/* SPDX-License-Identifier: MIT */
/*
 * The answer of an upstream on its way to the client. What has come whole with its head, as small
 * answers do, is one text that is sent when the handler has returned. Else the head goes out at
 * once, behind it what is buffered, and then the rest as it comes: within the kernel where much of
 * it lies there as it is, else by way of the link's buffer. Nothing is taken from the upstream
 * before the client has taken what there was.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "http/conn.h"
#include "http/passing.h"
#include "http/proxy_parts.h"
#include "http/server.h"
#include "leat/error.h"
#include "net/relay.h"
#include "wire/http1_chunked.h"

enum {
    PIECES_MAX = 10, /* of a body, in one send */
    /* Who is not listened to for so long, because the client takes nothing, may lose patience. */
    PATIENCE_MS = 1000,
};

/* One send: a head or nothing, pieces of the body, a chunk's head and end around them, the last
 * chunk. */
struct batch {
    struct leat_vector vectors[PIECES_MAX + 6];
    size_t count;
    char chunk_head[HTTP1_CHUNK_HEAD_SIZE];
};

/* An answer, and how it leaves. */
struct answer {
    struct passage *passage;
    enum proxy_framing framing;
    bool has_begun, keeps_trailer;
    bool is_upstream_to_blame; /* for the error that ended it */
    bool is_client_slow;       /* once it has kept the upstream waiting for long */
    char *trailer;             /* a buffer; NULL: there is none */
};

/* ---- Heads ----------------------------------------------------------------------------------- */

static ssize_t make_head(struct passage *passage, enum proxy_framing framing, bool keep_alive,
                         char *out, size_t size)
{
    struct leat_http_server *server = exchange_of_response(passage->response)->conn->server;
    const struct http1_response *head = &passage->link.head;
    const struct proxy_response_facts facts = {
        .keep_alive = keep_alive,
        .client_version = passage->head->minor_version,
        .is_upgrade = head->status == 101,
        .via = passage->proxy->via,
        .framing = framing,
        .size = head->head.content_length,
        .date_line = slice_of(server_date_line(server), DATE_LINE_SIZE),
    };
    return proxy_head_response(head, &facts, out, size);
}

int passage_pass_interim(struct passage *passage)
{
    char *out = passing_room(passage->response);
    if (passage->head->minor_version == 0) /* who could not make anything of it (section 15.2) */
        return 0;
    const ssize_t size = make_head(passage, PROXY_NO_BODY, true, out, EXCHANGE_OUT_SIZE);
    /* One that does not fit is as dispensable as the others. */
    return size < 0 ? 0 : passing_interim(passage->response, out, (size_t)size, LEAT_FOREVER);
}

static enum proxy_framing framing_of(const struct passage *passage)
{
    const struct link *link = &passage->link;
    switch (link->body.state) {
    case BODY_SIZED: return PROXY_SIZED;
    case BODY_DONE: return link->head.head.has_content_length ? PROXY_SIZED : PROXY_NO_BODY;
    default: return passage->head->minor_version == 0 ? PROXY_TO_CLOSE : PROXY_CHUNKED;
    }
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

static void put(struct batch *batch, const void *data, size_t size)
{
    ASSERT(batch->count < sizeof batch->vectors / sizeof *batch->vectors);
    batch->vectors[batch->count++] = (struct leat_vector){.data = data, .size = size};
}

/* What is buffered of the body joins the batch, as a chunk if need be. */
static void put_buffered(struct answer *answer, struct batch *batch)
{
    struct link *link = &answer->passage->link;
    const size_t before = batch->count;
    uint64_t total = 0;
    if (answer->framing == PROXY_CHUNKED)
        put(batch, batch->chunk_head, 0);
    for (unsigned pieces = 0; pieces < PIECES_MAX; pieces++) {
        const struct leat_slice piece = link_take_buffered(link);
        if (piece.size == 0)
            break;
        put(batch, piece.data, piece.size);
        total += piece.size;
    }
    if (total == 0) {
        batch->count = before;
        return;
    }
    proxy_count(&answer->passage->proxy->copied_bytes, total);
    if (answer->framing != PROXY_CHUNKED)
        return;
    batch->vectors[before].size = http1_chunk_head(total, batch->chunk_head);
    put(batch, "\r\n", 2);
}

/* The last chunk, with what may go on of the trailer. */
static void put_end(struct answer *answer, struct batch *batch)
{
    struct passage *passage = answer->passage;
    const struct body *body = &passage->link.body;
    if (answer->framing != PROXY_CHUNKED)
        return;
    put(batch, "0\r\n", 3);
    if (body->trailer_size > 0 && answer->keeps_trailer)
        answer->trailer = link_buffer_take(passage->loop);
    if (answer->trailer) {
        const ssize_t size = proxy_head_trailer(slice_of(body->trailer, body->trailer_size),
                                                answer->trailer, LINK_BUFFER_SIZE);
        put(batch, answer->trailer, size > 0 ? (size_t)size : 0);
    }
    put(batch, "\r\n", 2);
}

/* The client has taken what there was. */
static void note_patience(struct answer *answer, int64_t begun_ns)
{
    if (answer->passage->loop->now_ns - begun_ns > PATIENCE_MS * LEAT_NS_PER_MS)
        answer->is_client_slow = true;
}

static int send_batch(struct answer *answer, struct batch *batch)
{
    struct leat_http_response *response = answer->passage->response;
    const int64_t begun_ns = answer->passage->loop->now_ns;
    const int status = answer->passage->link.head.status;
    const int error =
        answer->has_begun
            ? passing_send(response, batch->vectors, batch->count, LEAT_FOREVER)
            : passing_begin(response, status, batch->vectors, batch->count, LEAT_FOREVER);
    answer->has_begun = true;
    batch->count = 0;
    note_patience(answer, begun_ns);
    return error;
}

static int64_t read_deadline(const struct passage *passage)
{
    return passage->loop->now_ns + passage->proxy->options.read_timeout_ms * LEAT_NS_PER_MS;
}

/* From socket to socket. 0: all of it, or all there was to the end. */
static int splice_down(struct answer *answer, uint64_t size)
{
    struct passage *passage = answer->passage;
    struct link *link = &passage->link;
    struct relay relay;
    int error = 0;
    link_give_buffer(link);
    relay_init(&relay, &link->conn->stream, passing_stream(passage->response), size);
    for (;;) {
        const int64_t begun_ns = passage->loop->now_ns;
        const enum relay_want want = passing_relay(passage->response, &relay);
        note_patience(answer, begun_ns);
        if (want == RELAY_DONE || want == RELAY_ENDED) {
            link_took_plain(link, relay.moved);
            error = want == RELAY_ENDED ? link_end_of_stream(link) : 0;
            answer->is_upstream_to_blame = error != 0;
            break;
        }
        error =
            want == RELAY_FAILED ? relay.error : relay_wait(&relay, want, read_deadline(passage));
        if (error) {
            answer->is_upstream_to_blame = !relay.is_to_blame && error != -ECANCELED;
            break;
        }
    }
    proxy_count(&passage->proxy->spliced_bytes, relay.moved);
    relay_fini(&relay);
    return error;
}

/* A chunk goes as the chunk that it is. */
static int splice_chunk(struct answer *answer, uint64_t size)
{
    struct batch batch = {.count = 0};
    put(&batch, batch.chunk_head, http1_chunk_head(size, batch.chunk_head));
    int error = send_batch(answer, &batch);
    if (!error)
        error = splice_down(answer, size);
    put(&batch, "\r\n", 2);
    return error ? error : send_batch(answer, &batch);
}

/* Nothing is buffered: more is, when this returns 0, or has gone past the buffer. */
static int pass_more(struct answer *answer)
{
    struct passage *passage = answer->passage;
    struct link *link = &passage->link;
    const uint64_t plain = link_plain_left(link);
    if (plain >= PROXY_SPLICE_MIN && answer->framing != PROXY_CHUNKED)
        return splice_down(answer, plain);
    if (plain >= PROXY_SPLICE_MIN && link->body.state == BODY_CHUNKED)
        return splice_chunk(answer, plain);
    const ssize_t result = link_fill(link, read_deadline(passage));
    answer->is_upstream_to_blame = result < 0 && result != -ECANCELED;
    return result < 0 ? (int)result : 0;
}

/* The batch begins with the head. 0: the client's kernel has all of it. */
static int pass_all(struct answer *answer, struct batch *batch)
{
    const struct body *body = &answer->passage->link.body;
    for (;;) {
        put_buffered(answer, batch);
        if (body->state == BODY_DONE)
            put_end(answer, batch);
        if (batch->count > 0) {
            const int error = send_batch(answer, batch);
            if (error)
                return error;
        }
        if (body->state == BODY_DONE)
            return 0;
        if (body->state == BODY_BROKEN) {
            answer->is_upstream_to_blame = true;
            return body->error;
        }
        const struct link *link = &answer->passage->link;
        const int error = link->begin < link->end ? 0 : pass_more(answer);
        if (error)
            return error;
    }
}

/* ---- The answer ------------------------------------------------------------------------------ */

/* All of it lies behind its head, and fits the room. */
static bool is_small(const struct passage *passage, size_t head_size)
{
    const struct link *link = &passage->link;
    if (link->body.state == BODY_DONE)
        return true;
    return link->body.state == BODY_SIZED && link->body.left <= link->end - link->begin &&
           link->body.left <= EXCHANGE_OUT_SIZE - head_size;
}

static void reply_small(struct passage *passage, size_t head_size)
{
    char *out = passing_room(passage->response);
    const struct leat_slice body = link_take_buffered(&passage->link);
    ASSERT(passage->link.body.state == BODY_DONE);
    if (body.size > 0)
        memcpy(out + head_size, body.data, body.size);
    proxy_count(&passage->proxy->copied_bytes, body.size);
    passing_reply(passage->response, passage->link.head.status, out, head_size, body.size);
}

static void pass_large(struct passage *passage, enum proxy_framing framing, struct leat_slice head)
{
    struct answer answer = {
        .passage = passage,
        .framing = framing,
        .keeps_trailer = proxy_head_keeps_trailer(&passage->link.head.head),
    };
    struct batch batch = {.count = 0};
    put(&batch, head.data, head.size);
    const int error = pass_all(&answer, &batch);
    if (!error)
        passing_end(passage->response);
    if (answer.trailer)
        link_buffer_give(passage->loop, answer.trailer);
    if (!answer.is_upstream_to_blame)
        return;
    proxy_count(&passage->proxy->broken, 1);
    if (!answer.is_client_slow)
        upstreams_tell(passage->proxy->upstreams, &passage->attempt, UPSTREAM_FAILED,
                       passage->loop->now_ns);
}

void passage_answer(struct passage *passage)
{
    const enum proxy_framing framing = framing_of(passage);
    const uint64_t pace = passage->proxy->options.pace_bytes_per_s;
    char *const room = passing_room(passage->response);
    if (!passage->has_scope)
        passage_give_out(passage);
    if (pace > 0)
        (void)leat_http_set_pace(passage->response, pace);
    const bool keep_alive = passing_settle(passage->response, framing == PROXY_TO_CLOSE);
    ssize_t size = make_head(passage, framing, keep_alive, room, EXCHANGE_OUT_SIZE);
    if (size >= 0 && is_small(passage, (size_t)size)) {
        reply_small(passage, (size_t)size);
        return;
    }
    if (size >= 0) {
        pass_large(passage, framing, slice_of(room, (size_t)size));
        return;
    }
    char *const large = link_buffer_take(passage->loop);
    size = large ? make_head(passage, framing, keep_alive, large, LINK_BUFFER_SIZE) : -ENOMEM;
    if (size < 0)
        (void)leat_http_reply_error(passage->response, 502);
    else
        pass_large(passage, framing, slice_of(large, (size_t)size));
    if (large)
        link_buffer_give(passage->loop, large);
}

ssize_t passage_make_switch(struct passage *passage, char *out, size_t size)
{
    return make_head(passage, PROXY_NO_BODY, true, out, size);
}
