/* SPDX-License-Identifier: MIT */
/*
 * The epoll backend: completions made of readiness, for hosts that refuse io_uring.
 *
 * Every descriptor that ever had to wait is registered once, edge-triggered, for both directions; a
 * table by descriptor remembers what may be ready. An op is first *attempted*: it completes, or it
 * waits at its descriptor until an edge makes it an attempt again. So a request costs one recv, one
 * send and a share of one epoll_wait, and epoll_ctl is paid once a connection.
 *
 *      submit --> attempts --(EAGAIN)--> waiting at its descriptor --(edge)--> attempted again
 *                     |                              |
 *                     +------> completion <----------+ cancel (by way of `finished`)
 *
 * A file has no readiness: what is not in the page cache is read by an offload job. Owner and
 * thread: the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "loop/backend.h"
#include "loop/loop.h"
#include "loop/offload.h"

enum {
    EVENTS_A_WAIT = 256,
    ACCEPTS_AN_ATTEMPT = 32,
    RECEIVE_SIZE = 16 * 1024,
    FILL_PIECE_SIZE = 64 * 1024, /* on a pool thread's stack */
    WAKE_FD_MARK = -1,
};

enum ready {
    READY_IN = 1,
    READY_OUT = 2,
    READY_END = 4, /* sticky: the peer has closed or failed */
};

struct watch {
    struct list_node waiting; /* ops */
    uint32_t generation;      /* tells events of a closed descriptor from those of its successor */
    uint8_t ready;
    bool is_known;      /* non-blocking, and the fields above are valid */
    bool is_registered; /* in the epoll set */
};

struct backend {
    struct leat_loop *loop;
    int epoll_fd, wake_fd;
    struct watch **watches; /* by descriptor; allocated one by one, for lists do not move */
    int watch_count;
    struct list_node attempts; /* ops */
    struct list_node finished; /* cancelled ops; backend_word is the result */
    bool has_pwait2;
    bool is_embedded; /* somebody polls our descriptor */
    char buffer[RECEIVE_SIZE];
};

/* A READ or FILL that went to the pool. */
struct file_job {
    struct offload_job job;
    struct op *op;
    ssize_t result;
};

static bool is_file_op(const struct op *op)
{
    return op->kind == OP_READ || op->kind == OP_FILL;
}

static uint8_t wanted(const struct op *op)
{
    switch (op->kind) {
    case OP_ACCEPT:
    case OP_RECV:
    case OP_RECV_MANY: return READY_IN;
    case OP_CONNECT:
    case OP_SEND: return READY_OUT;
    case OP_POLL:
        return (op->poll.events & POLLIN ? READY_IN : 0) |
               (op->poll.events & POLLOUT ? READY_OUT : 0);
    default: return 0;
    }
}

