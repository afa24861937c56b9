/* SPDX-License-Identifier: MIT */
/*
 * Fibers themselves: starting, parking, waking, cancelling, deadlines, the shield, operations.
 */
#include "fiber/fiber.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/scheduler.h"
#include "run.h"

/* ---- On the loop's stack, without leat_run --------------------------------------------------- */

struct owned {
    struct fiber *fiber;
    struct leat_loop *loop;
    int steps, ended, result;
    struct fiber *fiber_at_end;
    bool shall_park;
};

static void wake_it(void *user)
{
    fiber_wake(user);
}

static void owned_body(void *arg)
{
    struct owned *owned = arg;
    owned->steps++;
    assert_ptr_equal(fiber_current(), owned->fiber);
    if (owned->shall_park) {
        owned->result = fiber_park(LEAT_FOREVER, wake_it, fiber_current());
        owned->steps++;
    }
}

static void owned_ended(void *user)
{
    struct owned *owned = user;
    owned->ended++;
    owned->fiber_at_end = fiber_current();
}

static struct leat_loop *make_loop(void)
{
    struct leat_loop *loop = NULL;
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    assert_int_equal(leat_loop_create(&options, &loop), 0);
    return loop;
}

static void test_start_runs_at_once(void **state)
{
    struct leat_loop *loop = make_loop();
    struct owned owned = {.loop = loop};
    assert_int_equal(fiber_start(loop, NULL, owned_body, &owned, owned_ended, &owned, &owned.fiber),
                     0);
    assert_int_equal(owned.steps, 1);
    assert_int_equal(owned.ended, 1);
    assert_null(owned.fiber_at_end);
    assert_null(fiber_current());
    leat_loop_destroy(loop);
}

/* What is ready runs; nothing is waited for. */
static void turn(struct leat_loop *loop)
{
    assert_int_equal(leat_loop_run_once(loop, 0), 0);
}

/* It returns at the first park, though another fiber is ready to run. */
static void test_start_returns_when_parked(void **state)
{
    struct leat_loop *loop = make_loop();
    struct owned a = {.shall_park = true}, b = {.shall_park = true};
    turn(loop); /* whose budget is left over, as within a completion */
    assert_int_equal(fiber_start(loop, NULL, owned_body, &a, owned_ended, &a, &a.fiber), 0);
    assert_int_equal(a.steps, 1);
    fiber_wake(a.fiber);
    fiber_wake(a.fiber); /* the second has no effect */
    assert_int_equal(fiber_start(loop, NULL, owned_body, &b, owned_ended, &b, &b.fiber), 0);
    assert_int_equal(a.steps, 1);
    turn(loop);
    assert_int_equal(a.steps, 2);
    assert_int_equal(a.ended, 1);
    assert_int_equal(a.result, 0);
    assert_int_equal(b.ended, 0);
    fiber_cancel(b.fiber);
    assert_int_equal(b.ended, 0); /* follows, never before the cancel has returned */
    fiber_cancel(b.fiber);
    turn(loop);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.result, -ECANCELED);
    assert_null(b.fiber_at_end);
    leat_loop_destroy(loop);
}

/* One that has an owner comes home when it ends, though the next in line could run at once. */
static void test_ends_on_the_loops_stack(void **state)
{
    struct leat_loop *loop = make_loop();
    struct owned owned[3];
    for (int i = 0; i < 3; i++) {
        owned[i] = (struct owned){.shall_park = true};
        assert_int_equal(
            fiber_start(loop, NULL, owned_body, &owned[i], owned_ended, &owned[i], &owned[i].fiber),
            0);
    }
    for (int i = 0; i < 3; i++)
        fiber_wake(owned[i].fiber);
    turn(loop);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(owned[i].ended, 1);
        assert_null(owned[i].fiber_at_end);
    }
    leat_loop_destroy(loop);
}

static void chain_ended(void *user)
{
    struct owned *owned = user;
    if (owned->ended++ < 3)
        assert_int_equal(
            fiber_start(owned->loop, NULL, owned_body, owned, chain_ended, owned, &owned->fiber),
            0);
}

static void test_on_end_may_start_the_next(void **state)
{
    struct leat_loop *loop = make_loop();
    struct owned owned = {.loop = loop, .shall_park = true};
    fiber_start(loop, NULL, owned_body, &owned, chain_ended, &owned, &owned.fiber);
    for (int i = 0; i < 3; i++) {
        fiber_wake(owned.fiber);
        turn(loop);
    }
    owned.shall_park = false;
    fiber_wake(owned.fiber);
    turn(loop);
    assert_int_equal(owned.ended, 4);
    assert_int_equal(owned.steps, 8);
    leat_loop_destroy(loop);
}

