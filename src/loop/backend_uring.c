/* SPDX-License-Identifier: MIT */
/*
 * The io_uring backend. An op becomes a submission at once; the kernel sees it with the next
 * wait(), in one system call with all others and with the look at what has completed. Where an op
 * is:
 *
 *                  no room in the queue              the queue has room again
 *     submit ------------------------> BACKLOG ------------------------------+
 *        |                                                                   v
 *        +-------------------------------------------------------------> KERNEL --+ completion,
 *        |                                                                ^    ^--+ more to follow
 *        | others starve                        buffers came back         |    |
 *        +-----------------> STARVED -------------------------------------+    | last completion
 *                               ^         goes on (many-kinds, short sends)    v
 *                               +---------- no buffer was left <---------- DELIVERY --> its owner
 *
 * A cancelled op that the kernel does not have becomes FINISHED, and ends in the next wait().
 * The kernel holds an op from its submission until the completion without F_MORE; only then is the
 * op's last completion delivered. Owner and thread: the loop; only wake() is called from elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "loop/backend.h"
#include "loop/loop.h"
#include "loop/sys_linux.h"
#include "loop/uring.h"

/* Kept in op.backend_count while the op is BUSY. In KERNEL and DELIVERY it is in no list. */
enum place {
    PLACE_KERNEL,
    PLACE_KERNEL_UNCANCELLED, /* as KERNEL; the wish to cancel it waits in the backlog */
    PLACE_DELIVERY,
    PLACE_BACKLOG,
    PLACE_STARVED,  /* among the starved or the served */
    PLACE_FINISHED, /* op.backend_word is the result */
};

/* What a completion belongs to. Ops are aligned, which leaves the low bits for our own affairs. */
enum { TAG_OP, TAG_CANCEL, TAG_WAKE, TAG_MASK = 7 };
static_assert(_Alignof(struct op) > TAG_MASK, "the tags have room in an op's address");

/* ---- Submission ------------------------------------------------------------------------------ */

static struct io_uring_sqe *take_entry(struct backend *backend)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&backend->ring);
    if (__builtin_expect(entry != NULL, 1))
        return entry;
    if (backend->refused & URING_REFUSE_FLUSH)
        return NULL;
    io_uring_submit(&backend->ring); /* may fail for want of memory; wait() tries again */
    return io_uring_get_sqe(&backend->ring);
}

static void place(struct op *op, enum place where, struct list_node *list)
{
    op->backend_count = where;
    list_push_back(list, &op->node);
}

static void finish(struct backend *backend, struct op *op, int32_t result)
{
    op->backend_word = (uint32_t)result;
    place(op, PLACE_FINISHED, &backend->finished);
}

