/* SPDX-License-Identifier: MIT */
/*
 * How much of its core a loop gets, by clocks that the test moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "codec/headroom.h"
#include "leat/clock.h"
#include "loop/backend.h"

struct clocks {
    struct backend_sys sys;
    int64_t wall_ns, cpu_ns;
};

static int64_t wall_now(const struct backend_sys *sys)
{
    return CONTAINER_OF(sys, struct clocks, sys)->wall_ns;
}

static int64_t cpu_now(const struct backend_sys *sys)
{
    return CONTAINER_OF(sys, struct clocks, sys)->cpu_ns;
}

static struct clocks clocks_at_start(void)
{
    return (struct clocks){.sys = {.wall_ns = wall_now, .thread_cpu_ns = cpu_now},
                           .wall_ns = 1000 * LEAT_NS_PER_S,
                           .cpu_ns = 5 * LEAT_NS_PER_S};
}

static void code(struct headroom *headroom, struct clocks *clocks, int64_t cpu_ns, int64_t wall_ns)
{
    struct headroom_watch watch;
    headroom_begin(&clocks->sys, &watch);
    clocks->cpu_ns += cpu_ns;
    clocks->wall_ns += wall_ns;
    assert_int_equal(headroom_end(headroom, &clocks->sys, &watch), cpu_ns);
}

static void test_alone_on_the_core_nothing_is_slower(void **state)
{
    (void)state;
    struct clocks clocks = clocks_at_start();
    struct headroom headroom;
    headroom_init(&headroom);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 0), 1, 1e-9);
    for (unsigned go = 0; go < 1000; go++) {
        code(&headroom, &clocks, 100000, 100000);
        assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 0), 1, 1e-9);
    }
}

/* One piece in five is put aside, for as long as it takes to make it half the time in all. */
static void test_others_on_the_core_are_seen_and_forgotten(void **state)
{
    (void)state;
    struct clocks clocks = clocks_at_start();
    struct headroom headroom;
    headroom_init(&headroom);
    for (unsigned go = 0; go < 500; go++)
        code(&headroom, &clocks, 1000000, go % 5 ? 1000000 : 6000000);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 0), 2, 0.1);
    clocks.wall_ns += LEAT_NS_PER_S;
    const double soon = headroom_slowdown(&headroom, &clocks.sys, 0);
    clocks.wall_ns += 60 * LEAT_NS_PER_S;
    const double later = headroom_slowdown(&headroom, &clocks.sys, 0);
    assert_true(soon < 2 && later < soon && later >= 1);
    /* and relearned, within a quarter of a second */
    for (unsigned go = 0; go < 100; go++)
        code(&headroom, &clocks, 1000000, 1000000);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 0), 1, 0.1);
}

static void test_clocks_that_are_set_do_no_harm(void **state)
{
    (void)state;
    struct clocks clocks = clocks_at_start();
    struct headroom headroom;
    headroom_init(&headroom);
    code(&headroom, &clocks, 1000000, 1000000);
    code(&headroom, &clocks, 1000000, 3600 * LEAT_NS_PER_S);
    assert_in_range(headroom_slowdown(&headroom, &clocks.sys, 0), 1, 50);
    code(&headroom, &clocks, 1000000, -2 * 3600 * LEAT_NS_PER_S);
    assert_in_range(headroom_slowdown(&headroom, &clocks.sys, 7), 1, 50);
    for (unsigned go = 0; go < 2000; go++)
        code(&headroom, &clocks, 1000000, 1000000);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 0), 1, 0.1);
}

/* A simulated thread takes no time. */
static void test_no_time_at_all(void **state)
{
    (void)state;
    struct clocks clocks = clocks_at_start();
    struct headroom headroom;
    headroom_init(&headroom);
    for (unsigned go = 0; go < 10; go++)
        code(&headroom, &clocks, 0, 0);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 1000), 1, 1e-9);
}

static void test_others_in_the_loop(void **state)
{
    (void)state;
    struct clocks clocks = clocks_at_start();
    struct headroom headroom;
    headroom_init(&headroom);
    /* A loop that is always busy: a newcomer has his share of it. */
    for (unsigned go = 0; go < 3000; go++)
        code(&headroom, &clocks, 1000000, 1000000);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 0), 1, 1e-9);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 1), 2, 0.05);
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 3), 4, 0.2);
    /* One that is busy a tenth of the time has room, however many wait for their clients. */
    for (unsigned go = 0; go < 3000; go++) {
        code(&headroom, &clocks, 100000, 100000);
        clocks.wall_ns += 900000;
    }
    assert_float_equal(headroom_slowdown(&headroom, &clocks.sys, 1000), 1 / 0.9, 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_on_the_core_nothing_is_slower),
        cmocka_unit_test(test_others_on_the_core_are_seen_and_forgotten),
        cmocka_unit_test(test_clocks_that_are_set_do_no_harm),
        cmocka_unit_test(test_no_time_at_all),
        cmocka_unit_test(test_others_in_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
