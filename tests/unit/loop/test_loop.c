/* SPDX-License-Identifier: MIT */
/*
 * The loop's turn: what runs when, when it returns, and how other threads and signal handlers
 * reach it.
 */
#include "../engines.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- Tasks and returning ----------------------------------------------------------------------
 * */

enum { CHAIN = 3 * LOOP_TASKS_A_TURN };

struct numbered {
    struct task task;
    unsigned number;
};

static unsigned seen_count, seen[2 * CHAIN];

static void see(struct task *task)
{
    assert_true(seen_count < 2 * CHAIN);
    seen[seen_count++] = CONTAINER_OF(task, struct numbered, task)->number;
}

static void tasks_run_in_order_body(enum leat_engine engine)
{
    static struct numbered tasks[CHAIN];
    struct leat_loop *loop = make_loop(engine);
    seen_count = 0;
    for (unsigned index = 0; index < CHAIN; index++) {
        tasks[index] = (struct numbered){.task.run = see, .number = index};
        loop_defer(loop, &tasks[index].task);
    }
    /* A turn has its budget; then the kernel is looked at. */
    assert_int_equal(leat_loop_run_once(loop, LEAT_FOREVER), 0);
    assert_int_equal(seen_count, LOOP_TASKS_A_TURN);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_int_equal(seen_count, CHAIN);
    for (unsigned index = 0; index < CHAIN; index++)
        assert_int_equal(seen[index], index);
    leat_loop_destroy(loop);
}
ENGINE_TEST(tasks_run_in_order)

struct again {
    struct task task;
    struct leat_loop *loop;
    unsigned left;
};

static void run_again(struct task *task)
{
    struct again *again = CONTAINER_OF(task, struct again, task);
    if (--again->left > 0)
        loop_defer(again->loop, task);
}

static void note_time(struct timer *timer)
{
    (void)timer;
}

/* A task that comes back for ever starves neither timers nor, by the same way, the kernel. */
static void a_busy_task_starves_nobody_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct again again = {.task.run = run_again, .loop = loop, .left = 1000000};
    struct timer timer;
    timer_init(&timer, note_time);
    loop_timer_start(loop, &timer, leat_after_ms(1));
    loop_defer(loop, &again.task);
    const int64_t begin_ns = clock_now_ns();
    while (timer.is_running)
        assert_int_equal(leat_loop_run_once(loop, LEAT_FOREVER), 0);
    assert_true(again.left > 0 || clock_now_ns() - begin_ns < LEAT_NS_PER_MS);
    again.left = 1;
    assert_int_equal(leat_loop_run(loop), 0);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_busy_task_starves_nobody)

static void returns_when_nothing_is_left_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    assert_int_equal(leat_loop_run(loop), 0);
    struct timer timer;
    timer_init(&timer, note_time);
    const int64_t deadline_ns = leat_after_ms(10);
    loop_timer_start(loop, &timer, deadline_ns);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_false(timer.is_running);
    assert_true(clock_now_ns() >= deadline_ns);
    leat_loop_destroy(loop);
}
ENGINE_TEST(returns_when_nothing_is_left)

/* It fires like any other as long as something else keeps the loop. */
static void a_quiet_timer_keeps_nobody_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct timer quiet, soon;
    timer_init(&quiet, note_time);
    timer_init(&soon, note_time);
    quiet.is_quiet = true;
    loop_timer_start(loop, &quiet, leat_after_ms(60 * 1000));
    assert_int_equal(leat_loop_run(loop), 0);
    assert_true(quiet.is_running);
    loop_timer_start(loop, &soon, leat_after_ms(5));
    loop_timer_start(loop, &quiet, leat_after_ms(1));
    assert_int_equal(leat_loop_run(loop), 0);
    assert_false(quiet.is_running);
    loop_timer_start(loop, &quiet, leat_after_ms(1));
    loop_timer_stop(loop, &quiet);
    assert_int_equal(loop->timers.count, 0);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_quiet_timer_keeps_nobody)

