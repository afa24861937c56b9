/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: operations that are cancelled end once, and lose nothing. Part of test_conformance.c.
 */
#ifndef TESTS_LOOP_CONFORMANCE_CANCEL_H
#define TESTS_LOOP_CONFORMANCE_CANCEL_H

#include "conformance.h"

static void cancels_what_waits(struct world *world)
{
    enum { SIZE = 16 * 1024 * 1024, ROUNDS = 2 };
    uint8_t *data = pattern_new(0, SIZE);
    for (int is_settled = 0; is_settled < ROUNDS; is_settled++) {
        int fds[2];
        char byte;
        struct sockaddr_in address;
        const int listen_fd = listener(world, 1, &address);
        pair(world, fds);
        struct probe probes[5];
        probe_init(&probes[0], world, OP_ACCEPT, listen_fd);
        recv_init(&probes[1], world, fds[0], &byte, 1);
        probe_init(&probes[2], world, OP_RECV_MANY, fds[0]);
        send_init(&probes[3], world, fds[0], data, SIZE);
        probe_init(&probes[4], world, OP_POLL, fds[0]);
        probes[4].op.poll.events = POLLIN;
        for (int index = 0; index < 5; index++)
            probe_submit(&probes[index]);
        if (is_settled)
            settle(world);
        for (int index = 0; index < 5; index++) {
            loop_cancel(world->loop, &probes[index].op);
            assert_true(op_is_busy(&probes[index].op));  /* never at once */
            loop_cancel(world->loop, &probes[index].op); /* twice is once */
        }
        settle(world);
        for (int index = 0; index < 5; index++) {
            assert_int_equal(probes[index].completions, 1);
            assert_int_equal(probes[index].ends, 1);
            assert_int_equal(probes[index].result, -ECANCELED);
        }
        close_pair(world, fds);
        close_fd(world, listen_fd);
    }
    free(data);
}

/* A listener whose queue is full lets others wait; whether a kernel lets this one wait or not, the
 * op ends once. */
static void cancels_connect(struct world *world)
{
    enum { CONNECTS = 6 };
    struct sockaddr_in address;
    const int fd = listener(world, 0, &address);
    struct probe connects[CONNECTS];
    for (int index = 0; index < CONNECTS; index++) {
        connect_init(&connects[index], world, &address);
        probe_submit(&connects[index]);
    }
    settle(world);
    for (int index = 0; index < CONNECTS; index++) {
        stop(&connects[index]);
        assert_int_equal(connects[index].completions, 1);
        assert_true(connects[index].result == 0 || connects[index].result == -ECANCELED);
        close_fd(world, connects[index].op.fd);
    }
    close_fd(world, fd);
}

static void cancels_file_operations(struct world *world)
{
    enum { SIZE = 100000 };
    uint8_t *data = malloc(SIZE);
    const int fd = file_of(world, 9, SIZE);
    for (int kind = OP_READ; kind <= OP_FILL; kind++) {
        struct probe probe;
        probe_init(&probe, world, (enum op_kind)kind, fd);
        if (kind == OP_READ) {
            probe.op.read.data = data;
            probe.op.read.size = SIZE;
        } else {
            probe.op.fill.size = SIZE;
        }
        probe_submit(&probe);
        loop_cancel(world->loop, &probe.op);
        await(&probe);
        settle(world);
        assert_int_equal(probe.completions, 1);
        assert_true(probe.result == -ECANCELED || probe.result == (kind == OP_READ ? SIZE : 0));
    }
    world->sys->close(world->sys, fd);
    free(data);
}

static void cancel_after_the_end_does_nothing(struct world *world)
{
    int fds[2];
    char data[8];
    pair(world, fds);
    assert_int_equal(transmit(world, fds[0], "one", 3), 3);
    struct probe recv;
    recv_init(&recv, world, fds[1], data, sizeof data);
    assert_int_equal(run(&recv), 3);
    loop_cancel(world->loop, &recv.op);
    settle(world);
    assert_int_equal(recv.completions, 1);
    /* Nor does it reach the next run of the same op. */
    probe_submit(&recv);
    settle(world);
    assert_int_equal(transmit(world, fds[0], "two", 3), 3);
    if (op_is_busy(&recv.op))
        await(&recv);
    assert_int_equal(recv.result, 3);
    assert_memory_equal(data, "two", 3);
    close_pair(world, fds);
}

static void cancel_the_other(struct probe *probe, const struct completion *completion)
{
    struct probe *other = probe->user;
    loop_cancel(probe->world->loop, &other->op);
}

/* Two ops complete in the same batch, and the first to be told cancels the other: that one ends
 * once, and its bytes are in its hands or still in the socket. */
static void cancel_within_a_batch(struct world *world)
{
    int fds[2][2];
    char data[2][8];
    struct probe recvs[2];
    for (int index = 0; index < 2; index++)
        pair(world, fds[index]);
    for (int index = 0; index < 2; index++) {
        recv_init(&recvs[index], world, fds[index][1], data[index], 8);
        recvs[index].then = cancel_the_other;
        recvs[index].user = &recvs[1 - index];
        assert_int_equal(transmit(world, fds[index][0], "batch", 5), 5);
    }
    settle(world);
    for (int index = 0; index < 2; index++)
        probe_submit(&recvs[index]);
    settle(world);
    for (int index = 0; index < 2; index++) {
        assert_int_equal(recvs[index].completions, 1);
        if (recvs[index].result == -ECANCELED)
            assert_int_equal(receive(world, fds[index][1], data[index], 8), 5);
        else
            assert_int_equal(recvs[index].result, 5);
        close_pair(world, fds[index]);
    }
}

static void cancel_itself(struct probe *probe, const struct completion *completion)
{
    loop_cancel(probe->world->loop, &probe->op); /* does nothing in its last completion */
}

static void many_cancels_itself(struct world *world)
{
    int fds[2];
    uint8_t *data = pattern_new(0, 1000);
    pair(world, fds);
    assert_int_equal(transmit(world, fds[0], data, 1000), 1000);
    settle(world);
    struct probe many;
    probe_init(&many, world, OP_RECV_MANY, fds[1]);
    many.then = cancel_itself;
    run(&many);
    settle(world);
    assert_int_equal(many.ends, 1);
    assert_int_equal(many.result, -ECANCELED);
    assert_false(many.is_garbled);
    free(data);
    close_pair(world, fds);
}

/* What a cancelled RECV_MANY did not deliver is still in the socket, in order. */
static void cancel_loses_no_bytes(struct world *world)
{
    enum { SIZE = 3000, ROUNDS = 60 };
    uint8_t *data = pattern_new(0, SIZE);
    char rest[SIZE];
    for (int round = 0; round < ROUNDS; round++) {
        int fds[2];
        pair(world, fds);
        struct probe many, send;
        probe_init(&many, world, OP_RECV_MANY, fds[1]);
        probe_submit(&many);
        if (round % 3)
            turn(world);
        send_init(&send, world, fds[0], data, SIZE);
        probe_submit(&send);
        if (round % 2)
            assert_int_equal(leat_loop_run_once(world->loop, 0), 0);
        loop_cancel(world->loop, &many.op);
        await(&many);
        assert_int_equal(many.result, -ECANCELED);
        assert_false(many.is_garbled);
        if (op_is_busy(&send.op))
            await(&send);
        while (many.size < SIZE) {
            const int32_t size = receive(world, fds[1], rest, sizeof rest);
            assert_true(size > 0);
            assert_true(is_pattern(0, many.size, rest, (size_t)size));
            many.size += (size_t)size;
        }
        close_pair(world, fds);
    }
    free(data);
}

#endif
