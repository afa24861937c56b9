/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: datagrams, and files that are memory. Part of test_conformance.c. What comes may come
 * in several bursts, and a little later: nothing here counts calls.
 */
#ifndef TESTS_LOOP_CONFORMANCE_DATAGRAMS_H
#define TESTS_LOOP_CONFORMANCE_DATAGRAMS_H

#include <linux/net_tstamp.h>
#include <netinet/udp.h>

#include "conformance.h"

enum { DATAGRAM_SIZE_MAX = 65507, BURST = BACKEND_DATAGRAMS_MAX, ROOM = 1 << 16 };

/* Room for a burst, and what came of it. */
struct inbox {
    struct backend_datagram datagrams[BURST];
    struct iovec vectors[BURST];
    struct sockaddr_storage peers[BURST];
    uint8_t *room; /* ROOM bytes each */
    unsigned count;
};

static void inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){.room = malloc((size_t)BURST * ROOM)};
    assert_non_null(inbox->room);
    for (unsigned index = 0; index < BURST; index++) {
        inbox->vectors[index] =
            (struct iovec){.iov_base = inbox->room + (size_t)index * ROOM, .iov_len = ROOM};
        inbox->datagrams[index] = (struct backend_datagram){
            .vectors = &inbox->vectors[index],
            .vector_count = 1,
            .peer = &inbox->peers[index],
        };
    }
}

static int take(struct world *world, int fd, struct inbox *inbox)
{
    assert_true(inbox->count < BURST);
    const int count = world->sys->receive_datagrams(world->sys, fd, inbox->datagrams + inbox->count,
                                                    BURST - inbox->count);
    if (count > 0)
        inbox->count += (unsigned)count;
    return count;
}

/* From scratch, until `count` datagrams are there; no more may follow at once. */
static void take_all(struct world *world, int fd, struct inbox *inbox, unsigned count)
{
    inbox->count = 0;
    while (inbox->count < count) {
        assert_true(wait_ready(world, fd, POLLIN) & POLLIN);
        assert_true(take(world, fd, inbox) > 0);
    }
    assert_int_equal(inbox->count, count);
    if (count < BURST)
        assert_int_equal(take(world, fd, inbox), -EAGAIN);
}

static void nothing_comes(struct world *world, int fd)
{
    struct inbox inbox;
    inbox_init(&inbox);
    settle(world);
    assert_int_equal(take(world, fd, &inbox), -EAGAIN);
    free(inbox.room);
}

static void set_int(struct world *world, int fd, int level, int name, int value)
{
    assert_int_equal(world->sys->setsockopt(world->sys, fd, level, name, &value, sizeof value), 0);
}

static int new_socket(struct world *world)
{
    const int fd = world->sys->socket(world->sys, AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    return fd;
}

static int bound_socket(struct world *world, struct sockaddr_in *ret_address)
{
    const int fd = new_socket(world);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct sockaddr *any = (struct sockaddr *)&address;
    assert_int_equal(world->sys->bind(world->sys, fd, any, size), 0);
    assert_int_equal(world->sys->getsockname(world->sys, fd, any, &size), 0);
    assert_int_not_equal(address.sin_port, 0);
    *ret_address = address;
    return fd;
}

static void connect_now(struct world *world, int fd, const struct sockaddr_in *to)
{
    assert_int_equal(world->sys->connect(world->sys, fd, (const struct sockaddr *)to, sizeof *to),
                     0);
}

/* One datagram, or a train of them; `to` NULL: as connected. */
static int throw(struct world * world, int fd, const struct sockaddr_in *to, const void *data,
                 size_t size, uint16_t segment_size)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct sockaddr_storage peer = {0};
    if (to)
        memcpy(&peer, to, sizeof *to);
    const struct backend_datagram datagram = {
        .vectors = &vector,
        .vector_count = 1,
        .segment_size = segment_size,
        .peer = to ? &peer : NULL,
        .peer_size = sizeof *to,
    };
    return world->sys->send_datagrams(world->sys, fd, &datagram, 1);
}

