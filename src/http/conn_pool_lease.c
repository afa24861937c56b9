/* SPDX-License-Identifier: MIT */
/*
 * Taking connections and giving them back. On one core, with what rests on its shelf, neither takes
 * the lock: a look at the socket, a few counts. All else is slower than a lock: another core's
 * connection, a new one, waiting. See conn_pool_parts.h for how those who wait are found.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "http/conn_pool_parts.h"
#include "leat/error.h"

/* What a fiber wants. */
struct taking {
    struct stack *stack;
    enum conn_pool_want want;
    int64_t deadline_ns;
    unsigned looks; /* at those that were not fit; after CONN_POOL_LOOKS of them: a new one */
};

/* ---- Places ---------------------------------------------------------------------------------- */

static inline void count_leased(struct conn_pool_destination *destination)
{
    const uint64_t leased =
        atomic_fetch_add_explicit(&destination->leased, 1, memory_order_relaxed) + 1;
    uint64_t peak = atomic_load_explicit(&destination->leased_peak, memory_order_relaxed);
    while (leased > peak &&
           !atomic_compare_exchange_weak_explicit(&destination->leased_peak, &peak, leased,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

static inline void uncount_leased(struct conn_pool_destination *destination)
{
    atomic_fetch_sub_explicit(&destination->leased, 1, memory_order_relaxed);
}

/* ---- The line -------------------------------------------------------------------------------- */

static void enter_line(struct conn_pool_destination *destination)
{
    struct conn_pool *pool = destination->pool;
    if (destination->in_line++ == 0)
        list_push_back(&pool->lines, &destination->line_node);
    atomic_fetch_add(&pool->waiting, 1);
}

static void leave_line(struct conn_pool_destination *destination)
{
    struct conn_pool *pool = destination->pool;
    ASSERT(destination->in_line > 0 && atomic_load(&pool->waiting) > 0);
    if (--destination->in_line == 0)
        list_remove(&destination->line_node);
    atomic_fetch_sub(&pool->waiting, 1);
}

static void call_first(struct conn_pool_destination *destination)
{
    const bool was_called = line_call(&destination->line, 0);
    ASSERT(was_called);
    leave_line(destination);
}

void conn_pool_hand_over(struct pooled_conn *conn)
{
    struct conn_pool_destination *destination = conn->destination;
    list_push_back(&destination->handed, &conn->node);
    destination->handed_count++;
    call_first(destination);
}

bool conn_pool_grant(struct conn_pool_destination *destination)
{
    if (line_is_empty(&destination->line) || !conn_pool_has_room(destination))
        return false;
    conn_pool_count_open(destination);
    count_leased(destination);
    destination->granted++;
    call_first(destination);
    return true;
}

bool conn_pool_is_starved(const struct conn_pool *pool)
{
    if (pool->open < pool->connections_max)
        return false;
    LIST_FOR_EACH (node, &pool->lines) {
        const struct conn_pool_destination *destination =
            CONTAINER_OF(node, struct conn_pool_destination, line_node);
        if (!line_is_empty(&destination->line) &&
            destination->open < destination->options.connections_max)
            return true;
    }
    return false;
}

/* Of several destinations each has its turn. */
static bool grant_next(struct conn_pool *pool)
{
    LIST_FOR_EACH (node, &pool->lines) {
        struct conn_pool_destination *destination =
            CONTAINER_OF(node, struct conn_pool_destination, line_node);
        if (destination->in_line <= destination->hopeful || !conn_pool_grant(destination))
            continue;
        if (destination->in_line > 0) {
            list_remove(&destination->line_node);
            list_push_back(&pool->lines, &destination->line_node);
        }
        return true;
    }
    return false;
}

void conn_pool_settle(struct conn_pool *pool)
{
    while (grant_next(pool))
        ;
}

/* What the calling fiber was called for: a connection; NULL: a place to dial one. */
static struct pooled_conn *take_handed(struct conn_pool_destination *destination)
{
    struct list_node *node = list_take_front(&destination->handed);
    if (node) {
        destination->handed_count--;
        return CONTAINER_OF(node, struct pooled_conn, node);
    }
    ASSERT(destination->granted > 0);
    destination->granted--;
    return NULL;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static struct pooled_conn *lease(struct conn_pool_shelf *shelf, struct pooled_conn *conn)
{
    ASSERT(list_is_empty(&conn->node));
    conn->shelf = shelf;
    conn->stream.loop = shelf->loop;
    conn->uses++;
    shelf->leased++;
    return conn;
}

enum verdict { FIT, EXPIRED, STALE };

/* May what has rested be used? It is in nobody's list. */
static inline enum verdict judge(const struct conn_pool_shelf *shelf,
                                 const struct pooled_conn *conn)
{
    const struct backend_sys *sys = shelf->loop->sys;
    if (shelf->loop->now_ns >= conn->rests_until_ns ||
        atomic_load_explicit(&conn->destination->is_retired, memory_order_relaxed))
        return EXPIRED;
    char byte;
    return sys->recv(sys, conn->stream.fd, &byte, 1, true) == -EAGAIN ? FIT : STALE;
}

static void count_verdict(struct conn_pool_destination *destination, enum verdict verdict)
{
    if (verdict == EXPIRED)
        destination->counters.evicted++;
    else if (verdict == STALE)
        destination->counters.stale++;
}

/* Closes what is in nobody's list, and gives its place up. FIT: it is counted nowhere. */
static void bury(struct conn_pool_shelf *shelf, struct pooled_conn *conn, enum verdict verdict)
{
    struct conn_pool_destination *destination = conn->destination;
    struct conn_pool *pool = destination->pool;
    conn_pool_close(shelf, conn);
    pthread_mutex_lock(&pool->lock);
    count_verdict(destination, verdict);
    conn_pool_uncount_open(destination);
    conn_pool_settle(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* Into a place that is counted, as leased, too. */
static int dial(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination,
                int64_t deadline_ns, struct pooled_conn **ret_conn)
{
    struct conn_pool *pool = shelf->pool;
    struct pooled_conn *conn = calloc(1, sizeof *conn);
    int fd = -ENOMEM;
    shelf->leased++;
    if (conn)
        fd = destination->options.dial(destination->options.user, deadline_ns);
    pthread_mutex_lock(&pool->lock);
    if (fd < 0) {
        shelf->leased--;
        destination->counters.failed += fd != -ECANCELED;
        uncount_leased(destination);
        conn_pool_uncount_open(destination);
        conn_pool_settle(pool);
    } else {
        destination->counters.opened++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (fd < 0) {
        free(conn);
        return fd;
    }
    stream_init(&conn->stream, shelf->loop, fd);
    conn->destination = destination;
    conn->shelf = shelf;
    conn->uses = 1;
    conn->opened_ns = shelf->loop->now_ns;
    list_init(&conn->node);
    *ret_conn = conn;
    return 0;
}

/* ---- Taking ---------------------------------------------------------------------------------- */

/* One that rested elsewhere, unless it is not fit: then it is gone. Without the lock. */
static bool take_up(const struct taking *taking, struct pooled_conn *conn,
                    struct pooled_conn **ret_conn)
{
    struct conn_pool_shelf *shelf = taking->stack->shelf;
    const enum verdict verdict = judge(shelf, conn);
    if (verdict != FIT) {
        bury(shelf, conn, verdict);
        return false;
    }
    count_leased(conn->destination);
    counter_add(&taking->stack->reused, 1);
    *ret_conn = lease(shelf, conn);
    return true;
}

/* There is no room: something at rest whose place would do. With the lock held. */
static struct pooled_conn *find_victim(const struct taking *taking)
{
    struct conn_pool_shelf *shelf = taking->stack->shelf;
    struct conn_pool_destination *destination = taking->stack->destination;
    struct pooled_conn *victim = conn_pool_take_victim(shelf->pool, destination);
    if (!victim)
        victim = stack_take_oldest(taking->stack);
    if (victim || destination->open >= destination->options.connections_max)
        return victim;
    victim = conn_pool_take_victim(shelf->pool, NULL);
    for (unsigned index = 0; !victim && index < shelf->stack_count; index++)
        if (shelf->stacks[index])
            victim = stack_take_oldest(shelf->stacks[index]);
    return victim;
}

/* Closes the victim and dials in its place. With the lock held, which it gives back. */
static int dial_instead(const struct taking *taking, struct pooled_conn *victim,
                        struct pooled_conn **ret_conn)
{
    struct conn_pool_shelf *shelf = taking->stack->shelf;
    struct conn_pool_destination *destination = taking->stack->destination;
    count_verdict(victim->destination, EXPIRED);
    conn_pool_uncount_open(victim->destination);
    conn_pool_count_open(destination);
    count_leased(destination);
    pthread_mutex_unlock(&shelf->pool->lock);
    conn_pool_close(shelf, victim);
    return dial(shelf, destination, taking->deadline_ns, ret_conn);
}

/* The fiber was called. With the lock held, which it gives back. */
static int take_called(const struct taking *taking, struct pooled_conn **ret_conn)
{
    struct conn_pool_shelf *shelf = taking->stack->shelf;
    struct conn_pool_destination *destination = taking->stack->destination;
    struct conn_pool *pool = shelf->pool;
    struct pooled_conn *conn = take_handed(destination);
    conn_pool_settle(pool); /* there is one hopeful less */
    if (conn) {
        count_leased(destination);
        destination->counters.moved += conn->shelf != shelf;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!conn)
        return dial(shelf, destination, taking->deadline_ns, ret_conn);
    const enum verdict verdict = taking->want == CONN_POOL_FRESH ? EXPIRED : judge(shelf, conn);
    if (verdict == FIT) {
        counter_add(&taking->stack->reused, 1);
        *ret_conn = lease(shelf, conn);
        return 0;
    }
    conn_pool_close(shelf, conn);
    pthread_mutex_lock(&pool->lock);
    count_verdict(destination, verdict);
    pthread_mutex_unlock(&pool->lock);
    return dial(shelf, destination, taking->deadline_ns, ret_conn); /* its place is ours */
}

/* It was called, and does not want it any more: to the next. With the lock held. */
static void pass_on(const struct taking *taking)
{
    struct conn_pool_destination *destination = taking->stack->destination;
    struct pooled_conn *conn = take_handed(destination);
    if (conn) {
        conn_pool_share(taking->stack->shelf, conn);
    } else {
        uncount_leased(destination);
        conn_pool_uncount_open(destination);
    }
}

/* In line, with the lock held, which is free meanwhile. 0: called. -EAGAIN: it was only hopeful,
 * and no answer came. */
static int wait_in_line(const struct taking *taking, bool is_hopeful)
{
    struct conn_pool_destination *destination = taking->stack->destination;
    int64_t until_ns = taking->deadline_ns;
    if (until_ns == LEAT_FOREVER)
        until_ns--; /* as good as */
    if (is_hopeful) {
        const int64_t answer_ns = leat_after_ms(CONN_POOL_ANSWER_MS);
        until_ns = answer_ns < until_ns ? answer_ns : until_ns;
        destination->hopeful++;
    }
    bool was_called;
    int error = line_wait(&destination->line, &destination->pool->lock, until_ns, &was_called);
    destination->hopeful -= is_hopeful;
    const bool has_given_up_hope = error == -ETIMEDOUT && until_ns < taking->deadline_ns;
    if (has_given_up_hope && was_called)
        return 0; /* at the last moment */
    if (!was_called)
        leave_line(destination);
    else if (error)
        pass_on(taking);
    if (error)
        conn_pool_settle(destination->pool);
    if (has_given_up_hope)
        return -EAGAIN;
    destination->counters.late += error == -ETIMEDOUT;
    return error;
}

/* Another core may have one at rest. With the lock held. 0: called. -EAGAIN: none has, or none gave
 * one in time. */
static int hope(const struct taking *taking)
{
    struct conn_pool_destination *destination = taking->stack->destination;
    enter_line(destination);
    /* Who had asked may have been served by somebody else: the answer will be ours. */
    if (destination->asked >= destination->in_line ||
        conn_pool_ask(taking->stack->shelf, destination))
        return wait_in_line(taking, true);
    leave_line(destination);
    return -EAGAIN;
}

/* There is no room. With the lock held. 0: called. */
static int wait_for_room(const struct taking *taking)
{
    struct conn_pool_destination *destination = taking->stack->destination;
    if (destination->in_line >= destination->options.waiting_max) {
        destination->counters.refused++;
        return -LEAT_E_LIMIT;
    }
    enter_line(destination);
    if (!conn_pool_ask(taking->stack->shelf, destination) &&
        destination->open < destination->options.connections_max)
        conn_pool_ask(taking->stack->shelf, NULL);
    destination->counters.waited++;
    return wait_in_line(taking, false);
}

/* The shelf has none. */
static int take_elsewhere(struct taking *taking, struct pooled_conn **ret_conn)
{
    struct conn_pool_shelf *shelf = taking->stack->shelf;
    struct conn_pool_destination *destination = taking->stack->destination;
    struct conn_pool *pool = shelf->pool;
    bool may_hope = taking->want == CONN_POOL_ANY;
    struct pooled_conn *conn;
    int error = -EAGAIN;
    pthread_mutex_lock(&pool->lock);
    while (error == -EAGAIN) {
        if (taking->want == CONN_POOL_ANY && taking->looks < CONN_POOL_LOOKS &&
            (conn = conn_pool_take_shared(destination))) {
            destination->counters.moved += conn->shelf != shelf;
            taking->looks++;
            pthread_mutex_unlock(&pool->lock);
            if (take_up(taking, conn, ret_conn))
                return 0;
            pthread_mutex_lock(&pool->lock);
        } else if (may_hope) {
            may_hope = false;
            error = hope(taking);
        } else if (conn_pool_has_room(destination)) {
            conn_pool_count_open(destination);
            count_leased(destination);
            pthread_mutex_unlock(&pool->lock);
            return dial(shelf, destination, taking->deadline_ns, ret_conn);
        } else if ((conn = find_victim(taking))) {
            return dial_instead(taking, conn, ret_conn);
        } else {
            error = wait_for_room(taking);
        }
    }
    if (!error)
        return take_called(taking, ret_conn);
    pthread_mutex_unlock(&pool->lock);
    return error;
}

/* What the shelf has of the destination, made when it is first asked for; NULL: no memory. */
static struct stack *stack_make(struct conn_pool_shelf *shelf,
                                struct conn_pool_destination *destination)
{
    const unsigned index = destination->index;
    if (index >= shelf->stack_count) {
        const unsigned count = index + 1 + index / 2;
        struct stack **grown = realloc(shelf->stacks, count * sizeof(struct stack *));
        if (!grown)
            return NULL;
        for (unsigned fresh = shelf->stack_count; fresh < count; fresh++)
            grown[fresh] = NULL;
        shelf->stacks = grown;
        shelf->stack_count = count;
    }
    struct stack *stack = calloc(1, sizeof *stack);
    if (!stack)
        return NULL;
    stack->shelf = shelf;
    stack->destination = destination;
    list_init(&stack->conns);
    list_init(&stack->ask_node);
    shelf->stacks[index] = stack;
    pthread_mutex_lock(&shelf->pool->lock);
    list_push_back(&destination->stacks, &stack->node);
    pthread_mutex_unlock(&shelf->pool->lock);
    return stack;
}

static inline struct stack *stack_of(struct conn_pool_shelf *shelf,
                                     struct conn_pool_destination *destination)
{
    const unsigned index = destination->index;
    struct stack *stack = index < shelf->stack_count ? shelf->stacks[index] : NULL;
    return __builtin_expect(stack != NULL, 1) ? stack : stack_make(shelf, destination);
}

int conn_pool_take(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination,
                   enum conn_pool_want want, int64_t deadline_ns, struct pooled_conn **ret_conn)
{
    ASSERT(shelf->loop == loop_current && destination->pool == shelf->pool);
    struct stack *stack = stack_of(shelf, destination);
    if (!stack)
        return -ENOMEM;
    struct taking taking = {stack, want, deadline_ns, 0};
    struct pooled_conn *conn;
    while (want == CONN_POOL_ANY && taking.looks++ < CONN_POOL_LOOKS &&
           (conn = stack_take_latest(stack))) {
        const enum verdict verdict = judge(shelf, conn);
        if (verdict == FIT) {
            count_leased(destination);
            counter_add(&stack->reused, 1);
            *ret_conn = lease(shelf, conn);
            return 0;
        }
        bury(shelf, conn, verdict);
    }
    return take_elsewhere(&taking, ret_conn);
}

int conn_pool_open_ahead(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination,
                         int64_t deadline_ns)
{
    struct conn_pool *pool = shelf->pool;
    const unsigned ahead = destination->options.ahead;
    int error = 0;
    if (!stack_of(shelf, destination))
        return -ENOMEM;
    /* At most so many, however soon they are taken, or end. */
    for (unsigned count = 0; !error && count < ahead; count++) {
        pthread_mutex_lock(&pool->lock);
        const bool is_missing =
            conn_pool_resting(destination) + destination->opening_ahead < ahead &&
            conn_pool_has_room(destination);
        if (is_missing) {
            conn_pool_count_open(destination);
            count_leased(destination);
            destination->opening_ahead++;
        }
        pthread_mutex_unlock(&pool->lock);
        if (!is_missing)
            break;
        struct pooled_conn *conn;
        error = dial(shelf, destination, deadline_ns, &conn);
        pthread_mutex_lock(&pool->lock);
        destination->opening_ahead--;
        pthread_mutex_unlock(&pool->lock);
        if (!error)
            conn_pool_give(conn, true);
    }
    return error;
}

/* ---- Giving back ----------------------------------------------------------------------------- */

/* Somebody waits: for this, perhaps. */
static void offer(struct stack *stack)
{
    struct conn_pool *pool = stack->shelf->pool;
    struct pooled_conn *conn;
    pthread_mutex_lock(&pool->lock);
    if ((!line_is_empty(&stack->destination->line) || conn_pool_is_starved(pool)) &&
        (conn = stack_take_latest(stack))) {
        struct leat_loop *loop = stack->shelf->loop;
        loop->ops->release(loop->backend, conn->stream.fd);
        conn_pool_share(stack->shelf, conn);
        conn_pool_settle(pool);
    }
    pthread_mutex_unlock(&pool->lock);
}

void conn_pool_give(struct pooled_conn *conn, bool is_reusable)
{
    struct conn_pool_shelf *shelf = conn->shelf;
    struct conn_pool_destination *destination = conn->destination;
    const struct conn_pool_destination_options *options = &destination->options;
    const int64_t now_ns = shelf->loop->now_ns;
    ASSERT(shelf->loop == loop_current && shelf->leased > 0);
    ASSERT(conn->stream.calls == 0 && list_is_empty(&conn->node));
    shelf->leased--;
    conn->rests_until_ns = now_ns + options->idle_ns;
    if (options->age_ns > 0 && conn->rests_until_ns > conn->opened_ns + options->age_ns)
        conn->rests_until_ns = conn->opened_ns + options->age_ns;
    if (!is_reusable || now_ns >= conn->rests_until_ns ||
        (options->uses_max > 0 && conn->uses >= options->uses_max) ||
        atomic_load_explicit(&destination->is_retired, memory_order_relaxed)) {
        uncount_leased(destination);
        bury(shelf, conn, is_reusable ? EXPIRED : FIT);
        return;
    }
    struct stack *stack = shelf->stacks[destination->index];
    stack_put(stack, conn);
    uncount_leased(destination);
    conn_pool_start_looking(shelf, true);
    if (atomic_load(&shelf->pool->waiting) > 0)
        offer(stack);
}
