/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel, against a naive oracle that looks at every timer: never early, never a tick
 * late, in the order of ticks, whatever is started, moved and stopped, from inside callbacks too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "leat/clock.h"
#include "loop/timer.h"

enum { TICK_NS = 1 << TIMER_TICK_BITS, SPIED_MAX = 200 };

/* A timer, and what the oracle knows of it. */
struct spied {
    struct timer timer;
    struct oracle *oracle;
    bool is_running;
    uint64_t tick; /* at which it must fire */
    unsigned fired;
};

struct oracle {
    struct timer_wheel wheel;
    struct random random;
    int64_t now_ns;
    uint64_t last_tick; /* of what this advance has fired */
    bool acts;          /* callbacks start and stop timers */
    unsigned count, fired;
    struct spied spied[SPIED_MAX];
};

static uint64_t tick_of(int64_t ns)
{
    return (uint64_t)ns >> TIMER_TICK_BITS;
}

static void oracle_start(struct oracle *oracle, struct spied *spied, int64_t deadline_ns)
{
    const uint64_t now = tick_of(oracle->now_ns);
    timer_start(&oracle->wheel, &spied->timer, deadline_ns);
    spied->is_running = deadline_ns != LEAT_FOREVER;
    spied->tick = deadline_ns <= 0 ? 0 : ((uint64_t)deadline_ns + TICK_NS - 1) >> TIMER_TICK_BITS;
    if (spied->tick < now)
        spied->tick = now;
}

static void oracle_stop(struct oracle *oracle, struct spied *spied)
{
    timer_stop(&oracle->wheel, &spied->timer);
    spied->is_running = false;
}

/* From the past to beyond what a wheel of 42 bits holds. */
static int64_t some_deadline(struct oracle *oracle)
{
    const uint64_t span = UINT64_C(1) << random_between(&oracle->random, 0, 60);
    const int64_t delay_ns = (int64_t)random_below(&oracle->random, span);
    if (random_chance(&oracle->random, 50000))
        return LEAT_FOREVER;
    if (random_chance(&oracle->random, 100000))
        return oracle->now_ns > delay_ns ? oracle->now_ns - delay_ns : -delay_ns;
    return oracle->now_ns < LEAT_FOREVER - delay_ns ? oracle->now_ns + delay_ns : LEAT_FOREVER;
}

static struct spied *some_timer(struct oracle *oracle)
{
    return &oracle->spied[random_below(&oracle->random, oracle->count)];
}

static void on_fire(struct timer *timer)
{
    struct spied *spied = CONTAINER_OF(timer, struct spied, timer);
    struct oracle *oracle = spied->oracle;
    assert_true(spied->is_running);
    assert_false(timer->is_running);
    assert_true(spied->tick <= tick_of(oracle->now_ns));
    assert_true(spied->tick >= oracle->last_tick);
    oracle->last_tick = spied->tick;
    oracle->fired++;
    spied->is_running = false;
    spied->fired++;
    if (!oracle->acts)
        return;
    switch (random_below(&oracle->random, 4)) {
    case 0: oracle_start(oracle, spied, some_deadline(oracle)); break;
    case 1: oracle_start(oracle, some_timer(oracle), some_deadline(oracle)); break;
    case 2: oracle_stop(oracle, some_timer(oracle)); break;
    default: break;
    }
}

static void oracle_init(struct oracle *oracle, uint64_t seed, int64_t now_ns, unsigned count)
{
    oracle->now_ns = now_ns;
    oracle->count = count;
    oracle->acts = seed % 2;
    oracle->fired = 0;
    random_init(&oracle->random, seed);
    timer_wheel_init(&oracle->wheel, now_ns);
    for (unsigned index = 0; index < count; index++) {
        oracle->spied[index] = (struct spied){.oracle = oracle};
        timer_init(&oracle->spied[index].timer, on_fire);
    }
}

/* Nothing that is due was left, and next_ns is not later than what comes first. `settled`: no
 * callback has started anything since. */
static void check(struct oracle *oracle, bool is_settled)
{
    uint64_t running = 0, first = UINT64_MAX;
    for (unsigned index = 0; index < oracle->count; index++) {
        const struct spied *spied = &oracle->spied[index];
        assert_int_equal(spied->is_running, spied->timer.is_running);
        if (!spied->is_running)
            continue;
        running++;
        if (is_settled)
            assert_true(spied->tick > tick_of(oracle->now_ns));
        if (spied->tick < first)
            first = spied->tick;
    }
    assert_int_equal(oracle->wheel.count, running);
    const int64_t next_ns = timer_wheel_next_ns(&oracle->wheel);
    if (running == 0)
        assert_true(next_ns == LEAT_FOREVER);
    else if (first <= (uint64_t)INT64_MAX >> TIMER_TICK_BITS)
        assert_true(next_ns >= 0 && tick_of(next_ns) <= first);
}

