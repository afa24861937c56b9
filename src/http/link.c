/* SPDX-License-Identifier: MIT */
/*
 * See link.h.
 */
#include "http/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "mem/pool.h"

/* ---- Buffers --------------------------------------------------------------------------------- */

struct link_buffers {
    struct loop_extension extension;
    struct pool pool;
};

static void buffers_fini(struct loop_extension *extension)
{
    struct link_buffers *buffers = CONTAINER_OF(extension, struct link_buffers, extension);
    pool_fini(&buffers->pool);
    free(buffers);
}

char *link_buffer_take(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_LINKS];
    if (!extension) {
        struct link_buffers *buffers = calloc(1, sizeof *buffers);
        if (!buffers)
            return NULL;
        buffers->extension.fini = buffers_fini;
        pool_init(&buffers->pool, &(struct pool_options){.object_size = LINK_BUFFER_SIZE});
        loop->extensions[LOOP_SLOT_LINKS] = extension = &buffers->extension;
    }
    return pool_take(&CONTAINER_OF(extension, struct link_buffers, extension)->pool);
}

void link_buffer_give(struct leat_loop *loop, char *buffer)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_LINKS];
    ASSERT(extension != NULL);
    pool_give(&CONTAINER_OF(extension, struct link_buffers, extension)->pool, buffer);
}

