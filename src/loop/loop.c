/* SPDX-License-Identifier: MIT */
/*
 * The loop's turn, and its birth and end. What it does is decided here; how the kernel is asked is
 * the backends' affair.
 */
#include "loop/loop.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counters.h"
#include "loop/embed.h"
#include "loop/offload.h"
#include "loop/watchdog.h"

_Thread_local struct leat_loop *loop_current __attribute__((tls_model("initial-exec")));
_Thread_local unsigned op_busy_count __attribute__((tls_model("initial-exec")));

int64_t leat_now_ns(void)
{
    return loop_current ? loop_current->now_ns : clock_now_ns();
}

int64_t leat_after_ms(int64_t delay_ms)
{
    const int64_t now_ns = leat_now_ns();
    if (delay_ms < 0 || delay_ms > (LEAT_FOREVER - now_ns) / LEAT_NS_PER_MS)
        return LEAT_FOREVER;
    return now_ns + delay_ms * LEAT_NS_PER_MS;
}

struct leat_loop *leat_loop_current(void)
{
    return loop_current;
}

const char *leat_loop_engine(const struct leat_loop *loop)
{
    return loop->ops->name;
}

/* sendfile(2) and splice(2) to a peer that is gone raise SIGPIPE, which no flag of theirs
 * prevents and which would end a program that does not know of it. So it is blocked in the loop's
 * thread: the rest of the program is none of our business. True when that made a difference. */
static bool block_sigpipe(void)
{
    sigset_t sigpipe, old;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
    return !sigismember(&old, SIGPIPE);
}

/* What is pending was told as -EPIPE already. */
static void unblock_sigpipe(void)
{
    const struct timespec at_once = {0};
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    while (sigtimedwait(&sigpipe, NULL, &at_once) == SIGPIPE)
        ;
    pthread_sigmask(SIG_UNBLOCK, &sigpipe, NULL);
}

int loop_create_on(const struct backend_ops *ops, const struct backend_options *options,
                   struct leat_loop **ret_loop)
{
    if (loop_current)
        return -EEXIST;
    struct leat_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->ops = ops;
    list_init(&loop->ready);
    list_init(&loop->watch_node);
    int error = ops->create(loop, options, &loop->backend);
    if (error) {
        free(loop);
        return error;
    }
    loop->sys = ops->sys(loop->backend);
    loop->now_ns = ops->now_ns(loop->backend);
    timer_wheel_init(&loop->timers, loop->now_ns);
    loop_current = loop;
    if (!ops->is_simulated) {
        loop->blocks_sigpipe = block_sigpipe();
        offload_attach();
        watchdog_attach(loop);
    }
    *ret_loop = loop;
    return 0;
}

/* The nearest power of two that is not less, within what a ring may have. */
static unsigned ring_size(unsigned wanted, unsigned default_size)
{
    const unsigned limit = 32768; /* of the kernel, for queues and for rings of buffers */
    unsigned size = 1;
    if (wanted == 0)
        return default_size;
    while (size < wanted && size < limit)
        size *= 2;
    return size;
}

int leat_loop_create(const struct leat_loop_options *options, struct leat_loop **ret_loop)
{
    static const struct leat_loop_options defaults;
    if (!options)
        options = &defaults;
    const struct backend_options backend_options = {
        .queue_entries = ring_size(options->queue_entries, 1024),
        .receive_buffers = ring_size(options->receive_buffers, 256),
        .receive_buffer_size = options->receive_buffer_size ? options->receive_buffer_size : 2048,
    };
    int error = -EINVAL;
    if (options->engine != LEAT_ENGINE_EPOLL)
        error = loop_create_on(&backend_uring_ops, &backend_options, ret_loop);
    if (options->engine == LEAT_ENGINE_EPOLL ||
        (options->engine == LEAT_ENGINE_AUTO && error != 0 && error != -EEXIST))
        error = loop_create_on(&backend_epoll_ops, &backend_options, ret_loop);
    return error;
}

void leat_loop_destroy(struct leat_loop *loop)
{
    if (!loop)
        return;
    ASSERT(loop == loop_current);
    while (atomic_load_explicit(&loop->stoppers, memory_order_acquire) > 0)
        sched_yield();
    for (int slot = LOOP_SLOTS - 1; slot >= 0; slot--)
        if (loop->extensions[slot])
            loop->extensions[slot]->fini(loop->extensions[slot]);
    ASSERT(op_busy_count == 0);
    ASSERT(loop->jobs == 0);
    if (!loop->ops->is_simulated) {
        watchdog_detach(loop);
        offload_detach();
    }
    embed_destroy(loop->embedding);
    loop->ops->destroy(loop->backend);
    if (loop->blocks_sigpipe)
        unblock_sigpipe();
    timer_wheel_fini(&loop->timers);
    loop_current = NULL;
    free(loop);
}