static bool is_from(const struct inbox *inbox, unsigned index, const struct sockaddr_in *address)
{
    return inbox->datagrams[index].peer_size == sizeof *address &&
           memcmp(&inbox->peers[index], address, offsetof(struct sockaddr_in, sin_zero)) == 0;
}

/* ---- Bursts ---------------------------------------------------------------------------------- */

static void bursts_arrive(struct world *world)
{
    struct sockaddr_in from, to;
    const int out = bound_socket(world, &from), in = bound_socket(world, &to);
    struct inbox inbox;
    struct backend_datagram datagrams[BURST];
    struct iovec vectors[BURST][3];
    struct sockaddr_storage peer = {0};
    uint8_t *data = pattern_new(1, 200 * BURST);
    memcpy(&peer, &to, sizeof to);
    for (unsigned index = 0; index < BURST; index++) {
        /* 0, 31, 62 … bytes, in three pieces that lie one after the other. */
        const size_t size = (size_t)index * 31, first = size / 3, second = size / 2 - first;
        vectors[index][0] = (struct iovec){data + index, first};
        vectors[index][1] = (struct iovec){data + index + first, second};
        vectors[index][2] = (struct iovec){data + index + first + second, size - first - second};
        datagrams[index] = (struct backend_datagram){
            .vectors = vectors[index], .vector_count = 3, .peer = &peer, .peer_size = sizeof to};
    }
    inbox_init(&inbox);
    assert_int_equal(take(world, in, &inbox), -EAGAIN);
    for (unsigned done = 0; done < BURST;) {
        const int sent =
            world->sys->send_datagrams(world->sys, out, datagrams + done, BURST - done);
        if (sent == -EAGAIN) {
            assert_int_equal(wait_ready(world, out, POLLOUT), POLLOUT);
            continue;
        }
        assert_true(sent > 0);
        done += (unsigned)sent;
    }
    take_all(world, in, &inbox, BURST);
    for (unsigned index = 0; index < BURST; index++) {
        const struct backend_datagram *datagram = &inbox.datagrams[index];
        assert_int_equal(datagram->size, index * 31);
        assert_true(is_pattern(1, index, inbox.vectors[index].iov_base, datagram->size));
        assert_true(is_from(&inbox, index, &from));
        assert_false(datagram->is_truncated);
        assert_int_equal(datagram->segment_size, 0);
        assert_int_equal(datagram->drops, 0);
        assert_int_equal(datagram->stamp_ns, 0);
    }
    nothing_comes(world, in);
    free(data);
    free(inbox.room);
    close_fd(world, in);
    close_fd(world, out);
}

static void datagrams_are_cut_to_their_room(struct world *world)
{
    struct sockaddr_in to;
    const int out = new_socket(world), in = bound_socket(world, &to);
    struct inbox inbox;
    uint8_t *data = pattern_new(2, DATAGRAM_SIZE_MAX + 1);
    inbox_init(&inbox);
    assert_int_equal(throw(world, out, NULL, data, 10, 0), -EDESTADDRREQ);
    assert_int_equal(throw(world, out, &to, data, DATAGRAM_SIZE_MAX + 1, 0), -EMSGSIZE);
    assert_int_equal(throw(world, out, &to, data, DATAGRAM_SIZE_MAX, 0), 1);
    take_all(world, in, &inbox, 1);
    assert_int_equal(inbox.datagrams[0].size, DATAGRAM_SIZE_MAX);
    assert_true(is_pattern(2, 0, inbox.vectors[0].iov_base, DATAGRAM_SIZE_MAX));
    assert_false(inbox.datagrams[0].is_truncated);
    for (unsigned count = 0; count < 3; count++)
        assert_int_equal(throw(world, out, &to, data, 100, 0), 1);
    inbox.vectors[0].iov_len = 40;
    inbox.vectors[1].iov_len = 100;
    memset(inbox.room, 0, 41);
    take_all(world, in, &inbox, 3);
    for (unsigned index = 0; index < 3; index++) {
        assert_int_equal(inbox.datagrams[index].size, index == 0 ? 40 : 100);
        assert_int_equal(inbox.datagrams[index].is_truncated, index == 0);
        assert_true(is_pattern(2, 0, inbox.vectors[index].iov_base, inbox.datagrams[index].size));
    }
    assert_int_equal(inbox.room[40], 0);
    free(data);
    free(inbox.room);
    close_fd(world, in);
    close_fd(world, out);
}

