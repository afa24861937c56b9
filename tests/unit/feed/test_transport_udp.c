/* SPDX-License-Identifier: MIT */
/*
 * What UDP has that other ways have not: peers, sources, groups, nobody at the other end, hosts
 * without UDP_SEGMENT or UDP_GRO, stamps, and readiness.
 */
#include "transports.h"

#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

static bool is_readable(const struct feed_transport *transport)
{
    struct pollfd ready = {.fd = transport->ops->fd(transport), .events = POLLIN};
    assert_true(ready.fd >= 0);
    return poll(&ready, 1, 0) == 1;
}

static void wait_readable(const struct feed_transport *transport)
{
    struct pollfd ready = {.fd = transport->ops->fd(transport), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

/* ---- Asking and answering -------------------------------------------------------------------- */

enum { ASKERS = 5 };

/* All ask; answers to all leave as one burst, in runs of each asker's own, and each gets its own.
 * An asker hears nobody else. */
static void each_asker_is_answered_at(struct leat_loop *loop, const char *address)
{
    char at[LEAT_ADDRESS_TEXT_SIZE];
    struct feed_transport *answerer = open_as(loop, address, FEED_ROLE_ANSWER);
    struct feed_transport *askers[ASKERS];
    struct leat_address peers[ASKERS];
    text_of(answerer, at);
    for (unsigned index = 0; index < ASKERS; index++) {
        struct leat_address own;
        struct feed_frame frame;
        askers[index] = open_as(loop, at, FEED_ROLE_ASK);
        send_number(askers[index], index, 20);
        receive_soon(answerer, &frame, 1);
        assert_true(is_frame(&frame, index, 20));
        assert_int_equal(feed_transport_address(askers[index], &own), 0);
        assert_true(leat_address_equal(frame.peer, &own));
        peers[index] = *frame.peer;
    }
    enum { EACH = 40 };
    struct burst burst = {.count = ASKERS * EACH};
    for (unsigned index = 0; index < burst.count; index++)
        burst.sizes[index] = 1400;
    burst_fill(&burst, 0);
    for (unsigned index = 0; index < burst.count; index++)
        burst.frames[index].peer = &peers[index / EACH];
    send_all(answerer, burst.frames, burst.count);
    assert_int_equal(stats_of(answerer).calls_out, 1);
    for (unsigned index = 0; index < ASKERS; index++)
        for (unsigned number = 0; number < EACH; number++)
            expect_number(askers[index], index * EACH + number, 1400);
    struct feed_transport *stranger = open_as(loop, text_of(askers[0], at), FEED_ROLE_SEND);
    send_number(stranger, 1, 20);
    assert_silence(askers[0]);
    feed_transport_destroy(stranger);
    for (unsigned index = 0; index < ASKERS; index++)
        feed_transport_destroy(askers[index]);
    feed_transport_destroy(answerer);
    free(burst.data);
}

static void each_asker_is_answered_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    each_asker_is_answered_at(loop, "127.0.0.1:0");
    each_asker_is_answered_at(loop, "[::1]:0");
    each_asker_is_answered_at(loop, "[::]:0");
    leat_loop_destroy(loop);
}
ENGINE_TEST(each_asker_is_answered)

/* ---- Nobody there ---------------------------------------------------------------------------- */

/* What the host answers to a frame for nobody is heard with the next one: it is counted, stops
 * nothing, and costs no frame that somebody would hear. */
static void nobody_there_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE);
    struct feed_transport *from = open_as(loop, text_of(to, address), FEED_ROLE_SEND);
    struct feed_transport *asker = open_as(loop, address, FEED_ROLE_ASK);
    feed_transport_destroy(to);
    for (unsigned number = 0; number < 50; number++)
        send_number(from, number, 100);
    assert_in_range(stats_of(from).lost, 1, 50);
    assert_int_equal(stats_of(from).sent, 50);
    send_number(asker, 0, 20);
    assert_silence(asker);
    assert_false(is_readable(asker));
    to = open_as(loop, address, FEED_ROLE_RECEIVE);
    send_number(from, 99, 100);
    expect_number(to, 99, 100);
    feed_transport_destroy(asker);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(nobody_there)