static void prepare_accept(const struct backend *backend, const struct op *op,
                           struct io_uring_sqe *entry)
{
    if (backend->features.multishot_accept)
        io_uring_prep_multishot_accept(entry, op->fd, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(entry, op->fd, NULL, NULL, SOCK_CLOEXEC);
}

/* While others starve everybody gets one buffer and queues up again: an armed multishot could take
 * all buffers, round after round. */
static void prepare_receive_many(const struct backend *backend, const struct op *op,
                                 struct io_uring_sqe *entry)
{
    if (backend->features.multishot_recv && !backend->is_rationed)
        io_uring_prep_recv_multishot(entry, op->fd, NULL, 0, 0);
    else
        io_uring_prep_recv(entry, op->fd, NULL, backend->buffers.size, 0);
    entry->flags |= IOSQE_BUFFER_SELECT; /* of group 0, the only one */
}

static void prepare_send(const struct op *op, struct io_uring_sqe *entry)
{
    const int flags = MSG_WAITALL | MSG_NOSIGNAL | (op->send.more ? MSG_MORE : 0);
    io_uring_prep_send(entry, op->fd, (const char *)op->send.data + op->send.sent,
                       op->send.size - op->send.sent, flags);
}

/* The range is read, into nowhere, by a worker thread. That looks wasteful and is not: FADVISE
 * costs a worker, too, and as much CPU (350 us a cold MiB against 340, and more of it on the loop);
 * worse, the kernel cuts WILLNEED down to what the device takes at once, so that the window may
 * have holes when its last byte is there. backend_word is the progress. */
static void prepare_fill(const struct backend *backend, const struct op *op,
                         struct io_uring_sqe *entry)
{
    const uint64_t left = op->fill.size - op->backend_word;
    const unsigned size = left < URING_FILL_PIECE_SIZE ? (unsigned)left : URING_FILL_PIECE_SIZE;
    io_uring_prep_read(entry, op->fd, backend->fill_scratch, size,
                       op->fill.offset + op->backend_word);
    entry->flags |= IOSQE_ASYNC;
}

static void prepare(struct backend *backend, struct op *op, struct io_uring_sqe *entry)
{
    switch (op->kind) {
    case OP_ACCEPT: prepare_accept(backend, op, entry); break;
    case OP_CONNECT:
        io_uring_prep_connect(entry, op->fd, op->connect.address, op->connect.size);
        break;
    case OP_RECV: io_uring_prep_recv(entry, op->fd, op->recv.data, op->recv.size, 0); break;
    case OP_RECV_MANY: prepare_receive_many(backend, op, entry); break;
    case OP_SEND: prepare_send(op, entry); break;
    case OP_POLL: io_uring_prep_poll_add(entry, op->fd, (unsigned short)op->poll.events); break;
    case OP_READ: {
        const size_t size = op->read.size < INT32_MAX ? op->read.size : INT32_MAX;
        io_uring_prep_read(entry, op->fd, op->read.data, (unsigned)size, op->read.offset);
        break;
    }
    case OP_FILL: prepare_fill(backend, op, entry); break;
    }
    entry->user_data = (uintptr_t)op | TAG_OP;
    op->backend_count = PLACE_KERNEL;
}

/* Gives the op to the kernel, or lets it queue for a place. */
static void arm(struct backend *backend, struct op *op)
{
    struct io_uring_sqe *entry = NULL;
    if (list_is_empty(&backend->backlog))
        entry = take_entry(backend);
    if (entry)
        prepare(backend, op, entry);
    else
        place(op, PLACE_BACKLOG, &backend->backlog);
}

static void uring_submit(struct backend *backend, struct op *op)
{
    DEBUG_ASSERT(list_is_empty(&op->node));
    op->backend_word = 0;
    if (op->kind == OP_SEND) {
        ASSERT(op->send.size <= INT32_MAX); /* the result is its size */
        op->send.sent = 0;
    }
    /* Nobody overtakes those who wait for buffers. */
    if (op->kind == OP_RECV_MANY && !list_is_empty(&backend->starved))
        place(op, PLACE_STARVED, &backend->starved);
    else
        arm(backend, op);
}

/* That a cancel finds nothing any more is no news: the op's completion is on its way. */
static void prepare_cancel(struct op *op, struct io_uring_sqe *entry)
{
    io_uring_prep_cancel64(entry, (uintptr_t)op | TAG_OP, 0);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = TAG_CANCEL;
    op->backend_count = PLACE_KERNEL;
}

static void uring_cancel(struct backend *backend, struct op *op)
{
    switch ((enum place)op->backend_count) {
    case PLACE_KERNEL: {
        struct io_uring_sqe *entry = list_is_empty(&backend->backlog) ? take_entry(backend) : NULL;
        if (entry)
            prepare_cancel(op, entry);
        else
            place(op, PLACE_KERNEL_UNCANCELLED, &backend->backlog);
        break;
    }
    case PLACE_BACKLOG:
    case PLACE_STARVED:
        list_remove(&op->node);
        finish(backend, op, -ECANCELED);
        break;
    case PLACE_DELIVERY: /* its delivery looks at op->cancelled when the owner returns */
    case PLACE_FINISHED:
    case PLACE_KERNEL_UNCANCELLED: break;
    }
}

/* ---- Completion ------------------------------------------------------------------------------ */

static void end(struct op *op, int32_t result)
{
    op_complete(op, &(struct completion){.result = result});
}

/* The kernel has let go of an op that has not come to its end. */
static void go_on(struct backend *backend, struct op *op)
{
    ASSERT(op->backend_count == PLACE_DELIVERY);
    if (op->cancelled)
        finish(backend, op, -ECANCELED);
    else if (op->kind == OP_RECV_MANY)
        place(op, PLACE_STARVED, &backend->served); /* until this batch's buffers are back */
    else
        arm(backend, op);
}

static void clear_nonblocking(struct backend *backend, int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    if (fd >= 0 && fd < backend->descriptor_count)
        backend->is_nonblocking[fd] = false;
}

/* Not a result but a reason to try again. The kernels we know wait for a socket whatever its
 * O_NONBLOCK says (sendfile needs it set); one that does not says EAGAIN: the flag is cleared. */
static bool is_transient(struct backend *backend, const struct op *op, int32_t result)
{
    if (result == -EAGAIN && op->kind != OP_CONNECT && op->kind != OP_POLL) {
        clear_nonblocking(backend, op->fd);
        return true;
    }
    return result == -EINTR || (result == -ECONNABORTED && op->kind == OP_ACCEPT);
}

static void hand_over(struct backend *backend, struct op *op, int fd)
{
    if (fd < backend->descriptor_count)
        backend->is_nonblocking[fd] = false; /* whatever its predecessor was */
    op_complete(op, &(struct completion){.result = fd, .more = true});
}

/* Of those who wait for a socket by io_uring the kernel wakes one alone for a connection. When that
 * was us and the cancel came in between, nobody will come for it: neither another ring of ours nor
 * one of another process, until the next connection is there. We wait no more now, so what is in
 * the queue and was announced to us can be taken without any of that. */
static void take_rest(struct backend *backend, struct op *op)
{
    const int flags = fcntl(op->fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(op->fd, F_SETFL, flags | O_NONBLOCK)))
        return;
    for (unsigned count = 0; count < URING_REST_MAX; count++) {
        const int fd = TEMP_FAILURE_RETRY(accept4(op->fd, NULL, NULL, SOCK_CLOEXEC));
        if (fd >= 0)
            hand_over(backend, op, fd);
        else if (errno != ECONNABORTED)
            return;
    }
}