static void test_no_memory(void **state)
{
    struct leat_loop *loop = make_loop();
    struct owned owned = {0};
    scheduler_of(loop)->stacks.count_max = 0;
    assert_int_equal(fiber_start(loop, NULL, owned_body, &owned, owned_ended, &owned, &owned.fiber),
                     -ENOMEM);
    assert_int_equal(owned.steps + owned.ended, 0);
    assert_null(owned.fiber);
    leat_loop_destroy(loop);
}

static void park_in_task(void *arg)
{
    (void)fiber_park(LEAT_FOREVER, wake_it, fiber_current());
}

static const char *name_seen;
static struct leat_loop *named_loop;

static void look_at_name(void *arg)
{
    name_seen = atomic_load(&named_loop->running_name);
}

static void test_running_name(void **state)
{
    struct leat_loop *loop = named_loop = make_loop();
    struct fiber *fiber;
    const struct leat_fiber_options options = {.name = "alice"};
    assert_int_equal(fiber_start(loop, &options, look_at_name, NULL, NULL, NULL, &fiber), 0);
    assert_string_equal(name_seen, "alice");
    assert_null(atomic_load(&loop->running_name));
    leat_loop_destroy(loop);
}

/* A fiber that is still there when its loop goes is our bug; the counters tell before. */
static void test_counters(void **state)
{
    struct leat_loop *loop = make_loop();
    struct fiber_counters counters;
    fiber_counters_read(loop, &counters);
    assert_int_equal(counters.spawned, 0);
    struct fiber *fibers[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(fiber_start(loop, NULL, park_in_task, NULL, NULL, NULL, &fibers[i]), 0);
    fiber_counters_read(loop, &counters);
    assert_int_equal(counters.fibers, 3);
    assert_int_equal(counters.spawned, 3);
    assert_int_equal(counters.switches, 3);
    for (int i = 0; i < 3; i++)
        fiber_wake(fibers[i]);
    turn(loop);
    fiber_counters_read(loop, &counters);
    assert_int_equal(counters.fibers, 0);
    assert_int_equal(counters.fibers_peak, 3);
    assert_int_equal(counters.stacks_cached, 3);
    assert_int_equal(counters.stacks, STACK_SLAB_COUNT);
    assert_int_equal(counters.switches, 6);
    leat_loop_destroy(loop);
}

/* Sees two fibers at most. */
static struct fiber_info infos[2];
static unsigned info_count;

static bool see(const struct fiber_info *info, void *user)
{
    assert_ptr_equal(user, infos);
    infos[info_count++] = *info;
    return info_count < 2;
}

static void see_all(void *arg)
{
    info_count = 0;
    fiber_each(arg, see, infos);
}

static void use_stack_and_park(void *arg)
{
    volatile char bytes[8192];
    for (size_t index = 0; index < sizeof bytes; index++)
        bytes[index] = 1;
    assert_int_equal(leat_sleep_ms(2), 0);
    (void)fiber_park(leat_after_ms(3600 * 1000), wake_it, fiber_current());
}

static void test_each(void **state)
{
    struct leat_loop *loop = make_loop();
    see_all(loop); /* without a scheduler */
    assert_int_equal(info_count, 0);
    static const struct leat_fiber_options alice = {.name = "alice"}, bob = {.name = "bob"};
    struct fiber *fibers[3];
    const int64_t before_ns = leat_now_ns();
    assert_int_equal(fiber_start(loop, &alice, use_stack_and_park, NULL, NULL, NULL, &fibers[0]),
                     0);
    while (leat_now_ns() < before_ns + 5 * LEAT_NS_PER_MS)
        assert_int_equal(leat_loop_run_once(loop, leat_after_ms(1)), 0);
    assert_int_equal(fiber_start(loop, &bob, see_all, loop, NULL, NULL, &fibers[1]), 0);
    assert_int_equal(info_count, 2);
    assert_string_equal(infos[0].name, "alice");
    assert_string_equal(infos[0].state, "parked");
    assert_true(infos[0].since_ns >= before_ns + 2 * LEAT_NS_PER_MS);
    assert_true(infos[0].since_ns <= leat_now_ns());
    assert_true(infos[0].deadline_ns > leat_after_ms(1800 * 1000));
    assert_true(infos[0].stack_used >= 8192 && infos[0].stack_used < infos[0].stack_size);
    assert_int_equal(infos[0].stack_size, LEAT_STACK_SIZE);
    assert_string_equal(infos[1].name, "bob");
    assert_string_equal(infos[1].state, "running");
    assert_int_equal(infos[1].deadline_ns, LEAT_FOREVER);
    for (int i = 1; i < 3; i++)
        assert_int_equal(fiber_start(loop, NULL, park_in_task, NULL, NULL, NULL, &fibers[i]), 0);
    fiber_cancel(fibers[0]);
    see_all(loop); /* and not the third */
    assert_int_equal(info_count, 2);
    assert_string_equal(infos[0].state, "ready");
    assert_true(infos[0].is_cancelled && !infos[1].is_cancelled);
    for (int i = 1; i < 3; i++)
        fiber_wake(fibers[i]);
    turn(loop);
    leat_loop_destroy(loop);
}

/* ---- Order and fairness ---------------------------------------------------------------------- */

static char order[64];

static void write_order(void *arg)
{
    for (int i = 0; i < 3; i++) {
        strcat(order, arg);
        assert_int_equal(leat_yield(), 0);
    }
}

static int yield_body(void *unused)
{
    struct leat_scope scope;
    order[0] = 0;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, write_order, "a", NULL), 0);
    assert_int_equal(leat_spawn(&scope, write_order, "b", NULL), 0);
    assert_int_equal(leat_spawn(&scope, write_order, "c", NULL), 0);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    leat_scope_fini(&scope);
    assert_string_equal(order, "abcabcabc");
    return 0;
}
FIBER_TEST(yield)

