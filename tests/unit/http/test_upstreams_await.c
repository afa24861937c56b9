/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait while nobody may be asked: for a probe's outcome, not for long, and not too
 * many of them. In virtual time.
 */
#include "upstreams_group.h"

#include "leat/fiber.h"
#include "loop/loop.h"
#include "loop/sim.h"

enum { WAITERS = 10 };

/* A request in a fiber: it waits for an upstream, which takes a while to answer. */
struct waiter {
    struct group *group;
    struct upstreams_attempt attempt;
    int64_t deadline_ms, answer_ms;
    enum upstream_outcome outcome;
    int index; /* who was asked; -1: nobody */
    int64_t waited_ms, retry_after_ms;
    bool has_ended;
};

static void wait_and_ask(void *arg)
{
    struct waiter *waiter = arg;
    const int64_t begin_ns = leat_now_ns();
    const struct upstream *upstream =
        upstreams_await(waiter->group->upstreams, &waiter->attempt,
                        leat_after_ms(waiter->deadline_ms), &waiter->retry_after_ms);
    waiter->waited_ms = (leat_now_ns() - begin_ns) / LEAT_NS_PER_MS;
    waiter->index = upstream ? (int)upstream->index : -1;
    if (upstream) {
        leat_sleep_ms(waiter->answer_ms);
        upstreams_tell(waiter->group->upstreams, &waiter->attempt, waiter->outcome, leat_now_ns());
        upstreams_end(waiter->group->upstreams, &waiter->attempt);
    }
    waiter->has_ended = true;
}

struct house {
    struct leat_loop *loop;
    struct group group;
    struct leat_scope scope;
    struct waiter waiters[WAITERS];
};

static void house_open(struct house *house, unsigned upstreams, struct upstreams_options options)
{
    memset(house, 0, sizeof *house);
    loop_current = NULL; /* a test that failed has left its own behind */
    op_busy_count = 0;
    assert_int_equal(sim_loop_create(&(struct sim_options){.seed = 1}, &house->loop), 0);
    group_open(&house->group, upstreams, options);
    house->group.now_ns = leat_now_ns();
    leat_scope_init(&house->scope);
    for (unsigned index = 0; index < WAITERS; index++)
        house->waiters[index] = (struct waiter){.group = &house->group,
                                                .attempt = repeatable,
                                                .deadline_ms = 5000,
                                                .answer_ms = 30,
                                                .outcome = UPSTREAM_ANSWERED};
}

static void begin(struct house *house, unsigned first, unsigned count)
{
    for (unsigned index = first; index < first + count; index++)
        assert_int_equal(leat_spawn(&house->scope, wait_and_ask, &house->waiters[index], NULL), 0);
}

static void house_close(struct house *house)
{
    assert_int_equal(leat_loop_run(house->loop), 0);
    for (unsigned index = 0; index < upstreams_count(house->group.upstreams); index++)
        assert_int_equal(view_of(&house->group, index).in_flight, 0);
    leat_scope_fini(&house->scope);
    group_close(&house->group);
    leat_loop_destroy(house->loop);
}

/* One finds out, and the others go on as soon as it has. */
static void a_probe_is_waited_for(void **state)
{
    struct house house;
    unsigned early = 0;
    house_open(&house, 1, (struct upstreams_options){0});
    break_one(&house.group, 0);
    begin(&house, 0, WAITERS);
    assert_int_equal(leat_loop_run(house.loop), 0);
    for (unsigned index = 0; index < WAITERS; index++) {
        const struct waiter *waiter = &house.waiters[index];
        assert_int_equal(waiter->index, 0);
        assert_in_range(waiter->waited_ms, 50, 100); /* 50, 30 of the probe, and a look or two */
        early += waiter->waited_ms < 75;
    }
    assert_int_equal(early, 1);
    assert_int_equal(state_at(&house.group, 0), UPSTREAM_UP);
    house_close(&house);
}

