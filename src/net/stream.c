/* SPDX-License-Identifier: MIT */
/*
 * Plain streams, and the calls of fibers on streams of any kind.
 */
#include "net/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "net/address.h"
#include "net/tuning.h"

/* ---- Plain ----------------------------------------------------------------------------------- */

static ssize_t plain_read(struct leat_stream *stream, void *data, size_t size, int64_t deadline_ns)
{
    struct op op;
    op_init(&op, OP_RECV, stream->fd, fiber_op_done);
    op.recv.data = data;
    op.recv.size = size < INT32_MAX ? size : INT32_MAX;
    return fiber_await(&op, deadline_ns);
}

static void on_received(struct op *op, const struct completion *completion)
{
    struct receiver *receiver = CONTAINER_OF(op, struct receiver, op);
    receiver->on_data(receiver, completion->result, completion->data, completion->more);
}

static void plain_receive_start(struct leat_stream *stream, struct receiver *receiver)
{
    receiver->op.fd = stream->fd;
    receiver->op.done = on_received;
    loop_submit(stream->loop, &receiver->op);
}

static void plain_receive_cancel(struct leat_stream *stream, struct receiver *receiver)
{
    loop_cancel(stream->loop, &receiver->op);
}

static int plain_send_start(struct leat_stream *stream, struct sender *sender,
                            const struct leat_vector *vectors, size_t count, sender_done_fn done)
{
    return sender_start(sender, vectors, count, done);
}

static void plain_send_cancel(struct leat_stream *stream, struct sender *sender)
{
    sender_cancel(sender);
}

static int plain_finish(struct leat_stream *stream)
{
    return stream->loop->sys->shutdown(stream->loop->sys, stream->fd, SHUT_WR);
}

static void plain_fini(struct leat_stream *stream)
{
    stream->loop->ops->close(stream->loop->backend, stream->fd);
}

const struct stream_ops stream_plain_ops = {
    .read = plain_read,
    .receive_start = plain_receive_start,
    .receive_cancel = plain_receive_cancel,
    .send_start = plain_send_start,
    .send_cancel = plain_send_cancel,
    .finish = plain_finish,
    .fini = plain_fini,
};

void stream_init(struct leat_stream *stream, struct leat_loop *loop, int fd)
{
    ASSERT(fd >= 0);
    *stream = (struct leat_stream){.ops = &stream_plain_ops, .loop = loop, .fd = fd};
}

void stream_fini(struct leat_stream *stream)
{
    ASSERT(stream->calls == 0);
    stream->ops->fini(stream);
    stream->fd = -1;
}

/* ---- For fibers ------------------------------------------------------------------------------ */

int stream_socket(const struct leat_address *address, const struct leat_tuning *tuning)
{
    static const struct leat_tuning defaults = LEAT_TUNING_DEFAULT;
    struct leat_loop *loop = loop_current;
    ASSERT(loop != NULL);
    const int fd = loop->sys->socket(loop->sys, leat_address_family(address), SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    const int error =
        tuning_apply(loop->sys, fd, TUNING_CONNECTING, tuning ? tuning : &defaults, NULL);
    if (error) {
        loop->ops->close(loop->backend, fd);
        return error;
    }
    return fd;
}

int stream_connect(const struct leat_address *address, const struct leat_tuning *tuning,
                   int64_t deadline_ns)
{
    struct leat_loop *loop = loop_current;
    const int fd = stream_socket(address, tuning);
    if (fd < 0)
        return fd;
    struct op op;
    op_init(&op, OP_CONNECT, fd, fiber_op_done);
    op.connect.address = &address->base;
    op.connect.size = address->size;
    const int error = fiber_await(&op, deadline_ns);
    if (error) {
        loop->ops->close(loop->backend, fd);
        return error;
    }
    return fd;
}

int leat_connect(const struct leat_address *address, const struct leat_tuning *tuning,
                 int64_t deadline_ns, struct leat_stream **ret_stream)
{
    struct leat_stream *stream = malloc(sizeof *stream);
    if (!stream)
        return -ENOMEM;
    const int fd = stream_connect(address, tuning, deadline_ns);
    if (fd < 0) {
        free(stream);
        return fd;
    }
    stream_init(stream, loop_current, fd);
    *ret_stream = stream;
    return 0;
}

ssize_t leat_stream_read(struct leat_stream *stream, void *data, size_t size, int64_t deadline_ns)
{
    ASSERT(size > 0);
    stream->calls++;
    const ssize_t result = stream->ops->read(stream, data, size, deadline_ns);
    stream->calls--;
    return result;
}

int leat_stream_read_exactly(struct leat_stream *stream, void *data, size_t size,
                             int64_t deadline_ns)
{
    for (size_t done = 0; done < size;) {
        const ssize_t count =
            leat_stream_read(stream, (char *)data + done, size - done, deadline_ns);
        if (count <= 0)
            return count < 0 ? (int)count : -LEAT_E_TRUNCATED;
        done += (size_t)count;
    }
    return 0;
}

/* A sender, and the fiber that waits for it. */
struct sending {
    struct sender sender;
    struct leat_stream *stream;
    struct fiber *fiber;
    int result;
    bool is_done;
};

static void on_sent(struct sender *sender, int result)
{
    struct sending *sending = CONTAINER_OF(sender, struct sending, sender);
    sending->result = result;
    sending->is_done = true;
    fiber_wake(sending->fiber);
}

static void stop_sending(void *user)
{
    struct sending *sending = user;
    sending->stream->ops->send_cancel(sending->stream, &sending->sender);
}

int leat_stream_send(struct leat_stream *stream, const struct leat_vector *vectors, size_t count,
                     int64_t deadline_ns)
{
    int reason = fiber_interruption(deadline_ns);
    if (reason)
        return reason;
    struct sending sending = {.stream = stream, .fiber = fiber_current()};
    sender_init(&sending.sender, stream->loop, stream->fd);
    stream->calls++;
    int result = stream->ops->send_start(stream, &sending.sender, vectors, count, on_sent);
    if (result == -EINPROGRESS) {
        /* The vectors are the caller's: whatever interrupts us, the sender has the last word. */
        reason = fiber_park(deadline_ns, stop_sending, &sending);
        ASSERT(sending.is_done);
        result = sending.result == -ECANCELED && reason ? reason : sending.result;
    }
    stream->calls--;
    return result;
}

int leat_stream_write(struct leat_stream *stream, const void *data, size_t size,
                      int64_t deadline_ns)
{
    const struct leat_vector vector = {.data = data, .size = size};
    return leat_stream_send(stream, &vector, 1, deadline_ns);
}

int leat_stream_finish(struct leat_stream *stream)
{
    return stream->ops->finish(stream);
}

void leat_stream_close(struct leat_stream *stream)
{
    if (!stream)
        return;
    stream_fini(stream);
    free(stream);
}

int leat_stream_peer(const struct leat_stream *stream, struct leat_address *ret_address)
{
    return address_of_peer(stream->loop->sys, stream->fd, ret_address);
}

int leat_stream_set_pacing(struct leat_stream *stream, uint64_t rate_bytes_per_s)
{
    const uint64_t rate = rate_bytes_per_s > 0 ? rate_bytes_per_s : UINT64_MAX;
    const struct backend_sys *sys = stream->loop->sys;
    return sys->setsockopt(sys, stream->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
}
