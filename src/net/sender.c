/* SPDX-License-Identifier: MIT */
/*
 * See sender.h. Decisions are in `step` and the two `step_…`; what happens when an op completes is
 * always the same: note what it brought, and step again.
 */
#include "net/sender.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "base/assert.h"
#include "leat/error.h"
#include "net/file.h"
#include "net/residency.h"

enum {
    MEMORY_VECTORS_MAX = 16,          /* that one system call takes */
    MEMORY_OP_MAX = 256 * 1024,       /* an OP_SEND: so that progress can be seen */
    TURN_BYTES_MAX = 4 * 1024 * 1024, /* of files, then it is the others' turn */
    CORK_SIZE = 256 * 1024,           /* of a file range: from here on the two calls are earned */
    FILLS_MAX = 4,
    LAST_RESORT_SIZE = 16 * 1024,
};

static void go_on(struct sender *sender);

static void on_op(struct op *op, const struct completion *completion)
{
    struct sender *sender = CONTAINER_OF(op, struct sender, op);
    if (op->kind == OP_FILL)
        residency_fill_ends(sender->vectors[sender->index].file, &sender->fill);
    if (op->kind == OP_SEND && completion->result > 0) {
        sender->position += (uint32_t)completion->result;
        sender->sent += (uint32_t)completion->result;
        sender->progress_ns = sender->loop->now_ns;
    } else if (completion->result < 0) {
        sender->result = completion->result;
    }
    go_on(sender);
}

static void on_prefetch(struct op *op, const struct completion *completion)
{
    struct sender *sender = CONTAINER_OF(op, struct sender, prefetch);
    residency_fill_ends(sender->prefetch_file, &sender->prefetch_fill);
    /* How it went is found out when the range is wanted. */
    if (sender->state == SENDER_ENDING)
        go_on(sender);
}

static void on_task(struct task *task)
{
    struct sender *sender = CONTAINER_OF(task, struct sender, task);
    sender->is_deferred = false;
    go_on(sender);
}

void sender_init(struct sender *sender, struct leat_loop *loop, int fd)
{
    /* One by one: it is done for every request, and what sender_start sets is not set here. */
    sender->loop = loop;
    sender->fd = fd;
    sender->state = SENDER_IDLE;
    sender->is_deferred = sender->is_corked = false;
    sender->task.run = on_task;
    sender->sent = 0;
    op_init(&sender->op, OP_SEND, fd, on_op);
    op_init(&sender->prefetch, OP_FILL, -1, on_prefetch);
}

static int submit(struct sender *sender, enum op_kind kind, int fd)
{
    sender->op.kind = kind;
    sender->op.fd = fd;
    loop_submit(sender->loop, &sender->op);
    return -EINPROGRESS;
}

static int wait_writable(struct sender *sender)
{
    sender->op.poll.events = POLLOUT;
    return submit(sender, OP_POLL, sender->fd);
}

/* While a large range is on its way no segment goes out that is not full. Else each acknowledgement
 * that comes while sendfile is filling one pushes it out as it is: 5 % more CPU time a MiB over
 * loopback, for MSG_MORE holds back at the end of a call alone. */