static bool shall_spin;

static void spin(void *arg)
{
    while (shall_spin && leat_yield() == 0)
        continue;
}

/* Fibers that always have something to do leave timers and the kernel their turns. */
static int fairness_body(void *unused)
{
    struct leat_scope scope;
    shall_spin = true;
    leat_scope_init(&scope);
    for (int i = 0; i < 3; i++)
        assert_int_equal(leat_spawn(&scope, spin, NULL, NULL), 0);
    assert_int_equal(leat_sleep_ms(5), 0);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    struct op op;
    op_init(&op, OP_POLL, pair[0], fiber_op_done);
    op.poll.events = POLLIN;
    assert_int_equal(fiber_await(&op, LEAT_FOREVER), POLLIN);
    shall_spin = false;
    leat_scope_fini(&scope);
    close(pair[0]);
    close(pair[1]);
    return 0;
}
FIBER_TEST(fairness)

/* ---- Deadlines and cancels ------------------------------------------------------------------- */

static int sleep_body(void *unused)
{
    const int64_t before_ns = leat_now_ns();
    assert_int_equal(leat_sleep_ms(20), 0);
    assert_true(leat_now_ns() >= before_ns + 20 * LEAT_NS_PER_MS);
    assert_int_equal(leat_sleep_until(before_ns), 0);
    assert_int_equal(leat_sleep_ms(0), 0);
    assert_int_equal(loop_current->timers.count, 0);
    return 0;
}
FIBER_TEST(sleep)

static int interrupts;

static void count_and_wake(void *user)
{
    interrupts++;
    fiber_wake(user);
}

static void wake_soon(void *arg)
{
    fiber_wake(arg);
}

static int park_body(void *unused)
{
    struct leat_scope scope;
    struct fiber *self = fiber_current();
    interrupts = 0;
    /* passed already: neither parked nor interrupted */
    assert_int_equal(fiber_park(leat_now_ns(), count_and_wake, self), -ETIMEDOUT);
    assert_int_equal(interrupts, 0);
    assert_int_equal(fiber_park(leat_after_ms(3), count_and_wake, self), -ETIMEDOUT);
    assert_int_equal(interrupts, 1);
    /* woken in time: no timer is left behind, none was started for LEAT_FOREVER */
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, wake_soon, self, NULL), 0);
    assert_int_equal(fiber_park(leat_after_ms(10000), count_and_wake, self), 0);
    assert_int_equal(loop_current->timers.count, 0);
    assert_int_equal(leat_spawn(&scope, wake_soon, self, NULL), 0);
    assert_int_equal(fiber_park(LEAT_FOREVER, count_and_wake, self), 0);
    assert_int_equal(interrupts, 1);
    leat_scope_fini(&scope);
    return 0;
}
FIBER_TEST(park)

