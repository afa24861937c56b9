/* SPDX-License-Identifier: MIT */
/*
 * What is believed of the way to a client, after what the kernel told. The responses that it
 * decides about are test_coding.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/way.h"

enum { RATE = 125 * 1000 * 1000 };

static void tell(struct way *way, double rate, bool is_limited)
{
    way_learn(
        way, &(struct leat_delivery){.rate_bytes_per_s = (uint64_t)rate, .is_limited = is_limited});
}

static void the_first_that_is_told_is_believed(void **state)
{
    struct way way = {0};
    (void)state;
    tell(&way, 0, true);
    assert_true(way.rate == 0);
    tell(&way, RATE, true);
    assert_true(way.rate == RATE && way.rate_full == 0);
    tell(&way, RATE / 2, false);
    assert_true(way.rate == RATE / 2 && way.rate_full == RATE / 2);
}

/* What a ratchet would make of lumps. */
static void lucky_measurements_do_not_pile_up(void **state)
{
    struct way way = {0};
    (void)state;
    tell(&way, RATE, false);
    for (unsigned count = 0; count < 100; count++)
        tell(&way, RATE * 1.75, true);
    assert_true(way.rate > RATE && way.rate <= RATE * 1.1F);
    tell(&way, RATE / 4.0, true); /* it was limited: nothing to learn */
    assert_true(way.rate > RATE);
    for (unsigned count = 0; count < 20; count++)
        tell(&way, RATE, false);
    assert_true(way.rate < RATE * 1.001F && way.rate > RATE * 0.999F);
}

static void a_small_answer_measures_too_little(void **state)
{
    struct way way = {0};
    (void)state;
    tell(&way, RATE / 20.0, true);
    tell(&way, RATE, true);
    assert_true(way.rate == RATE);
    tell(&way, RATE * 1.5, true);
    assert_true(way.rate > RATE && way.rate < RATE * 1.1F);
}

static void a_way_that_became_slower_is_noticed(void **state)
{
    struct way way = {0};
    (void)state;
    tell(&way, RATE, false);
    for (unsigned count = 0; count < 10; count++)
        tell(&way, RATE / 10.0, false);
    assert_true(way.rate < RATE / 6.0F && way.rate >= RATE / 10.0F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_is_told_is_believed),
        cmocka_unit_test(lucky_measurements_do_not_pile_up),
        cmocka_unit_test(a_small_answer_measures_too_little),
        cmocka_unit_test(a_way_that_became_slower_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
