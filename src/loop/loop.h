/* SPDX-License-Identifier: MIT */
/*
 * The completion loop, one a thread: operations, timers, tasks, messages from other threads.
 *
 *     turn:  messages -> tasks (fibers that may run) -> timers due -> wait for completions
 *
 * Everything here is called on the loop's own thread, save loop_post and leat_loop_stop. Public
 * half: leat/loop.h.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "leat/clock.h"
#include "leat/loop.h"
#include "loop/backend.h"
#include "loop/op.h"
#include "loop/timer.h"

/* A piece of work for a loop: run once, on the loop's stack. It may free itself. */
struct task {
    struct list_node node;
    void (*run)(struct task *task);
};

/* Written by the loop alone, read by anybody without a lock. */
struct loop_counters {
    _Atomic uint64_t turns, messages;
};

enum { LOOP_TASKS_A_TURN = 256 };

/* Layers above keep what they have of each loop here: scheduler, file cache, pipes, … */
enum loop_slot {
    LOOP_SLOT_FIBER,
    LOOP_SLOT_FILES,
    LOOP_SLOT_PIPES,
    LOOP_SLOT_LOGS,
    LOOP_SLOT_CODECS,
    LOOP_SLOT_NAMES,
    LOOP_SLOT_LINKS,
    LOOP_SLOT_CONNS,
    LOOP_SLOTS,
};

struct loop_extension {
    /* called by leat_loop_destroy, last slot first */
    void (*fini)(struct loop_extension *extension);
};

struct leat_loop {
    const struct backend_ops *ops;
    struct backend *backend;
    const struct backend_sys *sys;
    int64_t now_ns;
    struct timer_wheel timers;
    struct list_node ready; /* tasks, in the order they became ready */
    unsigned task_budget;   /* tasks this turn may still run before it looks at the kernel */
    unsigned jobs;          /* offload jobs whose done is still to come */
    _Atomic bool stop_wanted;
    _Atomic unsigned stoppers;    /* who are in leat_loop_stop now */
    _Atomic(struct task *) inbox; /* from other threads, last in first out; linked by node.next */
    struct loop_extension *extensions[LOOP_SLOTS];
    struct loop_counters counters;
    /* For the watchdog: when the current turn's work began (0: waiting), and what runs. */
    _Atomic int64_t busy_since_ns;
    _Atomic(const char *) running_name;
    struct list_node watch_node;
    int64_t watch_told_ns;       /* the incident last told; the watchdog alone uses it */
    struct embedding *embedding; /* leat_loop_fd was called */
    bool blocks_sigpipe;         /* its thread did not when it was made */
};

/* The loop of this thread, or NULL. */
extern _Thread_local struct leat_loop *loop_current __attribute__((tls_model("initial-exec")));

/* A loop on a given backend: what the simulator and the tests use; leat_loop_create chooses one. */
int loop_create_on(const struct backend_ops *ops, const struct backend_options *options,
                   struct leat_loop **ret_loop);

static inline void loop_submit(struct leat_loop *loop, struct op *op)
{
    ASSERT(op->state == OP_IDLE);
    op->state = OP_BUSY;
    op->cancelled = false;
    op_busy_count++;
    loop->ops->submit(loop->backend, op);
}

/* Asks a BUSY op to end soon; a second call, or one on an IDLE op, does nothing. */
static inline void loop_cancel(struct leat_loop *loop, struct op *op)
{
    if (op->state != OP_BUSY || op->cancelled)
        return;
    op->cancelled = true;
    loop->ops->cancel(loop->backend, op);
}

/* Every backend calls it in wait(), when the kernel has returned and before the first completion;
 * the loop when it is entered. */
static inline void loop_begin_work(struct leat_loop *loop)
{
    loop->now_ns = loop->ops->now_ns(loop->backend);
    atomic_store_explicit(&loop->busy_since_ns, loop->now_ns, memory_order_relaxed);
}

/* From here on the loop waits, or its caller has the thread: nothing the watchdog would blame it
 * for. */
static inline void loop_end_work(struct leat_loop *loop)
{
    atomic_store_explicit(&loop->busy_since_ns, 0, memory_order_relaxed);
}

/* All that is in line waits until the loop has looked at the kernel: for a task that took long, and
 * goes on at once where nobody else is in line. */
static inline void loop_end_turn(struct leat_loop *loop)
{
    loop->task_budget = 0;
}

/* Runs the task soon: in this turn while its budget lasts, else in the next. */
static inline void loop_defer(struct leat_loop *loop, struct task *task)
{
    list_push_back(&loop->ready, &task->node);
}

/* The next task to run in this turn, taken out of the list; NULL when there is none or the turn has
 * had its share. The scheduler of fibers uses it to go from one fiber straight to the next. */
static inline struct task *loop_take_task(struct leat_loop *loop)
{
    if (loop->task_budget == 0 || list_is_empty(&loop->ready))
        return NULL;
    loop->task_budget--;
    return CONTAINER_OF(list_take_front(&loop->ready), struct task, node);
}

/* From any thread: the task runs on `loop` soon. */
void loop_post(struct leat_loop *loop, struct task *task);

static inline void loop_timer_start(struct leat_loop *loop, struct timer *timer,
                                    int64_t deadline_ns)
{
    timer_start(&loop->timers, timer, deadline_ns);
}

static inline void loop_timer_stop(struct leat_loop *loop, struct timer *timer)
{
    timer_stop(&loop->timers, timer);
}

#endif
