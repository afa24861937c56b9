/* SPDX-License-Identifier: MIT */
/*
 * Many fibers that do anything at any time, as a seed decides: no item is lost or doubled, no scope
 * ends before its fibers, no timer and no fiber is left. A failing seed is named; run it alone with
 * LEAT_TEST_SEED=n.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "run.h"

enum { CHANNELS = 4, ITEMS_MAX = 20000, DEPTH_MAX = 3, SEEDS = 60 };

static struct {
    struct random random;
    struct leat_channel *channels[CHANNELS];
    int sent;                        /* items numbered so far */
    unsigned char states[ITEMS_MAX]; /* 0: refused or on its way, 1: sent, 2: received */
    int alive, offloaded;
    bool is_quiet; /* nobody begins anything new */
} world;

static int64_t some_deadline(void)
{
    switch (random_below(&world.random, 4)) {
    case 0: return LEAT_FOREVER;
    case 1: return leat_now_ns();
    default: return leat_now_ns() + (int64_t)random_below(&world.random, 2 * LEAT_NS_PER_MS);
    }
}

/* LEAT_FOREVER is only for those whom somebody will cancel. */
static bool is_expected(int result, int64_t deadline_ns)
{
    return result == 0 || result == -ECANCELED ||
           (result == -ETIMEDOUT && deadline_ns != LEAT_FOREVER);
}

static void note_received(int item)
{
    assert_in_range(item, 0, world.sent - 1);
    assert_int_not_equal(world.states[item], 2);
    world.states[item] = 2;
}

static void send_one(void)
{
    const int64_t deadline_ns = some_deadline();
    struct leat_channel *channel = world.channels[random_below(&world.random, CHANNELS)];
    if (world.sent >= ITEMS_MAX)
        return;
    const int item = world.sent++;
    const int result = leat_channel_send(channel, &item, deadline_ns);
    assert_true(is_expected(result, deadline_ns));
    if (result != 0)
        assert_int_equal(world.states[item], 0); /* refused, and nobody has it */
    else if (world.states[item] == 0)
        world.states[item] = 1;
}

static void recv_one(void)
{
    const int64_t deadline_ns = some_deadline();
    int item = -1;
    const int result = leat_channel_recv(world.channels[random_below(&world.random, CHANNELS)],
                                         &item, deadline_ns);
    assert_true(is_expected(result, deadline_ns));
    if (result == 0)
        note_received(item);
    else
        assert_int_equal(item, -1);
}

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void offload_one(void)
{
    const int64_t deadline_ns = some_deadline();
    int count = 0, result = -1;
    const int error = leat_offload(add_one, &count, deadline_ns, &result);
    assert_true(is_expected(error, deadline_ns) || error == -EAGAIN);
    assert_int_equal(count, error == 0);
    world.offloaded += count;
}

static int call_one(void *arg)
{
    const int result = leat_sleep_until(leat_now_ns() + (int64_t)(uintptr_t)arg);
    return result ? result : (uintptr_t)arg % 5 ? 0 : -EIO;
}

static void gather_some(void)
{
    struct leat_call calls[4];
    const size_t count = random_below(&world.random, 5);
    for (size_t i = 0; i < count; i++)
        calls[i] = (struct leat_call){
            .fn = call_one, .arg = (void *)(uintptr_t)random_below(&world.random, 1000000)};
    const struct leat_gather_options options = {
        .on_error = (enum leat_gather_policy)random_below(&world.random, 2),
        .parallel_max = random_below(&world.random, 3),
        .deadline_ns = some_deadline(),
    };
    const int result = leat_gather(calls, count, &options);
    bool has_failed = false;
    for (size_t i = 0; i < count; i++)
        has_failed |= calls[i].result < 0;
    assert_true(has_failed ? result < 0 : result == 0 || count == 0);
}

static void live(void *arg);

static void branch(size_t depth)
{
    struct leat_scope scope;
    leat_scope_init(&scope);
    const uint64_t count = random_below(&world.random, 4);
    for (uint64_t i = 0; i < count; i++) {
        const int error = leat_spawn(&scope, live, (void *)(uintptr_t)(depth + 1), NULL);
        assert_int_equal(error, 0);
    }
    if (random_chance(&world.random, 300000))
        leat_scope_cancel(&scope);
    const int64_t deadline_ns = some_deadline();
    const int result = leat_scope_join(&scope, deadline_ns == LEAT_FOREVER ? 1 : deadline_ns);
    assert_true(is_expected(result, 1));
    assert_true(result != 0 || leat_scope_count(&scope) == 0);
    leat_scope_fini(&scope);
}

static void live(void *arg)
{
    const size_t depth = (size_t)(uintptr_t)arg;
    world.alive++;
    const bool is_shielded = random_chance(&world.random, 100000);
    if (is_shielded)
        leat_shield_begin(leat_now_ns() + (int64_t)random_below(&world.random, LEAT_NS_PER_MS));
    for (uint64_t left = random_below(&world.random, 20); left > 0 && !world.is_quiet; left--) {
        switch (random_below(&world.random, 9)) {
        case 0:
        case 1: send_one(); break;
        case 2:
        case 3: recv_one(); break;
        case 4: (void)leat_yield(); break;
        case 5:
            (void)leat_sleep_until(leat_now_ns() + (int64_t)random_below(&world.random, 500000));
            break;
        case 6: offload_one(); break;
        case 7: gather_some(); break;
        default:
            if (depth < DEPTH_MAX)
                branch(depth);
        }
    }
    if (is_shielded)
        leat_shield_end();
    world.alive--;
}

static void drain(void)
{
    for (int i = 0; i < CHANNELS; i++) {
        int item;
        leat_channel_close(world.channels[i]);
        while (leat_channel_recv(world.channels[i], &item, 0) == 0)
            note_received(item);
        leat_channel_destroy(world.channels[i]);
    }
    for (int item = 0; item < world.sent; item++)
        assert_int_not_equal(world.states[item], 1); /* sent, so received */
}

static int live_one_world(void *arg)
{
    static const size_t capacities[CHANNELS] = {0, 1, 3, 16};
    struct leat_scope scope;
    struct fiber_counters counters;
    memset(&world, 0, sizeof world);
    random_init(&world.random, *(uint64_t *)arg);
    for (int i = 0; i < CHANNELS; i++)
        assert_int_equal(leat_channel_create(sizeof(int), capacities[i], &world.channels[i]), 0);
    leat_scope_init(&scope);
    for (int i = 0; i < 40; i++)
        assert_int_equal(leat_spawn(&scope, live, NULL, NULL), 0);
    (void)leat_scope_join(&scope, leat_after_ms(5));
    world.is_quiet = true;
    leat_scope_fini(&scope);
    assert_int_equal(world.alive, 0);
    drain();
    fiber_counters_read(leat_loop_current(), &counters);
    assert_int_equal(counters.fibers, 1);
    assert_int_equal(leat_loop_current()->timers.count, 0);
    assert_int_equal(leat_loop_current()->jobs, 0);
    return world.sent;
}

static void test_seeds(void **state)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    const char *only = getenv("LEAT_TEST_SEED");
    int sent = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t own = only ? strtoull(only, NULL, 10) : seed;
        fprintf(stderr, "seed %llu\n", (unsigned long long)own); /* the last one named failed */
        const int result = leat_run(live_one_world, &own, &options);
        assert_true(result >= 0);
        sent += result;
        if (only)
            break;
    }
    assert_true(sent > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
