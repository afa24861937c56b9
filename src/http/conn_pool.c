/* SPDX-License-Identifier: MIT */
/*
 * The pool of connections: its life, its destinations, its shelves, its counters. See
 * conn_pool_parts.h for how it is made, conn_pool_lease.c and conn_pool_rest.c for what it does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/conn_pool_parts.h"

/* ---- The pool -------------------------------------------------------------------------------- */

int conn_pool_create(const struct conn_pool_options *options, struct conn_pool **ret_pool)
{
    struct conn_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    const int error = pthread_mutex_init(&pool->lock, NULL);
    if (error) {
        free(pool);
        return -error;
    }
    pool->connections_max = options && options->connections_max > 0 ? options->connections_max
                                                                    : CONN_POOL_CONNECTIONS_MAX;
    pool->period_ns = CONN_POOL_PERIOD_MS * LEAT_NS_PER_MS;
    list_init(&pool->destinations);
    list_init(&pool->lines);
    list_init(&pool->shelves);
    *ret_pool = pool;
    return 0;
}

static void destination_destroy(struct conn_pool_destination *destination)
{
    ASSERT(destination->open == 0 && list_is_empty(&destination->stacks));
    ASSERT(atomic_load(&destination->leased) == 0 && line_is_empty(&destination->line));
    free((char *)(uintptr_t)destination->options.name);
    free(destination);
}

void conn_pool_destroy(struct conn_pool *pool)
{
    struct list_node *node;
    if (!pool)
        return;
    ASSERT(list_is_empty(&pool->shelves));
    while ((node = list_take_front(&pool->destinations)))
        destination_destroy(CONTAINER_OF(node, struct conn_pool_destination, node));
    ASSERT(pool->open == 0 && pool->shared == 0);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* ---- Destinations ---------------------------------------------------------------------------- */

static void fill_in(struct conn_pool_destination_options *options, unsigned connections_max)
{
    if (options->connections_max == 0 || options->connections_max > connections_max)
        options->connections_max = connections_max;
    if (options->waiting_max == 0)
        options->waiting_max = CONN_POOL_WAITING_MAX;
    if (options->idle_ns == 0)
        options->idle_ns = CONN_POOL_IDLE_S * LEAT_NS_PER_S;
}

/* Often enough for the shortest of times. */
static int64_t period_for(const struct conn_pool_destination_options *options, int64_t period_ns)
{
    const int64_t least_ns = CONN_POOL_PERIOD_MIN_MS * LEAT_NS_PER_MS;
    if (options->idle_ns / 4 < period_ns)
        period_ns = options->idle_ns / 4;
    if (options->age_ns > 0 && options->age_ns / 4 < period_ns)
        period_ns = options->age_ns / 4;
    return period_ns > least_ns ? period_ns : least_ns;
}

int conn_pool_add(struct conn_pool *pool, const struct conn_pool_destination_options *options,
                  struct conn_pool_destination **ret_destination)
{
    ASSERT(options->dial && options->idle_ns >= 0 && options->age_ns >= 0);
    struct conn_pool_destination *destination = calloc(1, sizeof *destination);
    char *name = strdup(options->name ? options->name : "");
    if (!destination || !name) {
        free(destination);
        free(name);
        return -ENOMEM;
    }
    destination->pool = pool;
    destination->options = *options;
    destination->options.name = name;
    fill_in(&destination->options, pool->connections_max);
    list_init(&destination->stacks);
    list_init(&destination->shared);
    list_init(&destination->handed);
    list_init(&destination->line_node);
    line_init(&destination->line);
    destination->look = &destination->shared;
    pthread_mutex_lock(&pool->lock);
    destination->index = pool->destination_count++;
    pool->period_ns = period_for(&destination->options, pool->period_ns);
    list_push_back(&pool->destinations, &destination->node);
    pthread_mutex_unlock(&pool->lock);
    *ret_destination = destination;
    return 0;
}

void conn_pool_retire(struct conn_pool_destination *destination)
{
    atomic_store(&destination->is_retired, true);
}

const char *conn_pool_destination_name(const struct conn_pool_destination *destination)
{
    return destination->options.name;
}

/* ---- Shelves --------------------------------------------------------------------------------- */

int conn_pool_shelf_create(struct conn_pool *pool, struct conn_pool_shelf **ret_shelf)
{
    ASSERT(loop_current != NULL);
    struct conn_pool_shelf *shelf = calloc(1, sizeof *shelf);
    if (!shelf)
        return -ENOMEM;
    shelf->pool = pool;
    shelf->loop = loop_current;
    shelf->task.run = conn_pool_shelf_told;
    list_init(&shelf->here_node);
    list_init(&shelf->asked);
    timer_init(&shelf->timer, conn_pool_shelf_look);
    shelf->timer.is_quiet = true;
    pthread_mutex_lock(&pool->lock);
    list_push_back(&pool->shelves, &shelf->node);
    pthread_mutex_unlock(&pool->lock);
    *ret_shelf = shelf;
    return 0;
}

void conn_pool_shelf_destroy(struct conn_pool_shelf *shelf)
{
    if (!shelf)
        return;
    conn_pool_shelf_clear(shelf);
    if (shelf->is_told) /* nobody tells it anything any more; what is on its way still has it */
        shelf->is_gone = true;
    else
        free(shelf);
}

/* What a loop has in LOOP_SLOT_CONNS: a shelf of each pool that is used there. */
struct shelves {
    struct loop_extension extension;
    struct list_node list;
};

/* The loop runs no task any more: what it was told stays unheard. */
static void shelves_fini(struct loop_extension *extension)
{
    struct shelves *shelves = CONTAINER_OF(extension, struct shelves, extension);
    struct list_node *node;
    while ((node = list_take_front(&shelves->list))) {
        struct conn_pool_shelf *shelf = CONTAINER_OF(node, struct conn_pool_shelf, here_node);
        conn_pool_shelf_clear(shelf);
        free(shelf);
    }
    loop_current->extensions[LOOP_SLOT_CONNS] = NULL;
    free(shelves);
}

static struct shelves *shelves_of(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_CONNS];
    if (extension)
        return CONTAINER_OF(extension, struct shelves, extension);
    struct shelves *shelves = calloc(1, sizeof *shelves);
    if (!shelves)
        return NULL;
    shelves->extension.fini = shelves_fini;
    list_init(&shelves->list);
    loop->extensions[LOOP_SLOT_CONNS] = &shelves->extension;
    return shelves;
}