/* Says no to the first interrupt, as an operation does whose cancel takes its time. */
static void note_interrupt(void *user)
{
    interrupts++;
}

struct patient {
    struct fiber *fiber;
    int result;
};

static void wait_patiently(void *arg)
{
    struct patient *patient = arg;
    patient->fiber = fiber_current();
    patient->result = fiber_park(leat_after_ms(2), note_interrupt, NULL);
}

/* The first reason counts, the interrupt comes once, and the fiber goes on only when woken. */
static int interrupt_once_body(void *unused)
{
    struct leat_scope scope;
    struct patient patient = {0};
    interrupts = 0;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, wait_patiently, &patient, NULL), 0);
    assert_int_equal(leat_sleep_ms(5), 0);
    assert_int_equal(interrupts, 1);
    assert_int_equal(patient.result, 0);
    leat_scope_cancel(&scope);
    assert_int_equal(interrupts, 1);
    fiber_wake(patient.fiber);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    assert_int_equal(patient.result, -ETIMEDOUT);
    leat_scope_fini(&scope);
    return 0;
}
FIBER_TEST(interrupt_once)

static void test_cancelled_blocking_calls(void *arg)
{
    int *ret_count = arg;
    struct leat_channel *channel = NULL;
    struct leat_scope scope;
    int item = 0, result = 0;
    assert_true(leat_is_cancelled());
    assert_int_equal(leat_channel_create(sizeof item, 1, &channel), 0);
    assert_int_equal(leat_yield(), -ECANCELED);
    assert_int_equal(leat_sleep_ms(0), -ECANCELED);
    assert_int_equal(leat_channel_send(channel, &item, LEAT_FOREVER), -ECANCELED);
    assert_int_equal(leat_channel_recv(channel, &item, LEAT_FOREVER), -ECANCELED);
    assert_int_equal(leat_offload(NULL, NULL, LEAT_FOREVER, &result), -ECANCELED);
    assert_int_equal(leat_gather(NULL, 0, NULL), -ECANCELED);
    leat_scope_init(&scope);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), -ECANCELED);
    leat_scope_fini(&scope);
    leat_channel_destroy(channel);
    ++*ret_count;
}

/* A fiber cancelled before it began runs all the same, and each of its blocking calls says so. */
static int cancelled_before_body(void *unused)
{
    struct leat_scope scope;
    int count = 0;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, test_cancelled_blocking_calls, &count, NULL), 0);
    leat_scope_cancel(&scope);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    assert_int_equal(count, 1);
    assert_false(leat_is_cancelled());
    leat_scope_fini(&scope);
    return 0;
}
FIBER_TEST(cancelled_before)

/* ---- The shield ------------------------------------------------------------------------------ */

static void say_goodbye(void *arg)
{
    int *ret_step = arg;
    assert_int_equal(leat_sleep_until(LEAT_FOREVER), -ECANCELED);
    const int64_t grace_ns = leat_after_ms(100);
    leat_shield_begin(grace_ns);
    leat_shield_begin(LEAT_FOREVER); /* the first counts */
    assert_true(leat_is_cancelled());
    assert_int_equal(leat_yield(), 0);
    assert_int_equal(leat_sleep_ms(2), 0);
    assert_true(leat_now_ns() < grace_ns);
    *ret_step = 1;
    assert_int_equal(leat_sleep_until(LEAT_FOREVER), -ECANCELED);
    assert_true(leat_now_ns() >= grace_ns);
    assert_int_equal(leat_yield(), -ECANCELED);
    leat_shield_end();
    assert_int_equal(leat_sleep_ms(1), -ECANCELED);
    *ret_step = 2;
}

/* The cancel comes while a shielded call waits: it waits on, till the grace is over. */
static void be_shielded_before(void *arg)
{
    int *ret_step = arg;
    const int64_t grace_ns = leat_after_ms(100);
    leat_shield_begin(grace_ns);
    assert_int_equal(leat_sleep_ms(8), 0);
    assert_true(leat_is_cancelled());
    *ret_step = 1;
    assert_int_equal(fiber_park(leat_after_ms(2), wake_it, fiber_current()), -ETIMEDOUT);
    assert_int_equal(leat_sleep_until(LEAT_FOREVER), -ECANCELED);
    assert_true(leat_now_ns() >= grace_ns);
    leat_shield_end();
    *ret_step = 2;
}

