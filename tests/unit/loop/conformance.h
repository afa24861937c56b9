/* SPDX-License-Identifier: MIT */
/*
 * What the scenarios of test_conformance.c are told in: a world on some backend, and probes, which
 * are operations that write down what happened to them. Nothing here names a system call, so that
 * the simulator takes part. One thread; each program that includes it has its own copy.
 */
#ifndef TESTS_LOOP_CONFORMANCE_H
#define TESTS_LOOP_CONFORMANCE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"

enum { TURNS_MAX = 20000, TURN_MS = 5, PATIENCE_MS = 20000 };

struct world {
    const struct backend_ops *ops;
    const struct backend_sys *sys;
    struct backend *backend;
    struct leat_loop *loop;
};

/* An op and its story. `then` runs inside each completion. */
struct probe {
    struct op op;
    struct world *world;
    void (*then)(struct probe *probe, const struct completion *completion);
    void *user;
    unsigned completions, ends; /* an end is a completion without `more` */
    int32_t result;             /* the last */
    size_t size;                /* bytes by RECV_MANY so far */
    bool is_garbled;            /* they were not those of pattern() */
    uint8_t key;                /* which pattern */
    int fds[16];                /* by ACCEPT */
    unsigned fd_count;
};

/* Byte number `position` of the stream `key`: another one everywhere, so that nothing can be lost,
 * doubled or swapped unseen. */
static inline uint8_t pattern(uint8_t key, uint64_t position)
{
    return (uint8_t)((position * UINT64_C(0x9e3779b97f4a7c15) >> 56) + key);
}

static inline uint8_t *pattern_new(uint8_t key, size_t size)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    for (size_t position = 0; position < size; position++)
        data[position] = pattern(key, position);
    return data;
}

static inline bool is_pattern(uint8_t key, uint64_t position, const void *data, size_t size)
{
    for (size_t index = 0; index < size; index++)
        if (((const uint8_t *)data)[index] != pattern(key, position + index))
            return false;
    return true;
}

static inline void probe_done(struct op *op, const struct completion *completion)
{
    struct probe *probe = CONTAINER_OF(op, struct probe, op);
    probe->completions++;
    probe->result = completion->result;
    if (!completion->more)
        probe->ends++;
    if (op->kind == OP_ACCEPT && completion->result >= 0) {
        assert_true(probe->fd_count < sizeof probe->fds / sizeof probe->fds[0]);
        probe->fds[probe->fd_count++] = completion->result;
    }
    if (op->kind == OP_RECV_MANY && completion->result > 0) {
        assert_int_equal(completion->data.size, completion->result);
        if (!is_pattern(probe->key, probe->size, completion->data.data, completion->data.size))
            probe->is_garbled = true;
        probe->size += completion->data.size;
    }
    if (probe->then)
        probe->then(probe, completion);
}

static inline void probe_init(struct probe *probe, struct world *world, enum op_kind kind, int fd)
{
    *probe = (struct probe){.world = world};
    op_init(&probe->op, kind, fd, probe_done);
}

static inline void probe_submit(struct probe *probe)
{
    loop_submit(probe->world->loop, &probe->op);
}

static inline void turn(struct world *world)
{
    const int64_t deadline_ns = world->ops->now_ns(world->backend) + TURN_MS * LEAT_NS_PER_MS;
    assert_int_equal(leat_loop_run_once(world->loop, deadline_ns), 0);
}

/* A turn that something must end, and not the deadline. */
static inline void turn_until_woken(struct world *world)
{
    const int64_t deadline_ns = world->ops->now_ns(world->backend) + PATIENCE_MS * LEAT_NS_PER_MS;
    assert_int_equal(leat_loop_run_once(world->loop, deadline_ns), 0);
    assert_true(world->ops->now_ns(world->backend) < deadline_ns);
}

/* Until the probe has ended once (more). */
static inline void await(struct probe *probe)
{
    const unsigned ends = probe->ends;
    for (int turns = 0; probe->ends == ends; turns++) {
        assert_true(turns < TURNS_MAX);
        /* What a pool of threads has read is told by a task, before the turn begins to wait. */
        if (probe->op.kind == OP_READ || probe->op.kind == OP_FILL)
            turn(probe->world);
        else
            turn_until_woken(probe->world);
    }
    assert_int_equal(probe->op.state, OP_IDLE);
    assert_int_equal(probe->ends, ends + 1);
}

