/* SPDX-License-Identifier: MIT */
/*
 * The pool of connections, inside: shared by conn_pool.c (life, counters), conn_pool_lease.c
 * (taking and giving) and conn_pool_rest.c (what happens to those at rest).
 *
 * A *stack* is what a shelf has of one destination; its loop alone touches the connections in it.
 * How many there are is told to everybody, so that a core which has none does not open a
 * connection while another core's rest: it stands in line and asks that core for one.
 *
 *     open = leased (those being dialled included) + resting (on stacks, shared, handed over)
 *
 * Who waits stands in its destination's line, and is called to have a connection, or to dial one.
 * Nobody is forgotten: who gives a connection back first counts it and then looks at `waiting`; who
 * waits first counts itself and then looks at the stacks, and asks where there is something. One of
 * the two sees the other: that is what the sequentially consistent accesses are for. Where there is
 * room for another connection a waiter is only *hopeful*: it has asked, and waits for the answer,
 * but not for long.
 */
#ifndef HTTP_CONN_POOL_PARTS_H
#define HTTP_CONN_POOL_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/counters.h"
#include "fiber/line.h"
#include "http/conn_pool.h"
#include "loop/loop.h"

enum {
    CONN_POOL_CONNECTIONS_MAX = 16384,
    CONN_POOL_WAITING_MAX = 1024,
    CONN_POOL_IDLE_S = 60,
    CONN_POOL_PERIOD_MS = 1000,   /* of looking at what is shared; a quarter of the shortest idle */
    CONN_POOL_PERIOD_MIN_MS = 10, /* time, if that is less, but not less than this */
    CONN_POOL_SURPLUS_MS = 100,   /* what a core did not need for so long becomes shared */
    CONN_POOL_LOOKS = 128,        /* connections that are looked at, closed or moved at a time */
    /* For so long a core that was asked is waited for where there is room for another connection:
     * it may be busy. */
    CONN_POOL_ANSWER_MS = 10,
};

struct conn_pool {
    pthread_mutex_t lock;
    _Atomic unsigned waiting; /* fibers in the lines of all destinations */
    /* The rest is under the lock, but for what never changes. */
    unsigned connections_max;
    unsigned open;
    unsigned shared; /* at rest, with no shelf */
    unsigned destination_count;
    struct list_node destinations;
    struct list_node lines; /* destinations that fibers wait for */
    struct list_node shelves;
    _Atomic int64_t period_ns;
    int64_t swept_ns; /* when somebody last looked at those that are shared */
};

struct conn_pool_destination {
    /* Every core writes to these two with each lease: they have their line of the cache. */
    _Atomic uint64_t leased, leased_peak;
    char apart[48];

    struct conn_pool *pool;
    unsigned index; /* in the shelves' tables */
    _Atomic bool is_retired;
    struct conn_pool_destination_options options; /* without zeros that mean something else */

    /* Under the pool's lock. */
    struct list_node node;
    struct list_node stacks;
    struct list_node shared; /* connections at rest, the latest first */
    struct list_node *look;  /* in `shared`: who is looked at next, or the list itself */
    unsigned shared_count;
    unsigned open;
    unsigned opening_ahead;
    struct line line;
    struct list_node line_node; /* in pool->lines, when in_line > 0 */
    unsigned in_line;           /* not called yet */
    unsigned asked;             /* connections that stacks were asked for, and will answer */
    unsigned hopeful;           /* of them, and of those called that do not run yet */
    unsigned granted;           /* waiters called to dial */
    struct list_node handed;    /* connections, for waiters that were called */
    unsigned handed_count;
    struct conn_pool_counters counters;
};

/* What a shelf has of a destination. */
struct stack {
    struct conn_pool_shelf *shelf;
    struct conn_pool_destination *destination;
    struct list_node conns;    /* the latest first */
    _Atomic unsigned resting;  /* how many; its loop writes it */
    unsigned lowest;           /* of `resting`, since the shelf last looked: so many are too many */
    _Atomic uint64_t reused;   /* its loop writes it */
    struct list_node node;     /* in destination->stacks; under the lock, as what follows */
    struct list_node ask_node; /* in shelf->asked, when asked > 0 */
    unsigned asked;
};

struct conn_pool_shelf {
    struct conn_pool *pool;
    struct leat_loop *loop;
    struct stack **stacks; /* by the destinations' indices; NULL: not used here yet */
    unsigned stack_count;
    unsigned leased;
    struct timer timer;         /* runs while something rests here, or is shared */
    struct list_node here_node; /* among those of the loop */
    struct list_node node;      /* in pool->shelves; under the lock, as what follows */
    struct list_node asked;     /* stacks */
    struct task task;           /* the message that tells of them */
    bool is_told;               /* it is on its way */
    bool is_gone;               /* and frees the shelf when it arrives */
};