void loop_post(struct leat_loop *loop, struct task *task)
{
    struct task *first = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        task->node.next = first ? &first->node : NULL;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &first, task,
                                                    memory_order_release, memory_order_relaxed));
    /* Only the first message of a batch wakes; the loop takes all at once. */
    if (!first)
        loop->ops->wake(loop->backend);
}

/* Messages become tasks, oldest first. */
static void take_messages(struct leat_loop *loop)
{
    if (!atomic_load_explicit(&loop->inbox, memory_order_relaxed))
        return;
    struct task *task = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct list_node *place = &loop->ready;
    while (task) {
        struct list_node *next = task->node.next;
        list_insert_before(place, &task->node);
        place = &task->node;
        counter_add(&loop->counters.messages, 1);
        task = next ? CONTAINER_OF(next, struct task, node) : NULL;
    }
}

static void run_tasks(struct leat_loop *loop)
{
    struct task *task;
    loop->task_budget = LOOP_TASKS_A_TURN;
    while ((task = loop_take_task(loop)))
        task->run(task);
}

static bool is_anything_left(const struct leat_loop *loop)
{
    return op_busy_count > 0 || loop->timers.count > 0 || loop->jobs > 0 ||
           !list_is_empty(&loop->ready) || atomic_load(&loop->inbox);
}

static int turn(struct leat_loop *loop, int64_t deadline_ns, bool ends_when_idle)
{
    counter_add(&loop->counters.turns, 1);
    take_messages(loop);
    run_tasks(loop);
    timer_wheel_advance(&loop->timers, loop->now_ns);

    if (!list_is_empty(&loop->ready) || atomic_load(&loop->inbox) ||
        atomic_load(&loop->stop_wanted))
        deadline_ns = 0;
    /* The last task or timer may have been this turn's: then nobody would ever end the wait. */
    if (ends_when_idle && !is_anything_left(loop))
        deadline_ns = 0;
    const int64_t timer_ns = timer_wheel_next_ns(&loop->timers);
    if (timer_ns < deadline_ns)
        deadline_ns = timer_ns;
    loop_end_work(loop);
    return loop->ops->wait(loop->backend, deadline_ns);
}

static int turn_once(struct leat_loop *loop, int64_t deadline_ns, bool ends_when_idle)
{
    int error = turn(loop, deadline_ns, ends_when_idle);
    if (!error && loop->embedding)
        error = embed_settle(loop->embedding, loop);
    return error;
}

int leat_loop_run_once(struct leat_loop *loop, int64_t deadline_ns)
{
    ASSERT(loop == loop_current);
    loop_begin_work(loop); /* the caller may have slept since the last turn */
    const int error = turn_once(loop, deadline_ns, false);
    loop_end_work(loop); /* and may sleep now, which holds nobody up */
    return error;
}

int leat_loop_run(struct leat_loop *loop)
{
    ASSERT(loop == loop_current);
    int error = 0;
    loop_begin_work(loop);
    while (!error && !atomic_load_explicit(&loop->stop_wanted, memory_order_acquire) &&
           is_anything_left(loop))
        error = turn_once(loop, LEAT_FOREVER, true);
    loop_end_work(loop);
    atomic_store(&loop->stop_wanted, false);
    return error;
}

void leat_loop_stop(struct leat_loop *loop)
{
    /* Once the wish is seen the loop may end and go, but not before we have let go of it. */
    atomic_fetch_add_explicit(&loop->stoppers, 1, memory_order_relaxed);
    atomic_store_explicit(&loop->stop_wanted, true, memory_order_release);
    loop->ops->wake(loop->backend);
    atomic_fetch_sub_explicit(&loop->stoppers, 1, memory_order_release);
}

int leat_loop_fd(struct leat_loop *loop)
{
    if (!loop->embedding) {
        const int error = embed_create(loop, &loop->embedding);
        loop_end_work(loop); /* it has had a look at the kernel, and the caller may sleep now */
        if (error)
            return error;
    }
    return embed_fd(loop->embedding);
}
