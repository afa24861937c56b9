/* SPDX-License-Identifier: MIT */
/*
 * Stacks and their cache; see stack.h. This file alone calls mmap and its like outside of src/loop:
 * it asks the kernel for memory, never for I/O.
 */
#include "fiber/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "leat/fiber.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* linux/mman.h, 6.13 */
#endif

struct stack_slab {
    struct list_node node; /* in cache->slabs; of the common size alone */
    char *base;
    size_t mapped_size;
    unsigned count;
    struct stack stacks[];
};

static void count_warm(struct stack_cache *cache, ptrdiff_t change)
{
    const size_t count = atomic_load_explicit(&cache->warm_count, memory_order_relaxed);
    atomic_store_explicit(&cache->warm_count, count + (size_t)change, memory_order_relaxed);
}

void stack_cache_init(struct stack_cache *cache)
{
    const long page_size = sysconf(_SC_PAGESIZE);
    ASSERT(page_size >= 4096);
    *cache = (struct stack_cache){
        .count_max = STACK_COUNT_MAX,
        .page_size = (size_t)page_size,
        .guard = STACK_GUARD_MARK,
    };
    list_init(&cache->warm);
    list_init(&cache->cold);
    list_init(&cache->slabs);
}

static int guard_page(struct stack_cache *cache, char *page)
{
    if (cache->guard == STACK_GUARD_MARK) {
        if (madvise(page, cache->page_size, MADV_GUARD_INSTALL) == 0)
            return 0;
        /* an older kernel, or one that refuses it (locked memory, valgrind): the old way */
        cache->guard = STACK_GUARD_PROTECT;
    }
    return mprotect(page, cache->page_size, PROT_NONE) == 0 ? 0 : -ENOMEM;
}

static void slab_destroy(struct stack_cache *cache, struct stack_slab *slab)
{
    for (unsigned i = 0; i < slab->count; i++)
        sanitize_stack_unmapped(&slab->stacks[i].sanitize);
    sanitize_allow(slab->base, slab->mapped_size);
    const int failed = munmap(slab->base, slab->mapped_size);
    ASSERT(failed == 0);
    ASSERT(cache->count >= slab->count);
    cache->count -= slab->count;
    free(slab);
}

/* A mapping of `count` stacks of `size` bytes, a multiple of the page size. */
static int slab_create(struct stack_cache *cache, size_t size, unsigned count,
                       struct stack_slab **ret_slab)
{
    ASSERT(size % cache->page_size == 0 && count > 0);
    if (cache->count_max < count || cache->count > cache->count_max - count)
        return -ENOMEM;
    struct stack_slab *slab = calloc(1, sizeof *slab + count * sizeof slab->stacks[0]);
    if (!slab)
        return -ENOMEM;
    const size_t stride = cache->page_size + size;
    slab->mapped_size = stride * count;
    slab->base = mmap(NULL, slab->mapped_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (slab->base == MAP_FAILED)
        goto free_slab;
    /* A huge page under thirty stacks would be the memory of thirty stacks used in full. Kernels
     * without huge pages refuse, which is as good. */
    (void)madvise(slab->base, slab->mapped_size, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < count; i++) {
        if (guard_page(cache, slab->base + i * stride) != 0)
            goto unmap;
    }
    for (unsigned i = 0; i < count; i++) {
        struct stack *stack = &slab->stacks[i];
        *stack = (struct stack){
            .low = slab->base + i * stride + cache->page_size,
            .size = size,
            .slab = slab,
        };
        list_init(&stack->node);
        sanitize_stack_mapped(&stack->sanitize, stack->low, stack->size);
    }
    list_init(&slab->node);
    slab->count = count;
    cache->count += count;
    *ret_slab = slab;
    return 0;

unmap:
    (void)munmap(slab->base, slab->mapped_size);
free_slab:
    free(slab);
    return -ENOMEM;
}

void stack_cache_fini(struct stack_cache *cache)
{
    for (struct list_node *node; (node = list_take_front(&cache->slabs));)
        slab_destroy(cache, CONTAINER_OF(node, struct stack_slab, node));
    ASSERT(cache->count == 0);
}

static int grow(struct stack_cache *cache)
{
    struct stack_slab *slab;
    /* near the limit a smaller slab may still fit */
    const size_t room = cache->count_max - cache->count;
    const unsigned count = room < STACK_SLAB_COUNT ? (unsigned)room : STACK_SLAB_COUNT;
    if (count == 0 || slab_create(cache, LEAT_STACK_SIZE, count, &slab) != 0)
        return -ENOMEM;
    list_push_back(&cache->slabs, &slab->node);
    for (unsigned i = 0; i < count; i++) {
        sanitize_forbid(slab->stacks[i].low, slab->stacks[i].size);
        list_push_back(&cache->cold, &slab->stacks[i].node);
    }
    return 0;
}

static int take_uncommon(struct stack_cache *cache, size_t size, struct stack **ret_stack)
{
    if (size > STACK_SIZE_MAX)
        return -ENOMEM;
    const size_t rounded = (size + cache->page_size - 1) & ~(cache->page_size - 1);
    struct stack_slab *slab;
    const int result = slab_create(cache, rounded, 1, &slab);
    if (result == 0)
        *ret_stack = &slab->stacks[0];
    return result;
}

int stack_take(struct stack_cache *cache, size_t size, struct stack **ret_stack)
{
    if (size != 0 && size != LEAT_STACK_SIZE)
        return take_uncommon(cache, size, ret_stack);
    struct list_node *node;
    if ((node = list_take_front(&cache->warm))) {
        count_warm(cache, -1);
    } else {
        if (list_is_empty(&cache->cold) && grow(cache) != 0)
            return -ENOMEM;
        node = list_take_front(&cache->cold);
    }
    struct stack *stack = CONTAINER_OF(node, struct stack, node);
    sanitize_allow(stack->low, stack->size);
    *ret_stack = stack;
    return 0;
}

/* Gives the pages of the STACK_TRIM_BATCH longest idle stacks back. The guard pages stay as they
 * are (madvise(2): MADV_DONTNEED leaves guard regions alone). */
__attribute__((noinline)) static void trim(struct stack_cache *cache)
{
    for (unsigned i = 0; i < STACK_TRIM_BATCH; i++) {
        struct stack *stack = CONTAINER_OF(cache->warm.previous, struct stack, node);
        list_remove(&stack->node);
        const int failed = madvise(stack->low, stack->size, MADV_DONTNEED);
        ASSERT(failed == 0);
        list_push_front(&cache->cold, &stack->node);
    }
    count_warm(cache, -STACK_TRIM_BATCH);
}

void stack_give(struct stack_cache *cache, struct stack *stack)
{
    if (list_is_empty(&stack->slab->node)) { /* of an uncommon size */
        slab_destroy(cache, stack->slab);
        return;
    }
    sanitize_forbid(stack->low, stack->size);
    list_push_front(&cache->warm, &stack->node);
    count_warm(cache, 1);
    if (atomic_load_explicit(&cache->warm_count, memory_order_relaxed) > STACK_WARM_MAX)
        trim(cache);
}

SANITIZE_EXEMPT size_t stack_high_water(const struct stack *stack)
{
    const volatile size_t *word = (const volatile size_t *)(const void *)stack->low;
    const size_t words = stack->size / sizeof *word;
    size_t untouched = 0;
    while (untouched < words && word[untouched] == 0)
        untouched++;
    return (words - untouched) * sizeof *word;
}
