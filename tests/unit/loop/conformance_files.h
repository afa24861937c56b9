/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: files, and bytes that go from file or socket to socket. Part of test_conformance.c.
 */
#ifndef TESTS_LOOP_CONFORMANCE_FILES_H
#define TESTS_LOOP_CONFORMANCE_FILES_H

#include "conformance.h"

static void reads_files(struct world *world)
{
    enum { SIZE = 3 * 1024 * 1024 + 5 };
    uint8_t *data = malloc(SIZE + 1);
    const int fd = file_of(world, 7, SIZE);
    struct probe read;
    probe_init(&read, world, OP_READ, fd);
    read.op.read.data = data;
    read.op.read.size = 100;
    read.op.read.offset = 12345;
    assert_int_equal(run(&read), 100);
    assert_true(is_pattern(7, 12345, data, 100));
    read.op.read.offset = SIZE - 9;
    assert_int_equal(run(&read), 9);
    assert_true(is_pattern(7, SIZE - 9, data, 9));
    read.op.read.offset = SIZE;
    assert_int_equal(run(&read), 0);
    read.op.read.size = SIZE + 1;
    read.op.read.offset = 0;
    assert_int_equal(run(&read), SIZE);
    assert_true(is_pattern(7, 0, data, SIZE));
    world->sys->close(world->sys, fd);
    free(data);
}

static void fills(struct world *world)
{
    enum { SIZE = 3 * 1024 * 1024 + 5 };
    static const struct {
        uint64_t offset;
        size_t size;
    } ranges[] = {{0, 1},
                  {0, SIZE},
                  {4097, 2 * 1024 * 1024},
                  {SIZE - 1, 1},
                  {SIZE - 1, 1 << 20},
                  {SIZE, 10},
                  {SIZE + 100000, 10},
                  {5, 0}};
    const int fd = file_of(world, 7, SIZE);
    for (unsigned index = 0; index < sizeof ranges / sizeof ranges[0]; index++) {
        struct probe fill;
        probe_init(&fill, world, OP_FILL, fd);
        fill.op.fill.offset = ranges[index].offset;
        fill.op.fill.size = ranges[index].size;
        assert_int_equal(run(&fill), 0);
        assert_int_equal(fill.completions, 1);
    }
    world->sys->close(world->sys, fd);
}

/* Sends [*offset, size) of a file for as long as the socket takes it. */
static void pump_file(struct world *world, int socket_fd, int file_fd, uint64_t *offset,
                      size_t size)
{
    while (*offset < size) {
        const ssize_t sent =
            world->ops->sendfile(world->backend, socket_fd, file_fd, *offset, size - *offset);
        if (sent == -EAGAIN)
            return;
        assert_true(sent > 0);
        *offset += (uint64_t)sent;
    }
}

static void sends_a_file(struct world *world)
{
    enum { SIZE = 12 * 1024 * 1024 };
    int fds[2];
    uint64_t offset = 0;
    bool has_waited = false;
    pair(world, fds);
    const int file_fd = file_of(world, 0, SIZE);
    pump_file(world, fds[0], file_fd, &offset, SIZE);
    assert_in_range(offset, 1, SIZE - 1); /* -EAGAIN, not a wait for the reader */
    struct probe many;
    probe_init(&many, world, OP_RECV_MANY, fds[1]);
    probe_submit(&many);
    while (offset < SIZE) {
        assert_int_equal(wait_ready(world, fds[0], POLLOUT), POLLOUT);
        pump_file(world, fds[0], file_fd, &offset, SIZE);
        has_waited = true;
    }
    assert_true(has_waited);
    for (int turns = 0; many.size < SIZE && turns < TURNS_MAX; turns++)
        turn(world);
    assert_int_equal(many.size, SIZE);
    assert_false(many.is_garbled);
    /* The file ends earlier than was thought. */
    assert_int_equal(world->ops->sendfile(world->backend, fds[0], file_fd, SIZE, 100), 0);
    assert_int_equal(world->ops->sendfile(world->backend, fds[0], file_fd, SIZE - 7, 100), 7);
    stop(&many);
    world->sys->close(world->sys, file_fd);
    close_pair(world, fds);
}

