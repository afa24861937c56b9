/* SPDX-License-Identifier: MIT */
/*
 * UDP in the simulator, world after world: hosts with and without UDP_SEGMENT and UDP_GRO, small
 * queues, refusals, loss, duplicates and disorder. Frames come whole or not at all, no more often
 * than the world repeats them, and what the sender says it sent is what the world saw.
 */
#include "transports.h"

#include "loop/sim.h"

enum { SEEDS = 12, FRAMES = 3000, RECEIVERS = 2, SIZE_MAX_HERE = 1500 };

struct world {
    struct sim_options options;
    struct sim_report report;
    struct leat_loop *loop;
    struct random random;
    struct feed_transport *from, *to[RECEIVERS];
    uint64_t next; /* the frame that is sent next */
    unsigned seen[RECEIVERS][FRAMES];
    int64_t highest[RECEIVERS];
    bool is_in_order;
};

static void fail_world(const char *text, void *user)
{
    fail_msg("%s", text);
}

static uint32_t size_of(uint64_t number)
{
    /* Runs of a size, and every now and then another. */
    return number % 40 < 30 ? 1200 : 1 + (uint32_t)(random_mix(number) % SIZE_MAX_HERE);
}

static void turns(struct world *world, int64_t duration_ms)
{
    struct sim *sim = sim_of(world->loop);
    const int64_t end_ns = sim_now_ns(sim) + duration_ms * LEAT_NS_PER_MS;
    while (sim_now_ns(sim) < end_ns)
        assert_int_equal(leat_loop_run_once(world->loop, end_ns), 0);
}

/* Which frame it is, its first bytes say. */
static void look_at(struct world *world, unsigned receiver, const struct feed_frame *frame)
{
    const struct leat_address *peer = frame->peer;
    struct leat_address own;
    uint64_t number = 0;
    assert_non_null(peer);
    assert_int_equal(feed_transport_address(world->from, &own), 0);
    assert_int_equal(leat_address_port(peer), leat_address_port(&own));
    if (frame->size < sizeof number)
        return; /* too small to say */
    memcpy(&number, frame->data, sizeof number);
    assert_in_range(number, 0, world->next - 1);
    assert_int_equal(frame->size, size_of(number));
    for (size_t index = sizeof number; index < frame->size; index++)
        assert_int_equal(frame->data[index], byte_of(number, index));
    world->seen[receiver][number]++;
    if ((int64_t)number <= world->highest[receiver])
        world->is_in_order = false;
    world->highest[receiver] = (int64_t)number;
}

static void receive_all(struct world *world)
{
    struct feed_frame frames[FEED_BURST_MAX];
    for (unsigned receiver = 0; receiver < RECEIVERS; receiver++) {
        const unsigned at_once = (unsigned)random_between(&world->random, 1, FEED_BURST_MAX);
        int received;
        while ((received = feed_receive(world->to[receiver], frames, at_once)) > 0)
            for (int index = 0; index < received; index++)
                look_at(world, receiver, &frames[index]);
        assert_int_equal(received, -EAGAIN);
    }
}

static void send_some(struct world *world)
{
    struct burst burst = {.count = (unsigned)random_between(&world->random, 1, FEED_BURST_MAX)};
    if (burst.count > FRAMES - world->next)
        burst.count = (unsigned)(FRAMES - world->next);
    for (unsigned index = 0; index < burst.count; index++)
        burst.sizes[index] = size_of(world->next + index);
    burst_fill(&burst, world->next);
    for (unsigned index = 0; index < burst.count; index++) {
        const uint64_t number = world->next + index;
        if (burst.sizes[index] >= sizeof number)
            memcpy((void *)burst.frames[index].data, &number, sizeof number);
    }
    world->next += burst.count;
    for (unsigned sent = 0, tries = 0; sent < burst.count; tries++) {
        const int taken = feed_send(world->from, burst.frames + sent, burst.count - sent);
        assert_true(taken == -EAGAIN || (taken > 0 && taken <= (int)(burst.count - sent)));
        sent += taken > 0 ? (unsigned)taken : 0;
        if (taken == -EAGAIN) {
            turns(world, 1);
            receive_all(world);
        }
        assert_true(tries < 10000);
    }
    free(burst.data);
}

