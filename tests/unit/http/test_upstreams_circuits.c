/* SPDX-License-Identifier: MIT */
/*
 * When an upstream is left alone and how it comes back: circuits, slow start, and what retries may
 * cost.
 */
#include "upstreams_group.h"

#include <limits.h>

#include "base/random.h"

/* ---- Circuits -------------------------------------------------------------------------------- */

static void a_run_of_failures_opens(void **state)
{
    struct group group;
    group_open(&group, 1, (struct upstreams_options){.failures_max = 3});
    request(&group, UPSTREAM_FAILED);
    request(&group, UPSTREAM_FAILED);
    request(&group, UPSTREAM_ANSWERED); /* the run is over */
    request(&group, UPSTREAM_FAILED);
    request(&group, UPSTREAM_FAILED);
    assert_int_equal(state_at(&group, 0), UPSTREAM_UP);
    request(&group, UPSTREAM_FAILED);
    assert_int_equal(state_at(&group, 0), UPSTREAM_OPEN);
    assert_int_equal(view_of(&group, 0).opened_circuits, 1);
    assert_int_equal(view_of(&group, 0).failures, 5);
    assert_int_equal(nobody_for_ms(&group), 50); /* of a second: it is alone */
    pass_ms(&group, 30);
    assert_int_equal(nobody_for_ms(&group), 20);
    group_close(&group);
}

/* 503 of all of them is what the clients get, and not our own: the last is never left alone. */
static void bad_answers_are_better_than_none(void **state)
{
    struct group group;
    unsigned up = 0;
    group_open(&group, 3, (struct upstreams_options){.failures_max = 2});
    for (unsigned count = 0; count < 1000; count++)
        request(&group, UPSTREAM_ERRED);
    for (unsigned index = 0; index < 3; index++)
        up += state_at(&group, index) == UPSTREAM_UP;
    assert_int_equal(up, 1);
    for (unsigned index = 0; index < 3; index++)
        if (state_at(&group, index) == UPSTREAM_UP)
            break_one(&group, index);
    nobody_for_ms(&group);
    pass_ms(&group, 60 * 1000); /* they answer again, badly, which is enough for the first */
    request(&group, UPSTREAM_ERRED);
    request(&group, UPSTREAM_ERRED);
    up = 0;
    for (unsigned index = 0; index < 3; index++)
        up += state_at(&group, index) == UPSTREAM_UP;
    assert_int_equal(up, 1);
    group_close(&group);
}

static void a_client_that_leaves_says_nothing(void **state)
{
    struct group group;
    group_open(&group, 1, (struct upstreams_options){.failures_max = 2});
    request(&group, UPSTREAM_FAILED);
    struct upstreams_attempt attempt = repeatable;
    assert_int_equal(choose(&group, &attempt), 0);
    end(&group, &attempt);
    assert_int_equal(state_at(&group, 0), UPSTREAM_UP);
    assert_int_equal(view_of(&group, 0).failures, 1);
    request(&group, UPSTREAM_FAILED); /* the second in a row all the same */
    assert_int_equal(state_at(&group, 0), UPSTREAM_OPEN);
    group_close(&group);
}

static void broken_answers_are_failures(void **state)
{
    struct group group;
    group_open(&group, 1, (struct upstreams_options){.failures_max = 3});
    for (unsigned count = 0; count < 3; count++) {
        struct upstreams_attempt attempt = repeatable;
        assert_int_equal(choose(&group, &attempt), 0);
        tell(&group, &attempt, UPSTREAM_ANSWERED);
        finish(&group, &attempt, UPSTREAM_FAILED);
    }
    assert_int_equal(state_at(&group, 0), UPSTREAM_OPEN);
    group_close(&group);
}

static void one_at_a_time_probes(void **state)
{
    struct group group;
    struct upstreams_attempt first = repeatable, second = repeatable;
    group_open(&group, 1, (struct upstreams_options){0});
    break_one(&group, 0);
    pass_ms(&group, 49);
    assert_int_equal(choose(&group, &first), -1);
    pass_ms(&group, 1);
    assert_int_equal(choose(&group, &first), 0);
    assert_int_equal(state_at(&group, 0), UPSTREAM_PROBING);
    assert_int_equal(choose(&group, &second), -1);
    /* Nothing is known yet, and now nothing will be: the next may try at once. */
    end(&group, &first);
    assert_int_equal(state_at(&group, 0), UPSTREAM_OPEN);
    first = repeatable;
    assert_int_equal(choose(&group, &first), 0);
    assert_int_equal(choose(&group, &second), -1);
    /* It is kept waiting: another may try, and what comes of the first changes nothing any more. */
    pass_ms(&group, 1001);
    assert_int_equal(choose(&group, &second), 0);
    finish(&group, &first, UPSTREAM_FAILED);
    assert_int_equal(state_at(&group, 0), UPSTREAM_PROBING);
    tell(&group, &second, UPSTREAM_ANSWERED); /* its body may take an hour */
    assert_int_equal(state_at(&group, 0), UPSTREAM_UP);
    end(&group, &second);
    assert_int_equal(view_of(&group, 0).in_flight, 0);
    group_close(&group);
}

