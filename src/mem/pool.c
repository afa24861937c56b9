/* SPDX-License-Identifier: MIT */
/*
 * The pool's rarer half: slabs are made here, and freed when the pool ends. See mem/pool.h.
 */
#include "mem/pool.h"

#include <stdint.h>
#include <stdlib.h>

enum { POOL_SLAB_SIZE = 16 * 1024, POOL_SLAB_COUNT_MIN = 8 };

struct pool_slab {
    _Alignas(POOL_ALIGNMENT) struct pool_slab *next;
    char objects[] __attribute__((aligned(POOL_ALIGNMENT)));
};

static_assert(sizeof(struct pool_slab) % POOL_ALIGNMENT == 0, "the objects are aligned");
static_assert(_Alignof(max_align_t) <= POOL_ALIGNMENT, "an object may be of any type");

void pool_init(struct pool *pool, const struct pool_options *options)
{
    ASSERT(options->object_size > 0 && options->object_size <= SIZE_MAX / 4);
    /* A free object holds the link to the next one. */
    const size_t size = options->object_size < sizeof(struct pool_free) ? sizeof(struct pool_free)
                                                                        : options->object_size;
    const size_t stride =
        ((size + POOL_ALIGNMENT - 1) & ~(size_t)(POOL_ALIGNMENT - 1)) + POISON_GAP_SIZE;
    size_t slab_count = options->slab_count;
    if (slab_count == 0)
        slab_count = POOL_SLAB_SIZE / stride;
    if (options->slab_count == 0 && slab_count < POOL_SLAB_COUNT_MIN)
        slab_count = POOL_SLAB_COUNT_MIN;
    ASSERT(slab_count <= (SIZE_MAX / 2) / stride);
    *pool = (struct pool){
        .count_max = options->count_max ? options->count_max : SIZE_MAX,
        .object_size = size,
        .stride = stride,
        .slab_count = slab_count,
    };
}

void pool_fini(struct pool *pool)
{
    ASSERT(pool->count == 0);
    struct pool_slab *slab = pool->slabs;
    while (slab) {
        struct pool_slab *next = slab->next;
        unpoison(slab->objects, pool->slab_count * pool->stride);
        free(slab);
        slab = next;
    }
    *pool = (struct pool){0};
}

static bool add_slab(struct pool *pool)
{
    const size_t size = pool->slab_count * pool->stride;
    struct pool_slab *slab = malloc(sizeof *slab + size);
    if (!slab)
        return false;
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->fresh = slab->objects;
    pool->fresh_count = pool->slab_count;
    poison(slab->objects, size);
    return true;
}

void *pool_take_fresh(struct pool *pool)
{
    ASSERT(pool->stride > 0); /* initialised, and not ended */
    ASSERT(!pool->free || pool->count >= pool->count_max);
    if (pool->count >= pool->count_max)
        return NULL;
    if (pool->fresh_count == 0 && !add_slab(pool))
        return NULL;
    char *object = pool->fresh;
    pool->fresh += pool->stride;
    pool->fresh_count--;
    pool->count++;
    unpoison(object, pool->object_size);
    return object;
}
