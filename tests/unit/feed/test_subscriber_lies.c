/* SPDX-License-Identifier: MIT */
/*
 * Packets that lie in the publisher's name, with its session and from its address: strays, what a
 * second publisher says, what was forged. A few of them must not cost a subscriber its feed.
 */
#include "subscriber_world.h"

enum { A = 0, B = 1 };

static const uint64_t far_ahead = UINT64_C(1) << 40;

static void open_plain(struct world *world, bool can_ask)
{
    const struct leat_feed_subscriber_options options = world_options(world);
    world_open(world, &options, can_ask);
}

static void check_complete(struct world *world, uint64_t last)
{
    assert_true(subscriber_is_complete(world->subscriber));
    assert_int_equal(world->messages, last);
    assert_int_equal(world->losses, 0);
}

/* A heartbeat, an end or a message, with or without somebody to ask. */
static void one_packet_far_ahead_is_not_believed(void **state)
{
    static const unsigned counts[] = {0, MOLD_END_OF_SESSION, 5};
    struct world world = {0};
    for (unsigned index = 0; index < sizeof counts / sizeof *counts; index++) {
        for (unsigned can_ask = 0; can_ask < 2; can_ask++) {
            open_plain(&world, can_ask);
            say(&world, A, 1, 10);
            say(&world, A, far_ahead, counts[index]);
            assert_int_equal(world_run(&world), 0);
            assert_int_equal(world_stats(&world).heard, 10);
            say(&world, A, 11, 10);
            say_end(&world, A, 21);
            assert_int_equal(world_run(&world), 0);
            check_complete(&world, 20);
            assert_int_equal(world.requests, 0);
            world_reset(&world);
        }
    }
    open_plain(&world, false);
    world_close(&world);
}

/* The lines were gone for long: the next packet says so once more. */
static void a_leap_that_is_true_is_believed(void **state)
{
    enum { BEFORE = 10, ALL = 1000000 };
    for (unsigned is_said_twice = 0; is_said_twice < 2; is_said_twice++) {
        struct world world = {.server_first = 1, .server_last = ALL};
        open_plain(&world, true);
        say(&world, A, 1, BEFORE);
        if (is_said_twice) {
            say(&world, A, ALL - 19, 10);
            say(&world, A, ALL - 9, 10);
        } else { /* nothing is published any more */
            say(&world, A, ALL + 1, 0);
        }
        say_end(&world, A, ALL + 1);
        assert_int_equal(world_run(&world), 0);
        check_complete(&world, ALL);
        world_close(&world);
    }
}

/* Two agree, and are believed; but the publisher goes on as if they had said nothing. It says
 * little: what they spoke of is given up long before it comes. */
static void lies_are_forgotten(void **state)
{
    static const unsigned counts[] = {0, MOLD_END_OF_SESSION, 5};
    struct world world = {0};
    for (unsigned index = 0; index < sizeof counts / sizeof *counts; index++) {
        world.server_first = 1;
        world.server_last = 10;
        open_plain(&world, true);
        say(&world, A, 1, 10);
        say(&world, A, far_ahead, counts[index]);
        say(&world, A, far_ahead + 5, counts[index]);
        for (unsigned second = 0; second < 60; second++) {
            if (second % 7 == 0)
                say(&world, A, ++world.server_last, 1);
            else
                say(&world, A, world.server_last + 1, 0);
            assert_int_equal(world_run_us(&world, 1000000), 0);
        }
        assert_int_equal(world_stats(&world).heard, world.server_last);
        say_end(&world, A, world.server_last + 1);
        assert_int_equal(world_run(&world), 0);
        check_complete(&world, world.server_last);
        world_reset(&world);
    }
    open_plain(&world, false);
    world_close(&world);
}

/* Also one that is busy, and rests for a while. */
static void lies_to_a_busy_feed_are_forgotten(void **state)
{
    struct world world = {.server_first = 1};
    uint64_t next = 1;
    open_plain(&world, true);
    for (unsigned ms = 0; ms < 30000; ms++) {
        const bool is_at_rest = ms % 10000 >= 5000;
        if (!is_at_rest) {
            world.server_last = next + 9;
            if (ms % 10 != 3)
                say(&world, A, next, 10);
            next += 10;
        } else if (ms % 1000 == 0) {
            say(&world, A, next, 0);
        }
        if (ms == 2000 || ms == 2001)
            say(&world, A, far_ahead, 0);
        assert_int_equal(world_run_us(&world, 1000), 0);
    }
    say_end(&world, A, next);
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, next - 1);
    world_close(&world);
}

static void an_end_before_what_was_heard_is_none(void **state)
{
    struct world world = {0};
    open_plain(&world, false);
    say(&world, A, 1, 10);
    say_end(&world, B, 1);
    say_end(&world, A, 10);
    assert_int_equal(world_run(&world), 0);
    assert_false(subscriber_is_complete(world.subscriber));
    assert_false(world_stats(&world).is_ended);
    say(&world, A, 11, 10);
    say_end(&world, A, 21);
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, 20);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_packet_far_ahead_is_not_believed),
        cmocka_unit_test(a_leap_that_is_true_is_believed),
        cmocka_unit_test(lies_are_forgotten),
        cmocka_unit_test(lies_to_a_busy_feed_are_forgotten),
        cmocka_unit_test(an_end_before_what_was_heard_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