/* The first of two is broken and is probed after `ms`, not earlier. */
static void expect_probe_after_ms(struct group *group, int64_t ms, enum upstream_outcome outcome)
{
    pass_ms(group, ms - 1);
    for (unsigned count = 0; count < 20; count++)
        assert_int_equal(request(group, UPSTREAM_ANSWERED), 1);
    pass_ms(group, 1);
    assert_int_equal(request(group, outcome), 0);
}

static void an_open_circuit_waits_longer_each_time(void **state)
{
    struct group group;
    group_open(&group, 2, (struct upstreams_options){.open_max_ms = 10 * 1000});
    break_one(&group, 0);
    expect_probe_after_ms(&group, 1000, UPSTREAM_FAILED);
    expect_probe_after_ms(&group, 2000, UPSTREAM_ERRED);
    expect_probe_after_ms(&group, 4000, UPSTREAM_FAILED);
    expect_probe_after_ms(&group, 8000, UPSTREAM_FAILED);
    expect_probe_after_ms(&group, 10000, UPSTREAM_FAILED);
    assert_int_equal(view_of(&group, 0).opened_circuits, 1);
    expect_probe_after_ms(&group, 10000, UPSTREAM_ANSWERED);
    assert_int_equal(state_at(&group, 0), UPSTREAM_UP);
    break_one(&group, 0); /* and from the beginning */
    expect_probe_after_ms(&group, 1000, UPSTREAM_FAILED);
    expect_probe_after_ms(&group, 2000, UPSTREAM_ANSWERED);
    group_close(&group);
}

/* After a twentieth of its time. */
static void who_is_alone_is_probed_early(void **state)
{
    static const int64_t waits_ms[] = {50, 100, 200, 400, 500, 500};
    struct group group;
    group_open(&group, 1, (struct upstreams_options){.open_max_ms = 10 * 1000});
    break_one(&group, 0);
    for (unsigned round = 0; round < 6; round++) {
        assert_int_equal(nobody_for_ms(&group), waits_ms[round]);
        pass_ms(&group, waits_ms[round]);
        request(&group, UPSTREAM_FAILED);
    }
    pass_ms(&group, 500);
    request(&group, UPSTREAM_ANSWERED);
    assert_int_equal(state_at(&group, 0), UPSTREAM_UP);
    /* By who has been failed by it, too, for there is nobody else. */
    struct upstreams_attempt attempt = repeatable;
    for (unsigned round = 0; round < 5; round++) {
        assert_int_equal(choose(&group, &attempt), 0);
        finish(&group, &attempt, UPSTREAM_FAILED);
    }
    assert_int_equal(choose(&group, &attempt), -1);
    pass_ms(&group, 50);
    assert_int_equal(choose(&group, &attempt), 0);
    finish(&group, &attempt, UPSTREAM_ANSWERED);
    group_close(&group);
}

static void the_last_are_probed_early(void **state)
{
    struct group group;
    struct upstreams_attempt probe = repeatable;
    group_open(&group, 2, (struct upstreams_options){0});
    break_one(&group, 1);
    pass_ms(&group, 900);
    break_one(&group, 0); /* 1 has been away for so long that it may be back */
    assert_int_equal(choose(&group, &probe), 1);
    assert_int_equal(nobody_for_ms(&group), 20); /* it will soon be known */
    finish(&group, &probe, UPSTREAM_FAILED);
    assert_int_equal(nobody_for_ms(&group), 50);
    pass_ms(&group, 50);
    assert_int_equal(request(&group, UPSTREAM_ANSWERED), 0);
    /* Somebody is up: no hurry any more. */
    pass_ms(&group, 1800);
    for (unsigned count = 0; count < 20; count++)
        assert_int_equal(request(&group, UPSTREAM_ANSWERED), 0);
    /* But for who has been failed by that one. */
    probe = repeatable;
    assert_int_equal(choose(&group, &probe), 0);
    finish(&group, &probe, UPSTREAM_FAILED);
    assert_int_equal(choose(&group, &probe), 1);
    finish(&group, &probe, UPSTREAM_ANSWERED);
    assert_int_equal(state_at(&group, 1), UPSTREAM_UP);
    group_close(&group);
}

