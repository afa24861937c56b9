/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: it names who holds a loop, once an incident, and leaves those alone who only wait.
 */
#include "../engines.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { THRESHOLD_MS = 40, HELD_MS = 150 };

static struct {
    pthread_mutex_t lock;
    unsigned count;
    char name[32]; /* the last */
    int64_t held_ms;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void report(const char *name, int64_t held_ms, void *user)
{
    pthread_mutex_lock(&told.lock);
    assert_ptr_equal(user, &told);
    told.count++;
    strncpy(told.name, name, sizeof told.name - 1);
    told.held_ms = held_ms;
    pthread_mutex_unlock(&told.lock);
}

static void watch(void)
{
    told.count = 0;
    assert_int_equal(leat_watchdog(THRESHOLD_MS, report, &told), 0);
}

/* Ends the watch, after which nobody reports any more. */
static void expect_told(unsigned count, const char *name)
{
    assert_int_equal(leat_watchdog(0, NULL, NULL), 0);
    assert_int_equal(told.count, count);
    if (count == 0)
        return;
    assert_string_equal(told.name, name);
    assert_in_range(told.held_ms, THRESHOLD_MS, 10 * HELD_MS);
}

/* Sleeps, and does not let the loop come round: to the loop that is the same as computing. */
static void hog(void *arg)
{
    usleep(HELD_MS * 1000);
}

static int spawn_hog_fiber(void *arg)
{
    const struct leat_fiber_options options = {.name = "hog"};
    struct leat_scope scope;
    leat_scope_init(&scope);
    leat_sleep_ms(1);
    assert_int_equal(leat_spawn(&scope, hog, NULL, &options), 0);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    leat_scope_fini(&scope);
    return 0;
}

static void names_the_fiber_body(enum leat_engine engine)
{
    watch();
    run_main_fiber(engine, spawn_hog_fiber);
    expect_told(1, "hog");
}
ENGINE_TEST(names_the_fiber)

static int hog_twice_fiber(void *arg)
{
    for (int count = 0; count < 2; count++) {
        leat_sleep_ms(5);
        hog(NULL);
    }
    return 0;
}

static void tells_each_incident_once_body(enum leat_engine engine)
{
    watch();
    run_main_fiber(engine, hog_twice_fiber);
    expect_told(2, "main");
}
ENGINE_TEST(tells_each_incident_once)

static void hog_timer(struct timer *timer)
{
    hog(NULL);
}

static void names_the_loop_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct timer timer;
    watch();
    timer_init(&timer, hog_timer);
    loop_timer_start(loop, &timer, leat_after_ms(2));
    assert_int_equal(leat_loop_run(loop), 0);
    expect_told(1, "loop");
    leat_loop_destroy(loop);
}
ENGINE_TEST(names_the_loop)

static void hog_task(struct task *task)
{
    hog(NULL);
}

/* The very first thing a loop does may be what holds it. */
static void sees_the_first_turn_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct task task = {.run = hog_task};
    watch();
    loop_defer(loop, &task);
    assert_int_equal(leat_loop_run(loop), 0);
    expect_told(1, "loop");
    leat_loop_destroy(loop);
}
ENGINE_TEST(sees_the_first_turn)

static int sleep_fiber(void *arg)
{
    return leat_sleep_ms(HELD_MS);
}

static void waiting_is_no_incident_body(enum leat_engine engine)
{
    watch();
    run_main_fiber(engine, sleep_fiber);
    expect_told(0, NULL);
}
ENGINE_TEST(waiting_is_no_incident)

/* A loop that is driven from outside is nobody's fault between two turns. */
static void a_foreign_loop_may_take_its_time_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    watch();
    assert_true(leat_loop_fd(loop) >= 0);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    usleep(HELD_MS * 1000);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    expect_told(0, NULL);
    /* Within a turn it is watched as any. */
    struct task task = {.run = hog_task};
    watch();
    loop_defer(loop, &task);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    expect_told(1, "loop");
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_foreign_loop_may_take_its_time)

static void settings_are_checked(void **state)
{
    assert_int_equal(leat_watchdog(-1, report, NULL), -EINVAL);
    assert_int_equal(leat_watchdog(10, NULL, NULL), -EINVAL);
    assert_int_equal(leat_watchdog(0, NULL, NULL), 0); /* nothing to end is fine */
    assert_int_equal(leat_watchdog(1000, report, &told), 0);
    assert_int_equal(leat_watchdog(2000, report, &told), 0); /* the new one replaces it */
    assert_int_equal(leat_watchdog(0, NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_the_fiber),
        cmocka_unit_test(test_tells_each_incident_once),
        cmocka_unit_test(test_names_the_loop),
        cmocka_unit_test(test_sees_the_first_turn),
        cmocka_unit_test(test_waiting_is_no_incident),
        cmocka_unit_test(test_a_foreign_loop_may_take_its_time),
        cmocka_unit_test(settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
