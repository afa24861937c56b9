/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: connections, what they carry, and how they end. Part of test_conformance.c.
 */
#ifndef TESTS_LOOP_CONFORMANCE_NETWORK_H
#define TESTS_LOOP_CONFORMANCE_NETWORK_H

#include "conformance.h"

static void accepts_many(struct world *world)
{
    struct sockaddr_in address;
    const int fd = listener(world, 16, &address);
    struct probe accept, connects[8];
    probe_init(&accept, world, OP_ACCEPT, fd);
    probe_submit(&accept);
    for (int index = 0; index < 8; index++) {
        connect_init(&connects[index], world, &address);
        probe_submit(&connects[index]);
    }
    for (int index = 0; index < 8; index++)
        if (op_is_busy(&connects[index].op))
            await(&connects[index]);
    await_completions(&accept, 8);
    assert_int_equal(accept.ends, 0);
    stop(&accept);
    assert_int_equal(accept.result, -ECANCELED);
    assert_int_equal(accept.completions, 9);
    assert_int_equal(accept.fd_count, 8);
    for (int index = 0; index < 8; index++) {
        assert_int_equal(connects[index].result, 0);
        for (int other = 0; other < index; other++)
            assert_int_not_equal(accept.fds[index], accept.fds[other]);
        close_fd(world, accept.fds[index]);
        close_fd(world, connects[index].op.fd);
    }
    close_fd(world, fd);
}

static void connect_is_refused(struct world *world)
{
    struct sockaddr_in address;
    close_fd(world, listener(world, 1, &address));
    struct probe connect;
    connect_init(&connect, world, &address);
    assert_int_equal(run(&connect), -ECONNREFUSED);
    close_fd(world, connect.op.fd);
}

static void bad_descriptors_end_in_an_error(struct world *world)
{
    static const enum op_kind kinds[] = {OP_ACCEPT, OP_CONNECT, OP_RECV, OP_RECV_MANY,
                                         OP_SEND,   OP_POLL,    OP_READ, OP_FILL};
    const struct sockaddr_in address = {.sin_family = AF_INET};
    char byte = 0;
    for (unsigned index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        struct probe probe;
        probe_init(&probe, world, kinds[index], -1);
        switch (kinds[index]) {
        case OP_CONNECT:
            probe.op.connect.address = (const struct sockaddr *)&address;
            probe.op.connect.size = sizeof address;
            break;
        case OP_RECV:
        case OP_READ: /* the same layout, but for the offset, which is 0 */
            probe.op.recv.data = &byte;
            probe.op.recv.size = 1;
            break;
        case OP_SEND:
            probe.op.send.data = &byte;
            probe.op.send.size = 1;
            break;
        case OP_FILL: probe.op.fill.size = 1; break;
        case OP_POLL: probe.op.poll.events = POLLIN; break;
        default: break;
        }
        assert_int_equal(run(&probe), -EBADF);
        assert_int_equal(probe.completions, 1);
    }
}

static void receives_data_then_the_end(struct world *world)
{
    int fds[2];
    char data[16];
    pair(world, fds);
    struct probe recv;
    recv_init(&recv, world, fds[1], data, sizeof data);
    probe_submit(&recv);
    settle(world);
    assert_int_equal(recv.completions, 0);
    assert_int_equal(transmit(world, fds[0], "hello, world: twenty", 20), 20);
    if (op_is_busy(&recv.op))
        await(&recv);
    assert_int_equal(recv.result, 16);
    assert_memory_equal(data, "hello, world: tw", 16);
    assert_int_equal(receive(world, fds[1], data, sizeof data), 4);
    assert_int_equal(world->sys->shutdown(world->sys, fds[0], SHUT_WR), 0);
    assert_int_equal(receive(world, fds[1], data, sizeof data), 0);
    assert_int_equal(receive(world, fds[1], data, sizeof data), 0); /* and stays at it */
    close_pair(world, fds);
}