static void accepted(struct backend *backend, struct op *op, int32_t result, bool is_armed)
{
    if (result < 0) {
        if (op->cancelled && op->accept.takes_rest)
            take_rest(backend, op);
        end(op, result);
        return;
    }
    hand_over(backend, op, result);
    if (!is_armed)
        go_on(backend, op);
}

static void received_many(struct backend *backend, struct op *op, int32_t result, uint32_t flags)
{
    if (flags & IORING_CQE_F_BUFFER) {
        const unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
        if (result > 0) {
            const struct leat_slice data =
                uring_buffers_borrow(&backend->buffers, id, (size_t)result);
            op_complete(op, &(struct completion){.result = result, .more = true, .data = data});
        }
        uring_buffers_give(&backend->buffers, id);
    }
    if (flags & IORING_CQE_F_MORE)
        return;
    if (result > 0)
        go_on(backend, op);
    else if (result == -ENOBUFS && op->cancelled)
        end(op, -ECANCELED);
    else if (result == -ENOBUFS)
        place(op, PLACE_STARVED, &backend->starved);
    else
        end(op, result);
}

static void sent(struct backend *backend, struct op *op, int32_t result)
{
    if (result > 0) {
        op->send.sent += (size_t)result;
        ASSERT(op->send.sent <= op->send.size);
        /* MSG_WAITALL sends it all, unless an error or a cancel came between: going on tells. */
        if (op->send.sent < op->send.size) {
            go_on(backend, op);
            return;
        }
        result = (int32_t)op->send.size;
    }
    end(op, result);
}

static void filled(struct backend *backend, struct op *op, int32_t result)
{
    if (result > 0) {
        op->backend_word += (uint32_t)result;
        if (op->backend_word < op->fill.size) {
            go_on(backend, op);
            return;
        }
        result = 0;
    }
    end(op, result);
}

