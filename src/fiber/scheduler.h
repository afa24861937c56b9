/* SPDX-License-Identifier: MIT */
/*
 * The inside of fibers, shared by the files of this folder (and read by scripts/gdb/leat.py).
 *
 *                   leat_spawn               taken by the loop,
 *                   fiber_wake               or by a fiber that leaves
 *     FIBER_PARKED -----------> FIBER_READY ----------------------> FIBER_RUNNING ----> FIBER_ENDED
 *          ^                         ^                                 |  |  fn returned
 *          |                         '------------ leat_yield ---------'  |
 *          '---------------------- fiber_park ----------------------------'
 *
 * A ready fiber is a task of its loop, in line with all other tasks. A fiber that leaves looks at
 * the line: if the next task is a fiber too, it goes there directly, else back to the loop's stack.
 * The loop's task budget bounds both, so that the kernel is asked again soon.
 *
 * A fiber's struct lies at the top of its own stack: what spawns it allocates nothing but that. Who
 * runs after a fiber has ended buries it, for nobody can give back the stack he stands on.
 */
#ifndef FIBER_SCHEDULER_H
#define FIBER_SCHEDULER_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "fiber/context.h"
#include "fiber/fiber.h"
#include "fiber/sanitize.h"
#include "fiber/stack.h"
#include "loop/loop.h"
#include "loop/timer.h"

enum fiber_state { FIBER_PARKED, FIBER_READY, FIBER_RUNNING, FIBER_ENDED };

struct scheduler;
struct scope;

/* What can be switched to: a fiber, or the loop on its thread's stack. */
struct flow {
    struct context context; /* while it does not run */
    struct sanitize_flow sanitize;
};

struct fiber {
    struct flow flow;
    struct scheduler *scheduler;
    struct task task; /* while ready */
    enum fiber_state state;
    bool is_cancelled;
    bool is_shielded;
    int interrupted; /* why the present wait was interrupted: 0, -ECANCELED, -ETIMEDOUT */
    void (*interrupt)(void *user); /* NULL: nothing interrupts the present wait */
    void *interrupt_user;
    struct timer timer;       /* runs only while parked with a deadline */
    int64_t deadline_ns;      /* of the present wait */
    int64_t since_ns;         /* when it last left the processor, or was made */
    int64_t grace_ns;         /* of the shield */
    struct list_node node;    /* in scheduler->fibers */
    struct list_node sibling; /* in scope->fibers */
    struct scope *scope;      /* NULL: started by fiber_start */
    unsigned scopes_open;     /* scopes this fiber began and has not ended */
    const char *name;
    struct stack *stack;
    leat_fiber_fn fn;
    void *arg;
    fiber_end_fn on_end;
    void *end_user;
};

struct scheduler {
    struct loop_extension extension; /* loop->extensions[LOOP_SLOT_FIBER] */
    struct leat_loop *loop;
    struct fiber *current;   /* NULL: the loop's stack runs */
    struct fiber *ended;     /* to be buried by who runs next */
    struct flow loop_flow;   /* while a fiber runs */
    bool may_chain;          /* a fiber that leaves may go straight to the next one */
    struct list_node fibers; /* all that live */
    struct stack_cache stacks;
    struct list_node node; /* in the process's list of schedulers, for the debugger */
    /* written by the loop alone, read by anybody */
    _Atomic uint64_t fiber_count, fiber_peak, switch_count, spawn_count;
};

/* What is in leat_scope.reserved. */
struct scope {
    struct list_node fibers;
    struct leat_loop *loop;
    struct fiber *owner;  /* who began it; NULL: outside of any fiber */
    struct fiber *joiner; /* waits until count is 0 */
    size_t count;
    bool is_cancelled;
};

/* This thread's, or NULL before its first fiber. */
extern _Thread_local struct scheduler *scheduler_current __attribute__((tls_model("initial-exec")));

/* fiber_current, inline. */
static inline struct fiber *fiber_running(void)
{
    return scheduler_current ? scheduler_current->current : NULL;
}

/* The loop's scheduler, made when it has none; NULL: no memory. */
struct scheduler *scheduler_of(struct leat_loop *loop);

/* A fiber that is PARKED at its beginning. 0 or -ENOMEM. */
int fiber_create(struct scheduler *scheduler, const struct leat_fiber_options *options,
                 leat_fiber_fn fn, void *arg, struct fiber **ret_fiber);

/* 0 while a blocking call of this fiber may go on, else -ECANCELED or -ETIMEDOUT. */
static inline int fiber_reason(const struct fiber *fiber, int64_t deadline_ns)
{
    const int64_t now_ns = fiber->scheduler->loop->now_ns;
    if (fiber->is_cancelled && !(fiber->is_shielded && now_ns < fiber->grace_ns))
        return -ECANCELED;
    if (deadline_ns != LEAT_FOREVER && deadline_ns <= now_ns)
        return -ETIMEDOUT;
    return 0;
}

/* Steps back in line. */
void fiber_yield(void);

/* An interrupt that only wakes; `user` is the fiber. */
void fiber_interrupt_wake(void *user);

/* Takes the fiber, which has ended, out of its scope, and wakes who waits for the last. */
void scope_remove(struct scope *scope, struct fiber *fiber);

#endif