/* A single address is one program's: a second one is told, and does not take its frames away. */
static void an_address_is_taken_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE], reason[256];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE), *second;
    const struct feed_transport_options options =
        options_of(text_of(to, address), FEED_ROLE_RECEIVE);
    assert_int_equal(feed_transport_open(loop, &options, &second, reason, sizeof reason),
                     -EADDRINUSE);
    assert_non_null(strstr(reason, address));
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(an_address_is_taken)

/* ---- Sources and groups ---------------------------------------------------------------------- */

static struct feed_transport *open_source(struct leat_loop *loop, const char *address,
                                          const char *source)
{
    struct feed_transport_options options = options_of(address, FEED_ROLE_RECEIVE);
    options.source = source;
    return open_with(loop, &options);
}

static void a_source_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_source(loop, "127.0.0.1:0", "127.0.0.1");
    struct feed_transport *from = open_as(loop, text_of(to, address), FEED_ROLE_SEND);
    send_number(from, 1, 100);
    expect_number(to, 1, 100);
    feed_transport_destroy(to);
    to = open_source(loop, address, "127.0.0.2");
    struct burst burst = {.count = 7, .sizes = {80, 80, 80, 80, 90, 70, 60}};
    burst_fill(&burst, 0);
    send_all(from, burst.frames, burst.count);
    assert_silence(to);
    assert_int_equal(stats_of(to).foreign, 7);
    assert_int_equal(stats_of(to).received, 0);
    free(burst.data);
    feed_transport_destroy(to);
    feed_transport_destroy(from);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_source)

/* RFC 4607: the kernel itself keeps the others away. Which address of this host a group is sent
 * from is the routing table's choice. */
static void a_group_of_a_source_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE], own[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *other = open_source(loop, "232.77.1.1:0", "127.0.0.2");
    struct feed_transport *from = open_as(loop, text_of(other, address), FEED_ROLE_SEND);
    *strrchr(text_of(from, own), ':') = '\0';
    struct feed_transport *to = open_source(loop, address, own);
    send_number(from, 1, 100);
    expect_number(to, 1, 100);
    assert_silence(other);
    assert_int_equal(stats_of(other).foreign, 0);
    feed_transport_destroy(to);
    feed_transport_destroy(other);
    feed_transport_destroy(from);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_group_of_a_source)

/* Another group on the same port, joined by another socket of this host. */
static void a_group_alone_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE], other_address[64];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "239.255.77.1:0", FEED_ROLE_RECEIVE);
    text_of(to, address);
    snprintf(other_address, sizeof other_address, "239.255.77.2%s", strchr(address, ':'));
    struct feed_transport *other_to = open_as(loop, other_address, FEED_ROLE_RECEIVE);
    struct feed_transport *other_from = open_as(loop, other_address, FEED_ROLE_SEND);
    send_number(other_from, 1, 100);
    expect_number(other_to, 1, 100);
    assert_silence(to);
    feed_transport_destroy(other_from);
    feed_transport_destroy(other_to);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_group_alone)

/* Frames say who sent them; those of one burst share the pointer. */
static void frames_have_peers_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE);
    struct feed_transport *from[2] = {open_as(loop, text_of(to, address), FEED_ROLE_SEND),
                                      open_as(loop, address, FEED_ROLE_SEND)};
    for (unsigned index = 0; index < 20; index++) {
        struct leat_address own;
        struct feed_frame frame;
        send_number(from[index % 2], index, 100 + index);
        receive_soon(to, &frame, 1);
        assert_true(is_frame(&frame, index, 100 + index));
        assert_int_equal(feed_transport_address(from[index % 2], &own), 0);
        assert_true(leat_address_equal(frame.peer, &own));
    }
    feed_transport_destroy(from[0]);
    feed_transport_destroy(from[1]);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(frames_have_peers)

/* ---- Hosts that lack something --------------------------------------------------------------- */