static void nobody_waits_for_ever(void **state)
{
    struct house house;
    house_open(&house, 1, (struct upstreams_options){0});
    break_one(&house.group, 0);
    for (unsigned index = 0; index < WAITERS; index++)
        house.waiters[index].outcome = UPSTREAM_FAILED;
    house.waiters[9].deadline_ms = 20;
    begin(&house, 0, WAITERS);
    assert_int_equal(leat_loop_run(house.loop), 0);
    unsigned asked = 0;
    for (unsigned index = 0; index < WAITERS; index++) {
        asked += house.waiters[index].index == 0;
        assert_in_range(house.waiters[index].waited_ms, 0, 1010);
    }
    assert_in_range(asked, 3, 5); /* probes: after 50, 100, 200, 400 ms and so on */
    assert_int_equal(house.waiters[9].index, -1);
    assert_int_equal(house.waiters[9].waited_ms, 0); /* it knows that it is too early till then */
    house_close(&house);
}

static void waiters_have_a_limit(void **state)
{
    struct house house;
    house_open(&house, 1, (struct upstreams_options){.waiting_max = 3});
    break_one(&house.group, 0);
    begin(&house, 0, WAITERS);
    assert_int_equal(leat_loop_run(house.loop), 0);
    for (unsigned index = 0; index < WAITERS; index++) {
        assert_int_equal(house.waiters[index].index, index < 3 ? 0 : -1);
        assert_true(index < 3 || house.waiters[index].waited_ms == 0);
        assert_true(index < 3 || house.waiters[index].retry_after_ms == 50);
    }
    /* They have left: there is room for others. */
    house.group.now_ns = leat_now_ns();
    break_one(&house.group, 0);
    begin(&house, 4, 3);
    assert_int_equal(leat_loop_run(house.loop), 0);
    for (unsigned index = 4; index < 7; index++)
        assert_int_equal(house.waiters[index].index, 0);
    house_close(&house);
}

static void who_is_cancelled_waits_no_more(void **state)
{
    struct house house;
    house_open(&house, 1, (struct upstreams_options){0});
    break_one(&house.group, 0);
    begin(&house, 0, 1);
    assert_int_equal(leat_loop_run_once(house.loop, leat_after_ms(5)), 0);
    leat_scope_cancel(&house.scope);
    assert_int_equal(leat_loop_run(house.loop), 0);
    assert_true(house.waiters[0].has_ended);
    assert_int_equal(house.waiters[0].index, -1);
    assert_in_range(house.waiters[0].waited_ms, 0, 20);
    house_close(&house);
}

/* A pause before who has failed it already; none before somebody else. */
static void a_retry_of_the_same_pauses(void **state)
{
    static const int64_t pauses_ms[] = {0, 0, 40, 80};
    struct house house;
    house_open(&house, 2, (struct upstreams_options){.failures_max = 100});
    struct waiter *waiter = &house.waiters[0];
    waiter->outcome = UPSTREAM_FAILED;
    for (unsigned round = 0; round < 4; round++) {
        begin(&house, 0, 1);
        assert_int_equal(leat_loop_run(house.loop), 0);
        assert_true(waiter->index >= 0);
        assert_in_range(waiter->waited_ms, pauses_ms[round], pauses_ms[round] + 5);
    }
    assert_int_equal(waiter->attempt.count, 4);
    assert_int_equal(view_of(&house.group, 0).requests + view_of(&house.group, 1).requests, 4);
    assert_true(view_of(&house.group, 0).requests >= 1);
    assert_true(view_of(&house.group, 1).requests >= 1);
    house_close(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_is_waited_for),
        cmocka_unit_test(nobody_waits_for_ever),
        cmocka_unit_test(waiters_have_a_limit),
        cmocka_unit_test(who_is_cancelled_waits_no_more),
        cmocka_unit_test(a_retry_of_the_same_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