static void run_once_keeps_its_deadline_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    assert_int_equal(leat_loop_run_once(loop, 0), 0); /* only looks */
    const int64_t begin_ns = clock_now_ns(), deadline_ns = begin_ns + 20 * LEAT_NS_PER_MS;
    assert_int_equal(leat_loop_run_once(loop, begin_ns - 1), 0);
    assert_true(clock_now_ns() < deadline_ns);
    while (clock_now_ns() < deadline_ns)
        assert_int_equal(leat_loop_run_once(loop, deadline_ns), 0);
    assert_true(loop->counters.turns < 10); /* it slept */
    assert_true(leat_now_ns() >= deadline_ns);
    leat_loop_destroy(loop);
}
ENGINE_TEST(run_once_keeps_its_deadline)

/* ---- Stopping -------------------------------------------------------------------------------- */

static void *stop_soon(void *arg)
{
    usleep(20000);
    leat_loop_stop(arg);
    return NULL;
}

static void stops_for_another_thread_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct timer timer;
    timer_init(&timer, note_time);
    loop_timer_start(loop, &timer, leat_after_ms(60 * 1000)); /* else nothing is left */
    for (int count = 0; count < 3; count++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, loop), 0);
        assert_int_equal(leat_loop_run(loop), 0);
        pthread_join(thread, NULL);
    }
    /* One that comes before the run counts too, once. */
    leat_loop_stop(loop);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_true(timer.is_running);
    loop_timer_stop(loop, &timer);
    assert_int_equal(leat_loop_run(loop), 0);
    leat_loop_destroy(loop);
}
ENGINE_TEST(stops_for_another_thread)

static struct leat_loop *signalled_loop;

static void on_signal(int number)
{
    const int saved = errno;
    errno = ENXIO;
    leat_loop_stop(signalled_loop);
    if (errno != ENXIO)
        abort();
    errno = saved;
}

static void *signal_soon(void *arg)
{
    usleep(20000);
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    return NULL;
}

static void stops_for_a_signal_handler_body(enum leat_engine engine)
{
    signalled_loop = make_loop(engine);
    struct timer timer;
    timer_init(&timer, note_time);
    loop_timer_start(signalled_loop, &timer, leat_after_ms(60 * 1000));
    struct sigaction action = {.sa_handler = on_signal}, old;
    sigaction(SIGUSR1, &action, &old);
    pthread_t thread, self = pthread_self();
    assert_int_equal(pthread_create(&thread, NULL, signal_soon, &self), 0);
    assert_int_equal(leat_loop_run(signalled_loop), 0);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &old, NULL);
    assert_true(timer.is_running);
    loop_timer_stop(signalled_loop, &timer);
    leat_loop_destroy(signalled_loop);
}
ENGINE_TEST(stops_for_a_signal_handler)

static void ignore(int number)
{
    (void)number;
}

/* A signal that is none of ours interrupts the wait, and nothing else. */
static void a_stray_signal_is_survived_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct timer timer;
    timer_init(&timer, note_time);
    const int64_t deadline_ns = leat_after_ms(60);
    loop_timer_start(loop, &timer, deadline_ns);
    struct sigaction action = {.sa_handler = ignore}, old;
    sigaction(SIGUSR1, &action, &old);
    pthread_t thread, self = pthread_self();
    assert_int_equal(pthread_create(&thread, NULL, signal_soon, &self), 0);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_true(clock_now_ns() >= deadline_ns);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &old, NULL);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_stray_signal_is_survived)

/* ---- Messages -------------------------------------------------------------------------------- */

enum { POSTERS = 8, POSTS = 5000 };

struct message {
    struct task task;
    unsigned poster, number;
};

struct posting {
    struct leat_loop *loop;
    unsigned poster;
    struct message messages[POSTS];
};

static unsigned next_number[POSTERS], arrived;

static void arrive(struct task *task)
{
    const struct message *message = CONTAINER_OF(task, struct message, task);
    assert_int_equal(message->number, next_number[message->poster]++);
    if (++arrived == POSTERS * POSTS)
        leat_loop_stop(loop_current);
}

static void *post_all(void *arg)
{
    struct posting *posting = arg;
    for (unsigned number = 0; number < POSTS; number++) {
        struct message *message = &posting->messages[number];
        *message =
            (struct message){.task.run = arrive, .poster = posting->poster, .number = number};
        loop_post(posting->loop, &message->task);
        if (number % 512 == 0)
            usleep(100); /* let the loop fall asleep now and then */
    }
    return NULL;
}