static int shield_body(void *unused)
{
    struct leat_scope scope;
    int steps[2] = {0};
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, say_goodbye, &steps[0], NULL), 0);
    assert_int_equal(leat_spawn(&scope, be_shielded_before, &steps[1], NULL), 0);
    assert_int_equal(leat_sleep_ms(2), 0);
    leat_scope_cancel(&scope);
    assert_int_equal(steps[1], 0);
    leat_scope_fini(&scope);
    assert_int_equal(steps[0], 2);
    assert_int_equal(steps[1], 2);
    return 0;
}
FIBER_TEST(shield)

/* Without a cancel the end of the grace changes nothing; after it a cancel works at once. */
static void outlive_shield(void *arg)
{
    leat_shield_begin(leat_after_ms(3));
    assert_int_equal(leat_sleep_ms(8), 0);
    *(int *)arg = 1;
    const int64_t before_ns = leat_now_ns();
    assert_int_equal(leat_sleep_ms(10000), -ECANCELED);
    assert_true(leat_now_ns() - before_ns < 5000 * LEAT_NS_PER_MS);
    leat_shield_end();
    *(int *)arg = 2;
}

static int shield_uncancelled_body(void *unused)
{
    struct leat_scope scope;
    int step = 0;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, outlive_shield, &step, NULL), 0);
    while (step == 0)
        assert_int_equal(leat_sleep_ms(1), 0);
    leat_scope_fini(&scope);
    assert_int_equal(step, 2);
    return 0;
}
FIBER_TEST(shield_uncancelled)

/* ---- Operations ------------------------------------------------------------------------------ */

struct awaiting {
    int fd;
    int64_t deadline_ns;
    int32_t result;
    char data[16];
};

static void await_recv(void *arg)
{
    struct awaiting *awaiting = arg;
    struct op op;
    op_init(&op, OP_RECV, awaiting->fd, fiber_op_done);
    op.recv.data = awaiting->data;
    op.recv.size = sizeof awaiting->data;
    awaiting->result = fiber_await(&op, awaiting->deadline_ns);
    assert_false(op_is_busy(&op));
}

static int await_body(void *unused)
{
    struct leat_scope scope;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct awaiting awaiting = {.fd = pair[0], .deadline_ns = LEAT_FOREVER};
    leat_scope_init(&scope);

    /* completes */
    assert_int_equal(leat_spawn(&scope, await_recv, &awaiting, NULL), 0);
    assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(write(pair[1], "hello", 5), 5);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    assert_int_equal(awaiting.result, 5);
    assert_memory_equal(awaiting.data, "hello", 5);

    /* times out; passed already */
    awaiting.deadline_ns = leat_after_ms(3);
    await_recv(&awaiting);
    assert_int_equal(awaiting.result, -ETIMEDOUT);
    assert_int_equal(write(pair[1], "y", 1), 1);
    await_recv(&awaiting); /* not submitted: the byte stays */
    assert_int_equal(awaiting.result, -ETIMEDOUT);
    awaiting.deadline_ns = leat_after_ms(10000);
    await_recv(&awaiting);
    assert_int_equal(awaiting.result, 1);

    /* cancelled */
    assert_int_equal(leat_spawn(&scope, await_recv, &awaiting, NULL), 0);
    assert_int_equal(leat_sleep_ms(1), 0);
    leat_scope_cancel(&scope);
    leat_scope_fini(&scope);
    assert_int_equal(awaiting.result, -ECANCELED);

    /* the operation's own error */
    awaiting.fd = -1;
    await_recv(&awaiting);
    assert_int_equal(awaiting.result, -EBADF);
    close(pair[0]);
    close(pair[1]);
    return 0;
}
FIBER_TEST(await)

/* A backend of our own: what was submitted completes when it is cancelled, as we like. */
static struct op *submitted;
static int32_t result_after_cancel;

static void hold(struct backend *backend, struct op *op)
{
    submitted = op;
}

static void complete(struct task *task)
{
    op_complete(submitted, &(struct completion){.result = result_after_cancel});
}

static void complete_soon(struct backend *backend, struct op *op)
{
    static struct task task = {.run = complete};
    assert_ptr_equal(op, submitted);
    loop_defer(loop_current, &task);
}

/* A success that was on its way when the cancel or the deadline came is a success; else the reason
 * counts, whatever the operation says. */
