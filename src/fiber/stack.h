/* SPDX-License-Identifier: MIT */
/*
 * Stacks for fibers: mapped memory above a guard page, and a loop's cache of them. One thread: the
 * loop's.
 *
 * Idle stacks are taken last in, first out, so that a busy loop lives on few warm ones. Only what
 * lies idle above STACK_WARM_MAX gives its pages back, oldest first and in batches, for dropping
 * and faulting pages costs more than a small request. Stacks of LEAT_STACK_SIZE come in slabs of
 * STACK_SLAB_COUNT a mapping and stay mapped until the cache goes; others are mapped and unmapped
 * one by one.
 *
 *     slab:  | guard | stack 0 | guard | stack 1 | …        what describes them lies elsewhere,
 *                                                           so that an idle stack is never touched
 */
#ifndef FIBER_STACK_H
#define FIBER_STACK_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/list.h"
#include "fiber/sanitize.h"

enum {
    STACK_SLAB_COUNT = 16,
    STACK_WARM_MAX = 2048, /* idle stacks that keep their pages */
    STACK_TRIM_BATCH = 64,
    STACK_COUNT_MAX = 1 << 20, /* of all, in use and idle */
    STACK_SIZE_MAX = 1 << 30,
};

/* How a guard page is made. */
enum stack_guard {
    STACK_GUARD_MARK,    /* MADV_GUARD_INSTALL (Linux 6.13): the mapping stays one */
    STACK_GUARD_PROTECT, /* mprotect: splits it, so that each stack costs two of vm.max_map_count */
};

struct stack_slab;

struct stack {
    struct list_node node; /* in `warm` or `cold`, while idle */
    char *low;
    size_t size;
    struct stack_slab *slab;
    struct sanitize_stack sanitize;
};

struct stack_cache {
    struct list_node warm; /* idle, with their pages; the last used is the first */
    struct list_node cold; /* idle, without */
    struct list_node slabs;
    /* Written by the loop alone. */
    _Atomic size_t warm_count;
    _Atomic size_t count; /* stacks that exist, of any size */
    size_t count_max;
    size_t page_size;
    enum stack_guard guard;
};

void stack_cache_init(struct stack_cache *cache);
/* All stacks must have been given back. */
void stack_cache_fini(struct stack_cache *cache);

/* A stack of at least `size` bytes (0: LEAT_STACK_SIZE). 0, or -ENOMEM: no memory, no mappings left
 * (vm.max_map_count), or count_max reached. */
int stack_take(struct stack_cache *cache, size_t size, struct stack **ret_stack);
/* Nobody may run on it. */
void stack_give(struct stack_cache *cache, struct stack *stack);

/* For the debugger and the tests: how many bytes of it were ever written to, by any of its users
 * since it got its pages. */
size_t stack_high_water(const struct stack *stack);

#endif