/* Taken apart on the way out, and put together again on the way in by who asked for it. */
static void trains_come_apart_and_together(struct world *world)
{
    enum { SIZE = 20 * 1000 + 321 };
    struct sockaddr_in to;
    const int out = new_socket(world), in = bound_socket(world, &to);
    struct inbox inbox;
    uint8_t *data = pattern_new(3, SIZE);
    inbox_init(&inbox);
    assert_int_equal(throw(world, out, &to, data, SIZE, 1000), 1);
    take_all(world, in, &inbox, 21);
    for (unsigned index = 0; index < 21; index++) {
        assert_int_equal(inbox.datagrams[index].size, index < 20 ? 1000 : 321);
        assert_int_equal(inbox.datagrams[index].segment_size, 0);
        assert_true(is_pattern(3, (uint64_t)index * 1000, inbox.vectors[index].iov_base,
                               inbox.datagrams[index].size));
    }
    assert_int_equal(throw(world, out, &to, data, 700, 1000), 1); /* a train of one */
    take_all(world, in, &inbox, 1);
    assert_int_equal(inbox.datagrams[0].size, 700);
    assert_true(throw(world, out, &to, data, SIZE, 1) < 0); /* too many */

    set_int(world, in, IPPROTO_UDP, UDP_GRO, 1);
    assert_int_equal(throw(world, out, &to, data, SIZE, 1000), 1);
    take_all(world, in, &inbox, 1);
    assert_int_equal(inbox.datagrams[0].size, SIZE);
    assert_int_equal(inbox.datagrams[0].segment_size, 1000);
    assert_true(is_pattern(3, 0, inbox.vectors[0].iov_base, SIZE));
    assert_int_equal(throw(world, out, &to, data, 500, 0), 1);
    take_all(world, in, &inbox, 1);
    assert_int_equal(inbox.datagrams[0].size, 500);
    assert_int_equal(inbox.datagrams[0].segment_size, 0); /* what was there before is gone */
    free(data);
    free(inbox.room);
    close_fd(world, in);
    close_fd(world, out);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static void datagrams_know_their_peers(struct world *world)
{
    struct sockaddr_in server_address, client_address, stranger_address, name;
    const int server = bound_socket(world, &server_address);
    const int client = bound_socket(world, &client_address);
    const int stranger = bound_socket(world, &stranger_address);
    struct inbox inbox;
    socklen_t size = sizeof name;
    inbox_init(&inbox);
    assert_int_equal(world->sys->getpeername(world->sys, client, (struct sockaddr *)&name, &size),
                     -ENOTCONN);
    connect_now(world, client, &server_address);
    assert_int_equal(world->sys->getpeername(world->sys, client, (struct sockaddr *)&name, &size),
                     0);
    assert_int_equal(name.sin_port, server_address.sin_port);
    assert_int_equal(throw(world, client, NULL, "ask", 3, 0), 1);
    take_all(world, server, &inbox, 1);
    assert_true(is_from(&inbox, 0, &client_address));
    /* Nobody but its peer reaches a socket that is connected. */
    assert_int_equal(throw(world, stranger, &client_address, "lie", 3, 0), 1);
    assert_int_equal(throw(world, server, &client_address, "answer", 6, 0), 1);
    take_all(world, client, &inbox, 1);
    assert_int_equal(inbox.datagrams[0].size, 6);
    assert_memory_equal(inbox.room, "answer", 6);
    assert_true(is_from(&inbox, 0, &server_address));
    nothing_comes(world, client);
    free(inbox.room);
    close_fd(world, stranger);
    close_fd(world, client);
    close_fd(world, server);
}

static void datagrams_to_nobody_are_refused_once(struct world *world)
{
    struct sockaddr_in gone;
    close_fd(world, bound_socket(world, &gone));
    const int out = new_socket(world);
    struct inbox inbox;
    inbox_init(&inbox);
    assert_int_equal(throw(world, out, &gone, "x", 1, 0), 1); /* not connected: never told */
    settle(world);
    assert_int_equal(throw(world, out, &gone, "x", 1, 0), 1);
    settle(world);
    connect_now(world, out, &gone);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(throw(world, out, NULL, "x", 1, 0), 1);
        assert_true(wait_ready(world, out, POLLIN) & POLLERR);
        if (round == 0)
            assert_int_equal(throw(world, out, NULL, "x", 1, 0), -ECONNREFUSED);
        else
            assert_int_equal(take(world, out, &inbox), -ECONNREFUSED);
        assert_int_equal(take(world, out, &inbox), -EAGAIN);
    }
    free(inbox.room);
    close_fd(world, out);
}