/* Who may be lost does not find out, and who has been refused once already neither, as long as
 * there is somebody who is up. */
static void who_probes_can_be_repeated(void **state)
{
    struct group group;
    group_open(&group, 2, (struct upstreams_options){0});
    break_one(&group, 1);
    pass_ms(&group, 2000);
    struct upstreams_attempt attempt = {.is_repeatable = false};
    assert_int_equal(choose(&group, &attempt), 0);
    finish(&group, &attempt, UPSTREAM_ANSWERED);
    break_one(&group, 0);
    pass_ms(&group, 500); /* only 1 is due */
    attempt = (struct upstreams_attempt){.is_repeatable = false};
    assert_int_equal(choose(&group, &attempt), 1); /* better than nobody */
    finish(&group, &attempt, UPSTREAM_ANSWERED);
    assert_int_equal(state_at(&group, 1), UPSTREAM_UP);

    pass_ms(&group, 5000); /* 0 is due */
    struct upstreams_attempt first = repeatable;
    assert_int_equal(choose(&group, &first), 0);
    finish(&group, &first, UPSTREAM_FAILED);
    pass_ms(&group, 5000);
    assert_int_equal(choose(&group, &first), 1); /* though 0 is due again */
    end(&group, &first);
    group_close(&group);
}

/* What was asked before the circuit opened says nothing about who has come back since. */
static void old_failures_do_not_count(void **state)
{
    struct group group;
    struct upstreams_attempt old[8];
    group_open(&group, 1, (struct upstreams_options){.failures_max = 3});
    for (unsigned index = 0; index < 8; index++) {
        old[index] = repeatable;
        assert_int_equal(choose(&group, &old[index]), 0);
    }
    for (unsigned index = 0; index < 4; index++)
        finish(&group, &old[index], UPSTREAM_FAILED);
    assert_int_equal(nobody_for_ms(&group), 50);
    pass_ms(&group, 50);
    request(&group, UPSTREAM_ANSWERED);
    for (unsigned index = 4; index < 8; index++)
        finish(&group, &old[index], UPSTREAM_FAILED);
    assert_int_equal(state_at(&group, 0), UPSTREAM_UP);
    assert_int_equal(view_of(&group, 0).opened_circuits, 1);
    assert_int_equal(view_of(&group, 0).failures, 8);
    group_close(&group);
}

static void others_carry_on(void **state)
{
    struct group group;
    group_open(&group, 3, (struct upstreams_options){0});
    break_one(&group, 2);
    const uint64_t before = view_of(&group, 2).requests;
    for (unsigned count = 0; count < 1000; count++)
        assert_int_not_equal(request(&group, UPSTREAM_ANSWERED), 2);
    assert_int_equal(view_of(&group, 2).requests, before);
    pass_ms(&group, 1001);
    assert_int_equal(request(&group, UPSTREAM_FAILED), 2); /* one, and one only */
    for (unsigned count = 0; count < 1000; count++)
        assert_int_not_equal(request(&group, UPSTREAM_ANSWERED), 2);
    group_close(&group);
}

/* ---- Slow start ------------------------------------------------------------------------------ */

static unsigned share_of(struct group *group, unsigned index, unsigned requests)
{
    const uint64_t before = view_of(group, index).requests;
    for (unsigned count = 0; count < requests; count++)
        request(group, UPSTREAM_ANSWERED);
    return (unsigned)(view_of(group, index).requests - before);
}

static void who_comes_back_starts_slowly(void **state)
{
    struct group group;
    group_open(&group, 4, (struct upstreams_options){.slow_start_ms = 10 * 1000});
    assert_in_range(share_of(&group, 1, 10000), 2300, 2700); /* not at the very beginning */
    break_one(&group, 1);
    pass_ms(&group, 1000);
    while (state_at(&group, 1) != UPSTREAM_UP)
        request(&group, UPSTREAM_ANSWERED);
    assert_in_range(share_of(&group, 1, 10000), 0, 10);
    pass_ms(&group, 1000);
    assert_in_range(share_of(&group, 1, 10000), 200, 300); /* a tenth of 2,500 */
    pass_ms(&group, 4000);
    assert_in_range(share_of(&group, 1, 10000), 1100, 1700);
    pass_ms(&group, 5000);
    assert_in_range(share_of(&group, 1, 10000), 2300, 2700);
    group_close(&group);
}