static void advance(struct oracle *oracle, int64_t now_ns)
{
    assert_true(now_ns >= oracle->now_ns);
    oracle->now_ns = now_ns;
    oracle->last_tick = 0;
    timer_wheel_advance(&oracle->wheel, now_ns);
    check(oracle, !oracle->acts);
}

static void play(uint64_t seed, int64_t now_ns)
{
    static struct oracle oracle;
    oracle_init(&oracle, seed, now_ns, 1 + (unsigned)(seed % SPIED_MAX));
    for (unsigned step = 0; step < 200; step++) {
        const uint64_t dice = random_below(&oracle.random, 10);
        if (dice < 5) {
            oracle_start(&oracle, some_timer(&oracle), some_deadline(&oracle));
        } else if (dice < 6) {
            oracle_stop(&oracle, some_timer(&oracle));
        } else if (dice < 8) {
            const int64_t next_ns = timer_wheel_next_ns(&oracle.wheel);
            if (next_ns != LEAT_FOREVER)
                advance(&oracle, next_ns > oracle.now_ns ? next_ns : oracle.now_ns);
        } else {
            const uint64_t span = UINT64_C(1) << random_between(&oracle.random, 0, 50);
            const int64_t delay_ns = (int64_t)random_below(&oracle.random, span);
            if (oracle.now_ns < LEAT_FOREVER - delay_ns)
                advance(&oracle, oracle.now_ns + delay_ns);
        }
    }
    timer_wheel_fini(&oracle.wheel);
}

static void agrees_with_the_oracle(void **state)
{
    for (uint64_t seed = 0; seed < 2000; seed++)
        play(seed, (int64_t)(seed * 12345678));
}

/* A host may be up for long, and a deadline far away: at every boundary of a level. */
static void agrees_at_the_boundaries(void **state)
{
    for (int bit = TIMER_TICK_BITS; bit < 62; bit++)
        for (uint64_t seed = 0; seed < 40; seed++)
            play(seed, (int64_t)((UINT64_C(1) << bit) - (seed < 20 ? 0 : seed * 1000)));
}

/* What next_ns promises leads to each deadline in a few steps, and never stands still. */
static void next_leads_to_the_deadline(void **state)
{
    static struct oracle oracle;
    for (int bit = 0; bit < 62; bit++) {
        oracle_init(&oracle, 0, 123456789, 1);
        const int64_t deadline_ns = oracle.now_ns + (INT64_C(1) << bit);
        oracle_start(&oracle, &oracle.spied[0], deadline_ns);
        for (unsigned steps = 0; oracle.fired == 0; steps++) {
            const int64_t next_ns = timer_wheel_next_ns(&oracle.wheel);
            assert_true(next_ns > oracle.now_ns && steps <= 9);
            advance(&oracle, next_ns);
        }
        assert_true(oracle.now_ns >= deadline_ns && oracle.now_ns < deadline_ns + TICK_NS);
        timer_wheel_fini(&oracle.wheel);
    }
}

/* The end of time: never reached, and no reason to wake up for. */
static void the_last_deadlines_never_come(void **state)
{
    static struct oracle oracle;
    oracle_init(&oracle, 0, 5 * LEAT_NS_PER_S, 3);
    oracle_start(&oracle, &oracle.spied[0], LEAT_FOREVER - 1);
    oracle_start(&oracle, &oracle.spied[1], LEAT_FOREVER - TICK_NS);
    oracle_start(&oracle, &oracle.spied[2], LEAT_FOREVER);
    assert_int_equal(oracle.wheel.count, 2);
    assert_true(timer_wheel_next_ns(&oracle.wheel) > oracle.now_ns);
    advance(&oracle, oracle.now_ns + LEAT_NS_PER_S);
    assert_int_equal(oracle.fired, 0);
    oracle_start(&oracle, &oracle.spied[1], LEAT_FOREVER); /* which stops it */
    assert_int_equal(oracle.wheel.count, 1);
    assert_true(timer_wheel_next_ns(&oracle.wheel) > oracle.now_ns);
    timer_wheel_fini(&oracle.wheel);
}

