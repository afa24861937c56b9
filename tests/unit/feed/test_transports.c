/* SPDX-License-Identifier: MIT */
/*
 * The suite that every transport has to pass: what is sent arrives whole and in order (these ways
 * lose nothing that there is room for), whatever the bursts and sizes; nothing waits; what is too
 * long or too much is counted.
 */
#include "transports.h"

struct carrier {
    const char *name;
    const char *address; /* of the receiver; NULL: a ring */
    bool is_shared;      /* several may hear it */
    bool is_wrapped;     /* in a transport that could be unfaithful, and is not */
    unsigned interface_index;
};

static struct carrier carriers[] = {
    {.name = "udp", .address = "127.0.0.1:0"},
    {.name = "udp, IPv6", .address = "[::1]:0"},
    {.name = "udp, group", .address = "239.255.77.1:0", .is_shared = true},
    /* Of a scope that does not leave the host, whatever the interface. */
    {.name = "udp, IPv6 group", .address = "[ff11::1eaf:1]:0", .is_shared = true},
    {.name = "shm", .is_shared = true},
    {.name = "shm, wrapped", .is_shared = true, .is_wrapped = true},
    {.name = "udp, wrapped", .address = "127.0.0.1:0", .is_wrapped = true},
};

struct wanted {
    struct feed_transport_options transport;
    size_t packet_size_max_in; /* 0: as out */
    bool is_shared;            /* by two, on carriers that can be */
};

/* A sender and two receivers at most, joined. */
struct joined {
    char address[LEAT_ADDRESS_TEXT_SIZE];
    struct feed_transport *from, *to, *also_to;
};

static struct feed_transport *wrap(struct feed_transport *inner)
{
    struct feed_transport *transport;
    const struct feed_unfaithful_options options = {.seed = 1, .acts_on_send = true};
    assert_int_equal(feed_unfaithful_create(inner, &options, &transport), 0);
    return transport;
}

/* The loopback interface has no route to groups of IPv6 by itself; others have. */
static bool find_interface(struct leat_loop *loop, struct carrier *carrier)
{
    struct feed_transport *transport;
    struct if_nameindex *all = if_nameindex();
    struct feed_transport_options options = options_of("[ff11::1eaf:1]:9", FEED_ROLE_SEND);
    assert_non_null(all);
    for (unsigned index = 0; carrier->interface_index == 0 && all[index].if_index > 0; index++) {
        options.socket.interface_index = all[index].if_index;
        if (feed_transport_open(loop, &options, &transport, NULL, 0))
            continue;
        feed_transport_destroy(transport);
        carrier->interface_index = all[index].if_index;
    }
    if_freenameindex(all);
    return carrier->interface_index > 0;
}

static bool is_there(struct leat_loop *loop, struct carrier *carrier)
{
    if (!carrier->address || carrier->address[1] != 'f' || find_interface(loop, carrier))
        return true;
    print_message("# no interface here has a route to %s\n", carrier->address);
    return false;
}

static struct joined join(struct leat_loop *loop, const struct carrier *carrier,
                          const struct wanted *wanted)
{
    struct joined joined = {.from = NULL};
    struct feed_transport_options out = wanted->transport;
    out.address = carrier->address;
    out.role = FEED_ROLE_SEND;
    if (carrier->interface_index > 0)
        out.socket.interface_index = carrier->interface_index;
    if (!carrier->address) {
        out.address = ring_address(joined.address, sizeof joined.address, "suite");
        joined.from = open_with(loop, &out);
    }
    struct feed_transport_options in = out;
    in.role = FEED_ROLE_RECEIVE;
    if (wanted->packet_size_max_in > 0)
        in.packet_size_max = wanted->packet_size_max_in;
    joined.to = open_with(loop, &in);
    if (carrier->address)
        in.address = out.address = text_of(joined.to, joined.address);
    if (wanted->is_shared)
        joined.also_to = open_with(loop, &in);
    if (!joined.from)
        joined.from = open_with(loop, &out);
    if (carrier->is_wrapped) {
        joined.from = wrap(joined.from);
        joined.to = wrap(joined.to);
    }
    return joined;
}

static void part(struct joined *joined)
{
    feed_transport_destroy(joined->from);
    feed_transport_destroy(joined->to);
    feed_transport_destroy(joined->also_to);
    if (strncmp(joined->address, "shm:", 4) == 0)
        unlink(ring_path(joined->address));
}

static void on_each_carrier(enum leat_engine engine, struct wanted wanted,
                            void (*body)(struct joined *joined))
{
    struct leat_loop *loop = make_loop(engine);
    wanted.transport.socket.interface_index = LOOPBACK;
    if (wanted.transport.packet_size_max == 0)
        wanted.transport.packet_size_max = PACKET_SIZE;
    for (unsigned index = 0; index < sizeof carriers / sizeof *carriers; index++) {
        if ((wanted.is_shared && !carriers[index].is_shared) || !is_there(loop, &carriers[index]))
            continue;
        struct joined joined = join(loop, &carriers[index], &wanted);
        body(&joined);
        part(&joined);
    }
    leat_loop_destroy(loop);
}

