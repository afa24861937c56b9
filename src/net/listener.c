/* SPDX-License-Identifier: MIT */
/*
 * See listener.h for the states. One OP_ACCEPT serves all connections; it is armed while somebody
 * takes them: a machine, or fibers in leat_accept with a queue that has room.
 */
#include "net/listener.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "net/address.h"
#include "net/stream.h"
#include "net/tuning.h"

enum listener_state { LISTENER_IDLE, LISTENER_ACCEPTING, LISTENER_PAUSED, LISTENER_CLOSED };

struct leat_listener {
    struct leat_loop *loop;
    enum listener_state state;
    int fd;
    bool is_wanted; /* somebody takes connections */
    struct leat_address address;
    struct leat_tuning tuning;
    struct op op;
    struct timer pause;
    listener_accept_fn accept;
    listener_gone_fn gone; /* it was closed gently */
    void *user;
    struct list_node waiters; /* fibers in leat_accept */
    unsigned queue_first, queue_count, queue_room;
    int *queue; /* a ring of descriptors */
};

struct accept_waiter {
    struct list_node node;
    struct fiber *fiber;
    int result; /* a descriptor or an error */
};

/* ---- Accepting ------------------------------------------------------------------------------- */

static void arm(struct leat_listener *listener)
{
    if (listener->state != LISTENER_IDLE || op_is_busy(&listener->op) || !listener->is_wanted)
        return;
    listener->state = LISTENER_ACCEPTING;
    loop_submit(listener->loop, &listener->op);
}

static void on_pause_over(struct timer *timer)
{
    struct leat_listener *listener = CONTAINER_OF(timer, struct leat_listener, pause);
    listener->state = LISTENER_IDLE;
    arm(listener);
}

static void release(struct leat_listener *listener)
{
    ASSERT(!op_is_busy(&listener->op));
    ASSERT(list_is_empty(&listener->waiters));
    ASSERT(listener->queue_count == 0);
    const listener_gone_fn gone = listener->gone;
    void *user = listener->user;
    listener->loop->ops->close(listener->loop->backend, listener->fd);
    free(listener->queue);
    free(listener);
    if (gone)
        gone(user);
}

static void hand_over(struct leat_listener *listener, int fd)
{
    /* What is not inherited; a refusal was reported when the listener was made. */
    if (leat_address_family(&listener->address) != AF_UNIX)
        (void)tuning_apply(listener->loop->sys, fd, TUNING_ACCEPTED, &listener->tuning, NULL);
    listener->accept(listener->user, fd);
}

static void on_accept(struct op *op, const struct completion *completion)
{
    struct leat_listener *listener = CONTAINER_OF(op, struct leat_listener, op);
    const int result = completion->result;
    if (result >= 0 && listener->state == LISTENER_CLOSED && !listener->gone)
        listener->loop->ops->close(listener->loop->backend, result);
    else if (result >= 0)
        hand_over(listener, result);
    if (completion->more)
        return;
    if (listener->state == LISTENER_CLOSED) {
        release(listener);
        return;
    }
    listener->state = LISTENER_IDLE;
    if (result < 0 && result != -ECANCELED && result != -ECONNABORTED) {
        /* Whatever it is (descriptors, memory), trying again at once would spin. */
        listener->state = LISTENER_PAUSED;
        loop_timer_start(listener->loop, &listener->pause, leat_after_ms(LISTENER_PAUSE_MS));
    } else {
        arm(listener);
    }
}

void listener_start(struct leat_listener *listener, listener_accept_fn accept, void *user)
{
    ASSERT(listener->state != LISTENER_CLOSED);
    listener->accept = accept;
    listener->user = user;
    listener->is_wanted = true;
    arm(listener);
}

void listener_stop(struct leat_listener *listener)
{
    listener->is_wanted = false;
    loop_cancel(listener->loop, &listener->op);
}

/* ---- For fibers ------------------------------------------------------------------------------ */

static void wake_waiter(struct leat_listener *listener, int result)
{
    struct list_node *node = list_take_front(&listener->waiters);
    struct accept_waiter *waiter = CONTAINER_OF(node, struct accept_waiter, node);
    waiter->result = result;
    fiber_wake(waiter->fiber);
}

static bool grow_queue(struct leat_listener *listener)
{
    const unsigned room = 2 * (listener->queue_room ? listener->queue_room : LISTENER_QUEUE_ENOUGH);
    int *queue = room <= LISTENER_QUEUE_MAX ? malloc(room * sizeof *queue) : NULL;
    if (!queue)
        return false;
    for (unsigned index = 0; index < listener->queue_count; index++)
        queue[index] = listener->queue[(listener->queue_first + index) % listener->queue_room];
    free(listener->queue);
    listener->queue = queue;
    listener->queue_room = room;
    listener->queue_first = 0;
    return true;
}

static void queue_connection(void *user, int fd)
{
    struct leat_listener *listener = user;
    if (!list_is_empty(&listener->waiters)) {
        wake_waiter(listener, fd);
        return;
    }
    if (listener->queue_count == listener->queue_room && !grow_queue(listener)) {
        /* No room for the newcomer: he is told. */
        listener->loop->ops->close(listener->loop->backend, fd);
        return;
    }
    listener->queue[(listener->queue_first + listener->queue_count++) % listener->queue_room] = fd;
    if (listener->queue_count >= LISTENER_QUEUE_ENOUGH)
        listener_stop(listener);
}