struct again {
    struct timer timer;
    struct timer_wheel *wheel;
    unsigned fired;
};

static void start_in_the_past(struct timer *timer)
{
    struct again *again = CONTAINER_OF(timer, struct again, timer);
    again->fired++;
    timer_start(again->wheel, timer, 1);
}

static void a_restart_in_the_past_waits_for_the_next_advance(void **state)
{
    struct timer_wheel wheel;
    struct again again = {.wheel = &wheel};
    timer_wheel_init(&wheel, LEAT_NS_PER_S);
    timer_init(&again.timer, start_in_the_past);
    timer_start(&wheel, &again.timer, 0);
    for (unsigned count = 1; count <= 3; count++) {
        assert_true(timer_wheel_next_ns(&wheel) <= LEAT_NS_PER_S); /* at once */
        timer_wheel_advance(&wheel, LEAT_NS_PER_S);
        assert_int_equal(again.fired, count);
    }
    timer_wheel_fini(&wheel);
}

struct killer {
    struct timer timer;
    struct timer_wheel *wheel;
    struct killer *other;
};

static void kill_the_other_and_myself(struct timer *timer)
{
    struct killer *killer = CONTAINER_OF(timer, struct killer, timer);
    assert_non_null(killer->other);
    timer_stop(killer->wheel, &killer->other->timer);
    free(killer->other);
    free(killer);
}

/* Two that are due at once: whichever fires first stops the other, and frees both. */
static void stopped_and_freed_while_both_are_due(void **state)
{
    struct timer_wheel wheel;
    struct killer *killers[2];
    timer_wheel_init(&wheel, 0);
    for (unsigned index = 0; index < 2; index++) {
        killers[index] = malloc(sizeof *killers[index]);
        timer_init(&killers[index]->timer, kill_the_other_and_myself);
        killers[index]->wheel = &wheel;
        timer_start(&wheel, &killers[index]->timer, LEAT_NS_PER_MS);
    }
    killers[0]->other = killers[1];
    killers[1]->other = killers[0];
    timer_wheel_advance(&wheel, LEAT_NS_PER_S);
    assert_int_equal(wheel.count, 0);
    assert_true(timer_wheel_next_ns(&wheel) == LEAT_FOREVER);
    timer_wheel_fini(&wheel);
}

static unsigned million_fired;

static void count_fire(struct timer *timer)
{
    million_fired++;
}

/* A million deadlines of up to a minute, started, moved and fired. Prints what it costs. */
static void a_million_timers(void **state)
{
    enum { MILLION = 1000000 };
    static struct timer_wheel wheel;
    struct random random;
    struct timer *timers = malloc(MILLION * sizeof *timers);
    assert_non_null(timers);
    random_init(&random, 1);
    timer_wheel_init(&wheel, 0);
    for (unsigned index = 0; index < MILLION; index++)
        timer_init(&timers[index], count_fire);
    const int64_t begin_ns = clock_now_ns();
    for (unsigned index = 0; index < MILLION; index++)
        timer_start(&wheel, &timers[index],
                    (int64_t)random_below(&random, 60 * (uint64_t)LEAT_NS_PER_S));
    const int64_t started_ns = clock_now_ns();
    for (unsigned index = 0; index < MILLION; index++)
        timer_start(&wheel, &timers[index],
                    (int64_t)random_below(&random, 60 * (uint64_t)LEAT_NS_PER_S));
    const int64_t moved_ns = clock_now_ns();
    for (int64_t now_ns = 0; now_ns <= 61 * LEAT_NS_PER_S; now_ns += LEAT_NS_PER_MS)
        timer_wheel_advance(&wheel, now_ns);
    const int64_t fired_ns = clock_now_ns();
    assert_int_equal(million_fired, MILLION);
    assert_int_equal(wheel.count, 0);
    print_message("# a million timers, ns each: start %.0f, move %.0f, fire %.0f\n",
                  (double)(started_ns - begin_ns) / MILLION,
                  (double)(moved_ns - started_ns) / MILLION,
                  (double)(fired_ns - moved_ns) / MILLION);
    free(timers);
    timer_wheel_fini(&wheel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_oracle),
        cmocka_unit_test(agrees_at_the_boundaries),
        cmocka_unit_test(next_leads_to_the_deadline),
        cmocka_unit_test(the_last_deadlines_never_come),
        cmocka_unit_test(a_restart_in_the_past_waits_for_the_next_advance),
        cmocka_unit_test(stopped_and_freed_while_both_are_due),
        cmocka_unit_test(a_million_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
