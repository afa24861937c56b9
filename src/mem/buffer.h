/* SPDX-License-Identifier: MIT */
/*
 * Buffers: blocks of one size for bytes on their way (a TLS record, a block read from a file), with
 * a count of those who use them, so that a response and the cache it came from can hold the same
 * bytes. The last one to let go returns it to its pool, where a bounded number lies idle, the
 * hottest on top; above that it goes back to the allocator, so that a burst is not held for ever.
 *
 * What lies idle is poisoned under AddressSanitizer. The count is plain: a buffer and its pool live
 * in one thread, the owner's, and the pool outlives its buffers.
 */
#ifndef MEM_BUFFER_H
#define MEM_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "mem/poison.h"

enum { BUFFER_SIZE = 16 * 1024, BUFFER_ALIGNMENT = 64 };

struct buffer_pool;

struct buffer {
    struct buffer_pool *pool;
    struct buffer *next; /* while idle */
    uint32_t references; /* 0: idle */
    /* pool->buffer_size bytes; the header has a cache line to itself */
    char data[] __attribute__((aligned(BUFFER_ALIGNMENT)));
};

struct buffer_pool_options {
    size_t buffer_size; /* 0: BUFFER_SIZE */
    size_t count_max;   /* buffers in use at a time; 0: no limit */
    size_t idle_max;    /* buffers kept for the next one who asks; 0: none */
};

struct buffer_pool {
    struct buffer *idle;
    size_t count; /* in use */
    size_t idle_count;
    size_t buffer_size, count_max, idle_max;
};

/* Takes no memory. */
void buffer_pool_init(struct buffer_pool *pool, const struct buffer_pool_options *options);
/* No buffer may be in use. */
void buffer_pool_fini(struct buffer_pool *pool);

/* A buffer with one reference, its bytes undefined. NULL at the limit, or without memory. */
struct buffer *buffer_pool_take(struct buffer_pool *pool);

static inline void buffer_ref(struct buffer *buffer)
{
    ASSERT(buffer->references > 0 && buffer->references < UINT32_MAX);
    buffer->references++;
}

/* NULL is fine. */
void buffer_unref(struct buffer *buffer);

/* Gives the idle ones back to the allocator: for whoever finds that memory is short. */
void buffer_pool_trim(struct buffer_pool *pool);

#endif