static void complete(struct backend *backend, struct op *op, int32_t result, uint32_t flags)
{
    ASSERT(op->state == OP_BUSY);
    const bool is_armed = flags & IORING_CQE_F_MORE;
    if (!is_armed) {
        if (op->backend_count == PLACE_KERNEL_UNCANCELLED)
            list_remove(&op->node);
        op->backend_count = PLACE_DELIVERY;
        if (result < 0 && is_transient(backend, op, result)) {
            go_on(backend, op);
            return;
        }
    }
    switch (op->kind) {
    case OP_ACCEPT: accepted(backend, op, result, is_armed); break;
    case OP_RECV_MANY: received_many(backend, op, result, flags); break;
    case OP_SEND: sent(backend, op, result); break;
    case OP_FILL: filled(backend, op, result); break;
    case OP_CONNECT:
    case OP_RECV:
    case OP_POLL:
    case OP_READ: end(op, result); break;
    }
}

/* What is in the queue now, and no more: what callbacks start may complete on the spot, and would
 * keep us here for ever. An entry is given back before its owner hears of it, so that the queue is
 * as empty as it can be whatever the owner does. */
static void deliver_completions(struct backend *backend)
{
    unsigned ready = io_uring_cq_ready(&backend->ring);
    unsigned head;
    struct io_uring_cqe *entry;
    if (ready == 0)
        return;
    io_uring_for_each_cqe(&backend->ring, head, entry)
    {
        const uint64_t user_data = entry->user_data;
        const int32_t result = entry->res;
        const uint32_t flags = entry->flags;
        io_uring_cq_advance(&backend->ring, 1);
        if ((user_data & TAG_MASK) == TAG_OP)
            complete(backend, (struct op *)(uintptr_t)user_data, result, flags);
        else if (user_data == TAG_WAKE && !(flags & IORING_CQE_F_MORE))
            backend->is_wake_armed = false;
        if (--ready == 0)
            break;
    }
}

