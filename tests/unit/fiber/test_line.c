/* SPDX-License-Identifier: MIT */
/*
 * Fibers in line: first come, first served; who gives up is out of it; and on several loops at once
 * no call is lost, and nobody is called twice.
 */
#include "../engines.h"

#include <pthread.h>

#include "fiber/line.h"

enum { WAITERS = 3, LOOPS = 3, FIBERS = 20, ROUNDS = 50, TURNS = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- One loop -------------------------------------------------------------------------------- */

struct wait {
    struct line *line;
    int64_t deadline_ns;
    int result;
    bool was_called, has_ended;
};

static void wait_once(void *arg)
{
    struct wait *wait = arg;
    pthread_mutex_lock(&lock);
    wait->result = line_wait(wait->line, &lock, wait->deadline_ns, &wait->was_called);
    pthread_mutex_unlock(&lock);
    wait->has_ended = true;
}

static int order_fiber(void *unused)
{
    struct line line;
    struct wait waits[WAITERS];
    struct leat_scope scope;
    line_init(&line);
    assert_false(line_call(&line, 0));
    leat_scope_init(&scope);
    for (int index = 0; index < WAITERS; index++) {
        waits[index] = (struct wait){.line = &line, .deadline_ns = leat_after_ms(60 * 1000)};
        assert_int_equal(leat_spawn(&scope, wait_once, &waits[index], NULL), 0);
    }
    assert_int_equal(leat_sleep_ms(1), 0);
    for (int index = 0; index < WAITERS; index++) {
        assert_false(line_is_empty(&line));
        assert_false(waits[index].has_ended);
        assert_true(line_call(&line, -index));
        assert_int_equal(leat_sleep_ms(5), 0);
        assert_true(waits[index].has_ended && waits[index].was_called);
        assert_int_equal(waits[index].result, -index);
    }
    assert_true(line_is_empty(&line));
    leat_scope_fini(&scope);
    return 0;
}
FIBER_ENGINE_TEST(order)

static int giving_up_fiber(void *unused)
{
    struct line line;
    struct leat_scope scope;
    struct wait late = {.line = &line, .deadline_ns = leat_after_ms(10)},
                cancelled = {.line = &line, .deadline_ns = leat_after_ms(60 * 1000)};
    line_init(&line);
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, wait_once, &late, NULL), 0);
    assert_int_equal(leat_spawn(&scope, wait_once, &cancelled, NULL), 0);
    assert_int_equal(leat_sleep_ms(50), 0);
    assert_true(late.has_ended && !late.was_called && !cancelled.has_ended);
    assert_int_equal(late.result, -ETIMEDOUT);
    leat_scope_cancel(&scope);
    assert_int_equal(leat_scope_join(&scope, leat_after_ms(60 * 1000)), 0);
    assert_int_equal(cancelled.result, -ECANCELED);
    assert_false(cancelled.was_called);
    assert_true(line_is_empty(&line));
    leat_scope_fini(&scope);

    /* called and cancelled in one go: it says both */
    struct wait both = {.line = &line, .deadline_ns = leat_after_ms(60 * 1000)};
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, wait_once, &both, NULL), 0);
    assert_int_equal(leat_sleep_ms(1), 0);
    assert_true(line_call(&line, 0));
    leat_scope_cancel(&scope);
    assert_int_equal(leat_scope_join(&scope, leat_after_ms(60 * 1000)), 0);
    assert_true(both.was_called);
    assert_int_equal(both.result, -ECANCELED);
    leat_scope_fini(&scope);

    /* a deadline that has passed */
    wait_once(&(struct wait){.line = &line, .deadline_ns = leat_now_ns() - 1});
    assert_true(line_is_empty(&line));
    return 0;
}
FIBER_ENGINE_TEST(giving_up)

/* ---- Several loops --------------------------------------------------------------------------- */

/* Something that TURNS fibers may do at a time. */
static struct {
    struct line line;
    unsigned running, most;
    unsigned long done, missed;
} work;

static bool take_turn(int64_t deadline_ns)
{
    bool was_called = true;
    int error = 0;
    pthread_mutex_lock(&lock);
    if (work.running < TURNS)
        work.running++;
    else
        error = line_wait(&work.line, &lock, deadline_ns, &was_called);
    if (error && was_called && !line_call(&work.line, 0))
        work.running--;
    work.most = work.running > work.most ? work.running : work.most;
    work.done += error == 0;
    work.missed += error != 0;
    pthread_mutex_unlock(&lock);
    return error == 0;
}

static void give_turn(void)
{
    pthread_mutex_lock(&lock);
    if (!line_call(&work.line, 0))
        work.running--;
    pthread_mutex_unlock(&lock);
}

static void take_turns(void *arg)
{
    const unsigned number = *(const unsigned *)arg;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const bool is_patient = (number + round) % 3 != 0;
        if (!take_turn(leat_now_ns() + (is_patient ? 60 * LEAT_NS_PER_S : 200 * LEAT_NS_PER_US)))
            continue;
        (void)leat_yield();
        give_turn();
    }
}

static int loop_main(void *unused)
{
    static const unsigned numbers[FIBERS] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
                                             10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (unsigned index = 0; index < FIBERS; index++)
        if (leat_spawn(&scope, take_turns, (void *)&numbers[index], NULL) != 0)
            return -ENOMEM;
    const int error = leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
    return error;
}

static void *run_loop(void *arg)
{
    const struct leat_loop_options options = {.engine = *(enum leat_engine *)arg};
    return (void *)(intptr_t)leat_run(loop_main, NULL, &options);
}

static void loops_body(enum leat_engine engine)
{
    pthread_t threads[LOOPS];
    memset(&work, 0, sizeof work);
    line_init(&work.line);
    for (unsigned index = 0; index < LOOPS; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, run_loop, &engine), 0);
    for (unsigned index = 0; index < LOOPS; index++) {
        void *result;
        assert_int_equal(pthread_join(threads[index], &result), 0);
        assert_null(result);
    }
    assert_int_equal(work.running, 0);
    assert_int_equal(work.most, TURNS);
    assert_int_equal(work.done + work.missed, LOOPS * FIBERS * ROUNDS);
    assert_true(work.done >= LOOPS * FIBERS * ROUNDS / 2);
    assert_true(line_is_empty(&work.line));
}
ENGINE_TEST(loops)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_giving_up),
        cmocka_unit_test(test_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
