/* SPDX-License-Identifier: MIT */
/*
 * Offload from fibers: answers, a full queue, cancels before and after a job has begun.
 */
#include <pthread.h>

#include "loop/offload.h"
#include "run.h"

/* Jobs that wait until told: they fill the pool's threads. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
    int begun;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

static int wait_at_gate(void *arg)
{
    pthread_mutex_lock(&gate.lock);
    gate.begun++;
    while (!gate.is_open)
        pthread_cond_wait(&gate.opened, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    return 5;
}

static void set_gate(bool is_open)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_open = is_open;
    if (!is_open)
        gate.begun = 0;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
}

static int begun(void)
{
    pthread_mutex_lock(&gate.lock);
    const int count = gate.begun;
    pthread_mutex_unlock(&gate.lock);
    return count;
}

static int square(void *arg)
{
    const int *number = arg;
    assert_null(fiber_current()); /* another thread */
    return *number * *number;
}

struct visitor {
    int64_t deadline_ns;
    int error, result;
};

static void visit_gate(void *arg)
{
    struct visitor *visitor = arg;
    visitor->error = leat_offload(wait_at_gate, NULL, visitor->deadline_ns, &visitor->result);
}

static int answer_body(void *unused)
{
    for (int i = 0; i < 50; i++) {
        int result = -1;
        assert_int_equal(leat_offload(square, &i, LEAT_FOREVER, &result), 0);
        assert_int_equal(result, i * i);
    }
    int number = 3, result = -1;
    assert_int_equal(leat_offload(square, &number, 0, &result), -ETIMEDOUT);
    assert_int_equal(result, -1);
    return 0;
}
FIBER_TEST(answer)

static const struct backend_sys *sys_seen;

static void look_at_sys(void *arg, const struct backend_sys *sys)
{
    sys_seen = sys;
}

static int sys_body(void *unused)
{
    assert_int_equal(fiber_offload(look_at_sys, NULL, LEAT_FOREVER), 0);
    assert_ptr_equal(sys_seen, leat_loop_current()->sys);
    return 0;
}
FIBER_TEST(sys)

/* What has begun is waited for; what has not never will, and says why. */
static int cancel_body(void *unused)
{
    enum { BLOCKED = OFFLOAD_THREADS_MAX };
    struct leat_scope scope, late_scope;
    static struct visitor visitors[BLOCKED], late[2];
    set_gate(false);
    leat_scope_init(&scope);
    leat_scope_init(&late_scope);
    for (int i = 0; i < BLOCKED; i++) {
        visitors[i] = (struct visitor){.deadline_ns = LEAT_FOREVER, .error = 1};
        assert_int_equal(leat_spawn(&scope, visit_gate, &visitors[i], NULL), 0);
    }
    while (begun() < BLOCKED)
        assert_int_equal(leat_sleep_ms(1), 0);
    late[0] = (struct visitor){.deadline_ns = leat_after_ms(2), .error = 1, .result = -7};
    late[1] = (struct visitor){.deadline_ns = LEAT_FOREVER, .result = -7};
    assert_int_equal(leat_spawn(&late_scope, visit_gate, &late[0], NULL), 0);
    assert_int_equal(leat_spawn(&late_scope, visit_gate, &late[1], NULL), 0);
    while (late[0].error == 1)
        assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(late[0].error, -ETIMEDOUT);
    leat_scope_fini(&late_scope);
    assert_int_equal(late[1].error, -ECANCELED);
    assert_int_equal(late[0].result, -7);
    assert_int_equal(begun(), BLOCKED);

    leat_scope_cancel(&scope);
    assert_int_equal(leat_sleep_ms(2), 0);
    assert_int_equal(leat_scope_count(&scope), BLOCKED);
    set_gate(true);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    leat_scope_fini(&scope);
    for (int i = 0; i < BLOCKED; i++) {
        assert_int_equal(visitors[i].error, 0);
        assert_int_equal(visitors[i].result, 5);
    }
    return 0;
}
FIBER_TEST(cancel)

static int queue_full_body(void *unused)
{
    enum { ROOM = OFFLOAD_THREADS_MAX + OFFLOAD_QUEUE_MAX, ALL = ROOM + 10 };
    struct leat_scope scope;
    static struct visitor visitors[ALL];
    int refused = 0;
    set_gate(false);
    leat_scope_init(&scope);
    for (int i = 0; i < ALL; i++) {
        visitors[i] = (struct visitor){.deadline_ns = LEAT_FOREVER, .error = 1};
        assert_int_equal(leat_spawn(&scope, visit_gate, &visitors[i], NULL), 0);
        /* the threads are full before the queue is */
        while (i < OFFLOAD_THREADS_MAX && begun() <= i)
            assert_int_equal(leat_sleep_ms(1), 0);
    }
    while (leat_scope_count(&scope) > ROOM)
        assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(offload_depth(), ROOM);
    set_gate(true);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    leat_scope_fini(&scope);
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(visitors[i].error, i < ROOM ? 0 : -EAGAIN);
        refused += visitors[i].error != 0;
    }
    assert_int_equal(refused, ALL - ROOM);
    assert_int_equal(offload_depth(), 0);
    return 0;
}
FIBER_TEST(queue_full)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_sys),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_queue_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