/* A cmocka test, test_`name`: name_over(joined) over each carrier, on each engine; what is wanted
 * of them follows, as designated initialisers. */
#define CARRIER_TEST(name, ...)                                                                    \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        on_each_carrier(engine, (struct wanted){__VA_ARGS__}, name##_over);                        \
    }                                                                                              \
    ENGINE_TEST(name)

/* ---- Whole, in order ------------------------------------------------------------------------- */

static void bursts_of_every_count_over(struct joined *joined)
{
    uint64_t number = 0;
    for (unsigned count = 1; count <= FEED_BURST_MAX; count++) {
        struct burst burst = {.count = count};
        for (unsigned index = 0; index < count; index++)
            burst.sizes[index] = 100;
        carry(joined->from, joined->to, &burst, number, FEED_BURST_MAX);
        number += count;
    }
    const struct feed_transport_stats out = stats_of(joined->from), in = stats_of(joined->to);
    assert_int_equal(out.sent, number);
    assert_int_equal(in.received, number);
    assert_int_equal(out.lost + in.dropped + in.foreign, 0);
}
CARRIER_TEST(bursts_of_every_count)

static void every_size_over(struct joined *joined)
{
    static const uint32_t large[] = {1023,  1199,  1200,  1201,  1400,  1472,  1473,  4096,  9000,
                                     16384, 21829, 32743, 32744, 65000, 65486, 65487, 65488, 65507};
    uint64_t number = 0;
    for (unsigned index = 0; index < 300 + sizeof large / sizeof *large; index++) {
        const uint32_t size = index < 300 ? index + 1 : large[index - 300];
        for (unsigned count = 1; count <= 4; count += 3, number += count) {
            struct burst burst = {.count = count, .sizes = {size, size, size, size}};
            carry(joined->from, joined->to, &burst, number, FEED_BURST_MAX);
        }
    }
    assert_int_equal(stats_of(joined->to).dropped, 0);
}
CARRIER_TEST(every_size, .transport.packet_size_max = LEAT_FEED_PACKET_SIZE_MAX)

/* Runs of one size, with smaller and larger ones behind them, and some of no bytes. */
static void unequal_sizes_over(struct joined *joined)
{
    struct random random;
    random_init(&random, 7);
    uint64_t number = 0;
    for (unsigned round = 0; round < 200; round++) {
        struct burst burst = {.count = (unsigned)random_between(&random, 1, FEED_BURST_MAX)};
        uint32_t size = 1;
        for (unsigned index = 0; index < burst.count; index++) {
            if (random_chance(&random, 300000))
                size = (uint32_t)random_between(&random, 0, 300);
            burst.sizes[index] = size;
        }
        carry(joined->from, joined->to, &burst, number, FEED_BURST_MAX);
        number += burst.count;
    }
}
CARRIER_TEST(unequal_sizes)

/* What was not handed out stays for the next call, and what was stays whole until then. */
static void few_at_a_time_over(struct joined *joined)
{
    uint64_t number = 0;
    for (unsigned at_once = 1; at_once <= 70; at_once++) {
        struct burst burst = {.count = 200};
        for (unsigned index = 0; index < burst.count; index++)
            burst.sizes[index] = index < 150 ? 1200 : 40;
        carry(joined->from, joined->to, &burst, number, at_once);
        number += burst.count;
    }
}
CARRIER_TEST(few_at_a_time)

static void nothing_waits_over(struct joined *joined)
{
    struct feed_frame frames[FEED_BURST_MAX];
    assert_int_equal(feed_receive(joined->to, frames, FEED_BURST_MAX), -EAGAIN);
    assert_int_equal(feed_receive(joined->from, frames, FEED_BURST_MAX), -ENOTSUP);
    for (uint64_t number = 0; number < 100; number++) {
        send_number(joined->from, number, 64);
        expect_number(joined->to, number, 64);
        assert_int_equal(feed_receive(joined->to, frames, FEED_BURST_MAX), -EAGAIN);
    }
}
CARRIER_TEST(nothing_waits)

/* ---- Too long, too much ---------------------------------------------------------------------- */

static void two_hear_the_same_over(struct joined *joined)
{
    for (unsigned round = 0; round < 50; round++) {
        struct burst burst = {.count = 100};
        for (unsigned index = 0; index < burst.count; index++)
            burst.sizes[index] = 500 + round;
        carry(joined->from, joined->to, &burst, 100 * round, FEED_BURST_MAX);
        burst_fill(&burst, 100 * round);
        expect_burst(joined->also_to, &burst, 100 * round, 9);
        free(burst.data);
    }
}
CARRIER_TEST(two_hear_the_same, .is_shared = true)

static void too_long_is_dropped_over(struct joined *joined)
{
    struct burst burst = {.count = 9, .sizes = {1000, 1001, 1001, 1001, 500, 2048, 2048, 2048, 1}};
    burst_fill(&burst, 0);
    send_all(joined->from, burst.frames, burst.count);
    expect_number(joined->to, 0, 1000);
    expect_number(joined->to, 4, 500);
    expect_number(joined->to, 8, 1);
    free(burst.data);
    assert_int_equal(stats_of(joined->to).dropped, 6);
    assert_int_equal(stats_of(joined->to).received, 3);
}
CARRIER_TEST(too_long_is_dropped, .packet_size_max_in = 1000)

