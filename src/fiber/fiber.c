/* SPDX-License-Identifier: MIT */
/*
 * The scheduler of fibers: birth, switching, parking, waking, end. See scheduler.h for the states
 * and the rules. All of it runs on the loop's thread.
 */
#include "fiber/fiber.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fiber/scheduler.h"

enum { FIBER_ALIGNMENT = 64 };

_Thread_local struct scheduler *scheduler_current __attribute__((tls_model("initial-exec")));

/* For the debugger, which finds the fibers of all threads here. */
struct scheduler_list {
    pthread_mutex_t lock;
    struct list_node head;
} scheduler_list = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .head = {&scheduler_list.head, &scheduler_list.head},
};

static void count(_Atomic uint64_t *counter, int64_t change)
{
    const uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + (uint64_t)change, memory_order_relaxed);
}

/* ---- The scheduler's own life ---------------------------------------------------------------- */

static void scheduler_fini(struct loop_extension *extension)
{
    struct scheduler *scheduler = CONTAINER_OF(extension, struct scheduler, extension);
    ASSERT(list_is_empty(&scheduler->fibers));
    ASSERT(!scheduler->current && !scheduler->ended);
    pthread_mutex_lock(&scheduler_list.lock);
    list_remove(&scheduler->node);
    pthread_mutex_unlock(&scheduler_list.lock);
    stack_cache_fini(&scheduler->stacks);
    scheduler->loop->extensions[LOOP_SLOT_FIBER] = NULL;
    scheduler_current = NULL;
    free(scheduler);
}

__attribute__((noinline)) static struct scheduler *scheduler_create(struct leat_loop *loop)
{
    ASSERT(loop == loop_current);
    struct scheduler *scheduler = calloc(1, sizeof *scheduler);
    if (!scheduler)
        return NULL;
    scheduler->extension.fini = scheduler_fini;
    scheduler->loop = loop;
    list_init(&scheduler->fibers);
    stack_cache_init(&scheduler->stacks);
    sanitize_flow_of_thread(&scheduler->loop_flow.sanitize);
    pthread_mutex_lock(&scheduler_list.lock);
    list_push_back(&scheduler_list.head, &scheduler->node);
    pthread_mutex_unlock(&scheduler_list.lock);
    loop->extensions[LOOP_SLOT_FIBER] = &scheduler->extension;
    scheduler_current = scheduler;
    return scheduler;
}

struct scheduler *scheduler_of(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_FIBER];
    if (!extension)
        return scheduler_create(loop);
    return CONTAINER_OF(extension, struct scheduler, extension);
}

void fiber_counters_read(const struct leat_loop *loop, struct fiber_counters *ret_counters)
{
    *ret_counters = (struct fiber_counters){0};
    const struct loop_extension *extension = loop->extensions[LOOP_SLOT_FIBER];
    if (!extension)
        return;
    const struct scheduler *scheduler = CONTAINER_OF(extension, struct scheduler, extension);
    *ret_counters = (struct fiber_counters){
        .fibers = atomic_load_explicit(&scheduler->fiber_count, memory_order_relaxed),
        .fibers_peak = atomic_load_explicit(&scheduler->fiber_peak, memory_order_relaxed),
        .stacks = atomic_load_explicit(&scheduler->stacks.count, memory_order_relaxed),
        .stacks_cached = atomic_load_explicit(&scheduler->stacks.warm_count, memory_order_relaxed),
        .switches = atomic_load_explicit(&scheduler->switch_count, memory_order_relaxed),
        .spawned = atomic_load_explicit(&scheduler->spawn_count, memory_order_relaxed),
    };
}

