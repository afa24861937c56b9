/* SPDX-License-Identifier: MIT */
/*
 * The subscriber: in sequence, each once, byte for byte, whatever the lines do; asks when it should
 * and not before; goes on behind what is lost; believes one session, and one source.
 */
#include "subscriber_world.h"

#include "leat/error.h"

static void in_order_on_one_line(void **state)
{
    struct world world = {0};
    const struct leat_feed_subscriber_options options = world_options(&world);
    world_open(&world, &options, true);
    uint64_t next = 1;
    for (unsigned packet = 0; packet < 1000; packet++) {
        say(&world, 0, next, 1 + packet % 30);
        next += 1 + packet % 30;
    }
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.next, next);
    assert_int_equal(world.batches, 1000);
    assert_false(subscriber_is_complete(world.subscriber));
    say_end(&world, 0, next);
    assert_int_equal(world_run(&world), 0);
    assert_true(subscriber_is_complete(world.subscriber));
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_string_equal(stats.session, "SESSION");
    assert_int_equal(stats.next_sequence, next);
    assert_int_equal(stats.heard, next - 1);
    assert_int_equal(stats.messages, next - 1);
    assert_int_equal(stats.packets, 1000);
    assert_int_equal(stats.lines[0].packets, 1001);
    assert_int_equal(stats.lines[0].first, 1000);
    assert_int_equal(stats.lines[0].messages, next - 1);
    assert_int_equal(stats.lines[0].dropped, 7);
    assert_int_equal(stats.requests + stats.gaps + stats.early + world.requests, 0);
    assert_true(stats.is_ended);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
