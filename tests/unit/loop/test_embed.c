/* SPDX-License-Identifier: MIT */
/*
 * A loop inside somebody else's: its descriptor is readable when there is something to do, timers,
 * messages and what is left of a turn included, and is not when there is nothing.
 */
#include "../engines.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd state = {.fd = fd, .events = POLLIN};
    return poll(&state, 1, timeout_ms) == 1;
}

/* Turns as a foreign loop would make them, until the descriptor has been quiet for a while. */
static unsigned turn_until_quiet(struct leat_loop *loop)
{
    const int fd = leat_loop_fd(loop);
    unsigned turns = 0;
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    while (is_readable(fd, 20)) {
        assert_int_equal(leat_loop_run_once(loop, 0), 0);
        turns++;
    }
    return turns;
}

static bool has_fired;

static void fire(struct timer *timer)
{
    has_fired = true;
}

static void nothing_to_do_is_quiet_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    const int fd = leat_loop_fd(loop);
    assert_true(fd >= 0);
    assert_int_equal(leat_loop_fd(loop), fd);
    assert_in_range(turn_until_quiet(loop), 0, 3);
    leat_loop_destroy(loop);
}
ENGINE_TEST(nothing_to_do_is_quiet)

static void a_timer_makes_it_readable_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    const int fd = leat_loop_fd(loop);
    struct timer timer;
    timer_init(&timer, fire);
    has_fired = false;
    usleep(30000); /* the loop's clock must not be the one of its last turn */
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    const int64_t deadline_ns = leat_after_ms(50);
    loop_timer_start(loop, &timer, deadline_ns);
    const unsigned turns = turn_until_quiet(loop);
    assert_true(turns < 20);
    while (!has_fired) {
        assert_true(is_readable(fd, 1000));
        assert_int_equal(leat_loop_run_once(loop, 0), 0);
    }
    assert_true(clock_now_ns() >= deadline_ns);
    assert_in_range(turn_until_quiet(loop), 0, 3);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_timer_makes_it_readable)

static unsigned tasks_left;

static void count_task(struct task *task)
{
    tasks_left--;
}

static void what_is_left_of_a_turn_makes_it_readable_body(enum leat_engine engine)
{
    enum { MANY = 3 * LOOP_TASKS_A_TURN };
    static struct task tasks[MANY];
    struct leat_loop *loop = make_loop(engine);
    const int fd = leat_loop_fd(loop);
    tasks_left = MANY;
    for (unsigned index = 0; index < MANY; index++) {
        tasks[index].run = count_task;
        loop_defer(loop, &tasks[index]);
    }
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    while (tasks_left > 0) {
        assert_true(is_readable(fd, 0));
        assert_int_equal(leat_loop_run_once(loop, 0), 0);
    }
    assert_in_range(turn_until_quiet(loop), 0, 3);
    leat_loop_destroy(loop);
}
ENGINE_TEST(what_is_left_of_a_turn_makes_it_readable)

struct letter {
    struct task task;
    struct leat_loop *loop;
};

static void *post_soon(void *arg)
{
    struct letter *letter = arg;
    usleep(30000);
    loop_post(letter->loop, &letter->task);
    return NULL;
}

static void a_message_makes_it_readable_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    const int fd = leat_loop_fd(loop);
    turn_until_quiet(loop);
    for (int count = 0; count < 3; count++) {
        struct letter letter = {.task.run = count_task, .loop = loop};
        pthread_t thread;
        tasks_left = 1;
        assert_int_equal(pthread_create(&thread, NULL, post_soon, &letter), 0);
        while (tasks_left > 0) {
            assert_true(is_readable(fd, 5000));
            assert_int_equal(leat_loop_run_once(loop, 0), 0);
        }
        pthread_join(thread, NULL);
        assert_in_range(turn_until_quiet(loop), 0, 3);
    }
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_message_makes_it_readable)

/* ---- Input and output ------------------------------------------------------------------------ */

struct probe {
    struct op op;
    unsigned count; /* completions that were no errors */
    int32_t result;
};

static void probe_done(struct op *op, const struct completion *completion)
{
    struct probe *probe = CONTAINER_OF(op, struct probe, op);
    probe->result = completion->result;
    if (completion->result >= 0 && op->kind == OP_ACCEPT)
        loop_current->ops->close(loop_current->backend, completion->result);
    if (completion->result > 0)
        probe->count++;
}

