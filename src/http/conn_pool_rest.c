/* SPDX-License-Identifier: MIT */
/*
 * Connections at rest: on stacks, which their loops alone touch, and shared, under the pool's lock.
 * A shelf looks at its stacks ten times a second. What was not used since the last time, for the
 * stack was never so low that its turn came, is more than this core needs: it becomes shared. So
 * what stays on a stack was looked at lately, when it was taken; what is shared is looked at now
 * and then, lest connections that the origin has closed lie about half closed.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "http/conn_pool_parts.h"

static struct pooled_conn *conn_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct pooled_conn, node);
}

static void release(struct conn_pool_shelf *shelf, const struct pooled_conn *conn)
{
    shelf->loop->ops->release(shelf->loop->backend, conn->stream.fd);
}

/* ---- Closing --------------------------------------------------------------------------------- */

void conn_pool_close(struct conn_pool_shelf *shelf, struct pooled_conn *conn)
{
    ASSERT(list_is_empty(&conn->node) && shelf->loop == loop_current);
    conn->stream.loop = shelf->loop;
    stream_fini(&conn->stream);
    free(conn);
}

/* Their places are given up when the origin can have seen that they are free. */
void conn_pool_close_all(struct conn_pool_shelf *shelf, struct list_node *conns)
{
    struct conn_pool *pool = shelf->pool;
    struct list_node *node;
    if (list_is_empty(conns))
        return;
    LIST_FOR_EACH (closing, conns) {
        struct pooled_conn *conn = conn_of(closing);
        conn->stream.loop = shelf->loop;
        stream_fini(&conn->stream);
    }
    pthread_mutex_lock(&pool->lock);
    while ((node = list_take_front(conns))) {
        conn_pool_uncount_open(conn_of(node)->destination);
        free(conn_of(node));
    }
    conn_pool_settle(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- Shared ---------------------------------------------------------------------------------- */

unsigned conn_pool_resting(const struct conn_pool_destination *destination)
{
    unsigned resting = destination->shared_count + destination->handed_count;
    LIST_FOR_EACH (node, &destination->stacks)
        resting += stack_resting(CONTAINER_OF(node, struct stack, node));
    return resting;
}

void conn_pool_share(struct conn_pool_shelf *shelf, struct pooled_conn *conn)
{
    struct conn_pool_destination *destination = conn->destination;
    ASSERT(list_is_empty(&conn->node));
    if (!line_is_empty(&destination->line)) {
        conn_pool_hand_over(conn);
    } else if (conn_pool_is_starved(destination->pool)) {
        destination->counters.evicted++;
        conn_pool_close(shelf, conn); /* before somebody is called to dial in its place */
        conn_pool_uncount_open(destination);
        conn_pool_settle(destination->pool);
    } else {
        list_push_front(&destination->shared, &conn->node);
        destination->shared_count++;
        destination->pool->shared++;
    }
}

static struct pooled_conn *take_from_shared(struct list_node *node)
{
    struct pooled_conn *conn = conn_of(node);
    struct conn_pool_destination *destination = conn->destination;
    ASSERT(destination->shared_count > 0 && destination->pool->shared > 0);
    if (destination->look == node)
        destination->look = node->previous;
    list_remove(node);
    destination->shared_count--;
    destination->pool->shared--;
    return conn;
}

struct pooled_conn *conn_pool_take_shared(struct conn_pool_destination *destination)
{
    return destination->shared_count > 0 ? take_from_shared(destination->shared.next) : NULL;
}

struct pooled_conn *conn_pool_take_victim(struct conn_pool *pool,
                                          struct conn_pool_destination *destination)
{
    if (destination)
        return destination->shared_count > 0 ? take_from_shared(destination->shared.previous)
                                             : NULL;
    if (pool->shared == 0)
        return NULL;
    LIST_FOR_EACH (node, &pool->destinations) {
        destination = CONTAINER_OF(node, struct conn_pool_destination, node);
        if (destination->shared_count > 0)
            return take_from_shared(destination->shared.previous);
    }
    ASSERT(!"what is shared is some destination's");
    return NULL;
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void tell(struct conn_pool_shelf *shelf)
{
    if (shelf->is_told)
        return;
    shelf->is_told = true;
    loop_post(shelf->loop, &shelf->task);
}

static bool ask_for(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination)
{
    LIST_FOR_EACH (node, &destination->stacks) {
        struct stack *stack = CONTAINER_OF(node, struct stack, node);
        if (stack->shelf == shelf || atomic_load(&stack->resting) <= stack->asked)
            continue;
        destination->asked++;
        if (stack->asked++ == 0)
            list_push_back(&stack->shelf->asked, &stack->ask_node);
        tell(stack->shelf);
        return true;
    }
    return false;
}

bool conn_pool_ask(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination)
{
    if (destination)
        return ask_for(shelf, destination);
    LIST_FOR_EACH (node, &shelf->pool->destinations)
        if (ask_for(shelf, CONTAINER_OF(node, struct conn_pool_destination, node)))
            return true;
    return false;
}

/* What the stack was asked for; and half of what is left, for who has asked once will ask again. */
static void answer(struct stack *stack)
{
    struct conn_pool_shelf *shelf = stack->shelf;
    const unsigned resting = stack_resting(stack);
    unsigned spare = resting > stack->asked ? (resting - stack->asked) / 2 : 0;
    if (spare > CONN_POOL_LOOKS)
        spare = CONN_POOL_LOOKS;
    for (unsigned left = stack->asked + spare; left > 0; left--) {
        struct pooled_conn *conn = stack_take_oldest(stack);
        if (!conn) { /* it was needed here: who was hopeful may dial */
            conn_pool_grant(stack->destination);
            continue;
        }
        release(shelf, conn);
        conn_pool_share(shelf, conn);
    }
    stack->destination->asked -= stack->asked;
    stack->asked = 0;
}

/* Somebody needs what rests here, or looks no more at what is shared. */
void conn_pool_shelf_told(struct task *task)
{
    struct conn_pool_shelf *shelf = CONTAINER_OF(task, struct conn_pool_shelf, task);
    struct conn_pool *pool = shelf->pool;
    struct list_node *node;
    if (shelf->is_gone) {
        free(shelf);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    shelf->is_told = false;
    while ((node = list_take_front(&shelf->asked)))
        answer(CONTAINER_OF(node, struct stack, ask_node));
    conn_pool_settle(pool);
    conn_pool_start_looking(shelf, true);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- Looking at what rests ------------------------------------------------------------------- */

static bool is_over(const struct pooled_conn *conn, int64_t now_ns)
{
    return now_ns >= conn->rests_until_ns || atomic_load(&conn->destination->is_retired);
}

static bool is_stale(const struct conn_pool_shelf *shelf, const struct pooled_conn *conn)
{
    const struct backend_sys *sys = shelf->loop->sys;
    char byte;
    return sys->recv(sys, conn->stream.fd, &byte, 1, true) != -EAGAIN;
}

/* Takes from the stack what is over, and what is too much. */
static void look_at_stack(struct stack *stack, int64_t now_ns, unsigned *left,
                          struct list_node *over, struct list_node *surplus)
{
    while (*left > 0 && stack_resting(stack) > 0 &&
           is_over(conn_of(stack->conns.previous), now_ns)) {
        list_push_back(over, &stack_take_oldest(stack)->node);
        (*left)--;
    }
    for (unsigned count = stack->lowest; *left > 0 && count > 0; count--) {
        struct pooled_conn *conn = stack_take_oldest(stack);
        release(stack->shelf, conn);
        list_push_back(surplus, &conn->node);
        (*left)--;
    }
    stack->lowest = stack_resting(stack);
}

static void look_at_shared(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination,
                           int64_t now_ns, unsigned *left, struct list_node *over)
{
    while (*left > 0 && destination->shared_count > 0 &&
           is_over(conn_of(destination->shared.previous), now_ns)) {
        list_push_back(over, &take_from_shared(destination->shared.previous)->node);
        destination->counters.evicted++;
        (*left)--;
    }
    for (unsigned count = destination->shared_count; *left > 0 && count > 0; count--) {
        if (destination->look == &destination->shared)
            destination->look = destination->shared.previous;
        struct list_node *node = destination->look;
        destination->look = node->previous;
        struct pooled_conn *conn = conn_of(node);
        const bool has_gone_stale = is_stale(shelf, conn);
        if (has_gone_stale || is_over(conn, now_ns)) {
            list_push_back(over, &take_from_shared(node)->node);
            destination->counters.stale += has_gone_stale;
            destination->counters.evicted += !has_gone_stale;
        }
        (*left)--;
    }
}

/* One of the shelves does it for all; each destination is the first to be looked at in its turn.
 * True: so many were over that the others are to be looked at soon. */
static bool sweep(struct conn_pool_shelf *shelf, int64_t now_ns, struct list_node *over)
{
    struct conn_pool *pool = shelf->pool;
    unsigned left = CONN_POOL_LOOKS;
    if (pool->shared == 0 || now_ns < pool->swept_ns + pool->period_ns)
        return false;
    const unsigned shared = pool->shared;
    pool->swept_ns = now_ns;
    list_push_back(&pool->destinations, list_take_front(&pool->destinations));
    LIST_FOR_EACH (node, &pool->destinations)
        look_at_shared(shelf, CONTAINER_OF(node, struct conn_pool_destination, node), now_ns, &left,
                       over);
    if (left > 0 || shared - pool->shared < CONN_POOL_LOOKS / 2)
        return false;
    pool->swept_ns -= pool->period_ns;
    return true;
}

void conn_pool_shelf_look(struct timer *timer)
{
    struct conn_pool_shelf *shelf = CONTAINER_OF(timer, struct conn_pool_shelf, timer);
    struct conn_pool *pool = shelf->pool;
    const int64_t now_ns = shelf->loop->now_ns;
    struct list_node over, surplus, *node;
    unsigned left = CONN_POOL_LOOKS, resting = 0;
    list_init(&over);
    list_init(&surplus);
    for (unsigned index = 0; index < shelf->stack_count; index++) {
        struct stack *stack = shelf->stacks[index];
        if (!stack)
            continue;
        look_at_stack(stack, now_ns, &left, &over, &surplus);
        resting += stack_resting(stack);
    }
    pthread_mutex_lock(&pool->lock);
    LIST_FOR_EACH (each, &over)
        conn_of(each)->destination->counters.evicted++;
    while ((node = list_take_front(&surplus)))
        conn_pool_share(shelf, conn_of(node));
    const bool is_hurried = sweep(shelf, now_ns, &over);
    if (resting + pool->shared > 0)
        conn_pool_start_looking(shelf, resting > 0 || is_hurried);
    pthread_mutex_unlock(&pool->lock);
    conn_pool_close_all(shelf, &over);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* The last one turns off the light. */
static void close_shared(struct conn_pool *pool, struct list_node *over)
{
    struct pooled_conn *conn;
    while ((conn = conn_pool_take_victim(pool, NULL))) {
        conn->destination->counters.evicted++;
        list_push_back(over, &conn->node);
    }
}

void conn_pool_shelf_clear(struct conn_pool_shelf *shelf)
{
    struct conn_pool *pool = shelf->pool;
    struct list_node over, surplus, *node;
    struct pooled_conn *conn;
    ASSERT(shelf->leased == 0 && shelf->loop == loop_current);
    list_init(&over);
    list_init(&surplus);
    loop_timer_stop(shelf->loop, &shelf->timer);
    for (unsigned index = 0; index < shelf->stack_count; index++)
        while (shelf->stacks[index] && (conn = stack_take_oldest(shelf->stacks[index]))) {
            release(shelf, conn);
            list_push_back(&surplus, &conn->node);
        }
    pthread_mutex_lock(&pool->lock);
    list_remove(&shelf->node);
    while ((node = list_take_front(&surplus)))
        conn_pool_share(shelf, conn_of(node));
    for (unsigned index = 0; index < shelf->stack_count; index++) {
        struct stack *stack = shelf->stacks[index];
        if (!stack)
            continue;
        stack->destination->counters.reused += counter_read(&stack->reused);
        list_remove(&stack->node);
        list_remove(&stack->ask_node);
        stack->destination->asked -= stack->asked;
        for (; stack->asked > 0; stack->asked--)
            conn_pool_grant(stack->destination);
        free(stack);
    }
    if (list_is_empty(&pool->shelves))
        close_shared(pool, &over);
    else if (pool->shared > 0)
        tell(CONTAINER_OF(pool->shelves.next, struct conn_pool_shelf, node));
    pthread_mutex_unlock(&pool->lock);
    free(shelf->stacks);
    conn_pool_close_all(shelf, &over);
}