static int take_connection(struct leat_listener *listener)
{
    const int fd = listener->queue[listener->queue_first];
    listener->queue_first = (listener->queue_first + 1) % listener->queue_room;
    listener->queue_count--;
    return fd;
}

static void stop_waiting(void *user)
{
    struct accept_waiter *waiter = user;
    list_remove(&waiter->node);
    fiber_wake(waiter->fiber);
}

int leat_accept(struct leat_listener *listener, int64_t deadline_ns,
                struct leat_stream **ret_stream)
{
    struct leat_stream *stream = malloc(sizeof *stream);
    if (!stream)
        return -ENOMEM;
    int result;
    if (listener->queue_count > 0) {
        result = take_connection(listener);
    } else {
        struct accept_waiter waiter = {.fiber = fiber_current(), .result = -EINPROGRESS};
        ASSERT(waiter.fiber);
        list_push_back(&listener->waiters, &waiter.node);
        listener_start(listener, queue_connection, listener);
        const int reason = fiber_park(deadline_ns, stop_waiting, &waiter);
        result = waiter.result;
        if (result == -EINPROGRESS) {
            list_remove(&waiter.node);
            result = reason;
        }
    }
    if (result < 0) {
        free(stream);
        return result;
    }
    stream_init(stream, loop_current, result);
    *ret_stream = stream;
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* The n-th socket of a REUSEPORT group gets the connections of the n-th core: A = cpu % count. */
static int steer_by_cpu(const struct backend_sys *sys, int fd, unsigned count)
{
    struct sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_CPU)},
        {BPF_ALU | BPF_MOD | BPF_K, 0, 0, count},
        {BPF_RET | BPF_A, 0, 0, 0},
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return sys->setsockopt(sys, fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

/* What a listening socket is set to; one that was inherited (it is bound already) as well. */
static int set_up_socket(const struct backend_sys *sys, int fd,
                         const struct leat_listen_options *options,
                         const struct leat_tuning *tuning)
{
    int error = tuning_apply(sys, fd, TUNING_LISTENER, tuning, NULL);
    if (!error)
        error = sys->listen(sys, fd, options->backlog > 0 ? options->backlog : LISTENER_BACKLOG);
    if (!error && options->reuse_port && options->steer_by_cpu && options->steer_count > 1)
        error = steer_by_cpu(sys, fd, options->steer_count);
    return error;
}

static int bind_socket(const struct backend_sys *sys, int fd, const struct leat_address *address,
                       const struct leat_listen_options *options)
{
    const int on = 1;
    int error = 0;
    if (leat_address_family(address) != AF_UNIX) {
        /* A server that is started anew must not wait for connections in TIME_WAIT. */
        error = sys->setsockopt(sys, fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (!error && options->reuse_port)
            error = sys->setsockopt(sys, fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    return error ? error : sys->bind(sys, fd, &address->base, address->size);
}

/* Opens, binds and sets up the listener's socket. */
static int open_listener(struct leat_listener *listener, const struct leat_address *address,
                         const struct leat_listen_options *options)
{
    const struct backend_sys *sys = listener->loop->sys;
    int error = 0;
    listener->fd = options->inherited_fd;
    if (options->inherited_fd <= 0) {
        listener->fd = sys->socket(sys, leat_address_family(address), SOCK_STREAM, 0);
        if (listener->fd < 0)
            return listener->fd;
        error = bind_socket(sys, listener->fd, address, options);
    }
    if (!error)
        error = set_up_socket(sys, listener->fd, options, &listener->tuning);
    if (!error)
        error = address_of_socket(sys, listener->fd, &listener->address);
    if (error)
        listener->loop->ops->close(listener->loop->backend, listener->fd);
    return error;
}

int leat_listen(const struct leat_address *address, const struct leat_listen_options *options,
                struct leat_listener **ret_listener)
{
    static const struct leat_listen_options no_options;
    static const struct leat_tuning defaults = LEAT_TUNING_DEFAULT;
    struct leat_loop *loop = loop_current;
    ASSERT(loop != NULL);
    if (!options)
        options = &no_options;
    struct leat_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return -ENOMEM;
    listener->loop = loop;
    listener->tuning = options->tuning ? *options->tuning : defaults;
    const int error = open_listener(listener, address, options);
    if (error) {
        free(listener);
        return error;
    }
    op_init(&listener->op, OP_ACCEPT, listener->fd, on_accept);
    timer_init(&listener->pause, on_pause_over);
    list_init(&listener->waiters);
    *ret_listener = listener;
    return 0;
}

const struct leat_address *leat_listener_address(const struct leat_listener *listener)
{
    return &listener->address;
}

int leat_listener_fd(const struct leat_listener *listener)
{
    return listener->fd;
}

void leat_listener_close(struct leat_listener *listener)
{
    if (!listener)
        return;
    listener_stop(listener);
    listener->state = LISTENER_CLOSED;
    loop_timer_stop(listener->loop, &listener->pause);
    while (!list_is_empty(&listener->waiters))
        wake_waiter(listener, -LEAT_E_CLOSED);
    while (listener->queue_count > 0)
        listener->loop->ops->close(listener->loop->backend, take_connection(listener));
    if (!op_is_busy(&listener->op))
        release(listener);
}

void listener_close_gently(struct leat_listener *listener, listener_gone_fn gone)
{
    ASSERT(listener->accept != NULL && listener->accept != queue_connection);
    ASSERT(gone != NULL);
    listener->gone = gone;
    listener->op.accept.takes_rest = true;
    leat_listener_close(listener);
}