/* A socket closed with unread bytes resets its connection. */
static void receive_is_reset(struct world *world)
{
    for (int is_many = 0; is_many < 2; is_many++) {
        int fds[2];
        char data[16];
        pair(world, fds);
        assert_int_equal(transmit(world, fds[1], "unread", 6), 6);
        assert_int_equal(wait_ready(world, fds[0], POLLIN), POLLIN);
        struct probe recv;
        if (is_many)
            probe_init(&recv, world, OP_RECV_MANY, fds[1]);
        else
            recv_init(&recv, world, fds[1], data, sizeof data);
        probe_submit(&recv);
        settle(world);
        close_fd(world, fds[0]);
        await(&recv);
        assert_int_equal(recv.result, -ECONNRESET);
        close_fd(world, fds[1]);
    }
}

static void receives_many_chunks(struct world *world)
{
    enum { SIZE = 50 * 777 };
    int fds[2];
    uint8_t *data = pattern_new(0, SIZE);
    pair(world, fds);
    struct probe many;
    probe_init(&many, world, OP_RECV_MANY, fds[1]);
    probe_submit(&many);
    for (size_t offset = 0; offset < SIZE; offset += 777)
        assert_int_equal(transmit(world, fds[0], data + offset, 777), 777);
    for (int turns = 0; many.size < SIZE && turns < TURNS_MAX; turns++)
        turn(world);
    settle(world);
    assert_int_equal(many.ends, 0);
    assert_int_equal(world->sys->shutdown(world->sys, fds[0], SHUT_WR), 0);
    await(&many);
    assert_int_equal(many.result, 0);
    assert_int_equal(many.size, SIZE);
    assert_false(many.is_garbled);
    free(data);
    close_pair(world, fds);
}

/* Run with four buffers of 64 bytes: nobody gets an error, and nobody is left out. */
static void receives_many_without_buffers(struct world *world)
{
    enum { PAIRS = 8, SIZE = 8000 };
    int fds[PAIRS][2];
    struct probe many[PAIRS], sends[PAIRS];
    uint8_t *data[PAIRS];
    for (uint8_t index = 0; index < PAIRS; index++) {
        pair(world, fds[index]);
        data[index] = pattern_new(index, SIZE);
        send_init(&sends[index], world, fds[index][0], data[index], SIZE);
        probe_submit(&sends[index]);
    }
    settle(world); /* all bytes are there before anybody reads */
    for (uint8_t index = 0; index < PAIRS; index++) {
        probe_init(&many[index], world, OP_RECV_MANY, fds[index][1]);
        many[index].key = index;
        probe_submit(&many[index]);
    }
    for (int index = 0; index < PAIRS; index++) {
        for (int turns = 0; many[index].size < SIZE && turns < TURNS_MAX; turns++)
            turn(world);
        assert_int_equal(many[index].size, SIZE);
        assert_int_equal(many[index].ends, 0);
        assert_false(many[index].is_garbled);
        assert_int_equal(sends[index].result, SIZE);
    }
    for (int index = 0; index < PAIRS; index++) {
        stop(&many[index]);
        assert_int_equal(many[index].result, -ECANCELED);
        close_pair(world, fds[index]);
        free(data[index]);
    }
}

/* As above; everybody has bytes without end, and everybody gets about as many. */
static void buffers_are_shared_fairly(struct world *world)
{
    enum { PAIRS = 6, SIZE = 256 * 1024, SHARE = 64 * 1024 };
    int fds[PAIRS][2];
    struct probe many[PAIRS], sends[PAIRS];
    size_t sum = 0;
    uint8_t *data = pattern_new(0, SIZE);
    for (int index = 0; index < PAIRS; index++) {
        pair(world, fds[index]);
        send_init(&sends[index], world, fds[index][0], data, SIZE);
        probe_submit(&sends[index]);
    }
    settle(world);
    for (int index = 0; index < PAIRS; index++) {
        probe_init(&many[index], world, OP_RECV_MANY, fds[index][1]);
        probe_submit(&many[index]);
    }
    for (int turns = 0; sum < PAIRS * SHARE && turns < TURNS_MAX; turns++) {
        turn(world);
        sum = 0;
        for (int index = 0; index < PAIRS; index++)
            sum += many[index].size;
    }
    for (int index = 0; index < PAIRS; index++) {
        assert_in_range(many[index].size, SHARE * 2 / 3, SHARE * 3 / 2);
        assert_false(many[index].is_garbled);
    }
    for (int index = 0; index < PAIRS; index++) {
        stop(&many[index]);
        stop(&sends[index]);
        close_pair(world, fds[index]);
    }
    free(data);
}