/* Some worlds run out of descriptors now and then. */
static struct feed_transport *open_there(struct world *world, const char *address,
                                         enum feed_role role)
{
    const struct feed_transport_options options = options_of(address, role);
    struct feed_transport *transport;
    char reason[256];
    int error;
    while ((error = feed_transport_open(world->loop, &options, &transport, reason,
                                        sizeof reason)) == -EMFILE)
        turns(world, 1);
    if (error)
        fail_msg("%s", reason);
    return transport;
}

static void open_world(struct world *world, uint64_t seed, const struct sim_profile *profile,
                       const char *address)
{
    char text[LEAT_ADDRESS_TEXT_SIZE];
    *world = (struct world){.options = {.seed = seed, .profile = profile}, .is_in_order = true};
    world->options.failed = fail_world;
    world->options.report = &world->report;
    random_init(&world->random, seed);
    assert_int_equal(sim_loop_create(&world->options, &world->loop), 0);
    world->to[0] = open_there(world, address, FEED_ROLE_RECEIVE);
    text_of(world->to[0], text);
    for (unsigned receiver = 0; receiver < RECEIVERS; receiver++) {
        world->highest[receiver] = -1;
        if (receiver > 0)
            world->to[receiver] = open_there(world, text, FEED_ROLE_RECEIVE);
    }
    world->from = open_there(world, text, FEED_ROLE_SEND);
}

static void live(uint64_t seed, const struct sim_profile *profile, const char *address)
{
    static struct world world;
    open_world(&world, seed, profile, address);
    while (world.next < FRAMES) {
        send_some(&world);
        if (random_chance(&world.random, 700000)) {
            turns(&world, 1);
            receive_all(&world);
        }
    }
    for (unsigned rounds = 0; rounds < 100; rounds++) {
        turns(&world, 10);
        receive_all(&world);
    }
    const struct feed_transport_stats out = stats_of(world.from);
    const bool is_faithful = profile == SIM_CALM;
    assert_int_equal(out.sent + out.lost, FRAMES);
    for (unsigned receiver = 0; receiver < RECEIVERS; receiver++) {
        const struct feed_transport_stats in = stats_of(world.to[receiver]);
        for (unsigned number = 0; number < FRAMES; number++)
            assert_in_range(world.seen[receiver][number], 0, profile->datagram_duplicate ? 2 : 1);
        if (is_faithful)
            assert_int_equal(in.received + in.dropped, FRAMES);
        feed_transport_destroy(world.to[receiver]);
    }
    if (is_faithful)
        assert_true(world.is_in_order && out.lost == 0);
    feed_transport_destroy(world.from);
    leat_loop_destroy(world.loop);
    assert_int_equal(world.report.failures, 0);
}

static void live_everywhere(const char *address)
{
    for (size_t index = 0; index < sim_profile_count; index++)
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            live(seed, &sim_profiles[index], address);
}

static void test_groups(void **state)
{
    live_everywhere("239.255.77.1:4000");
}

static void test_groups_of_ipv6(void **state)
{
    live_everywhere("[ff02::1eaf%1]:4000");
}

/* The same world again, to the frame. */
static void test_a_world_again(void **state)
{
    const struct sim_profile *profile = &sim_profiles[sim_profile_count - 1];
    static struct world worlds[2];
    for (unsigned index = 0; index < 2; index++) {
        open_world(&worlds[index], 99, profile, "239.255.77.1:4000");
        while (worlds[index].next < FRAMES) {
            send_some(&worlds[index]);
            turns(&worlds[index], 1);
            receive_all(&worlds[index]);
        }
        feed_transport_destroy(worlds[index].from);
        for (unsigned receiver = 0; receiver < RECEIVERS; receiver++)
            feed_transport_destroy(worlds[index].to[receiver]);
        leat_loop_destroy(worlds[index].loop);
    }
    assert_memory_equal(worlds[0].seen, worlds[1].seen, sizeof worlds[0].seen);
    assert_int_equal(worlds[0].report.trace, worlds[1].report.trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_groups_of_ipv6),
        cmocka_unit_test(test_a_world_again),
    };
    return cmocka_run_group_tests_name("feed/transport_sim", tests, NULL, NULL);
}