/* ---- Stacks ---------------------------------------------------------------------------------- */

/* On the stack's loop, as all of these. */
static inline unsigned stack_resting(const struct stack *stack)
{
    return atomic_load_explicit(&stack->resting, memory_order_relaxed);
}

/* Puts it on top, and then tells everybody. */
static inline void stack_put(struct stack *stack, struct pooled_conn *conn)
{
    list_push_front(&stack->conns, &conn->node);
    atomic_store(&stack->resting, stack_resting(stack) + 1);
}

static inline struct pooled_conn *stack_take(struct stack *stack, struct list_node *node)
{
    const unsigned resting = stack_resting(stack);
    if (resting == 0)
        return NULL;
    ASSERT(node != &stack->conns);
    list_remove(node);
    atomic_store_explicit(&stack->resting, resting - 1, memory_order_relaxed);
    if (stack->lowest > resting - 1)
        stack->lowest = resting - 1;
    return CONTAINER_OF(node, struct pooled_conn, node);
}

/* NULL: there is none. */
static inline struct pooled_conn *stack_take_latest(struct stack *stack)
{
    return stack_take(stack, stack->conns.next);
}

static inline struct pooled_conn *stack_take_oldest(struct stack *stack)
{
    return stack_take(stack, stack->conns.previous);
}

/* ---- conn_pool_rest.c: those at rest --------------------------------------------------------- */

/* Closes a connection that is in no list; its place is still counted. On the shelf's loop. */
void conn_pool_close(struct conn_pool_shelf *shelf, struct pooled_conn *conn);
/* The same for all of the list, and gives their places up. Without the lock. */
void conn_pool_close_all(struct conn_pool_shelf *shelf, struct list_node *conns);

/* With the lock held, the next five. */

unsigned conn_pool_resting(const struct conn_pool_destination *destination);

/* A connection that no loop knows: for who waits for it, or for its place, or shared. */
void conn_pool_share(struct conn_pool_shelf *shelf, struct pooled_conn *conn);
/* The latest shared one; NULL: there is none. */
struct pooled_conn *conn_pool_take_shared(struct conn_pool_destination *destination);
/* The oldest shared one, of whatever destination if `destination` is NULL. */
struct pooled_conn *conn_pool_take_victim(struct conn_pool *pool,
                                          struct conn_pool_destination *destination);
/* Asks another shelf than this for one of the destination's connections, or (NULL) for any: its
 * place would do. False: none has one that was not asked for. */
bool conn_pool_ask(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination);

/* The shelf will look at what rests: soon, or when the pool's period is over. */
static inline void conn_pool_start_looking(struct conn_pool_shelf *shelf, bool is_soon)
{
    int64_t delay_ns = atomic_load_explicit(&shelf->pool->period_ns, memory_order_relaxed);
    if (is_soon && delay_ns > CONN_POOL_SURPLUS_MS * LEAT_NS_PER_MS)
        delay_ns = CONN_POOL_SURPLUS_MS * LEAT_NS_PER_MS;
    if (!shelf->timer.is_running)
        loop_timer_start(shelf->loop, &shelf->timer, shelf->loop->now_ns + delay_ns);
}

void conn_pool_shelf_told(struct task *task);
void conn_pool_shelf_look(struct timer *timer);
/* All that rests on it goes to others, or is closed when there are none; and it is nobody's to ask
 * any more. */
void conn_pool_shelf_clear(struct conn_pool_shelf *shelf);

/* ---- conn_pool_lease.c: places, and who waits for them --------------------------------------- */

/* With the lock held. */

static inline bool conn_pool_has_room(const struct conn_pool_destination *destination)
{
    return destination->open < destination->options.connections_max &&
           destination->pool->open < destination->pool->connections_max;
}

/* A place for another connection is taken. */
static inline void conn_pool_count_open(struct conn_pool_destination *destination)
{
    ASSERT(conn_pool_has_room(destination));
    destination->open++;
    destination->pool->open++;
}

/* A connection of it was closed, or could not be opened. */
static inline void conn_pool_uncount_open(struct conn_pool_destination *destination)
{
    ASSERT(destination->open > 0 && destination->pool->open > 0);
    destination->open--;
    destination->pool->open--;
}

/* Calls those for whom there is room, but for the hopeful. After each call of the above. */
void conn_pool_settle(struct conn_pool *pool);
/* Calls the first in line to dial, if there is one and room for it. */
bool conn_pool_grant(struct conn_pool_destination *destination);
/* The first in line, and there is one, has the connection. */
void conn_pool_hand_over(struct pooled_conn *conn);
/* Does somebody wait for whom the room of the whole pool is too small? */
bool conn_pool_is_starved(const struct conn_pool *pool);

#endif