static void who_is_alone_gets_all(void **state)
{
    struct group group;
    group_open(&group, 1, (struct upstreams_options){.slow_start_ms = 10 * 1000});
    break_one(&group, 0);
    pass_ms(&group, 1000);
    for (unsigned count = 0; count < 100; count++)
        assert_int_equal(request(&group, UPSTREAM_ANSWERED), 0);
    group_close(&group);
}

/* A key that has come home stays there: it is not drawn anew for each request. */
static void keys_come_home_once(void **state)
{
    enum { SOME = 2000 };
    bool is_home[SOME] = {false};
    struct group group;
    group_open(&group, 3,
               (struct upstreams_options){.balance = UPSTREAMS_BY_HASH, .slow_start_ms = 10000});
    for (unsigned key = 0; state_at(&group, 0) == UPSTREAM_UP; key++) {
        struct upstreams_attempt attempt = {.key = random_mix(key)};
        const int index = choose(&group, &attempt);
        finish(&group, &attempt, index == 0 ? UPSTREAM_FAILED : UPSTREAM_ANSWERED);
    }
    pass_ms(&group, 1000);
    for (unsigned key = 0; state_at(&group, 0) != UPSTREAM_UP; key++)
        request_by_key(&group, key);
    unsigned home = 0;
    for (unsigned step = 0; step < 10; step++) {
        const unsigned before = home;
        pass_ms(&group, 1000);
        for (unsigned key = 0; key < SOME; key++) {
            const bool is_there = request_by_key(&group, key) == 0;
            assert_true(is_there || !is_home[key]);
            home += is_there && !is_home[key];
            is_home[key] = is_there;
        }
        assert_in_range(home - before, SOME / 30 / 2, SOME / 30 * 2);
    }
    assert_in_range(home, SOME / 3 * 9 / 10, SOME / 3 * 11 / 10);
    group_close(&group);
}

/* ---- Retries --------------------------------------------------------------------------------- */

static unsigned retries_granted(struct group *group)
{
    unsigned count = 0;
    while (upstreams_may_retry(group->upstreams, group->now_ns))
        assert_true(++count < 1000000);
    return count;
}

static void retries_have_a_budget(void **state)
{
    struct group group;
    group_open(&group, 2,
               (struct upstreams_options){.retry_percent = 25, .retries_per_s = UINT_MAX});
    assert_int_equal(retries_granted(&group), 0);
    for (unsigned count = 0; count < 1000; count++)
        upstreams_note_request(group.upstreams, group.now_ns);
    assert_int_equal(retries_granted(&group), 250);
    pass_ms(&group, 3000);
    assert_int_equal(retries_granted(&group), 0);
    for (unsigned count = 0; count < 100; count++)
        upstreams_note_request(group.upstreams, group.now_ns);
    assert_int_equal(retries_granted(&group), 25);
    pass_ms(&group, 5000); /* the first second is eight seconds ago: it and its retries are gone */
    assert_int_equal(retries_granted(&group), 0);
    pass_ms(&group, 3600 * 1000);
    assert_int_equal(retries_granted(&group), 0);
    group_close(&group);
}

static void a_few_retries_are_free(void **state)
{
    struct group group;
    group_open(&group, 2,
               (struct upstreams_options){.retry_percent = UINT_MAX, .retries_per_s = 5});
    for (unsigned count = 0; count < 1000; count++)
        upstreams_note_request(group.upstreams, group.now_ns);
    assert_int_equal(retries_granted(&group), 5 * 8);
    pass_ms(&group, 4000);
    assert_int_equal(retries_granted(&group), 0);
    pass_ms(&group, 4000);
    assert_int_equal(retries_granted(&group), 5 * 8);
    group_close(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_of_failures_opens),
        cmocka_unit_test(bad_answers_are_better_than_none),
        cmocka_unit_test(a_client_that_leaves_says_nothing),
        cmocka_unit_test(broken_answers_are_failures),
        cmocka_unit_test(one_at_a_time_probes),
        cmocka_unit_test(an_open_circuit_waits_longer_each_time),
        cmocka_unit_test(who_is_alone_is_probed_early),
        cmocka_unit_test(the_last_are_probed_early),
        cmocka_unit_test(who_probes_can_be_repeated),
        cmocka_unit_test(old_failures_do_not_count),
        cmocka_unit_test(others_carry_on),
        cmocka_unit_test(who_comes_back_starts_slowly),
        cmocka_unit_test(who_is_alone_gets_all),
        cmocka_unit_test(keys_come_home_once),
        cmocka_unit_test(retries_have_a_budget),
        cmocka_unit_test(a_few_retries_are_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
