/* SPDX-License-Identifier: MIT */
/*
 * Counters: each is written by one thread, its loop's, and read by any without a lock (the metrics
 * page). With one writer nothing has to be exchanged atomically: a relaxed load and a relaxed store
 * are plain moves, and the atomic type is there so that a reader never sees half a number.
 * What a reader gets is a value the counter had a moment ago; two counters read one after the other
 * need not belong to the same moment.
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <assert.h> /* static_assert */
#include <stdatomic.h>
#include <stdint.h>

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a counter is read without a lock");

/* From any thread. */
static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The rest: from its one writer alone. */
static inline void counter_set(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline void counter_add(_Atomic uint64_t *counter, uint64_t count)
{
    counter_set(counter, counter_read(counter) + count);
}

/* For a gauge: what is there now, such as open connections. */
static inline void counter_subtract(_Atomic uint64_t *counter, uint64_t count)
{
    counter_set(counter, counter_read(counter) - count);
}

/* For a high-water mark. */
static inline void counter_raise(_Atomic uint64_t *counter, uint64_t value)
{
    if (value > counter_read(counter))
        counter_set(counter, value);
}

#endif
