/* SPDX-License-Identifier: MIT */
/*
 * Batches: answers in order, both policies, how many at once, and every way to be cut short.
 */
#include "fiber/scheduler.h"
#include "run.h"

enum { CALLS = 8 };

struct job {
    int64_t sleep_ms;
    int answer; /* when it has slept undisturbed */
    int runs;
};

static int running, running_peak;

static int do_job(void *arg)
{
    struct job *job = arg;
    job->runs++;
    running++;
    if (running > running_peak)
        running_peak = running;
    const int result = leat_sleep_ms(job->sleep_ms);
    running--;
    return result ? result : job->answer;
}

static struct job jobs[CALLS];
static struct leat_call calls[CALLS];

/* Job i sleeps CALLS - i ms, so that they end in reverse, and answers 10 + i. */
static void prepare(void)
{
    running = running_peak = 0;
    for (int i = 0; i < CALLS; i++) {
        jobs[i] = (struct job){.sleep_ms = CALLS - i, .answer = 10 + i};
        calls[i] = (struct leat_call){.fn = do_job, .arg = &jobs[i], .result = 99};
    }
}

static int answers_body(void *unused)
{
    static const size_t parallel[] = {0, 1, 3, CALLS, 100};
    for (size_t p = 0; p < sizeof parallel / sizeof parallel[0]; p++) {
        prepare();
        const struct leat_gather_options options = {.parallel_max = parallel[p]};
        assert_int_equal(leat_gather(calls, CALLS, &options), 0);
        for (int i = 0; i < CALLS; i++) {
            assert_int_equal(calls[i].result, 10 + i);
            assert_int_equal(jobs[i].runs, 1);
        }
        const int most = parallel[p] && parallel[p] < CALLS ? (int)parallel[p] : CALLS;
        assert_int_equal(running_peak, most);
    }
    prepare();
    assert_int_equal(leat_gather(calls, CALLS, NULL), 0);
    assert_int_equal(leat_gather(NULL, 0, NULL), 0);
    return 0;
}
FIBER_TEST(answers)

/* The first failure is the first in time: job 6 after 2 ms, before job 2 after 6. */
static void prepare_failures(void)
{
    prepare();
    jobs[2].answer = -EIO;
    jobs[6].answer = -ENOENT;
}

static int cancel_policy_body(void *unused)
{
    prepare_failures();
    for (int i = 0; i < 6; i++)
        jobs[i].sleep_ms = 5000;
    assert_int_equal(leat_gather(calls, CALLS, NULL), -ENOENT);
    for (int i = 0; i < 6; i++)
        assert_int_equal(calls[i].result, -ECANCELED);
    assert_int_equal(calls[6].result, -ENOENT);
    assert_int_equal(calls[7].result, 17);
    assert_int_equal(running, 0);
    return 0;
}
FIBER_TEST(cancel_policy)

static int wait_policy_body(void *unused)
{
    prepare_failures();
    const struct leat_gather_options options = {.on_error = LEAT_GATHER_WAIT};
    assert_int_equal(leat_gather(calls, CALLS, &options), -ENOENT);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].result, i == 2 ? -EIO : i == 6 ? -ENOENT : 10 + i);
    return 0;
}
FIBER_TEST(wait_policy)

/* What was never begun says so, and does not run. */
static int never_begun_body(void *unused)
{
    prepare();
    jobs[1].answer = -EIO;
    const struct leat_gather_options options = {.parallel_max = 1};
    assert_int_equal(leat_gather(calls, CALLS, &options), -EIO);
    assert_int_equal(calls[0].result, 10);
    assert_int_equal(calls[1].result, -EIO);
    for (int i = 2; i < CALLS; i++) {
        assert_int_equal(calls[i].result, -ECANCELED);
        assert_int_equal(jobs[i].runs, 0);
    }
    return 0;
}
FIBER_TEST(never_begun)

