/* SPDX-License-Identifier: MIT */
/*
 * Pool: objects of one size that come and go often (connections, fibers' control blocks). Taking
 * and giving back are a few instructions; the object given back last is taken first, for its lines
 * are still in the cache. Objects are cut from slabs when first needed, so that a slab's pages are
 * touched one after the other; slabs are kept until the end: a pool stays as large as it once was.
 *
 * What is free is poisoned under AddressSanitizer; giving an object back twice is then reported.
 * The limit is the owner's to name; at it the newcomer is told. One thread: its owner's.
 */
#ifndef MEM_POOL_H
#define MEM_POOL_H

#include <stddef.h>

#include "base/assert.h"
#include "mem/poison.h"

enum { POOL_ALIGNMENT = 16 };

struct pool_slab;

struct pool_free {
    struct pool_free *next;
};

struct pool_options {
    size_t object_size;
    size_t count_max;  /* objects in use at a time; 0: no limit */
    size_t slab_count; /* objects in a slab; 0: about 16 KiB of them, at least 8 */
};

struct pool {
    struct pool_free *free; /* given back, the last one first */
    char *fresh;            /* never taken yet, in the newest slab */
    size_t fresh_count;
    size_t count;     /* in use */
    size_t count_max; /* the limit */
    size_t object_size;
    size_t stride; /* from one object to the next */
    size_t slab_count;
    struct pool_slab *slabs;
};

/* Takes no memory. */
void pool_init(struct pool *pool, const struct pool_options *options);
/* All objects must have been given back. */
void pool_fini(struct pool *pool);

/* The way of pool_take when nothing was given back. */
void *pool_take_fresh(struct pool *pool);

/* An object, its bytes undefined, aligned for any type. NULL at the limit, or without memory. */
static inline void *pool_take(struct pool *pool)
{
    struct pool_free *object = pool->free;
    if (__builtin_expect(!object || pool->count >= pool->count_max, 0))
        return pool_take_fresh(pool);
    unpoison(object, pool->object_size);
    pool->free = object->next;
    pool->count++;
    return object;
}

/* It must be of this pool. NULL is fine. */
static inline void pool_give(struct pool *pool, void *object)
{
    if (!object)
        return;
    ASSERT(pool->count > 0);
    DEBUG_ASSERT(!poison_touches(object, pool->object_size)); /* given back twice */
    struct pool_free *node = object;
    node->next = pool->free;
    pool->free = node;
    pool->count--;
    poison(object, pool->object_size);
}

#endif
