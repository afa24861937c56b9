/* SPDX-License-Identifier: MIT */
/*
 * See line.h. Who waits is on its fiber's stack, and so is the message it is sent: once called it
 * waits for that, whatever else happens. It takes the lock once more before it goes, so that
 * whoever called it has finished with its stack and its loop by then.
 */
#include "fiber/line.h"

#include "base/assert.h"
#include "fiber/fiber.h"

struct waiter {
    struct list_node node;
    struct task task; /* the message */
    pthread_mutex_t *lock;
    struct leat_loop *loop;
    struct fiber *fiber;
    bool was_called; /* out of the line, and the message is on its way */
    int result;
};

void line_init(struct line *line)
{
    list_init(&line->waiters);
}

bool line_is_empty(const struct line *line)
{
    return list_is_empty(&line->waiters);
}

static void wake_waiter(struct task *task)
{
    fiber_wake(CONTAINER_OF(task, struct waiter, task)->fiber);
}

bool line_call(struct line *line, int result)
{
    struct list_node *node = list_take_front(&line->waiters);
    if (!node)
        return false;
    struct waiter *waiter = CONTAINER_OF(node, struct waiter, node);
    ASSERT(!waiter->was_called);
    waiter->was_called = true;
    waiter->result = result;
    loop_post(waiter->loop, &waiter->task);
    return true;
}

void line_call_all(struct line *line, int result)
{
    while (line_call(line, result))
        ;
}

static void stop_waiting(void *user)
{
    struct waiter *waiter = user;
    pthread_mutex_lock(waiter->lock);
    list_remove(&waiter->node);
    const bool was_called = waiter->was_called;
    pthread_mutex_unlock(waiter->lock);
    if (!was_called)
        fiber_wake(waiter->fiber);
}

int line_wait(struct line *line, pthread_mutex_t *lock, int64_t deadline_ns, bool *ret_was_called)
{
    struct waiter waiter = {
        .task = {.run = wake_waiter}, .lock = lock, .loop = loop_current, .fiber = fiber_current()};
    ASSERT(waiter.fiber && deadline_ns != LEAT_FOREVER);
    *ret_was_called = false;
    list_init(&waiter.node);
    int error = fiber_interruption(deadline_ns); /* asked first, it does park below */
    if (error)
        return error;
    list_push_back(&line->waiters, &waiter.node);
    pthread_mutex_unlock(lock);
    error = fiber_park(deadline_ns, stop_waiting, &waiter);
    pthread_mutex_lock(lock);
    ASSERT(list_is_empty(&waiter.node));
    ASSERT(error || waiter.was_called);
    *ret_was_called = waiter.was_called;
    return error ? error : waiter.result;
}