static void sends_more_than_fits(struct world *world)
{
    enum { SIZE = 8 * 1024 * 1024, PIECE = 50000 };
    int fds[2];
    uint8_t *data = pattern_new(3, SIZE), *piece = malloc(PIECE);
    pair(world, fds);
    struct probe send;
    send_init(&send, world, fds[0], data, SIZE);
    probe_submit(&send);
    settle(world); /* the sockets are full now */
    assert_int_equal(send.completions, 0);
    for (size_t offset = 0; offset < SIZE;) {
        const int32_t size = receive(world, fds[1], piece, PIECE);
        assert_true(size > 0);
        assert_true(is_pattern(3, offset, piece, (size_t)size));
        offset += (size_t)size;
    }
    if (op_is_busy(&send.op))
        await(&send);
    assert_int_equal(send.result, SIZE);
    assert_int_equal(send.completions, 1);
    send.op.send.size = 10;
    assert_int_equal(run(&send), 10); /* the same op again, from its first byte */
    assert_int_equal(receive(world, fds[1], piece, PIECE), 10);
    assert_true(is_pattern(3, 0, piece, 10));
    assert_int_equal(transmit(world, fds[0], data, 0), 0);
    free(data);
    free(piece);
    close_pair(world, fds);
}

static void send_to_nobody(struct world *world)
{
    int fds[2];
    pair(world, fds);
    close_fd(world, fds[1]);
    int32_t result = 0;
    for (int count = 0; count < 100 && result >= 0; count++) {
        result = transmit(world, fds[0], "x", 1); /* the first may leave before the reset comes */
        turn(world);
    }
    assert_true(result == -EPIPE || result == -ECONNRESET);
    close_fd(world, fds[0]);
}

static void peer_goes_while_sending(struct world *world)
{
    enum { SIZE = 16 * 1024 * 1024 };
    int fds[2];
    uint8_t *data = pattern_new(0, SIZE);
    pair(world, fds);
    struct probe send;
    send_init(&send, world, fds[0], data, SIZE);
    probe_submit(&send);
    settle(world);
    close_fd(world, fds[1]);
    await(&send);
    assert_true(send.result == -EPIPE || send.result == -ECONNRESET);
    free(data);
    close_fd(world, fds[0]);
}

static void polls(struct world *world)
{
    int fds[2];
    pair(world, fds);
    assert_int_equal(wait_ready(world, fds[0], POLLOUT), POLLOUT);
    assert_int_equal(wait_ready(world, fds[0], POLLIN | POLLOUT), POLLOUT);
    struct probe poll;
    probe_init(&poll, world, OP_POLL, fds[1]);
    poll.op.poll.events = POLLIN;
    probe_submit(&poll);
    settle(world);
    assert_int_equal(poll.completions, 0);
    assert_int_equal(transmit(world, fds[0], "x", 1), 1);
    if (op_is_busy(&poll.op))
        await(&poll);
    assert_int_equal(poll.result, POLLIN);
    assert_int_equal(run(&poll), POLLIN); /* level, not edge: the byte is still there */
    char byte;
    assert_int_equal(receive(world, fds[1], &byte, 1), 1);
    probe_submit(&poll);
    settle(world);
    assert_int_equal(op_is_busy(&poll.op), true);
    close_fd(world, fds[0]);
    await(&poll);
    assert_true(poll.result & POLLIN); /* the end can be read */
    close_fd(world, fds[1]);
}

#endif