struct conn_pool_shelf *conn_pool_shelf_here(struct conn_pool *pool)
{
    ASSERT(loop_current != NULL);
    struct shelves *shelves = shelves_of(loop_current);
    if (!shelves)
        return NULL;
    LIST_FOR_EACH (node, &shelves->list) {
        struct conn_pool_shelf *shelf = CONTAINER_OF(node, struct conn_pool_shelf, here_node);
        if (shelf->pool == pool)
            return shelf;
    }
    struct conn_pool_shelf *shelf;
    if (conn_pool_shelf_create(pool, &shelf))
        return NULL;
    list_push_front(&shelves->list, &shelf->here_node);
    return shelf;
}

/* ---- Counters -------------------------------------------------------------------------------- */

/* With the lock held. */
static void add_counters(const struct conn_pool_destination *destination,
                         struct conn_pool_counters *sum)
{
    const struct conn_pool_counters *own = &destination->counters;
    sum->opened += own->opened;
    sum->reused += own->reused;
    sum->failed += own->failed;
    sum->moved += own->moved;
    sum->waited += own->waited;
    sum->refused += own->refused;
    sum->late += own->late;
    sum->evicted += own->evicted;
    sum->stale += own->stale;
    LIST_FOR_EACH (node, &destination->stacks)
        sum->reused += counter_read(&CONTAINER_OF(node, struct stack, node)->reused);
    sum->leased_now += counter_read(&destination->leased);
    sum->leased_peak += counter_read(&destination->leased_peak);
    sum->resting_now += conn_pool_resting(destination);
    sum->waiting_now += destination->in_line;
}

void conn_pool_destination_counters(const struct conn_pool_destination *destination,
                                    struct conn_pool_counters *ret_counters)
{
    struct conn_pool *pool = destination->pool;
    *ret_counters = (struct conn_pool_counters){0};
    pthread_mutex_lock(&pool->lock);
    add_counters(destination, ret_counters);
    pthread_mutex_unlock(&pool->lock);
}

void conn_pool_counters_read(const struct conn_pool *pool, struct conn_pool_counters *ret_counters)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&pool->lock;
    *ret_counters = (struct conn_pool_counters){0};
    pthread_mutex_lock(lock);
    LIST_FOR_EACH (node, &pool->destinations)
        add_counters(CONTAINER_OF(node, struct conn_pool_destination, node), ret_counters);
    pthread_mutex_unlock(lock);
}