/* Frames of no bytes are frames: who reads them judges them. */
static void nothing_is_a_frame_over(struct joined *joined)
{
    struct burst burst = {.count = 5, .sizes = {0, 10, 0, 0, 10}};
    carry(joined->from, joined->to, &burst, 0, FEED_BURST_MAX);
    struct burst alone = {.count = 1, .sizes = {0}};
    carry(joined->from, joined->to, &alone, 5, 1);
}
CARRIER_TEST(nothing_is_a_frame)

/* Nobody reads while far more comes than there is room for: what was lost is known, to the frame,
 * once the next one has come. */
static void too_much_is_counted_over(struct joined *joined)
{
    enum { COUNT = 40000 };
    struct feed_frame frames[FEED_BURST_MAX];
    /* Each larger than the one before: no two travel together. */
    struct burst burst = {.count = 200};
    for (unsigned index = 0; index < burst.count; index++)
        burst.sizes[index] = 1000 + index;
    burst_fill(&burst, 0);
    for (unsigned sent = 0; sent < COUNT; sent += burst.count)
        send_all(joined->from, burst.frames, burst.count);
    while (feed_receive(joined->to, frames, FEED_BURST_MAX) > 0)
        continue;
    send_number(joined->from, 77, 1);
    expect_number(joined->to, 77, 1);
    const struct feed_transport_stats in = stats_of(joined->to);
    assert_in_range(in.dropped, 1, COUNT);
    assert_int_equal(in.received + in.dropped, COUNT + 1);
    assert_int_equal(stats_of(joined->from).sent, COUNT + 1);
    free(burst.data);
}
CARRIER_TEST(too_much_is_counted, .transport.socket.buffer_bytes = 1 << 20)

/* ---- Refusals -------------------------------------------------------------------------------- */

static void what_cannot_be_is_explained_body(enum leat_engine engine)
{
    static const struct {
        const char *address;
        enum feed_role role;
        unsigned interface_index;
        int error;
        const char *part;
    } cases[] = {
        {"127.0.0.1", FEED_ROLE_SEND, 0, -EINVAL, "the port is missing"},
        {"127.0.0.1:0", FEED_ROLE_SEND, 0, -EINVAL, "port 0"},
        {"[::1]:0", FEED_ROLE_ASK, 0, -EINVAL, "port 0"},
        {"unix:/tmp/x", FEED_ROLE_SEND, 0, -EINVAL, "shm:"},
        {"239.1.1.1:5000", FEED_ROLE_ASK, 0, -EINVAL, "group"},
        {"239.1.1.1:5000", FEED_ROLE_ANSWER, 0, -EINVAL, "group"},
        {"[ff02::5]:5000", FEED_ROLE_RECEIVE, 0, -EINVAL, "interface"},
        {"[ff02::5%1]:5000", FEED_ROLE_RECEIVE, 2, -EINVAL, "interface"},
        {"239.1.1.1:5000", FEED_ROLE_RECEIVE, 4000, -ENODEV, "239.1.1.1:5000"},
        {"192.0.2.1:5000", FEED_ROLE_RECEIVE, 0, -EADDRNOTAVAIL, "192.0.2.1:5000"},
        {"shm:ring", FEED_ROLE_SEND, 0, -EINVAL, "shm:/dev/shm/NAME"},
        {"shm:/dev/shm/leat-no", FEED_ROLE_ASK, 0, -EINVAL, "requests"},
        {"shm:/dev/shm", FEED_ROLE_RECEIVE, 0, -EBADMSG, "no ring"},
        {"shm:/dev/shm/leat-none/x", FEED_ROLE_SEND, 0, -ENOENT, "leat-none"},
    };
    struct leat_loop *loop = make_loop(engine);
    for (unsigned index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct feed_transport_options options = options_of(cases[index].address, cases[index].role);
        options.socket.interface_index = cases[index].interface_index;
        struct feed_transport *transport = NULL;
        char reason[256] = "";
        const int error = feed_transport_open(loop, &options, &transport, reason, sizeof reason);
        if (error != cases[index].error || !strstr(reason, cases[index].part))
            fail_msg("%s: %d, %s", cases[index].address, error, reason);
        assert_null(transport);
        assert_int_equal(feed_transport_open(loop, &options, &transport, NULL, 0), error);
    }
    leat_loop_destroy(loop);
}
ENGINE_TEST(what_cannot_be_is_explained)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bursts_of_every_count),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_unequal_sizes),
        cmocka_unit_test(test_few_at_a_time),
        cmocka_unit_test(test_nothing_waits),
        cmocka_unit_test(test_two_hear_the_same),
        cmocka_unit_test(test_too_long_is_dropped),
        cmocka_unit_test(test_nothing_is_a_frame),
        cmocka_unit_test(test_too_much_is_counted),
        cmocka_unit_test(test_what_cannot_be_is_explained),
    };
    return cmocka_run_group_tests_name("feed/transports", tests, NULL, NULL);
}