static void deliver_finished(struct backend *backend)
{
    struct list_node batch, *node;
    list_init(&batch);
    list_take_all(&batch, &backend->finished);
    while ((node = list_take_front(&batch))) {
        struct op *op = CONTAINER_OF(node, struct op, node);
        ASSERT(op->backend_count == PLACE_FINISHED);
        if (op->kind == OP_ACCEPT && op->accept.takes_rest)
            take_rest(backend, op);
        end(op, (int32_t)(uint32_t)op->backend_word);
    }
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* A multishot poll is edge-triggered: each write to the eventfd is told, and it is never read (its
 * counter takes 2^64 - 2 of them). */
static void arm_wake(struct backend *backend)
{
    struct io_uring_sqe *entry = take_entry(backend);
    if (!entry)
        return;
    io_uring_prep_poll_multishot(entry, backend->wake_fd, POLLIN);
    entry->user_data = TAG_WAKE;
    backend->is_wake_armed = true;
}

static void drain_backlog(struct backend *backend)
{
    while (!list_is_empty(&backend->backlog)) {
        struct io_uring_sqe *entry = take_entry(backend);
        if (!entry)
            return;
        struct op *op = CONTAINER_OF(list_take_front(&backend->backlog), struct op, node);
        if (op->backend_count == PLACE_KERNEL_UNCANCELLED)
            prepare_cancel(op, entry);
        else
            prepare(backend, op, entry);
    }
}

/* All buffers have come back (they are lent for a callback): as many ops as buffers are armed,
 * those that got none before those that did. */
static void feed_starved(struct backend *backend)
{
    backend->is_rationed = !list_is_empty(&backend->starved);
    list_take_all(&backend->starved, &backend->served);
    for (unsigned count = 0; count < backend->buffers.count; count++) {
        struct list_node *node = list_take_front(&backend->starved);
        if (!node)
            break;
        arm(backend, CONTAINER_OF(node, struct op, node));
    }
    backend->is_rationed = false;
}

static bool is_work_left(const struct backend *backend)
{
    return !list_is_empty(&backend->finished) || !list_is_empty(&backend->starved) ||
           !list_is_empty(&backend->backlog) || !backend->is_wake_armed;
}

/* One system call. With DEFER_TASKRUN nothing completes unless it asks for events: so it does. */
static int enter(struct backend *backend, int64_t deadline_ns)
{
    int result;
    int64_t left_ns = 0;
    if (deadline_ns > 0 && deadline_ns != LEAT_FOREVER)
        left_ns = deadline_ns - clock_now_ns();
    if (deadline_ns == LEAT_FOREVER) {
        result = io_uring_submit_and_wait(&backend->ring, 1);
    } else if (left_ns <= 0) {
        result = io_uring_submit_and_get_events(&backend->ring);
    } else {
        const struct timespec left = clock_timespec(left_ns);
        struct __kernel_timespec timeout = {.tv_sec = left.tv_sec, .tv_nsec = left.tv_nsec};
        struct io_uring_cqe *first;
        result = io_uring_submit_and_wait_timeout(&backend->ring, &first, 1, &timeout, NULL);
    }
    /* Time, a signal, or no memory for what is submitted: it stays queued until the next time. */
    if (result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY)
        return 0;
    return result < 0 ? result : 0;
}

static void uring_wake(struct backend *backend)
{
    const int saved = errno; /* may be called from a signal handler */
    const uint64_t one = 1;
    while (write(backend->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    /* The kernel does not tell an eventfd of what it was told by another (Linux 6.18: but once). */
    const int event_fd = backend->event_fd;
    while (event_fd >= 0 && write(event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

/* Who polls our descriptor comes back when it is readable, and it knows neither of our lists nor of
 * what callbacks have put into the submission queue. */
static void settle_embedded(struct backend *backend)
{
    if (is_work_left(backend))
        uring_wake(backend);
    if (io_uring_sq_ready(&backend->ring) > 0)
        io_uring_submit(&backend->ring);
}

/* What is told from here on concerns what this wait does not see; its own completions too, which
 * costs the program that embeds us a look in vain. */
static void clear_event(struct backend *backend)
{
    uint64_t count;
    if (backend->event_fd >= 0)
        while (read(backend->event_fd, &count, sizeof count) < 0 && errno == EINTR)
            ;
}

static int uring_wait(struct backend *backend, int64_t deadline_ns)
{
    ASSERT(!backend->is_in_wait);
    if (!backend->is_wake_armed)
        arm_wake(backend);
    drain_backlog(backend);
    clear_event(backend);
    const int error = enter(backend, is_work_left(backend) ? 0 : deadline_ns);
    if (error)
        return error;
    loop_begin_work(backend->loop);
    backend->is_in_wait = true;
    deliver_finished(backend);
    deliver_completions(backend);
    uring_buffers_publish(&backend->buffers);
    feed_starved(backend);
    backend->is_in_wait = false;
    if (backend->event_fd >= 0)
        settle_embedded(backend);
    return 0;
}

/* ---- Calls now ------------------------------------------------------------------------------- */

/* sendfile(2) and splice(2) wait unless the descriptor is non-blocking. Armed operations are not
 * disturbed by the flag. */
static int set_nonblocking(struct backend *backend, int fd)
{
    if (fd < 0)
        return -EBADF;
    if (fd >= backend->descriptor_count) {
        int count = backend->descriptor_count ? backend->descriptor_count : 64;
        while (count <= fd)
            count *= 2;
        bool *grown = realloc(backend->is_nonblocking, (size_t)count * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        for (int index = backend->descriptor_count; index < count; index++)
            grown[index] = false;
        backend->is_nonblocking = grown;
        backend->descriptor_count = count;
    }
    if (backend->is_nonblocking[fd])
        return 0;
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK)))
        return -errno;
    backend->is_nonblocking[fd] = true;
    return 0;
}

static ssize_t uring_sendfile(struct backend *backend, int socket_fd, int file_fd, uint64_t offset,
                              size_t size)
{
    const int error = set_nonblocking(backend, socket_fd);
    if (error)
        return error;
    off_t position = (off_t)offset;
    const ssize_t count = TEMP_FAILURE_RETRY(sendfile(socket_fd, file_fd, &position, size));
    return count < 0 ? -errno : count;
}

static ssize_t uring_splice(struct backend *backend, int in_fd, int out_fd, size_t size, bool more)
{
    int error = set_nonblocking(backend, in_fd);
    if (!error)
        error = set_nonblocking(backend, out_fd);
    if (error)
        return error;
    const unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0);
    const ssize_t count = TEMP_FAILURE_RETRY(splice(in_fd, NULL, out_fd, NULL, size, flags));
    return count < 0 ? -errno : count;
}

/* The ring holds nothing of a descriptor whose operations have ended. */
static void uring_release(struct backend *backend, int fd)
{
    ASSERT(fd >= 0);
    if (fd < backend->descriptor_count)
        backend->is_nonblocking[fd] = false;
}

static void uring_close(struct backend *backend, int fd)
{
    uring_release(backend, fd);
    close(fd);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void uring_destroy(struct backend *backend)
{
    if (!backend)
        return;
    ASSERT(op_busy_count == 0);
    ASSERT(list_is_empty(&backend->backlog) && list_is_empty(&backend->starved));
    ASSERT(list_is_empty(&backend->finished) && list_is_empty(&backend->served));
    ASSERT(!backend->is_in_wait);
    uring_buffers_fini(&backend->buffers, &backend->ring);
    uring_ring_fini(backend);
    close(backend->wake_fd);
    if (backend->event_fd >= 0)
        close(backend->event_fd);
    munmap(backend->fill_scratch, URING_FILL_PIECE_SIZE);
    free(backend->is_nonblocking);
    free(backend);
}

static int uring_create(struct leat_loop *loop, const struct backend_options *options,
                        struct backend **ret_backend)
{
    struct backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        return -ENOMEM;
    backend->loop = loop;
    list_init(&backend->backlog);
    list_init(&backend->starved);
    list_init(&backend->served);
    list_init(&backend->finished);
    sys_linux_probe(&backend->features);
    int error = uring_ring_init(backend, options->queue_entries);
    if (error)
        goto free_backend;
    error = uring_buffers_init(&backend->buffers, &backend->ring, options->receive_buffers,
                               options->receive_buffer_size);
    if (error)
        goto free_ring;
    backend->event_fd = -1;
    backend->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (backend->wake_fd < 0) {
        error = -errno;
        goto free_buffers;
    }
    /* Takes memory with the first FILL only. */
    backend->fill_scratch = mmap(NULL, URING_FILL_PIECE_SIZE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (backend->fill_scratch == MAP_FAILED) {
        error = -errno;
        goto close_wake;
    }
    *ret_backend = backend;
    return 0;

close_wake:
    close(backend->wake_fd);
free_buffers:
    uring_buffers_fini(&backend->buffers, &backend->ring);
free_ring:
    uring_ring_fini(backend);
free_backend:
    free(backend);
    return error;
}

/* Not the ring's own descriptor: with DEFER_TASKRUN it is readable when asked, but wakes nobody who
 * waits for it. An eventfd is told as soon as there is work to do. */
static int uring_fd(struct backend *backend)
{
    if (backend->event_fd >= 0)
        return backend->event_fd;
    const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    const int error = io_uring_register_eventfd(&backend->ring, fd);
    if (error) {
        close(fd);
        return error;
    }
    backend->event_fd = fd;
    return fd;
}

static int64_t uring_now_ns(struct backend *backend)
{
    return clock_now_ns();
}

static const struct backend_sys *uring_sys(struct backend *backend)
{
    return &backend_sys_linux;
}

static void uring_features(struct backend *backend, struct backend_features *ret_features)
{
    *ret_features = backend->features;
}

const struct backend_ops backend_uring_ops = {
    .name = "uring",
    .create = uring_create,
    .destroy = uring_destroy,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .wait = uring_wait,
    .wake = uring_wake,
    .fd = uring_fd,
    .now_ns = uring_now_ns,
    .sendfile = uring_sendfile,
    .splice = uring_splice,
    .close = uring_close,
    .release = uring_release,
    .sys = uring_sys,
    .features = uring_features,
};