static inline void await_completions(struct probe *probe, unsigned completions)
{
    for (int turns = 0; probe->completions < completions; turns++) {
        assert_true(turns < TURNS_MAX);
        turn_until_woken(probe->world);
    }
}

/* Long enough for whatever is going to happen by itself. */
static inline void settle(struct world *world)
{
    for (int turns = 0; turns < 5; turns++)
        turn(world);
}

static inline int32_t run(struct probe *probe)
{
    probe_submit(probe);
    assert_int_equal(op_is_busy(&probe->op), true); /* never at once */
    await(probe);
    return probe->result;
}

/* Cancels what may or may not be running; the probe has ended afterwards. */
static inline void stop(struct probe *probe)
{
    if (!op_is_busy(&probe->op))
        return;
    loop_cancel(probe->world->loop, &probe->op);
    await(probe);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static inline int listener(struct world *world, int backlog, struct sockaddr_in *ret_address)
{
    const int fd = world->sys->socket(world->sys, AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct sockaddr *any = (struct sockaddr *)&address;
    assert_int_equal(world->sys->bind(world->sys, fd, any, size), 0);
    assert_int_equal(world->sys->listen(world->sys, fd, backlog), 0);
    assert_int_equal(world->sys->getsockname(world->sys, fd, any, &size), 0);
    *ret_address = address;
    return fd;
}

static inline void connect_init(struct probe *probe, struct world *world,
                                const struct sockaddr_in *address)
{
    const int fd = world->sys->socket(world->sys, AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    probe_init(probe, world, OP_CONNECT, fd);
    probe->op.connect.address = (const struct sockaddr *)address;
    probe->op.connect.size = sizeof *address;
}

static inline void close_fd(struct world *world, int fd)
{
    world->ops->close(world->backend, fd);
}

/* Two ends of a connection. */
static inline void pair(struct world *world, int ret_fds[2])
{
    struct sockaddr_in address;
    const int fd = listener(world, 16, &address);
    struct probe accept, connect;
    probe_init(&accept, world, OP_ACCEPT, fd);
    probe_submit(&accept);
    connect_init(&connect, world, &address);
    assert_int_equal(run(&connect), 0);
    await_completions(&accept, 1);
    stop(&accept);
    assert_int_equal(accept.result, -ECANCELED);
    close_fd(world, fd);
    ret_fds[0] = connect.op.fd;
    ret_fds[1] = accept.fds[0];
}

static inline void close_pair(struct world *world, const int fds[2])
{
    close_fd(world, fds[0]);
    close_fd(world, fds[1]);
}

static inline void recv_init(struct probe *probe, struct world *world, int fd, void *data,
                             size_t size)
{
    probe_init(probe, world, OP_RECV, fd);
    probe->op.recv.data = data;
    probe->op.recv.size = size;
}

static inline int32_t receive(struct world *world, int fd, void *data, size_t size)
{
    struct probe probe;
    recv_init(&probe, world, fd, data, size);
    return run(&probe);
}

static inline void send_init(struct probe *probe, struct world *world, int fd, const void *data,
                             size_t size)
{
    probe_init(probe, world, OP_SEND, fd);
    probe->op.send.data = data;
    probe->op.send.size = size;
}

static inline int32_t transmit(struct world *world, int fd, const void *data, size_t size)
{
    struct probe probe;
    send_init(&probe, world, fd, data, size);
    return run(&probe);
}

static inline int32_t wait_ready(struct world *world, int fd, short events)
{
    struct probe probe;
    probe_init(&probe, world, OP_POLL, fd);
    probe.op.poll.events = events;
    return run(&probe);
}

/* A file in memory, whose bytes are pattern(key). */
static inline int file_of(struct world *world, uint8_t key, size_t size)
{
    const int fd = world->sys->create(world->sys, "conformance");
    assert_true(fd >= 0);
    uint8_t *data = pattern_new(key, size);
    assert_int_equal(world->sys->write(world->sys, fd, data, size, 0), size);
    free(data);
    return fd;
}

#endif