static void set_option(const struct feed_transport *transport, int level, int name, int value)
{
    const int fd = transport->ops->fd(transport);
    assert_int_equal(setsockopt(fd, level, name, &value, sizeof value), 0);
}

static struct burst equal_burst(unsigned count, uint32_t size)
{
    struct burst burst = {.count = count};
    for (unsigned index = 0; index < count; index++)
        burst.sizes[index] = size;
    return burst;
}

/* A socket that makes no checksums has no UDP_SEGMENT either: EINVAL, as on a host that knows none.
 * One failed call, then all goes singly, still many a call. */
static void no_segments_out_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE);
    struct feed_transport *from = open_as(loop, text_of(to, address), FEED_ROLE_SEND);
    set_option(from, SOL_SOCKET, SO_NO_CHECK, 1);
    struct burst burst = equal_burst(200, 1200);
    carry(from, to, &burst, 0, FEED_BURST_MAX);
    assert_int_equal(stats_of(from).calls_out, 1 + 4);
    carry(from, to, &burst, 200, FEED_BURST_MAX);
    assert_int_equal(stats_of(from).calls_out, 1 + 8);
    assert_int_equal(stats_of(from).sent, 400);
    assert_int_equal(stats_of(from).lost, 0);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(no_segments_out)

static void no_segments_in_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE);
    struct feed_transport *from = open_as(loop, text_of(to, address), FEED_ROLE_SEND);
    set_option(to, IPPROTO_UDP, UDP_GRO, 0);
    for (unsigned round = 0; round < 20; round++) {
        struct burst burst = equal_burst(200, 1200);
        carry(from, to, &burst, 200 * round, round < 10 ? 7 : FEED_BURST_MAX);
    }
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(no_segments_in)

/* Packets of the device are smaller than the frames: a frame alone goes in fragments, a run has to
 * be taken apart by us. Smaller frames still travel together. */
static void frames_larger_than_packets_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    const int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (own < 0 || unshare(CLONE_NEWNET)) {
        print_message("# no network namespace of our own: %s\n", strerror(errno));
        close(own);
        return;
    }
    struct ifreq request = {.ifr_name = "lo", .ifr_mtu = 1500};
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
    request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE);
    struct feed_transport *from = open_as(loop, text_of(to, address), FEED_ROLE_SEND);
    struct burst burst = equal_burst(100, 1800);
    carry(from, to, &burst, 0, FEED_BURST_MAX);
    burst = equal_burst(100, 1400);
    carry(from, to, &burst, 100, FEED_BURST_MAX);
    assert_int_equal(stats_of(from).lost, 0);
    assert_int_equal(stats_of(from).sent, 200);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
    assert_int_equal(setns(own, CLONE_NEWNET), 0);
    close(own);
}
ENGINE_TEST(frames_larger_than_packets)

/* The route goes away under a sender: what was given is lost, said, and nothing else happens. */
static void no_way_out_body(enum leat_engine engine)
{
    const int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (own < 0 || unshare(CLONE_NEWNET)) {
        print_message("# no network namespace of our own: %s\n", strerror(errno));
        close(own);
        return;
    }
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *from = open_as(loop, "239.255.77.1:4000", FEED_ROLE_SEND);
    struct burst burst = equal_burst(100, 1400);
    burst_fill(&burst, 0);
    send_all(from, burst.frames, burst.count);
    assert_int_equal(stats_of(from).sent, 100);
    request.ifr_flags = IFF_LOOPBACK;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    send_all(from, burst.frames, burst.count);
    assert_int_equal(stats_of(from).lost, 100);
    request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    send_all(from, burst.frames, burst.count);
    assert_int_equal(stats_of(from).sent, 200);
    free(burst.data);
    feed_transport_destroy(from);
    leat_loop_destroy(loop);
    close(fd);
    assert_int_equal(setns(own, CLONE_NEWNET), 0);
    close(own);
}
ENGINE_TEST(no_way_out)

/* ---- Calls, readiness, stamps ---------------------------------------------------------------- */