void fiber_each(const struct leat_loop *loop,
                bool (*see)(const struct fiber_info *info, void *user), void *user)
{
    static const char *const states[] = {
        [FIBER_PARKED] = "parked", [FIBER_READY] = "ready", [FIBER_RUNNING] = "running"};
    ASSERT(loop == loop_current);
    const struct loop_extension *extension = loop->extensions[LOOP_SLOT_FIBER];
    if (!extension)
        return;
    const struct scheduler *scheduler = CONTAINER_OF(extension, struct scheduler, extension);
    LIST_FOR_EACH (node, &scheduler->fibers) {
        const struct fiber *fiber = CONTAINER_OF(node, struct fiber, node);
        ASSERT(fiber->state != FIBER_ENDED);
        const struct fiber_info info = {
            .name = fiber->name,
            .state = states[fiber->state],
            .is_cancelled = fiber->is_cancelled,
            .since_ns = fiber->since_ns,
            .deadline_ns = fiber->state == FIBER_PARKED ? fiber->deadline_ns : LEAT_FOREVER,
            .stack_size = fiber->stack->size,
            .stack_used = stack_high_water(fiber->stack),
        };
        if (!see(&info, user))
            return;
    }
}

/* ---- Switching ------------------------------------------------------------------------------- */

/* The fiber that ended before us: its stack goes back, and its owner is told. One that has an owner
 * comes home to the loop first, so that on_end never runs on a fiber's stack. */
__attribute__((noinline)) static void bury(struct scheduler *scheduler)
{
    struct fiber *fiber = scheduler->ended;
    scheduler->ended = NULL;
    const fiber_end_fn on_end = fiber->on_end;
    void *const user = fiber->end_user;
    ASSERT(!on_end || !scheduler->current);
    sanitize_flow_fini(&fiber->flow.sanitize);
    stack_give(&scheduler->stacks, fiber->stack);
    if (on_end)
        on_end(user);
}

/* The first thing that is done wherever a switch leads to. */
static inline void arrive(struct scheduler *scheduler, struct flow *flow)
{
    sanitize_arrive(&flow->sanitize);
    if (scheduler->ended)
        bury(scheduler);
}

static inline struct flow *enter(struct scheduler *scheduler, struct fiber *fiber)
{
    DEBUG_ASSERT(fiber->state != FIBER_RUNNING && fiber->state != FIBER_ENDED);
    fiber->state = FIBER_RUNNING;
    scheduler->current = fiber;
    count(&scheduler->switch_count, 1);
    atomic_store_explicit(&scheduler->loop->running_name, fiber->name, memory_order_relaxed);
    return &fiber->flow;
}

static void run_task(struct task *task);

/* The next in line, if it is a fiber and its turn has come; it is taken out of the line. */
static inline struct fiber *take_next(struct scheduler *scheduler)
{
    struct leat_loop *loop = scheduler->loop;
    if (!scheduler->may_chain || list_is_empty(&loop->ready))
        return NULL;
    const struct task *first = CONTAINER_OF(loop->ready.next, struct task, node);
    if (first->run != run_task)
        return NULL;
    struct task *task = loop_take_task(loop);
    return task ? CONTAINER_OF(task, struct fiber, task) : NULL;
}

/* The running fiber, whose state says what becomes of it, leaves the processor. Returns when it
 * runs again. */
static inline void leave(struct scheduler *scheduler, struct fiber *fiber)
{
    const bool ends = fiber->state == FIBER_ENDED;
    struct fiber *next = ends && fiber->on_end ? NULL : take_next(scheduler);
    if (next == fiber) { /* it yielded, and nobody else was waiting */
        fiber->state = FIBER_RUNNING;
        return;
    }
    struct flow *to = &scheduler->loop_flow;
    if (next) {
        to = enter(scheduler, next);
    } else {
        scheduler->current = NULL;
        atomic_store_explicit(&scheduler->loop->running_name, NULL, memory_order_relaxed);
    }
    sanitize_leave(&fiber->flow.sanitize, &to->sanitize, ends);
    context_switch(&fiber->flow.context, &to->context);
    arrive(scheduler, &fiber->flow);
}

/* From the loop's stack into a fiber; returns when the loop's stack is switched to again. */
static void run(struct scheduler *scheduler, struct fiber *fiber, bool may_chain)
{
    ASSERT(!scheduler->current);
    scheduler->may_chain = may_chain;
    const struct flow *to = enter(scheduler, fiber);
    sanitize_leave(&scheduler->loop_flow.sanitize, &to->sanitize, false);
    context_switch(&scheduler->loop_flow.context, &to->context);
    arrive(scheduler, &scheduler->loop_flow);
}