static void end_probe(struct leat_loop *loop, struct probe *probe)
{
    loop_cancel(loop, &probe->op);
    assert_int_equal(leat_loop_run(loop), 0);
    assert_false(op_is_busy(&probe->op));
}

static void input_makes_it_readable_body(enum leat_engine engine)
{
    struct leat_loop *loop = make_loop(engine);
    const int fd = leat_loop_fd(loop);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct probe probe = {0};
    char byte = 'x';
    op_init(&probe.op, OP_RECV_MANY, pair[0], probe_done);
    loop_submit(loop, &probe.op);
    turn_until_quiet(loop);
    for (unsigned count = 1; count <= 5; count++) {
        assert_int_equal(write(pair[1], &byte, 1), 1);
        while (probe.count < count) {
            assert_true(is_readable(fd, 1000));
            assert_int_equal(leat_loop_run_once(loop, 0), 0);
        }
        assert_in_range(turn_until_quiet(loop), 0, 3);
    }
    end_probe(loop, &probe);
    loop->ops->close(loop->backend, pair[0]);
    close(pair[1]);
    leat_loop_destroy(loop);
}
ENGINE_TEST(input_makes_it_readable)

/* More connections wait than one turn accepts: the descriptor stays readable until all are taken.
 * */
static void a_burst_is_taken_whole_body(enum leat_engine engine)
{
    enum { BURST = 400 };
    struct leat_loop *loop = make_loop(engine);
    const int fd = leat_loop_fd(loop);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, BURST), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    static int clients[BURST];
    for (unsigned index = 0; index < BURST; index++) {
        clients[index] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(clients[index], (struct sockaddr *)&address, size), 0);
    }
    struct probe probe = {0};
    op_init(&probe.op, OP_ACCEPT, listener, probe_done);
    loop_submit(loop, &probe.op);
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
    while (probe.count < BURST) {
        assert_true(is_readable(fd, 1000));
        assert_int_equal(leat_loop_run_once(loop, 0), 0);
    }
    end_probe(loop, &probe);
    for (unsigned index = 0; index < BURST; index++)
        close(clients[index]);
    loop->ops->close(loop->backend, listener);
    leat_loop_destroy(loop);
}
ENGINE_TEST(a_burst_is_taken_whole)

/* ---- Two loops, one program ------------------------------------------------------------------ */

static void ring(struct timer *timer)
{
    (void)timer;
}

static void *drive_by_epoll(void *arg)
{
    struct leat_loop *loop;
    if (leat_loop_create(arg, &loop))
        return "a loop was refused";
    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, leat_loop_fd(loop), &event);
    for (int count = 0; count < 20; count++) {
        struct timer timer;
        timer_init(&timer, ring);
        loop_timer_start(loop, &timer, leat_after_ms(2));
        leat_loop_run_once(loop, 0);
        while (timer.is_running) {
            if (epoll_wait(epoll_fd, &event, 1, 1000) != 1)
                return "a timer did not wake the foreign loop";
            leat_loop_run_once(loop, 0);
        }
    }
    close(epoll_fd);
    leat_loop_destroy(loop);
    return NULL;
}

static void a_loop_in_each_of_two_threads_body(enum leat_engine engine)
{
    struct leat_loop_options options = {.engine = engine};
    pthread_t threads[2];
    for (unsigned index = 0; index < 2; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, drive_by_epoll, &options), 0);
    for (unsigned index = 0; index < 2; index++) {
        void *complaint;
        pthread_join(threads[index], &complaint);
        if (complaint)
            fail_msg("%s", (char *)complaint);
    }
}
ENGINE_TEST(a_loop_in_each_of_two_threads)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do_is_quiet),
        cmocka_unit_test(test_a_timer_makes_it_readable),
        cmocka_unit_test(test_what_is_left_of_a_turn_makes_it_readable),
        cmocka_unit_test(test_a_message_makes_it_readable),
        cmocka_unit_test(test_input_makes_it_readable),
        cmocka_unit_test(test_a_burst_is_taken_whole),
        cmocka_unit_test(test_a_loop_in_each_of_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
