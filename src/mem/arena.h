/* SPDX-License-Identifier: MIT */
/*
 * Arena: memory for things that end together, such as all that one request needs. Taking a piece is
 * a comparison and an addition; giving back is done for all pieces at once, by arena_reset.
 *
 *     chunk   | header | piece | piece | ...      next -> |        left        |
 *
 * Ordinary chunks are of one size and are filled one after the other; what is larger than a chunk
 * gets one of its own and leaves the current one as it is. A reset keeps the first ordinary chunk,
 * so that a request which fits in it never calls the allocator; an owner that has memory of its own
 * to begin with may name it instead. Nothing is taken before the first piece is. The limit counts
 * all that was taken from the allocator. One thread: its owner's.
 */
#ifndef MEM_ARENA_H
#define MEM_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "mem/poison.h"

enum { ARENA_ALIGNMENT = 16, ARENA_CHUNK_SIZE = 4096 };

struct arena_chunk;

struct arena_options {
    size_t chunk_size; /* what is asked of the allocator at a time; 0: ARENA_CHUNK_SIZE */
    size_t size_max;   /* the limit; 0: none */
    /* The owner's memory, used before any chunk, aligned to ARENA_ALIGNMENT; NULL: none. */
    void *first;
    size_t first_size;
};

struct arena {
    char *next;                 /* the first free byte of the current chunk, aligned */
    size_t left;                /* bytes from there to the chunk's end */
    struct arena_chunk *chunks; /* ordinary ones, the current one first */
    struct arena_chunk *large;  /* those with one piece each */
    size_t chunk_size, size_max;
    size_t size; /* held now, headers included */
    char *first; /* the owner's */
    size_t first_size;
};

/* `options` may be NULL. Takes no memory. */
void arena_init(struct arena *arena, const struct arena_options *options);
void arena_fini(struct arena *arena);

/* All pieces are gone; the owner's memory is used again, or the first chunk. */
void arena_reset(struct arena *arena);

/* The way of arena_alloc when the current chunk does not do. */
void *arena_alloc_slowly(struct arena *arena, size_t size);

/* What a piece of `size` bytes takes: whole steps of the alignment, and the sanitizer's gap. */
static inline size_t arena_rounded(size_t size)
{
    return ((size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1)) + POISON_GAP_SIZE;
}

/* `size` bytes, aligned for any type, not cleared, valid until the next reset. A size of 0 gives a
 * piece too. NULL at the limit, or when there is no memory. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
    /* One comparison: 0 wraps round and goes the slow way, as does what does not fit. `left` is in
     * whole steps of the alignment, so what fits still fits when it is rounded up. */
    if (__builtin_expect(size - 1 >= arena->left, 0) ||
        (POISON_GAP_SIZE > 0 && arena_rounded(size) > arena->left))
        return arena_alloc_slowly(arena, size);
    char *piece = arena->next;
    const size_t taken = arena_rounded(size);
    arena->next += taken;
    arena->left -= taken;
    unpoison(piece, size);
    return piece;
}

/* As arena_alloc, for an alignment (a power of two) above ARENA_ALIGNMENT. */
void *arena_alloc_aligned(struct arena *arena, size_t size, size_t alignment);

/* A copy of the bytes, with a zero byte behind it that its size does not count. NULL as above. */
char *arena_copy(struct arena *arena, struct leat_slice bytes);

#endif