static void run_task(struct task *task)
{
    struct fiber *fiber = CONTAINER_OF(task, struct fiber, task);
    run(fiber->scheduler, fiber, true);
}

/* ---- Birth and end --------------------------------------------------------------------------- */

static void fiber_main(void *arg)
{
    struct fiber *fiber = arg;
    struct scheduler *scheduler = fiber->scheduler;
    arrive(scheduler, &fiber->flow);

    fiber->fn(fiber->arg);

    ASSERT(fiber->scopes_open == 0); /* leat_scope_fini on every path */
    ASSERT(scheduler->current == fiber && !scheduler->ended);
    fiber->state = FIBER_ENDED;
    list_remove(&fiber->node);
    count(&scheduler->fiber_count, -1);
    if (fiber->scope)
        scope_remove(fiber->scope, fiber);
    scheduler->ended = fiber;
    leave(scheduler, fiber);
    ASSERT(!"an ended fiber never runs");
}

static void fire(struct timer *timer);

int fiber_create(struct scheduler *scheduler, const struct leat_fiber_options *options,
                 leat_fiber_fn fn, void *arg, struct fiber **ret_fiber)
{
    static const struct leat_fiber_options defaults = {.name = "fiber"};
    if (!options)
        options = &defaults;
    struct stack *stack;
    const int error = stack_take(&scheduler->stacks, options->stack_size, &stack);
    if (error)
        return error;
    const uintptr_t top = (uintptr_t)(stack->low + stack->size - sizeof(struct fiber));
    struct fiber *fiber = (struct fiber *)(top & ~(uintptr_t)(FIBER_ALIGNMENT - 1));
    /* One by one: as a whole it would be cleared by `rep stos`, which costs more than all the
     * rest. */
    fiber->scheduler = scheduler;
    fiber->task.run = run_task;
    fiber->state = FIBER_PARKED;
    fiber->is_cancelled = false;
    fiber->is_shielded = false;
    fiber->interrupted = 0;
    fiber->interrupt = NULL;
    fiber->interrupt_user = NULL;
    fiber->deadline_ns = LEAT_FOREVER;
    fiber->grace_ns = 0;
    fiber->since_ns = scheduler->loop->now_ns;
    fiber->scope = NULL;
    fiber->scopes_open = 0;
    fiber->name = options->name ? options->name : defaults.name;
    fiber->stack = stack;
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->on_end = NULL;
    fiber->end_user = NULL;
    timer_init(&fiber->timer, fire);
    const size_t room = (size_t)((char *)fiber - stack->low);
    context_make(&fiber->flow.context, stack->low, room, fiber_main, fiber);
    sanitize_flow_init(&fiber->flow.sanitize, stack->low, stack->size);
    list_push_back(&scheduler->fibers, &fiber->node);
    count(&scheduler->spawn_count, 1);
    count(&scheduler->fiber_count, 1);
    const uint64_t alive = atomic_load_explicit(&scheduler->fiber_count, memory_order_relaxed);
    if (alive > atomic_load_explicit(&scheduler->fiber_peak, memory_order_relaxed))
        atomic_store_explicit(&scheduler->fiber_peak, alive, memory_order_relaxed);
    *ret_fiber = fiber;
    return 0;
}

int fiber_start(struct leat_loop *loop, const struct leat_fiber_options *options, leat_fiber_fn fn,
                void *arg, fiber_end_fn on_end, void *user, struct fiber **ret_fiber)
{
    ASSERT(loop == loop_current);
    ASSERT(!fiber_running());
    struct scheduler *scheduler = scheduler_of(loop);
    if (!scheduler)
        return -ENOMEM;
    struct fiber *fiber;
    const int error = fiber_create(scheduler, options, fn, arg, &fiber);
    if (error)
        return error;
    fiber->on_end = on_end;
    fiber->end_user = user;
    *ret_fiber = fiber; /* before it runs, for it may end at once */
    run(scheduler, fiber, false);
    return 0;
}