/* Twice, for the second socket is likely to get the first one's number, and must not inherit what
 * the backend knew of that. */
static void sends_files(struct world *world)
{
    sends_a_file(world);
    sends_a_file(world);
}

/* What sendfile needs of a socket must not show in its other operations: they still wait. */
static void operations_wait_after_sendfile(struct world *world)
{
    enum { SIZE = 8 * 1024 * 1024 };
    int fds[2];
    char reply[8];
    uint8_t *data = pattern_new(0, SIZE);
    pair(world, fds);
    const int file_fd = file_of(world, 0, 100);
    struct probe before, after, send;
    recv_init(&before, world, fds[0], reply, sizeof reply);
    probe_submit(&before);
    assert_int_equal(world->ops->sendfile(world->backend, fds[0], file_fd, 0, 100), 100);
    settle(world);
    assert_int_equal(before.completions, 0);
    assert_int_equal(transmit(world, fds[1], "one", 3), 3);
    if (op_is_busy(&before.op))
        await(&before);
    assert_int_equal(before.result, 3);
    recv_init(&after, world, fds[0], reply, sizeof reply);
    probe_submit(&after);
    send_init(&send, world, fds[0], data, SIZE);
    probe_submit(&send);
    settle(world);
    assert_int_equal(after.completions + send.completions, 0);
    assert_int_equal(world->ops->sendfile(world->backend, fds[0], file_fd, 0, 100), -EAGAIN);
    stop(&send);
    assert_int_equal(transmit(world, fds[1], "two", 3), 3);
    if (op_is_busy(&after.op))
        await(&after);
    assert_int_equal(after.result, 3);
    free(data);
    world->sys->close(world->sys, file_fd);
    close_pair(world, fds);
}

/* Moves what can be moved now: the bytes that left the pipe, or -1 at the end of the stream. */
static ssize_t relay(struct world *world, int in_fd, const int pipe_fds[2], int out_fd,
                     size_t *inside)
{
    ssize_t moved = 0;
    for (;;) {
        const ssize_t in =
            world->ops->splice(world->backend, in_fd, pipe_fds[1], 256 * 1024, false);
        assert_true(in >= 0 || in == -EAGAIN);
        if (in > 0)
            *inside += (size_t)in;
        const ssize_t out =
            world->ops->splice(world->backend, pipe_fds[0], out_fd, 256 * 1024, false);
        assert_true(out > 0 || out == -EAGAIN);
        if (out > 0) {
            *inside -= (size_t)out;
            moved += out;
        } else if (in <= 0) {
            return in == 0 && *inside == 0 ? -1 : moved;
        }
    }
}

static void splices(struct world *world)
{
    enum { SIZE = 3 * 1024 * 1024 };
    int from[2], to[2], pipe_fds[2];
    size_t inside = 0;
    uint8_t *data = pattern_new(0, SIZE);
    pair(world, from);
    pair(world, to);
    assert_true(world->sys->pipe(world->sys, pipe_fds, 256 * 1024) >= 4096);
    assert_int_equal(relay(world, from[1], pipe_fds, to[0], &inside), 0); /* nothing yet: EAGAIN */
    struct probe send, many;
    send_init(&send, world, from[0], data, SIZE);
    probe_init(&many, world, OP_RECV_MANY, to[1]);
    probe_submit(&send);
    probe_submit(&many);
    for (int turns = 0; many.size < SIZE && turns < TURNS_MAX; turns++) {
        assert_true(relay(world, from[1], pipe_fds, to[0], &inside) >= 0);
        turn(world);
    }
    assert_int_equal(many.size, SIZE);
    assert_false(many.is_garbled);
    assert_int_equal(send.result, SIZE);
    assert_int_equal(world->sys->shutdown(world->sys, from[0], SHUT_WR), 0);
    assert_true(wait_ready(world, from[1], POLLIN) & POLLIN);
    assert_int_equal(relay(world, from[1], pipe_fds, to[0], &inside), -1);
    stop(&many);
    free(data);
    close_pair(world, from);
    close_pair(world, to);
    close_pair(world, pipe_fds);
}

#endif
