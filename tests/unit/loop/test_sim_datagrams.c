/* SPDX-License-Identifier: MIT */
/*
 * The simulator's datagrams, where chance has a hand in them. (What the kernel does with them, too,
 * is test_conformance.c's affair.)
 */
#include "simulated.h"

#include <netinet/in.h>
#include <netinet/udp.h>

enum { COUNT = 200 };

struct wire {
    struct world world;
    int out, in;
    unsigned sent, refused;
    unsigned received, repeated, late; /* late: after a younger one */
    unsigned times[COUNT];
};

static int socket_of(struct world *world)
{
    const int fd = world->sys->socket(world->sys, AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    return fd;
}

static void wire_init(struct wire *wire, uint64_t seed, const struct sim_profile *profile)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5000)};
    const struct sockaddr *any = (struct sockaddr *)&address;
    *wire = (struct wire){0};
    world_init(&wire->world, seed, profile);
    const struct backend_sys *sys = wire->world.sys;
    wire->out = socket_of(&wire->world);
    wire->in = socket_of(&wire->world);
    assert_int_equal(sys->bind(sys, wire->in, any, sizeof address), 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(sys->connect(sys, wire->out, any, sizeof address), 0);
}

static void wire_fini(struct wire *wire)
{
    struct world *world = &wire->world;
    world->loop->ops->close(world->loop->backend, wire->in);
    world->loop->ops->close(world->loop->backend, wire->out);
    world_fini(world);
    assert_int_equal(world->failures, 0);
}

static int throw(struct wire * wire, void *data, size_t size, uint16_t segment_size)
{
    const struct backend_sys *sys = wire->world.sys;
    struct iovec vector = {.iov_base = data, .iov_len = size};
    const struct backend_datagram datagram = {
        .vectors = &vector, .vector_count = 1, .segment_size = segment_size};
    return sys->send_datagrams(sys, wire->out, &datagram, 1);
}

static void catch_all(struct wire *wire)
{
    const struct backend_sys *sys = wire->world.sys;
    uint32_t number, youngest = 0;
    struct iovec vector = {.iov_base = &number, .iov_len = sizeof number};
    struct backend_datagram datagram = {.vectors = &vector, .vector_count = 1};
    while (sys->receive_datagrams(sys, wire->in, &datagram, 1) == 1) {
        assert_true(datagram.size == sizeof number && number < COUNT);
        wire->received++;
        wire->repeated += wire->times[number]++ > 0;
        wire->late += number < youngest;
        if (number > youngest)
            youngest = number;
    }
}

static void send_numbers(struct wire *wire)
{
    for (uint32_t number = 0; number < COUNT; number++) {
        const int sent = throw(wire, &number, sizeof number, 0);
        assert_true(sent == 1 || sent == -EPERM);
        wire->sent += sent == 1;
        wire->refused += sent < 0;
        turns(&wire->world, 1);
    }
    turns(&wire->world, 200);
    catch_all(wire);
}

static void play(struct wire *wire, const struct sim_profile *profile)
{
    wire_init(wire, 7, profile);
    send_numbers(wire);
    wire_fini(wire);
}

static void chance_has_a_hand_in_them(void **state)
{
    struct wire wire;
    struct sim_profile profile = *SIM_CALM;
    play(&wire, &profile);
    assert_int_equal(wire.received, COUNT);
    assert_int_equal(wire.repeated + wire.late + wire.refused, 0);

    profile.datagram_loss = 300000;
    play(&wire, &profile);
    assert_in_range(wire.received, COUNT / 2, COUNT - COUNT / 8);
    assert_int_equal(wire.world.report.datagrams_lost, COUNT - wire.received);
    assert_int_equal(wire.world.report.datagrams, COUNT);

    profile = *SIM_CALM;
    profile.datagram_duplicate = 300000;
    play(&wire, &profile);
    assert_in_range(wire.repeated, COUNT / 8, COUNT / 2);
    assert_int_equal(wire.received, COUNT + wire.repeated);

    profile = *SIM_CALM;
    profile.datagram_reorder = 300000;
    profile.latency_min_us = profile.latency_max_us = 3000; /* three sends are on their way */
    play(&wire, &profile);
    assert_int_equal(wire.received, COUNT);
    assert_true(wire.late > 0);

    profile = *SIM_CALM;
    profile.datagram_refused = 300000;
    play(&wire, &profile);
    assert_in_range(wire.refused, COUNT / 8, COUNT / 2);
    assert_int_equal(wire.received, wire.sent);
}