static void messages_of_many_threads_arrive_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    struct posting *postings = calloc(POSTERS, sizeof *postings);
    pthread_t threads[POSTERS];
    struct timer timer;
    arrived = 0;
    memset(next_number, 0, sizeof next_number);
    timer_init(&timer, note_time);
    loop_timer_start(loop, &timer, leat_after_ms(60 * 1000));
    for (unsigned index = 0; index < POSTERS; index++) {
        postings[index].loop = loop;
        postings[index].poster = index;
        assert_int_equal(pthread_create(&threads[index], NULL, post_all, &postings[index]), 0);
    }
    assert_int_equal(leat_loop_run(loop), 0);
    assert_int_equal(arrived, POSTERS * POSTS);
    assert_true(timer.is_running);
    assert_int_equal(loop->counters.messages, POSTERS * POSTS);
    for (unsigned index = 0; index < POSTERS; index++)
        pthread_join(threads[index], NULL);
    loop_timer_stop(loop, &timer);
    leat_loop_destroy(loop);
    free(postings);
}
ENGINE_TEST(messages_of_many_threads_arrive)

/* ---- Creation -------------------------------------------------------------------------------- */

static void one_loop_a_thread_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine), *second = NULL;
    assert_ptr_equal(leat_loop_current(), loop);
    assert_int_equal(leat_loop_create(NULL, &second), -EEXIST);
    assert_null(second);
    assert_string_equal(leat_loop_engine(loop), engine == LEAT_ENGINE_EPOLL ? "epoll" : "uring");
    leat_loop_destroy(loop);
    leat_loop_destroy(NULL);
    assert_null(leat_loop_current());
}
ENGINE_TEST(one_loop_a_thread)

static bool is_sigpipe_blocked(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, SIGPIPE) == 1;
}

/* What is written to a peer that is gone ends no program, and the thread gets its mask back. */
static void sigpipe_is_kept_away_body(enum leat_engine engine)
{
    assert_false(is_sigpipe_blocked());
    struct leat_loop *loop = make_loop(engine);
    assert_true(is_sigpipe_blocked());
    raise(SIGPIPE);
    leat_loop_destroy(loop);
    assert_false(is_sigpipe_blocked());
    /* A program that had blocked it itself keeps that. */
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, NULL);
    leat_loop_destroy(make_loop(engine));
    assert_true(is_sigpipe_blocked());
    pthread_sigmask(SIG_UNBLOCK, &sigpipe, NULL);
}
ENGINE_TEST(sigpipe_is_kept_away)

static void auto_takes_what_works(void **state)
{
    const char *expected = is_engine_granted(LEAT_ENGINE_URING) ? "uring" : "epoll";
    struct leat_loop *loop = make_loop(LEAT_ENGINE_AUTO);
    assert_string_equal(leat_loop_engine(loop), expected);
    leat_loop_destroy(loop);
}

static void *live_and_die(void *arg)
{
    for (int count = 0; count < 20; count++) {
        struct leat_loop *loop;
        if (leat_loop_create(arg, &loop))
            return "a loop was refused";
        struct timer timer;
        timer_init(&timer, note_time);
        loop_timer_start(loop, &timer, leat_after_ms(1));
        if (leat_loop_run(loop))
            return "a run failed";
        leat_loop_destroy(loop);
    }
    return NULL;
}

static void loops_of_many_threads_body(enum leat_engine engine)
{
    struct leat_loop_options options = {.engine = engine, .queue_entries = 64};
    pthread_t threads[8];
    for (unsigned index = 0; index < 8; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, live_and_die, &options), 0);
    for (unsigned index = 0; index < 8; index++) {
        void *complaint;
        pthread_join(threads[index], &complaint);
        assert_null(complaint);
    }
}
ENGINE_TEST(loops_of_many_threads)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_run_in_order),
        cmocka_unit_test(test_a_busy_task_starves_nobody),
        cmocka_unit_test(test_returns_when_nothing_is_left),
        cmocka_unit_test(test_a_quiet_timer_keeps_nobody),
        cmocka_unit_test(test_run_once_keeps_its_deadline),
        cmocka_unit_test(test_stops_for_another_thread),
        cmocka_unit_test(test_stops_for_a_signal_handler),
        cmocka_unit_test(test_a_stray_signal_is_survived),
        cmocka_unit_test(test_messages_of_many_threads_arrive),
        cmocka_unit_test(test_one_loop_a_thread),
        cmocka_unit_test(test_sigpipe_is_kept_away),
        cmocka_unit_test(auto_takes_what_works),
        cmocka_unit_test(test_loops_of_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