/* ---- Groups ---------------------------------------------------------------------------------- */

static struct sockaddr_in group_address(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(host), .sin_port = port};
}

/* A socket that others may share its port with; *port 0: any, and told. It hears nothing but what
 * it has joined. */
static int member_socket(struct world *world, uint32_t host, uint16_t *port)
{
    const int fd = new_socket(world);
    struct sockaddr_in address = group_address(host, *port);
    socklen_t size = sizeof address;
    struct sockaddr *any = (struct sockaddr *)&address;
    set_int(world, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(world, fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    assert_int_equal(world->sys->bind(world->sys, fd, any, size), 0);
    assert_int_equal(world->sys->getsockname(world->sys, fd, any, &size), 0);
    *port = address.sin_port;
    return fd;
}

static int membership(struct world *world, int fd, int name, uint32_t group)
{
    const struct ip_mreqn request = {.imr_multiaddr.s_addr = htonl(group),
                                     .imr_address.s_addr = htonl(INADDR_LOOPBACK)};
    return world->sys->setsockopt(world->sys, fd, IPPROTO_IP, name, &request, sizeof request);
}

/* The protocol's own way (RFC 3678), by the interface's number: 1 is the loopback's. */
static int source_membership(struct world *world, int fd, int name, uint32_t group, uint32_t source)
{
    struct group_source_req request = {.gsr_interface = 1};
    const struct sockaddr_in addresses[2] = {group_address(group, 0), group_address(source, 0)};
    memcpy(&request.gsr_group, &addresses[0], sizeof addresses[0]);
    memcpy(&request.gsr_source, &addresses[1], sizeof addresses[1]);
    return world->sys->setsockopt(world->sys, fd, IPPROTO_IP, name, &request, sizeof request);
}

static void groups_hear_what_they_joined(struct world *world)
{
    enum { GROUP = 0xef010203, OTHER = 0xef010204, ELSEWHERE = 0x7f000009 };
    enum { BY_NAME, BY_ANY, FROM_HERE, FROM_ELSEWHERE, NONE, MEMBERS };
    const struct ip_mreqn loopback = {.imr_address.s_addr = htonl(INADDR_LOOPBACK)};
    static const unsigned heard[MEMBERS] = {1, 1, 1, 0, 0};
    struct sockaddr_in from, to;
    struct inbox inbox;
    uint16_t port = 0;
    int fds[MEMBERS];
    inbox_init(&inbox);
    for (int index = 0; index < MEMBERS; index++)
        fds[index] = member_socket(world, index == BY_NAME ? GROUP : INADDR_ANY, &port);
    assert_int_equal(membership(world, fds[BY_NAME], IP_ADD_MEMBERSHIP, GROUP), 0);
    assert_int_equal(membership(world, fds[BY_NAME], IP_ADD_MEMBERSHIP, GROUP), -EADDRINUSE);
    assert_int_equal(membership(world, fds[BY_ANY], IP_ADD_MEMBERSHIP, GROUP), 0);
    assert_int_equal(membership(world, fds[BY_ANY], IP_ADD_MEMBERSHIP, OTHER), 0);
    assert_int_equal(
        source_membership(world, fds[FROM_HERE], MCAST_JOIN_SOURCE_GROUP, GROUP, INADDR_LOOPBACK),
        0);
    assert_int_equal(
        source_membership(world, fds[FROM_ELSEWHERE], MCAST_JOIN_SOURCE_GROUP, GROUP, ELSEWHERE),
        0);
    const int out = bound_socket(world, &from);
    assert_int_equal(world->sys->setsockopt(world->sys, out, IPPROTO_IP, IP_MULTICAST_IF, &loopback,
                                            sizeof loopback),
                     0);
    to = group_address(GROUP, port);
    assert_int_equal(throw(world, out, &to, "all", 3, 0), 1);
    for (int index = 0; index < MEMBERS; index++) {
        if (!heard[index]) {
            nothing_comes(world, fds[index]);
            continue;
        }
        take_all(world, fds[index], &inbox, 1);
        assert_memory_equal(inbox.room, "all", 3);
        assert_true(is_from(&inbox, 0, &from));
    }
    to = group_address(OTHER, port);
    assert_int_equal(throw(world, out, &to, "some", 4, 0), 1);
    take_all(world, fds[BY_ANY], &inbox, 1);
    nothing_comes(world, fds[BY_NAME]);
    assert_int_equal(membership(world, fds[BY_ANY], IP_DROP_MEMBERSHIP, OTHER), 0);
    assert_int_equal(throw(world, out, &to, "some", 4, 0), 1);
    nothing_comes(world, fds[BY_ANY]);
    free(inbox.room);
    for (int index = 0; index < MEMBERS; index++)
        close_fd(world, fds[index]);
    close_fd(world, out);
}

/* ---- What the kernel tells ------------------------------------------------------------------- */

/* The kernel begins to take stamps a little after the first was asked for on a host. */
static int64_t stamp_of_one(struct world *world, int out, int in, struct inbox *inbox)
{
    for (int tries = 0; tries < 400; tries++) {
        assert_int_equal(throw(world, out, NULL, "x", 1, 0), 1);
        take_all(world, in, inbox, 1);
        if (inbox->datagrams[0].stamp_ns)
            return inbox->datagrams[0].stamp_ns;
        turn(world);
    }
    return 0;
}

static void stamps_are_of_the_wall_clock(struct world *world)
{
    struct sockaddr_in to;
    const int out = new_socket(world), in = bound_socket(world, &to);
    struct backend_stamp stamps[BURST];
    struct inbox inbox;
    inbox_init(&inbox);
    connect_now(world, out, &to);
    assert_int_equal(world->sys->sent_stamps(world->sys, out, stamps, BURST), -EAGAIN);
    set_int(world, in, SOL_SOCKET, SO_TIMESTAMPING,
            SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE);
    assert_true(stamp_of_one(world, out, in, &inbox) > 0);

    set_int(world, out, SOL_SOCKET, SO_TIMESTAMPING,
            SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
                SOF_TIMESTAMPING_OPT_TSONLY);
    const int64_t before_ns = world->sys->wall_ns(world->sys);
    for (unsigned count = 0; count < 5; count++)
        assert_int_equal(throw(world, out, NULL, "x", 1, 0), 1);
    take_all(world, in, &inbox, 5);
    const int64_t after_ns = world->sys->wall_ns(world->sys);
    unsigned count = 0;
    while (count < 5) {
        assert_true(wait_ready(world, out, POLLIN) & POLLERR);
        const int more = world->sys->sent_stamps(world->sys, out, stamps + count, BURST - count);
        assert_true(more > 0);
        count += (unsigned)more;
    }
    assert_int_equal(count, 5);
    assert_int_equal(world->sys->sent_stamps(world->sys, out, stamps, BURST), -EAGAIN);
    for (unsigned index = 0; index < 5; index++) {
        assert_int_equal(stamps[index].key, index);
        assert_true(stamps[index].ns >= before_ns);
        assert_true(stamps[index].ns <= inbox.datagrams[index].stamp_ns);
        assert_true(inbox.datagrams[index].stamp_ns <= after_ns);
    }
    free(inbox.room);
    close_fd(world, in);
    close_fd(world, out);
}

static unsigned take_what_is_there(struct world *world, int fd, struct inbox *inbox)
{
    unsigned count = 0;
    settle(world);
    for (inbox->count = 0; take(world, fd, inbox) > 0; inbox->count = 0)
        count += inbox->count;
    return count;
}

static void a_full_queue_drops_and_counts(struct world *world)
{
    enum { SENT = 400 };
    struct sockaddr_in to;
    const int out = new_socket(world), in = bound_socket(world, &to);
    struct inbox inbox;
    char data[300] = {0};
    unsigned received = 0;
    inbox_init(&inbox);
    connect_now(world, out, &to);
    set_int(world, in, SOL_SOCKET, SO_RCVBUF, 8192);
    set_int(world, in, SOL_SOCKET, SO_RXQ_OVFL, 1);
    for (unsigned sent = 0; sent < SENT;) {
        const int result = throw(world, out, NULL, data, sizeof data, 0);
        if (result == -EAGAIN)
            assert_int_equal(wait_ready(world, out, POLLOUT), POLLOUT);
        else
            assert_int_equal(result, 1);
        sent += result > 0;
    }
    received = take_what_is_there(world, in, &inbox);
    assert_in_range(received, 1, SENT - 1);
    assert_int_equal(throw(world, out, NULL, data, 1, 0), 1);
    take_all(world, in, &inbox, 1);
    assert_int_equal(inbox.datagrams[0].drops, SENT - received);
    free(inbox.room);
    close_fd(world, in);
    close_fd(world, out);
}

/* ---- Files that are memory ------------------------------------------------------------------- */

static void mapped_files_are_shared(struct world *world)
{
    enum { SIZE = 256 * 1024, FIRST = 5000 };
    const struct backend_sys *sys = world->sys;
    const int fd = file_of(world, 1, FIRST);
    struct backend_stat stat;
    void *mapped, *seen;
    char data[64];
    assert_int_equal(sys->allocate(sys, fd, SIZE), 0);
    assert_int_equal(sys->allocate(sys, fd, FIRST), 0); /* has it already, stays as long */
    assert_int_equal(sys->stat(sys, fd, &stat), 0);
    assert_int_equal(stat.size, SIZE);
    assert_int_equal(sys->map_shared(sys, fd, SIZE, true, &mapped), 0);
    assert_int_equal(sys->map_shared(sys, fd, SIZE, false, &seen), 0);
    assert_ptr_not_equal(mapped, seen);
    assert_int_equal(sys->prefault(sys, mapped, SIZE, true), 0);
    assert_int_equal(sys->prefault(sys, seen, SIZE, false), 0);
    char *bytes = mapped;
    assert_true(is_pattern(1, 0, bytes, FIRST));
    for (unsigned offset = FIRST; offset < SIZE; offset++)
        assert_int_equal(bytes[offset], 0);
    /* Through the mapping to who reads and who has mapped it, and the other way round. */
    memcpy(bytes + 12345, "through memory", 15);
    assert_int_equal(sys->read(sys, fd, data, 15, 12345), 15);
    assert_string_equal(data, "through memory");
    assert_string_equal((const char *)seen + 12345, "through memory");
    assert_int_equal(sys->write(sys, fd, "through a call", 15, SIZE - 100), 15);
    assert_string_equal(bytes + SIZE - 100, "through a call");
    assert_int_equal(sys->sync(sys, fd), 0);
    /* Neither mapping needs the descriptor, nor the other. */
    sys->close(sys, fd);
    sys->unmap(sys, mapped, SIZE);
    assert_string_equal((const char *)seen + SIZE - 100, "through a call");
    sys->unmap(sys, seen, SIZE);

    assert_int_equal(sys->map_shared(sys, -1, SIZE, true, &mapped), 0);
    assert_int_equal(sys->prefault(sys, mapped, SIZE, true), 0);
    for (unsigned offset = 0; offset < SIZE; offset++)
        assert_int_equal(((char *)mapped)[offset], 0);
    memset(mapped, 1, SIZE);
    sys->unmap(sys, mapped, SIZE);
}

#endif