static void set_cork(struct sender *sender, bool is_corked)
{
    const int value = is_corked;
    sender->is_corked = is_corked;
    (void)sender->loop->sys->setsockopt(sender->loop->sys, sender->fd, IPPROTO_TCP, TCP_CORK,
                                        &value, sizeof value); /* unix sockets have none */
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* The run of memory vectors that begins where we are; the kernel is told when more follows it. */
static int gather_memory(const struct sender *sender, struct iovec *vectors, bool *ret_more)
{
    int count = 0;
    size_t index = sender->index;
    uint64_t position = sender->position;
    while (index < sender->count && !sender->vectors[index].file && count < MEMORY_VECTORS_MAX) {
        const struct leat_vector *vector = &sender->vectors[index++];
        if (vector->size > position)
            vectors[count++] = (struct iovec){.iov_base = (char *)vector->data + position,
                                              .iov_len = vector->size - position};
        position = 0;
    }
    *ret_more = index < sender->count;
    return count;
}

static void next_vector(struct sender *sender)
{
    sender->index++;
    sender->position = sender->resident_end = sender->prefetch_end = 0;
}

static void advance(struct sender *sender, uint64_t size)
{
    sender->sent += size;
    sender->progress_ns = sender->loop->now_ns;
    while (size > 0) {
        const uint64_t left = sender->vectors[sender->index].size - sender->position;
        if (size < left) {
            sender->position += size;
            return;
        }
        size -= left;
        next_vector(sender);
    }
}

static int step_memory(struct sender *sender)
{
    struct iovec vectors[MEMORY_VECTORS_MAX];
    bool more;
    const int count = gather_memory(sender, vectors, &more);
    ASSERT(count > 0);
    if (count == 1 && !more && !sender->loop->ops->sends_now) {
        sender->op.send.data = vectors[0].iov_base;
        sender->op.send.size =
            vectors[0].iov_len < MEMORY_OP_MAX ? vectors[0].iov_len : MEMORY_OP_MAX;
        sender->op.send.sent = 0;
        sender->op.send.more = sender->op.send.size < vectors[0].iov_len;
        return submit(sender, OP_SEND, sender->fd);
    }
    const struct backend_sys *sys = sender->loop->sys;
    const ssize_t size = sys->send(sys, sender->fd, vectors, count, more);
    if (size == -EAGAIN)
        return wait_writable(sender);
    if (size < 0)
        return (int)size;
    advance(sender, (uint64_t)size);
    return 0;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static uint64_t fill_size(uint64_t left)
{
    return left < RESIDENCY_FILL_SIZE ? left : RESIDENCY_FILL_SIZE;
}

/* While one window is sent, the next one of a cold file is read. */
static void start_prefetch(struct sender *sender, struct leat_file *file, uint64_t offset,
                           uint64_t end)
{
    if (op_is_busy(&sender->prefetch) || offset >= end || offset < sender->prefetch_end)
        return;
    sender->prefetch.fd = file->fd;
    sender->prefetch.fill.offset = offset;
    sender->prefetch.fill.size = fill_size(end - offset);
    sender->prefetch_end = offset + sender->prefetch.fill.size;
    sender->prefetch_file = file;
    residency_fill_begins(file, &sender->prefetch_fill, offset, sender->prefetch.fill.size);
    loop_submit(sender->loop, &sender->prefetch);
}

/* As residency_ready, and on into the next window where the first has little left: a range that
 * begins in the midst of one, as a segment's does, goes in one call nevertheless. */
static uint64_t find_ready(struct leat_file *file, uint64_t offset, uint64_t size)
{
    const uint64_t ready = residency_ready(file, offset, size);
    if (ready == 0 || ready == size || ready >= FILE_WINDOW_SIZE)
        return ready;
    return ready + residency_ready(file, offset + ready, size - ready);
}

/* Moves resident_end on. 0, or -EINPROGRESS when the disk has been asked. */
static int await_residency(struct sender *sender, const struct leat_vector *vector, uint64_t offset)
{
    const uint64_t end = vector->offset + vector->size;
    const bool was_filled = sender->op.kind == OP_FILL && sender->op.fd == vector->file->fd &&
                            sender->op.fill.offset == offset;
    uint64_t ready;
    if (was_filled)
        ready = residency_arrived(vector->file, offset, sender->op.fill.size) ? sender->op.fill.size
                                                                              : 0;
    else
        ready = find_ready(vector->file, offset, end - offset);
    if (ready == 0 && sender->fills_left == 0)
        /* Memory is so short that it does not stay: we wait for the disk, a few pages at a time. */
        ready = end - offset < LAST_RESORT_SIZE ? end - offset : LAST_RESORT_SIZE;
    if (ready > 0) {
        sender->resident_end = offset + ready;
        if (was_filled || sender->prefetch_end > 0)
            start_prefetch(sender, vector->file, sender->resident_end, end);
        sender->fills_left = FILLS_MAX;
        return 0;
    }
    if (sender->is_corked)
        set_cork(sender, false); /* what is there should not wait for the disk */
    sender->fills_left--;
    sender->op.fill.offset = offset;
    sender->op.fill.size = fill_size(end - offset);
    residency_fill_begins(vector->file, &sender->fill, offset, sender->op.fill.size);
    return submit(sender, OP_FILL, vector->file->fd);
}

static int step_file(struct sender *sender, uint64_t *budget)
{
    const struct leat_vector *vector = &sender->vectors[sender->index];
    const uint64_t offset = vector->offset + sender->position;
    if (offset >= sender->resident_end) {
        int error = await_residency(sender, vector, offset);
        if (error)
            return error;
    }
    const uint64_t end = vector->offset + vector->size;
    const uint64_t size = (sender->resident_end < end ? sender->resident_end : end) - offset;
    if (size >= CORK_SIZE && !sender->is_corked)
        set_cork(sender, true);
    const ssize_t sent = sender->loop->ops->sendfile(sender->loop->backend, sender->fd,
                                                     vector->file->fd, offset, size);
    if (sent == -EAGAIN)
        return wait_writable(sender);
    if (sent < 0)
        return (int)sent;
    if (sent == 0)
        return -LEAT_E_TRUNCATED;
    *budget -= (uint64_t)sent < *budget ? (uint64_t)sent : *budget;
    advance(sender, (uint64_t)sent);
    return 0;
}

/* ---- The machine ----------------------------------------------------------------------------- */

/* 0: all sent. -EINPROGRESS: an op or the task goes on. Else: an error. */
static int step(struct sender *sender)
{
    uint64_t budget = TURN_BYTES_MAX;
    while (sender->index < sender->count) {
        const struct leat_vector *vector = &sender->vectors[sender->index];
        int error;
        if (sender->position == vector->size) {
            next_vector(sender);
            continue;
        }
        if (sender->is_cancelled)
            return -ECANCELED;
        if (budget == 0) {
            sender->is_deferred = true;
            loop_defer(sender->loop, &sender->task);
            return -EINPROGRESS;
        }
        error = vector->file ? step_file(sender, &budget) : step_memory(sender);
        if (error)
            return error;
    }
    if (sender->is_corked)
        set_cork(sender, false);
    return 0;
}

static void go_on(struct sender *sender)
{
    ASSERT(sender->state != SENDER_IDLE);
    if (sender->state == SENDER_BUSY && sender->result == 0) {
        const int result = step(sender);
        if (result == -EINPROGRESS)
            return;
        sender->result = result;
    }
    sender->state = SENDER_ENDING;
    if (op_is_busy(&sender->prefetch)) {
        loop_cancel(sender->loop, &sender->prefetch);
        return;
    }
    sender->state = SENDER_IDLE;
    sender->done(sender, sender->result);
}

/* The most frequent of all: one piece of memory, and room for it in the socket. Returns whether it
 * is out; if only a part of it is, the machine goes on from there. */
static bool send_at_once(struct sender *sender)
{
    const struct leat_vector *vector = sender->vectors;
    if (sender->count != 1 || vector->file || !sender->loop->ops->sends_now)
        return false;
    const struct backend_sys *sys = sender->loop->sys;
    const struct iovec piece = {.iov_base = (void *)vector->data, .iov_len = vector->size};
    const ssize_t size = sys->send(sys, sender->fd, &piece, 1, false);
    if (size <= 0)
        return false; /* why is found out when it is tried again */
    sender->sent += (uint64_t)size;
    sender->position = (uint64_t)size;
    return sender->position == vector->size;
}

int sender_start(struct sender *sender, const struct leat_vector *vectors, size_t count,
                 sender_done_fn done)
{
    ASSERT(sender->state == SENDER_IDLE);
    ASSERT(count == 0 || vectors != NULL);
    sender->vectors = vectors;
    sender->count = count;
    sender->index = 0;
    sender->position = sender->resident_end = sender->prefetch_end = 0;
    sender->fills_left = FILLS_MAX;
    sender->is_cancelled = false;
    sender->result = 0;
    sender->done = done;
    sender->op.kind = OP_SEND;
    sender->progress_ns = sender->loop->now_ns;
    if (send_at_once(sender))
        return 0;
    sender->state = SENDER_BUSY;
    const int result = step(sender);
    if (result != -EINPROGRESS && op_is_busy(&sender->prefetch)) {
        /* Ended early, with a window still on its way from the disk: `done` waits for it. */
        sender->result = result;
        sender->state = SENDER_ENDING;
        loop_cancel(sender->loop, &sender->prefetch);
        return -EINPROGRESS;
    }
    if (result != -EINPROGRESS)
        sender->state = SENDER_IDLE;
    return result;
}

void sender_cancel(struct sender *sender)
{
    if (sender->state == SENDER_IDLE || sender->is_cancelled)
        return;
    sender->is_cancelled = true;
    /* A deferred task finds the cancel by itself; a busy op is asked to end. */
    loop_cancel(sender->loop, &sender->op);
    loop_cancel(sender->loop, &sender->prefetch);
}