void link_give_buffer(struct link *link)
{
    ASSERT(link->begin == link->end);
    if (link->buffer)
        link_buffer_give(link->conn->stream.loop, link->buffer);
    link->buffer = NULL;
    link->begin = link->end = 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int link_open(struct link *link, struct pooled_conn *conn)
{
    /* One by one: the head is large, and nothing of it holds yet. */
    link->conn = conn;
    link->head.status = 0;
    link->body.state = BODY_DONE;
    link->body.received = 0;
    link->body.trailer = NULL;
    link->body.trailer_size = 0;
    link->asks_head = link->asks_upgrade = link->is_sent = false;
    link->has_answered = link->has_head = link->has_ended = false;
    link->interims = 0;
    link->begin = link->end = link->scanned = 0;
    arena_init(&link->arena, NULL);
    link->buffer = link_buffer_take(conn->stream.loop);
    return link->buffer ? 0 : -ENOMEM;
}

void link_close(struct link *link)
{
    const bool is_whole = link->is_sent && link->has_head && link->body.state == BODY_DONE &&
                          link->begin == link->end && !link->has_ended;
    const bool is_reusable = is_whole && link->head.head.keep_alive && link->head.status != 101;
    ASSERT(link->conn->stream.calls == 0);
    if (link->buffer)
        link_buffer_give(link->conn->stream.loop, link->buffer);
    link->buffer = NULL;
    arena_fini(&link->arena);
    conn_pool_give(link->conn, is_reusable);
    link->conn = NULL;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

int link_send(struct link *link, const struct leat_vector *vectors, size_t count, bool is_last,
              int64_t deadline_ns)
{
    ASSERT(!link->is_sent);
    const int error = leat_stream_send(&link->conn->stream, vectors, count, deadline_ns);
    if (!error && is_last)
        link->is_sent = true;
    return error;
}

/* What a receive into the buffer came to: more than 0, or what ends a head. */
static int note_received(struct link *link, int32_t result)
{
    if (result > 0) {
        link->end += (size_t)result;
        link->has_answered = true;
        return result;
    }
    if (result == 0)
        link->has_ended = true;
    if (result == 0 || result == -ECONNRESET)
        return link->has_answered ? -LEAT_E_TRUNCATED : -ECONNRESET;
    return result;
}

/* 1xx, or the final one. */
static int begin_answer(struct link *link)
{
    const int status = link->head.status;
    if (status == 101 && !link->asks_upgrade)
        return -LEAT_E_MALFORMED;
    if (status < 200 && status != 101)
        return ++link->interims > LINK_INTERIM_MAX ? -LEAT_E_MALFORMED : 0;
    link->has_head = true;
    if (status >= 200)
        body_init_of_response(&link->body, &link->head, link->asks_head, &link->arena);
    return 0;
}

/* What lies in the buffer: 1: a head, 0: more of it is needed, or an error. */
static int parse_head(struct link *link)
{
    const struct leat_slice input = slice_of(link->buffer + link->begin, link->end - link->begin);
    const int size = http1_parse_response(input, link->scanned, NULL, &link->head);
    if (size == 0) {
        link->scanned = input.size;
        return 0;
    }
    link->scanned = 0;
    if (size < 0)
        return size == -431 ? -LEAT_E_LIMIT : -LEAT_E_MALFORMED;
    link->begin += (size_t)size;
    const int error = begin_answer(link);
    return error ? error : 1;
}

/* Makes room for a head, whose predecessor is no longer looked at. */
static void begin_head(struct link *link)
{
    ASSERT(!link->has_head && link->buffer);
    memmove(link->buffer, link->buffer + link->begin, link->end - link->begin);
    link->end -= link->begin;
    link->begin = 0;
}

int link_await_head(struct link *link, int64_t deadline_ns)
{
    begin_head(link);
    int result = link->end > 0 ? parse_head(link) : 0;
    while (result == 0) {
        ASSERT(link->end < LINK_BUFFER_SIZE); /* or the parser had found it too large */
        const ssize_t size = leat_stream_read(&link->conn->stream, link->buffer + link->end,
                                              LINK_BUFFER_SIZE - link->end, deadline_ns);
        result = note_received(link, (int32_t)size);
        if (result > 0)
            result = parse_head(link);
    }
    return result < 0 ? result : 0;
}

/* A send and a receive under way at once, and the fiber that waits for them: it is woken when both
 * have ended, or one of them in a way that the other must hear of. */
struct asking {
    struct link *link;
    struct fiber *fiber;
    struct sender sender;
    struct op receive;
    int32_t received;
    int sent;
    bool is_sent, is_received;
};

static void on_sent(struct sender *sender, int result)
{
    struct asking *asking = CONTAINER_OF(sender, struct asking, sender);
    asking->is_sent = true;
    asking->sent = result;
    if (asking->is_received || result != 0)
        fiber_wake(asking->fiber);
}

static void on_received(struct op *op, const struct completion *completion)
{
    struct asking *asking = CONTAINER_OF(op, struct asking, receive);
    asking->is_received = true;
    asking->received = completion->result;
    fiber_wake(asking->fiber);
}

static void stop_asking(void *user)
{
    struct asking *asking = user;
    struct leat_stream *stream = &asking->link->conn->stream;
    if (!asking->is_sent)
        stream->ops->send_cancel(stream, &asking->sender);
    if (!asking->is_received)
        loop_cancel(stream->loop, &asking->receive);
    fiber_wake(asking->fiber);
}

static bool has_news(const struct asking *asking)
{
    return asking->is_received || (asking->is_sent && asking->sent != 0);
}

static bool is_over(const struct asking *asking)
{
    return asking->is_received && asking->is_sent;
}

/* Interrupted, it returns why, when both have ended. */
static int park_until(struct asking *asking, bool (*condition)(const struct asking *asking),
                      int64_t deadline_ns)
{
    int reason = 0;
    while (!reason && !condition(asking))
        reason = fiber_park(deadline_ns, stop_asking, asking);
    while (reason && !is_over(asking))
        fiber_park_sealed();
    return reason;
}

/* Behind what there is. */
static void receive_on(struct asking *asking)
{
    struct link *link = asking->link;
    ASSERT(link->end < LINK_BUFFER_SIZE);
    asking->is_received = false;
    asking->receive.recv.data = link->buffer + link->end;
    asking->receive.recv.size = LINK_BUFFER_SIZE - link->end;
    loop_submit(link->conn->stream.loop, &asking->receive);
}

/* 1: a head has come, 0: a part of one, or an error. */
static int take_received(struct asking *asking)
{
    const int result = note_received(asking->link, asking->received);
    return result > 0 ? parse_head(asking->link) : result;
}

/* As take_received. The send goes on behind an answer that comes before its end, unless that
 * refuses the request; and an answer is looked for when the send has failed. */
static int exchange(struct asking *asking, int64_t deadline_ns)
{
    struct link *link = asking->link;
    struct leat_stream *stream = &link->conn->stream;
    int reason, result;
    bool is_partial;
    do {
        reason = park_until(asking, has_news, deadline_ns);
        result = !reason && asking->is_received ? take_received(asking) : 0;
        is_partial = !reason && asking->is_received && result == 0 && !asking->is_sent;
        if (is_partial)
            receive_on(asking); /* what is missing of the head may refuse the request */
    } while (is_partial);
    if (reason)
        return reason;
    const bool was_received = asking->is_received;
    const bool may_be_answered = asking->sent == -EPIPE || asking->sent == -ECONNRESET;
    if (!asking->is_sent && (result < 0 || (result > 0 && link->head.status >= 300)))
        stream->ops->send_cancel(stream, &asking->sender);
    else if (!was_received && !may_be_answered)
        loop_cancel(stream->loop, &asking->receive);
    reason = park_until(asking, is_over, deadline_ns);
    if (reason)
        return reason;
    link->is_sent = asking->sent == 0;
    if (was_received)
        return result;
    return asking->received < 0 && !may_be_answered ? asking->sent : take_received(asking);
}

int link_ask(struct link *link, const struct leat_vector *vectors, size_t count,
             int64_t deadline_ns)
{
    struct leat_stream *stream = &link->conn->stream;
    struct asking asking = {.link = link, .fiber = fiber_current()};
    int result = fiber_interruption(deadline_ns);
    if (result)
        return result;
    ASSERT(stream->ops == &stream_plain_ops && !link->is_sent);
    begin_head(link);
    sender_init(&asking.sender, stream->loop, stream->fd);
    op_init(&asking.receive, OP_RECV, stream->fd, on_received);
    stream->calls++;
    result = stream->ops->send_start(stream, &asking.sender, vectors, count, on_sent);
    asking.is_sent = result != -EINPROGRESS;
    asking.sent = asking.is_sent ? result : 0;
    receive_on(&asking);
    result = exchange(&asking, deadline_ns);
    ASSERT(is_over(&asking));
    stream->calls--;
    if (result == 0)
        result = link_await_head(link, deadline_ns);
    return result < 0 ? result : 0;
}

/* ---- The body -------------------------------------------------------------------------------- */

int link_end_of_stream(struct link *link)
{
    link->has_ended = true;
    if (link->body.state == BODY_TO_THE_END)
        link->body.state = BODY_DONE;
    if (link->body.state == BODY_DONE)
        return 0;
    if (link->body.state != BODY_BROKEN) {
        link->body.state = BODY_BROKEN;
        link->body.error = -LEAT_E_TRUNCATED;
    }
    return link->body.error;
}

struct leat_slice link_take_buffered(struct link *link)
{
    struct leat_slice piece;
    if (link->begin == link->end || !body_is_open(&link->body))
        return slice_of(NULL, 0);
    struct leat_slice input = slice_of(link->buffer + link->begin, link->end - link->begin);
    const int result = body_next(&link->body, &input, &piece);
    link->begin = link->end - input.size;
    return result > 0 ? piece : slice_of(NULL, 0);
}

/* The body is open, and nothing of it is in the buffer. */
static ssize_t receive(struct link *link, void *data, size_t size, int64_t deadline_ns)
{
    const ssize_t result = leat_stream_read(&link->conn->stream, data, size, deadline_ns);
    if (result == 0 || result == -ECONNRESET) {
        if (result < 0 && link->body.state == BODY_TO_THE_END)
            return result; /* it cannot be told whether that was all */
        return link_end_of_stream(link);
    }
    return result;
}

static ssize_t read_buffered(struct link *link, char *data, size_t size)
{
    struct leat_slice input = slice_of(link->buffer + link->begin, link->end - link->begin);
    struct leat_slice piece;
    if (input.size > size)
        input.size = size; /* framing is never longer than what it frames */
    const size_t shown = input.size;
    const int result = body_next(&link->body, &input, &piece);
    link->begin += shown - input.size;
    if (result <= 0)
        return result;
    memcpy(data, piece.data, piece.size);
    return (ssize_t)piece.size;
}

ssize_t link_read(struct link *link, void *data, size_t size, int64_t deadline_ns)
{
    ASSERT(link->has_head && size > 0);
    ssize_t result = 0;
    while (result == 0 && body_is_open(&link->body)) {
        if (link->begin < link->end) {
            result = read_buffered(link, data, size);
            continue;
        }
        struct leat_slice rest;
        result = receive(link, data, size, deadline_ns);
        if (result <= 0)
            return result;
        result = body_decode(&link->body, data, (size_t)result, &rest);
        link->has_ended |= rest.size > 0; /* behind the body comes what nobody asked for */
    }
    return result == 0 && link->body.state == BODY_BROKEN ? link->body.error : result;
}

ssize_t link_fill(struct link *link, int64_t deadline_ns)
{
    ASSERT(link->has_head && link->begin == link->end);
    if (!body_is_open(&link->body))
        return link->body.state == BODY_BROKEN ? link->body.error : 0;
    if (!link->buffer)
        link->buffer = link_buffer_take(link->conn->stream.loop);
    if (!link->buffer)
        return -ENOMEM;
    link->begin = link->end = 0;
    const ssize_t result = receive(link, link->buffer, LINK_BUFFER_SIZE, deadline_ns);
    if (result > 0)
        link->end = (size_t)result;
    return result;
}

int link_gather(struct link *link, int64_t deadline_ns)
{
    const struct body *body = &link->body;
    ASSERT(link->has_head && link->buffer && link->begin <= link->end);
    if (body->state != BODY_SIZED || body->left > LINK_BUFFER_SIZE - link->begin)
        return 0;
    const size_t whole = link->begin + (size_t)body->left;
    while (link->end < whole) {
        const ssize_t result =
            receive(link, link->buffer + link->end, whole - link->end, deadline_ns);
        if (result < 0)
            return (int)result;
        ASSERT(result > 0); /* the end, of a body that is not whole, is an error */
        link->end += (size_t)result;
    }
    return 0;
}

uint64_t link_plain_left(const struct link *link)
{
    if (link->begin < link->end)
        return 0;
    switch (link->body.state) {
    case BODY_SIZED: return link->body.left;
    case BODY_CHUNKED: return http1_chunked_plain(&link->body.chunked);
    case BODY_TO_THE_END: return UINT64_MAX;
    default: return 0;
    }
}

void link_took_plain(struct link *link, uint64_t size)
{
    body_skip(&link->body, size);
}