static int await_race_body(void *unused)
{
    static const int32_t results[][2] = {{7, 7}, {0, 0}, {-ECANCELED, -1}, {-ECONNRESET, -1}};
    struct leat_loop *loop = loop_current;
    const struct backend_ops *const true_ops = loop->ops;
    struct backend_ops ops = *true_ops;
    ops.submit = hold;
    ops.cancel = complete_soon;
    loop->ops = &ops;
    for (int i = 0; i < 4; i++) {
        struct leat_scope scope;
        struct awaiting awaiting = {.deadline_ns = LEAT_FOREVER, .result = -1};
        result_after_cancel = results[i][0];
        leat_scope_init(&scope);
        assert_int_equal(leat_spawn(&scope, await_recv, &awaiting, NULL), 0);
        assert_int_equal(leat_yield(), 0);
        leat_scope_fini(&scope);
        assert_int_equal(awaiting.result, results[i][1] < 0 ? -ECANCELED : results[i][1]);
        awaiting.deadline_ns = leat_after_ms(1);
        await_recv(&awaiting);
        assert_int_equal(awaiting.result, results[i][1] < 0 ? -ETIMEDOUT : results[i][1]);
    }
    loop->ops = true_ops;
    return 0;
}
FIBER_TEST(await_race)

/* ---- Many ------------------------------------------------------------------------------------ */

struct crowd {
    struct leat_channel *gate;
    size_t inside;
};

static void stand_in_crowd(void *arg)
{
    struct crowd *crowd = arg;
    char nothing;
    crowd->inside++;
    assert_int_equal(leat_channel_recv(crowd->gate, &nothing, LEAT_FOREVER), -LEAT_E_CLOSED);
    crowd->inside--;
}

static int many_body(void *unused)
{
    struct leat_scope scope;
    struct crowd crowd = {0};
    struct fiber_counters counters;
    assert_int_equal(leat_channel_create(1, 0, &crowd.gate), 0);
    leat_scope_init(&scope);
    for (int i = 0; i < FIBERS_MANY; i++)
        assert_int_equal(leat_spawn(&scope, stand_in_crowd, &crowd, NULL), 0);
    assert_int_equal(leat_scope_count(&scope), FIBERS_MANY);
    while (crowd.inside < FIBERS_MANY)
        assert_int_equal(leat_yield(), 0);
    fiber_counters_read(loop_current, &counters);
    assert_int_equal(counters.fibers, FIBERS_MANY + 1);
    leat_channel_close(crowd.gate);
    assert_int_equal(leat_scope_join(&scope, LEAT_FOREVER), 0);
    assert_int_equal(crowd.inside, 0);
    leat_scope_fini(&scope);
    fiber_counters_read(loop_current, &counters);
    assert_int_equal(counters.fibers, 1);
    assert_in_range(counters.stacks_cached, FIBERS_MANY < 1024 ? FIBERS_MANY : 1024,
                    STACK_WARM_MAX);
    leat_channel_destroy(crowd.gate);
    return 0;
}
FIBER_TEST(many)

/* ---- leat_run -------------------------------------------------------------------------------- */

static int return_43(void *arg)
{
    return arg ? 43 : -43;
}

static int stop_own_loop(void *unused)
{
    leat_loop_stop(leat_loop_current());
    const int result = leat_sleep_ms(10000);
    leat_shield_begin(leat_after_ms(1000));
    assert_int_equal(leat_sleep_ms(1), 0); /* it may still say goodbye */
    leat_shield_end();
    return result;
}

static int run_within(void *unused)
{
    return leat_run(return_43, NULL, NULL);
}

static void test_run(void **state)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    assert_int_equal(leat_run(return_43, "", &options), 43);
    assert_int_equal(leat_run(return_43, NULL, &options), -43);
    assert_int_equal(leat_run(stop_own_loop, NULL, &options), -ECANCELED);
    assert_int_equal(leat_run(run_within, NULL, &options), -EEXIST);
    assert_null(leat_loop_current());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_runs_at_once),
        cmocka_unit_test(test_start_returns_when_parked),
        cmocka_unit_test(test_ends_on_the_loops_stack),
        cmocka_unit_test(test_on_end_may_start_the_next),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_running_name),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_yield),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_park),
        cmocka_unit_test(test_interrupt_once),
        cmocka_unit_test(test_cancelled_before),
        cmocka_unit_test(test_shield),
        cmocka_unit_test(test_shield_uncancelled),
        cmocka_unit_test(test_await),
        cmocka_unit_test(test_await_race),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
