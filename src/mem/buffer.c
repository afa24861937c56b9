/* SPDX-License-Identifier: MIT */
/*
 * Buffers and their pool; see mem/buffer.h. Aligned to cache lines, so that a record encrypted in
 * one core's buffer never shares a line with another's.
 */
#include "mem/buffer.h"

#include <stdlib.h>

static_assert(sizeof(struct buffer) == BUFFER_ALIGNMENT, "the header is one cache line");

void buffer_pool_init(struct buffer_pool *pool, const struct buffer_pool_options *options)
{
    const size_t wanted = options && options->buffer_size ? options->buffer_size : BUFFER_SIZE;
    ASSERT(wanted <= SIZE_MAX / 4);
    *pool = (struct buffer_pool){
        /* aligned_alloc wants whole steps of the alignment; nobody minds a few bytes more */
        .buffer_size = (wanted + BUFFER_ALIGNMENT - 1) & ~(size_t)(BUFFER_ALIGNMENT - 1),
        .count_max = options && options->count_max ? options->count_max : SIZE_MAX,
        .idle_max = options ? options->idle_max : 0,
    };
    ASSERT(pool->buffer_size >= wanted);
}

static void free_buffer(struct buffer_pool *pool, struct buffer *buffer)
{
    ASSERT(buffer->references == 0);
    unpoison(buffer->data, pool->buffer_size);
    free(buffer);
}

void buffer_pool_trim(struct buffer_pool *pool)
{
    while (pool->idle) {
        struct buffer *buffer = pool->idle;
        pool->idle = buffer->next;
        pool->idle_count--;
        free_buffer(pool, buffer);
    }
    ASSERT(pool->idle_count == 0);
}

void buffer_pool_fini(struct buffer_pool *pool)
{
    ASSERT(pool->count == 0);
    buffer_pool_trim(pool);
    *pool = (struct buffer_pool){0};
}

struct buffer *buffer_pool_take(struct buffer_pool *pool)
{
    ASSERT(pool->buffer_size > 0); /* initialised, and not ended */
    if (pool->count >= pool->count_max)
        return NULL;
    struct buffer *buffer = pool->idle;
    if (buffer) {
        ASSERT(buffer->pool == pool && buffer->references == 0);
        pool->idle = buffer->next;
        pool->idle_count--;
        unpoison(buffer->data, pool->buffer_size);
    } else {
        buffer = aligned_alloc(BUFFER_ALIGNMENT, sizeof *buffer + pool->buffer_size);
        if (!buffer)
            return NULL;
        buffer->pool = pool;
    }
    buffer->next = NULL;
    buffer->references = 1;
    pool->count++;
    return buffer;
}

void buffer_unref(struct buffer *buffer)
{
    if (!buffer)
        return;
    struct buffer_pool *pool = buffer->pool;
    ASSERT(buffer->references > 0 && pool->count > 0);
    if (--buffer->references > 0)
        return;
    pool->count--;
    if (pool->idle_count >= pool->idle_max) {
        free_buffer(pool, buffer);
        return;
    }
    buffer->next = pool->idle;
    pool->idle = buffer;
    pool->idle_count++;
    poison(buffer->data, pool->buffer_size);
}
