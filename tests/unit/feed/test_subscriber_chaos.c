/* SPDX-License-Identifier: MIT */
/*
 * The subscriber among lines and a server that lose, repeat and disorder what they carry, by seed:
 * what comes out is what was sent, each message once, in order, byte for byte (subscriber_world.h
 * compares). A seed that fails is named; the same seed fails again.
 */
#include "subscriber_world.h"

enum { SEEDS = 3000, CUT_MAX = 20, LATE_US_MAX = 2000 };

struct chaos {
    struct world world;
    struct random random;
    uint64_t last; /* of the messages */
    unsigned cut;  /* messages in a packet, at most */
    uint32_t loss[2], duplicate, late, noise;
    bool is_heard[3001]; /* a line brought it */
};

/* Something that is none of this session's packets, or is none at all. */
static void make_noise(struct chaos *chaos, unsigned line, int64_t at_ns)
{
    uint8_t data[WORLD_PACKET_MAX];
    const uint64_t first = 1 + random_below(&chaos->random, chaos->last);
    const unsigned count = 1 + (unsigned)random_below(&chaos->random, CUT_MAX);
    size_t size = packet_write(data, "SESSION", first, count);
    uint8_t host = 1;
    switch (random_below(&chaos->random, 4)) {
    case 0: size = random_below(&chaos->random, size); break;
    case 1: size = packet_write(data, "ANOTHER", first, count); break;
    case 2: host = 2; break;
    default: data[MOLD_HEADER_SIZE] = 0xff; break;
    }
    say_bytes(&chaos->world, line, at_ns, host, data, size);
}

static int64_t delay_ns(struct chaos *chaos)
{
    const int64_t usual_ns = 20 * LEAT_NS_PER_US;
    if (!random_chance(&chaos->random, chaos->late))
        return usual_ns;
    return usual_ns + (int64_t)random_below(&chaos->random, LATE_US_MAX) * LEAT_NS_PER_US;
}

static void carry(struct chaos *chaos, unsigned line, int64_t at_ns, uint64_t first, unsigned count)
{
    if (random_chance(&chaos->random, chaos->noise))
        make_noise(chaos, line, at_ns);
    if (random_chance(&chaos->random, chaos->loss[line]))
        return;
    for (unsigned index = 0; index < count; index++)
        chaos->is_heard[first + index] = true;
    say_at(&chaos->world, line, at_ns + delay_ns(chaos), first, count);
    if (random_chance(&chaos->random, chaos->duplicate))
        say_at(&chaos->world, line, at_ns + delay_ns(chaos), first, count);
}

/* All that the lines will bring, and when. Returns when the last of it does. */
static int64_t publish(struct chaos *chaos)
{
    struct world *world = &chaos->world;
    int64_t at_ns = world->now_ns;
    uint64_t next = 1;
    say_at(world, 0, at_ns, 1, 0); /* both sources are known, the first is nobody's noise */
    say_at(world, 1, at_ns, 1, 0);
    while (next <= chaos->last) {
        uint64_t count = 1 + random_below(&chaos->random, chaos->cut);
        if (count > chaos->last + 1 - next)
            count = chaos->last + 1 - next;
        at_ns += (int64_t)random_below(&chaos->random, 200) * LEAT_NS_PER_US;
        for (unsigned line = 0; line < 2; line++)
            carry(chaos, line, at_ns, next, (unsigned)count);
        next += count;
        if (random_chance(&chaos->random, 20000)) {
            say_at(world, 0, at_ns, next, 0);
            at_ns += (int64_t)random_below(&chaos->random, 50) * LEAT_NS_PER_MS;
        }
    }
    at_ns += LATE_US_MAX * LEAT_NS_PER_US;
    say_at(world, (unsigned)random_below(&chaos->random, 2), at_ns, next, MOLD_END_OF_SESSION);
    return at_ns;
}