static int deadline_body(void *unused)
{
    for (int policy = LEAT_GATHER_CANCEL; policy <= LEAT_GATHER_WAIT; policy++) {
        prepare();
        for (int i = 0; i < 4; i++)
            jobs[i].sleep_ms = 5000;
        const struct leat_gather_options options = {.on_error = (enum leat_gather_policy)policy,
                                                    .deadline_ns = leat_after_ms(20)};
        assert_int_equal(leat_gather(calls, CALLS, &options), -ETIMEDOUT);
        for (int i = 0; i < CALLS; i++)
            assert_int_equal(calls[i].result, i < 4 ? -ECANCELED : 10 + i);
    }
    /* passed already: nothing is begun */
    prepare();
    const struct leat_gather_options passed = {.deadline_ns = 1};
    assert_int_equal(leat_gather(calls, CALLS, &passed), -ETIMEDOUT);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].result, -ECANCELED);
        assert_int_equal(jobs[i].runs, 0);
    }
    return 0;
}
FIBER_TEST(deadline)

static void gather_as_child(void *arg)
{
    const struct leat_gather_options options = {.on_error = LEAT_GATHER_WAIT, .parallel_max = 6};
    *(int *)arg = leat_gather(calls, CALLS, &options);
}

static int caller_cancelled_body(void *unused)
{
    struct leat_scope scope;
    int result = 1;
    prepare();
    for (int i = 0; i < CALLS; i++)
        jobs[i].sleep_ms = i == 3 ? 0 : 5000;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, gather_as_child, &result, NULL), 0);
    assert_int_equal(leat_sleep_ms(5), 0);
    leat_scope_fini(&scope);
    assert_int_equal(result, -ECANCELED);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].result, i == 3 ? 13 : -ECANCELED);
        assert_int_equal(jobs[i].runs, i < 7);
    }
    return 0;
}
FIBER_TEST(caller_cancelled)

static void sleep_forever(void *unused)
{
    assert_int_equal(leat_sleep_until(LEAT_FOREVER), -ECANCELED);
}

/* All stacks that exist are in use but four, and there are to be no more. */
static int spawn_failure_body(void *unused)
{
    struct scheduler *scheduler = scheduler_of(leat_loop_current());
    const size_t count_max = scheduler->stacks.count_max;
    for (int policy = LEAT_GATHER_CANCEL; policy <= LEAT_GATHER_WAIT; policy++) {
        struct leat_scope scope;
        struct fiber_counters counters;
        prepare();
        scheduler->stacks.count_max = scheduler->stacks.count;
        const size_t spare = scheduler->stacks.count - 1;
        leat_scope_init(&scope);
        for (size_t i = 0; i < spare - 4; i++)
            assert_int_equal(leat_spawn(&scope, sleep_forever, NULL, NULL), 0);
        const struct leat_gather_options options = {.on_error = (enum leat_gather_policy)policy};
        assert_int_equal(leat_gather(calls, CALLS, &options), -ENOMEM);
        for (int i = 0; i < CALLS; i++) {
            const bool has_run = policy == LEAT_GATHER_WAIT && i < 4;
            assert_int_equal(jobs[i].runs, has_run);
            assert_int_equal(calls[i].result, has_run ? 10 + i : i == 4 ? -ENOMEM : -ECANCELED);
        }
        fiber_counters_read(leat_loop_current(), &counters);
        assert_int_equal(counters.fibers, 1 + spare - 4);
        leat_scope_fini(&scope);
        scheduler->stacks.count_max = count_max;
    }
    return 0;
}
FIBER_TEST(spawn_failure)

static int gather_inside(void *arg)
{
    struct leat_call inner[2] = {{.fn = do_job, .arg = &jobs[0]}, {.fn = do_job, .arg = &jobs[1]}};
    const int result = leat_gather(inner, 2, NULL);
    return result ? result : inner[0].result + inner[1].result;
}

static int nested_body(void *unused)
{
    prepare();
    struct leat_call outer[2] = {{.fn = gather_inside}, {.fn = gather_inside}};
    assert_int_equal(leat_gather(outer, 2, NULL), 0);
    assert_int_equal(outer[0].result, 21);
    assert_int_equal(outer[1].result, 21);
    return 0;
}
FIBER_TEST(nested)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_cancel_policy),
        cmocka_unit_test(test_wait_policy),   cmocka_unit_test(test_never_begun),
        cmocka_unit_test(test_deadline),      cmocka_unit_test(test_caller_cancelled),
        cmocka_unit_test(test_spawn_failure), cmocka_unit_test(test_nested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