struct fiber *fiber_current(void)
{
    return fiber_running();
}

/* ---- Waiting --------------------------------------------------------------------------------- */

void fiber_wake(struct fiber *fiber)
{
    DEBUG_ASSERT(fiber->scheduler == scheduler_current);
    if (fiber->state != FIBER_PARKED)
        return;
    fiber->state = FIBER_READY;
    loop_defer(fiber->scheduler->loop, &fiber->task);
}

void fiber_interrupt_wake(void *user)
{
    fiber_wake(user);
}

/* Ends a wait for a reason, once. */
static void interrupt_wait(struct fiber *fiber, int reason)
{
    ASSERT(reason < 0);
    if (fiber->state != FIBER_PARKED || !fiber->interrupt || fiber->interrupted)
        return;
    fiber->interrupted = reason;
    fiber->interrupt(fiber->interrupt_user);
}

/* When the present wait must be looked at, whether or not it then ends. */
static int64_t alarm_of(const struct fiber *fiber)
{
    if (fiber->is_shielded && fiber->grace_ns < fiber->deadline_ns &&
        fiber->grace_ns > fiber->scheduler->loop->now_ns)
        return fiber->grace_ns;
    return fiber->deadline_ns;
}

static void fire(struct timer *timer)
{
    struct fiber *fiber = CONTAINER_OF(timer, struct fiber, timer);
    const int reason = fiber_reason(fiber, fiber->deadline_ns);
    if (reason)
        interrupt_wait(fiber, reason);
    else /* the grace is over, but nobody had cancelled: the wait goes on without a shield */
        loop_timer_start(fiber->scheduler->loop, timer, alarm_of(fiber));
}

int fiber_park(int64_t deadline_ns, void (*interrupt)(void *user), void *user)
{
    struct fiber *fiber = fiber_running();
    ASSERT(fiber && interrupt);
    const int reason = fiber_reason(fiber, deadline_ns);
    if (reason)
        return reason;
    struct scheduler *scheduler = fiber->scheduler;
    fiber->interrupted = 0;
    fiber->interrupt = interrupt;
    fiber->interrupt_user = user;
    fiber->deadline_ns = deadline_ns;
    const int64_t alarm_ns = alarm_of(fiber);
    if (alarm_ns != LEAT_FOREVER)
        loop_timer_start(scheduler->loop, &fiber->timer, alarm_ns);
    fiber->state = FIBER_PARKED;
    fiber->since_ns = scheduler->loop->now_ns;
    leave(scheduler, fiber);
    if (fiber->timer.is_running)
        loop_timer_stop(scheduler->loop, &fiber->timer);
    fiber->interrupt = NULL;
    return fiber->interrupted;
}

void fiber_park_sealed(void)
{
    struct fiber *fiber = fiber_running();
    ASSERT(fiber && !fiber->interrupt);
    fiber->state = FIBER_PARKED;
    fiber->since_ns = fiber->scheduler->loop->now_ns;
    fiber->deadline_ns = LEAT_FOREVER;
    leave(fiber->scheduler, fiber);
}

void fiber_yield(void)
{
    struct fiber *fiber = fiber_running();
    ASSERT(fiber);
    fiber->state = FIBER_READY;
    fiber->since_ns = fiber->scheduler->loop->now_ns;
    loop_defer(fiber->scheduler->loop, &fiber->task);
    leave(fiber->scheduler, fiber);
}

void fiber_cancel(struct fiber *fiber)
{
    DEBUG_ASSERT(fiber->scheduler == scheduler_current);
    if (fiber->is_cancelled)
        return;
    fiber->is_cancelled = true;
    /* A shielded one goes on waiting; the alarm of its wait rings when the grace is over. */
    if (fiber_reason(fiber, LEAT_FOREVER))
        interrupt_wait(fiber, -ECANCELED);
}