static void draw(struct chaos *chaos, uint64_t seed)
{
    static const uint32_t losses[] = {0, 10000, 100000, 300000, 900000};
    struct random *random = &chaos->random;
    random_init(random, seed);
    chaos->last = 1 + random_below(random, seed % 10 ? 300 : 3000);
    chaos->cut = 1 + (unsigned)random_below(random, CUT_MAX);
    chaos->loss[0] = losses[random_below(random, 5)];
    chaos->loss[1] = losses[random_below(random, 5)];
    chaos->duplicate = losses[random_below(random, 4)];
    chaos->late = losses[random_below(random, 5)];
    chaos->noise = losses[random_below(random, 4)];
}

static void complete_through_a_server(struct chaos *chaos, uint64_t seed)
{
    struct world *world = &chaos->world;
    draw(chaos, seed);
    struct leat_feed_subscriber_options options = world_options(world);
    options.window_packets = 4 + (unsigned)random_below(&chaos->random, 60);
    options.window_us = 1 + (unsigned)random_below(&chaos->random, 1000);
    options.request_tries = 20;
    options.from =
        random_chance(&chaos->random, 300000) ? 1 + random_below(&chaos->random, chaos->last) : 1;
    world->server_first = 1;
    world->server_last = chaos->last;
    world->server_packets = 1 + (unsigned)random_below(&chaos->random, 40);
    world->packet_messages = 1 + (unsigned)random_below(&chaos->random, CUT_MAX);
    world->server_ns = (1 + (int64_t)random_below(&chaos->random, 3000)) * LEAT_NS_PER_US;
    world_open(world, &options, true);
    world->server_loss = (uint32_t)random_below(&chaos->random, 300000);
    publish(chaos);
    assert_int_equal(world_run(world), 0);
    assert_true(subscriber_is_complete(world->subscriber));
    assert_int_equal(world->losses, 0);
    assert_int_equal(world->messages, chaos->last + 1 - options.from);
    const struct leat_feed_subscriber_stats stats = world_stats(world);
    assert_int_equal(stats.next_sequence, chaos->last + 1);
    assert_int_equal(stats.messages, world->messages);
    assert_int_equal(stats.heard, chaos->last);
}

/* With nobody to ask, what either line brought comes out, and the rest is told as lost. */
static void all_that_was_heard(struct chaos *chaos, uint64_t seed)
{
    struct world *world = &chaos->world;
    draw(chaos, seed);
    struct leat_feed_subscriber_options options = world_options(world);
    options.window_us = LATE_US_MAX + 1000; /* nothing is late that long */
    world_open(world, &options, false);
    publish(chaos);
    assert_int_equal(world_run(world), 0);
    assert_true(subscriber_is_complete(world->subscriber));
    uint64_t heard = 0;
    for (uint64_t sequence = 1; sequence <= chaos->last; sequence++)
        heard += chaos->is_heard[sequence];
    assert_int_equal(world->messages, heard);
    assert_int_equal(world->lost_messages, chaos->last - heard);
    assert_int_equal(world_stats(world).lost_messages, world->lost_messages);
}

static uint64_t seed_running; /* 0: none */

static int name_seed(void **state)
{
    if (seed_running > 0)
        print_error("LEAT_SEED=%llu\n", (unsigned long long)seed_running);
    return 0;
}

static void each_seed(void (*test)(struct chaos *chaos, uint64_t seed))
{
    static struct chaos chaos;
    const char *only = getenv("LEAT_SEED");
    const uint64_t begin = only ? strtoull(only, NULL, 10) : 1, end = only ? begin + 1 : SEEDS + 1;
    chaos = (struct chaos){0};
    for (uint64_t seed = begin; seed < end; seed++) {
        seed_running = seed;
        test(&chaos, seed);
        world_reset(&chaos.world);
        const struct world world = chaos.world; /* its loop */
        chaos = (struct chaos){.world = world};
    }
    seed_running = 0;
    leat_loop_destroy(chaos.world.loop);
}

static void complete_through_a_server_by_seed(void **state)
{
    each_seed(complete_through_a_server);
}

static void all_that_was_heard_by_seed(void **state)
{
    each_seed(all_that_was_heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(complete_through_a_server_by_seed, name_seed),
        cmocka_unit_test_teardown(all_that_was_heard_by_seed, name_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