/* A burst leaves by one call and comes by few; to look in vain is one. */
static void calls_are_few_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct feed_frame frame;
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE);
    struct feed_transport *from = open_as(loop, text_of(to, address), FEED_ROLE_SEND);
    struct burst burst = equal_burst(FEED_BURST_MAX, 1200);
    burst_fill(&burst, 0);
    send_all(from, burst.frames, burst.count);
    assert_int_equal(stats_of(from).calls_out, 1);
    wait_readable(to);
    while (stats_of(to).received < burst.count)
        receive_soon(to, &frame, 1);
    assert_in_range(stats_of(to).calls_in, 1, 4);
    assert_int_equal(feed_receive(to, &frame, 1), -EAGAIN);
    const uint64_t before = stats_of(to).calls_in;
    for (unsigned count = 1; count <= 10; count++) {
        assert_int_equal(feed_receive(to, &frame, 1), -EAGAIN);
        assert_int_equal(stats_of(to).calls_in, before + count);
    }
    free(burst.data);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(calls_are_few)

static void readiness_body(enum leat_engine engine)
{
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport *to = open_as(loop, "239.255.77.1:0", FEED_ROLE_RECEIVE);
    struct feed_transport *from = open_as(loop, text_of(to, address), FEED_ROLE_SEND);
    for (unsigned number = 0; number < 10; number++) {
        assert_false(is_readable(to));
        send_number(from, number, 100);
        wait_readable(to);
        expect_number(to, number, 100);
    }
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(readiness)

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

/* A host's first stamps may lack their time: the kernel switches them on when they are first
 * wanted, and takes a moment. A refusal in between shifts none of them. */
static void stamps_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport_options options = options_of("127.0.0.1:0", FEED_ROLE_RECEIVE);
    char address[LEAT_ADDRESS_TEXT_SIZE];
    options.socket.has_stamps = true;
    struct feed_transport *to = open_with(loop, &options);
    options.address = text_of(to, address);
    options.role = FEED_ROLE_SEND;
    struct feed_transport *from = open_with(loop, &options);
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    const int64_t begin_ns = wall_ns();
    for (uint64_t number = 0; stats_of(from).stamps < 1000; number++) {
        struct burst burst = equal_burst(10, 100);
        struct feed_frame frames[FEED_BURST_MAX];
        burst_fill(&burst, number);
        send_all(from, burst.frames, burst.count);
        const unsigned received = receive_soon(to, frames, FEED_BURST_MAX);
        for (unsigned index = 0; index < received; index++)
            if (frames[index].stamp_ns != 0)
                assert_in_range(frames[index].stamp_ns, begin_ns, wall_ns());
        if (number == 20) /* the next burst is refused after the kernel has counted it */
            set_option(from, SOL_SOCKET, SO_NO_CHECK, 1);
        free(burst.data);
        assert_true(clock_ms() < until_ms);
    }
    const struct feed_transport_stats out = stats_of(from);
    assert_in_range(out.stamp_sum_ns / (int64_t)out.stamps, 1, LEAT_NS_PER_S / 100);
    struct pollfd quiet = {.fd = from->ops->fd(from), .events = POLLOUT};
    assert_int_equal(poll(&quiet, 1, 0), 1);
    assert_int_equal(quiet.revents, POLLOUT); /* no stamp was left lying */
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    leat_loop_destroy(loop);
}
ENGINE_TEST(stamps)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_asker_is_answered),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_an_address_is_taken),
        cmocka_unit_test(test_a_source),
        cmocka_unit_test(test_a_group_of_a_source),
        cmocka_unit_test(test_a_group_alone),
        cmocka_unit_test(test_frames_have_peers),
        cmocka_unit_test(test_no_segments_out),
        cmocka_unit_test(test_no_segments_in),
        cmocka_unit_test(test_frames_larger_than_packets),
        cmocka_unit_test(test_no_way_out),
        cmocka_unit_test(test_calls_are_few),
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_stamps),
    };
    return cmocka_run_group_tests_name("feed/transport_udp", tests, NULL, NULL);
}