static void finish(struct op *op, int32_t result)
{
    list_remove(&op->node);
    op_complete(op, &(struct completion){.result = result});
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static struct watch *watch_get(struct backend *backend, int fd)
{
    if (fd < 0)
        return NULL;
    if (fd >= backend->watch_count) {
        int count = backend->watch_count ? backend->watch_count : 64;
        while (count <= fd)
            count *= 2;
        struct watch **grown = realloc(backend->watches, (size_t)count * sizeof *grown);
        if (!grown)
            return NULL;
        for (int index = backend->watch_count; index < count; index++)
            grown[index] = NULL;
        backend->watches = grown;
        backend->watch_count = count;
    }
    struct watch *watch = backend->watches[fd];
    if (!watch) {
        watch = calloc(1, sizeof *watch);
        if (!watch)
            return NULL;
        list_init(&watch->waiting);
        backend->watches[fd] = watch;
    }
    return watch;
}

static struct watch *watch_learn(struct backend *backend, int fd)
{
    struct watch *watch = watch_get(backend, fd);
    if (!watch)
        return NULL;
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    watch->ready = READY_IN | READY_OUT; /* until an attempt says otherwise */
    watch->is_known = true;
    return watch;
}

/* The descriptor's watch, the descriptor being non-blocking from now on. NULL: no memory. */
static inline struct watch *watch_know(struct backend *backend, int fd)
{
    if (fd >= 0 && fd < backend->watch_count) {
        struct watch *watch = backend->watches[fd];
        if (watch && watch->is_known)
            return watch;
    }
    return watch_learn(backend, fd);
}

/* Edges are reported from the moment of registration on, what is ready then included. */
static int watch_register(struct backend *backend, struct watch *watch, int fd)
{
    if (watch->is_registered)
        return 0;
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = (uint64_t)watch->generation << 32 | (uint32_t)fd,
    };
    if (epoll_ctl(backend->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        return -errno;
    watch->is_registered = true;
    return 0;
}

/* ---- Attempts -------------------------------------------------------------------------------- */

/* What an attempt came to: the op's result, or one of these. */
enum { WOULD_BLOCK = INT32_MIN, DELIVERED };

static int32_t attempt_accept(struct backend *backend, struct op *op)
{
    for (int count = 0; count < ACCEPTS_AN_ATTEMPT; count++) {
        const int fd = accept4(op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return errno == EAGAIN ? WOULD_BLOCK : -errno;
        }
        struct watch *watch = watch_get(backend, fd);
        if (!watch) {
            close(fd);
            return -ENOMEM;
        }
        watch->ready = READY_IN | READY_OUT;
        watch->is_known = true;
        op_complete(op, &(struct completion){.result = fd, .more = true});
        if (op->cancelled)
            return DELIVERED;
    }
    list_push_back(&backend->attempts, &op->node); /* more may wait: after the others' turn */
    return DELIVERED;
}

static int32_t attempt_receive_many(struct backend *backend, struct op *op, struct watch *watch)
{
    ssize_t size;
    do {
        size = recv(op->fd, backend->buffer, sizeof backend->buffer, MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0)
        return errno == EAGAIN ? WOULD_BLOCK : -errno;
    if (size == 0)
        return 0;
    /* A short read has emptied the socket: what comes later makes a new edge. Only the end of the
     * stream may have been announced together with these bytes already. */
    const bool is_drained = (size_t)size < sizeof backend->buffer && !(watch->ready & READY_END);
    if (is_drained && watch->is_registered) {
        watch->ready &= (uint8_t)~READY_IN;
        list_push_back(&watch->waiting, &op->node);
    } else {
        list_push_back(&backend->attempts, &op->node);
    }
    op_complete(op, &(struct completion){.result = (int32_t)size,
                                         .more = true,
                                         .data = slice_of(backend->buffer, (size_t)size)});
    return DELIVERED;
}

static int32_t attempt_receive(struct op *op)
{
    ssize_t size;
    do {
        size = recv(op->fd, op->recv.data, op->recv.size, MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0)
        return errno == EAGAIN ? WOULD_BLOCK : -errno;
    return (int32_t)size;
}

static int32_t attempt_send(struct op *op)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (op->send.more ? MSG_MORE : 0);
    while (op->send.sent < op->send.size) {
        const ssize_t size = send(op->fd, (const char *)op->send.data + op->send.sent,
                                  op->send.size - op->send.sent, flags);
        if (size < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN ? WOULD_BLOCK : -errno;
        }
        op->send.sent += (size_t)size;
    }
    return (int32_t)op->send.size;
}

/* The first attempt begins to connect, the second asks how it ended. */
static int32_t attempt_connect(struct op *op)
{
    if (op->backend_word == 0) {
        op->backend_word = 1;
        if (connect(op->fd, op->connect.address, op->connect.size) == 0)
            return 0;
        /* EAGAIN: a unix listener whose backlog is full, which poll does not announce. */
        return errno == EINPROGRESS ? WOULD_BLOCK : -errno;
    }
    struct pollfd state = {.fd = op->fd, .events = POLLOUT};
    if (poll(&state, 1, 0) == 0)
        return WOULD_BLOCK;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &size))
        return -errno;
    return -error;
}

static int32_t attempt_poll(struct op *op)
{
    struct pollfd state = {.fd = op->fd, .events = op->poll.events};
    const int count = poll(&state, 1, 0);
    if (count < 0)
        return -errno;
    if (state.revents & POLLNVAL)
        return -EBADF;
    return count == 0 ? WOULD_BLOCK : state.revents;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Asked for in one go, then read to its end: the disk brings pages in any order, and readahead(2)
 * may leave some out, so that having the last byte says nothing of those before. */
static int fill(const struct op *op, const struct backend_sys *sys)
{
    char scratch[FILL_PIECE_SIZE];
    const int error = sys->readahead(sys, op->fd, op->fill.offset, op->fill.size);
    if (error)
        return error;
    for (size_t done = 0; done < op->fill.size;) {
        const size_t left = op->fill.size - done;
        const ssize_t size =
            sys->read(sys, op->fd, scratch, left < sizeof scratch ? left : sizeof scratch,
                      op->fill.offset + done);
        if (size <= 0)
            return (int)size; /* 0: beyond the end there is nothing to bring */
        done += (size_t)size;
    }
    return 0;
}

static void file_job_run(struct offload_job *job, const struct backend_sys *sys)
{
    struct file_job *file_job = CONTAINER_OF(job, struct file_job, job);
    struct op *op = file_job->op;
    if (op->kind == OP_READ)
        file_job->result = sys->read(sys, op->fd, op->read.data, op->read.size, op->read.offset);
    else
        file_job->result = fill(op, sys);
}

static void file_job_done(struct offload_job *job)
{
    struct file_job *file_job = CONTAINER_OF(job, struct file_job, job);
    struct op *op = file_job->op;
    const int32_t result = job->cancelled ? -ECANCELED : (int32_t)file_job->result;
    free(file_job);
    finish(op, result);
}

static int32_t attempt_file(struct backend *backend, struct op *op)
{
    if (op->kind == OP_READ) {
        const ssize_t size = backend->loop->sys->read_now(backend->loop->sys, op->fd, op->read.data,
                                                          op->read.size, op->read.offset);
        if (size >= 0)
            return (int32_t)size;
    } else if (op->fill.size == 0) {
        return 0;
    }
    struct file_job *file_job = calloc(1, sizeof *file_job);
    if (!file_job)
        return -ENOMEM;
    file_job->job.run = file_job_run;
    file_job->job.done = file_job_done;
    file_job->op = op;
    op->backend_word = (uintptr_t)file_job;
    const int error = offload_submit(backend->loop, &file_job->job);
    if (!error)
        return DELIVERED;
    free(file_job);
    return error;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static int32_t attempt(struct backend *backend, struct op *op, struct watch *watch)
{
    switch (op->kind) {
    case OP_ACCEPT: return attempt_accept(backend, op);
    case OP_CONNECT: return attempt_connect(op);
    case OP_RECV: return attempt_receive(op);
    case OP_RECV_MANY: return attempt_receive_many(backend, op, watch);
    case OP_SEND: return attempt_send(op);
    case OP_POLL: return attempt_poll(op);
    case OP_READ:
    case OP_FILL: return attempt_file(backend, op);
    }
    ASSERT(!"an op of no kind");
    return -EINVAL;
}

static void attempt_or_wait(struct backend *backend, struct op *op)
{
    struct watch *watch = NULL;
    if (!is_file_op(op)) {
        watch = watch_know(backend, op->fd);
        if (!watch) {
            finish(op, op->fd < 0 ? -EBADF : -ENOMEM);
            return;
        }
    }
    int32_t result = attempt(backend, op, watch);
    if (result == DELIVERED)
        return;
    if (result == WOULD_BLOCK) {
        watch->ready &= (uint8_t)~wanted(op);
        result = watch_register(backend, watch, op->fd);
        if (result == 0) {
            list_push_back(&watch->waiting, &op->node);
            return;
        }
    }
    finish(op, result);
}

static void epoll_submit(struct backend *backend, struct op *op)
{
    op->backend_word = 0;
    if (op->kind == OP_SEND)
        op->send.sent = 0;
    struct watch *watch = NULL;
    if (!is_file_op(op) && op->fd >= 0 && op->fd < backend->watch_count)
        watch = backend->watches[op->fd];
    /* Known not to be ready: an edge will come. */
    if (watch && watch->is_registered && !(watch->ready & (wanted(op) | READY_END)))
        list_push_back(&watch->waiting, &op->node);
    else
        list_push_back(&backend->attempts, &op->node);
}

static void epoll_cancel(struct backend *backend, struct op *op)
{
    /* A file op that has gone to the pool is in no list; its job tells how it ended. */
    if (is_file_op(op) && op->backend_word != 0) {
        offload_cancel(&((struct file_job *)(uintptr_t)op->backend_word)->job);
        return;
    }
    list_remove(&op->node);
    list_push_back(&backend->finished, &op->node);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void attempt_all(struct backend *backend, struct list_node *ops)
{
    struct list_node *node;
    while ((node = list_take_front(ops)))
        attempt_or_wait(backend, CONTAINER_OF(node, struct op, node));
}

static void run_attempts(struct backend *backend)
{
    struct list_node batch, *node;
    list_init(&batch);
    list_take_all(&batch, &backend->finished);
    while ((node = list_take_front(&batch)))
        finish(CONTAINER_OF(node, struct op, node), -ECANCELED);
    list_take_all(&batch, &backend->attempts);
    attempt_all(backend, &batch);
}

/* What waited for the event is attempted at once, while its memory is in the cache. */
static void take_event(struct backend *backend, const struct epoll_event *event)
{
    const int fd = (int)(uint32_t)event->data.u64;
    if (fd == WAKE_FD_MARK) {
        uint64_t count;
        while (read(backend->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
            ;
        return;
    }
    struct watch *watch = fd < backend->watch_count ? backend->watches[fd] : NULL;
    if (!watch || !watch->is_registered || watch->generation != event->data.u64 >> 32)
        return;
    uint8_t ready = 0;
    if (event->events & (EPOLLERR | EPOLLHUP))
        ready = READY_IN | READY_OUT | READY_END;
    if (event->events & (EPOLLIN | EPOLLRDHUP))
        ready |= READY_IN;
    if (event->events & EPOLLRDHUP)
        ready |= READY_END;
    if (event->events & EPOLLOUT)
        ready |= READY_OUT;
    watch->ready |= ready;
    struct list_node woken; /* a cancel in one's callback takes another out of it */
    list_init(&woken);
    for (struct list_node *node = watch->waiting.next, *next; node != &watch->waiting;
         node = next) {
        next = node->next;
        struct op *op = CONTAINER_OF(node, struct op, node);
        if (!(wanted(op) & ready))
            continue;
        list_remove(node);
        list_push_back(&woken, node);
    }
    attempt_all(backend, &woken);
}

static int wait_events(struct backend *backend, struct epoll_event *events, int64_t deadline_ns)
{
    struct timespec timeout = {0}, *limit = NULL;
    if (deadline_ns != LEAT_FOREVER) {
        const int64_t left_ns = deadline_ns > 0 ? deadline_ns - clock_now_ns() : 0;
        if (left_ns > 0)
            timeout = clock_timespec(left_ns);
        limit = &timeout;
    }
    if (backend->has_pwait2) {
        const int count = epoll_pwait2(backend->epoll_fd, events, EVENTS_A_WAIT, limit, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count >= 0 ? count : -errno;
        backend->has_pwait2 = false; /* before Linux 5.11 */
    }
    int64_t timeout_ms = -1;
    if (limit) /* rounded up: a timer must not find that it is too early, again and again */
        timeout_ms = timeout.tv_sec * 1000 + (timeout.tv_nsec + 999999) / 1000000;
    const int count = epoll_wait(backend->epoll_fd, events, EVENTS_A_WAIT,
                                 timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
    return count >= 0 ? count : -errno;
}

static int epoll_backend_wait(struct backend *backend, int64_t deadline_ns)
{
    struct epoll_event events[EVENTS_A_WAIT];
    if (!list_is_empty(&backend->attempts) || !list_is_empty(&backend->finished))
        deadline_ns = 0;
    const int count = wait_events(backend, events, deadline_ns);
    if (count < 0 && count != -EINTR)
        return count;
    loop_begin_work(backend->loop);
    for (int index = 0; index < count; index++)
        take_event(backend, &events[index]);
    /* Twice: what completions have asked for (an answer to be sent) goes out in this turn, not
     * after another look at the kernel. */
    run_attempts(backend);
    run_attempts(backend);
    /* The kernel's set does not know of our lists. */
    if (backend->is_embedded &&
        (!list_is_empty(&backend->attempts) || !list_is_empty(&backend->finished)))
        backend_epoll_ops.wake(backend);
    return 0;
}

static void epoll_wake(struct backend *backend)
{
    const int saved = errno; /* may be called from a signal handler */
    const uint64_t one = 1;
    while (write(backend->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

/* ---- Calls now ------------------------------------------------------------------------------- */

static ssize_t epoll_sendfile(struct backend *backend, int socket_fd, int file_fd, uint64_t offset,
                              size_t size)
{
    struct watch *watch = watch_know(backend, socket_fd);
    if (!watch)
        return -ENOMEM;
    off_t position = (off_t)offset;
    ssize_t sent;
    do {
        sent = sendfile(socket_fd, file_fd, &position, size);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN)
        watch->ready &= (uint8_t)~READY_OUT;
    return -errno;
}

static ssize_t epoll_splice(struct backend *backend, int in_fd, int out_fd, size_t size, bool more)
{
    struct watch *in = watch_know(backend, in_fd), *out = watch_know(backend, out_fd);
    if (!in || !out)
        return -ENOMEM;
    const unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0);
    ssize_t moved;
    do {
        moved = splice(in_fd, NULL, out_fd, NULL, size, flags);
    } while (moved < 0 && errno == EINTR);
    return moved >= 0 ? moved : -errno;
}

/* Events of it that were fetched already are nobody's. Was it in the epoll set? */
static bool watch_forget(struct backend *backend, int fd)
{
    struct watch *watch = fd < backend->watch_count ? backend->watches[fd] : NULL;
    if (!watch)
        return false;
    ASSERT(list_is_empty(&watch->waiting));
    const bool was_registered = watch->is_registered;
    watch->generation++;
    watch->is_known = watch->is_registered = false;
    watch->ready = 0;
    return was_registered;
}

static void epoll_close(struct backend *backend, int fd)
{
    watch_forget(backend, fd);
    close(fd); /* which also takes it out of the epoll set */
}

/* Fails only for want of the registration itself. */
static void epoll_release(struct backend *backend, int fd)
{
    ASSERT(fd >= 0);
    if (watch_forget(backend, fd))
        epoll_ctl(backend->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void epoll_destroy(struct backend *backend)
{
    if (!backend)
        return;
    ASSERT(list_is_empty(&backend->attempts));
    ASSERT(list_is_empty(&backend->finished));
    for (int fd = 0; fd < backend->watch_count; fd++)
        free(backend->watches[fd]);
    free(backend->watches);
    if (backend->wake_fd >= 0)
        close(backend->wake_fd);
    if (backend->epoll_fd >= 0)
        close(backend->epoll_fd);
    free(backend);
}

static int epoll_backend_create(struct leat_loop *loop, const struct backend_options *options,
                                struct backend **ret_backend)
{
    struct backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        return -ENOMEM;
    backend->loop = loop;
    backend->has_pwait2 = true;
    list_init(&backend->attempts);
    list_init(&backend->finished);
    backend->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    backend->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint32_t)WAKE_FD_MARK};
    if (backend->epoll_fd < 0 || backend->wake_fd < 0 ||
        epoll_ctl(backend->epoll_fd, EPOLL_CTL_ADD, backend->wake_fd, &event)) {
        const int error = -errno;
        epoll_destroy(backend);
        return error;
    }
    *ret_backend = backend;
    return 0;
}

static int epoll_fd(struct backend *backend)
{
    backend->is_embedded = true;
    return backend->epoll_fd;
}

static int64_t epoll_now_ns(struct backend *backend)
{
    return clock_now_ns();
}

static const struct backend_sys *epoll_sys(struct backend *backend)
{
    return &backend_sys_linux;
}

static void epoll_features(struct backend *backend, struct backend_features *ret_features)
{
    *ret_features = (struct backend_features){0}; /* it has none of what io_uring may have */
}

const struct backend_ops backend_epoll_ops = {
    .name = "epoll",
    .sends_now = true,
    .create = epoll_backend_create,
    .destroy = epoll_destroy,
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .wait = epoll_backend_wait,
    .wake = epoll_wake,
    .fd = epoll_fd,
    .now_ns = epoll_now_ns,
    .sendfile = epoll_sendfile,
    .splice = epoll_splice,
    .close = epoll_close,
    .release = epoll_release,
    .sys = epoll_sys,
    .features = epoll_features,
};