static void a_seed_replays(void **state)
{
    static struct wire first, second;
    for (size_t index = 0; index < sim_profile_count; index++) {
        play(&first, &sim_profiles[index]);
        play(&second, &sim_profiles[index]);
        assert_int_equal(first.world.report.trace, second.world.report.trace);
        assert_memory_equal(first.times, second.times, sizeof first.times);
    }
}

static void some_hosts_have_no_trains(void **state)
{
    struct wire wire;
    struct sim_profile profile = *SIM_CALM;
    char data[5000] = {0}, room[5000];
    const int on = 1;
    profile.no_gso = 1000000;
    wire_init(&wire, 1, &profile);
    assert_int_equal(throw(&wire, data, sizeof data, 1000), -EIO);
    wire_fini(&wire);

    profile.no_gso = 0;
    profile.no_gro = 500000;
    wire_init(&wire, 1, &profile);
    const struct backend_sys *sys = wire.world.sys;
    assert_int_equal(sys->setsockopt(sys, wire.in, IPPROTO_UDP, UDP_GRO, &on, sizeof on), 0);
    unsigned whole = 0, pieces = 0;
    for (unsigned round = 0; round < 50; round++) {
        struct iovec vector = {.iov_base = room, .iov_len = sizeof room};
        struct backend_datagram datagram = {.vectors = &vector, .vector_count = 1};
        size_t size = 0;
        assert_int_equal(throw(&wire, data, sizeof data, 1000), 1);
        turns(&wire.world, 1);
        while (sys->receive_datagrams(sys, wire.in, &datagram, 1) == 1) {
            assert_int_equal(datagram.size % 1000, 0);
            assert_int_equal(datagram.segment_size, datagram.size > 1000 ? 1000 : 0);
            size += datagram.size;
            pieces++;
        }
        whole += datagram.size == sizeof data;
        assert_int_equal(size, sizeof data);
    }
    assert_in_range(whole, 1, 25);
    assert_in_range(pieces, 75, 225);
    wire_fini(&wire);
}

static void a_host_grants_what_it_has(void **state)
{
    struct wire wire;
    struct sim_profile profile = *SIM_CALM;
    profile.datagram_queue_min = profile.datagram_queue_max = 20000;
    wire_init(&wire, 1, &profile);
    const struct backend_sys *sys = wire.world.sys;
    const int wanted = 8 << 20;
    int granted;
    socklen_t size = sizeof granted;
    assert_int_equal(
        sys->setsockopt(sys, wire.in, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted), -EPERM);
    assert_int_equal(sys->setsockopt(sys, wire.in, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted),
                     0);
    assert_int_equal(sys->getsockopt(sys, wire.in, SOL_SOCKET, SO_RCVBUF, &granted, &size), 0);
    assert_int_equal(granted, 40000); /* doubled, as Linux does */
    /* Nor is there more room on the way out: -EAGAIN, until some have arrived. */
    char data[10000];
    unsigned sent = 0;
    while (throw(&wire, data, sizeof data, 0) == 1)
        sent++;
    assert_int_equal(throw(&wire, data, sizeof data, 0), -EAGAIN);
    assert_in_range(sent, 2, 5);
    turns(&wire.world, 5);
    assert_int_equal(throw(&wire, data, sizeof data, 0), 1);
    wire_fini(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chance_has_a_hand_in_them),
        cmocka_unit_test(a_seed_replays),
        cmocka_unit_test(some_hosts_have_no_trains),
        cmocka_unit_test(a_host_grants_what_it_has),
    };
    return cmocka_run_group_tests_name("sim datagrams", tests, NULL, NULL);
}
