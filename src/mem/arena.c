/* SPDX-License-Identifier: MIT */
/*
 * The arena's rarer half: chunks come and go here. See mem/arena.h for what must hold.
 */
#include "mem/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct arena_chunk {
    _Alignas(ARENA_ALIGNMENT) struct arena_chunk *next;
    size_t size; /* of the data behind the header */
    char data[] __attribute__((aligned(ARENA_ALIGNMENT)));
};

static_assert(sizeof(struct arena_chunk) % ARENA_ALIGNMENT == 0, "the data are aligned");
static_assert((ARENA_ALIGNMENT & (ARENA_ALIGNMENT - 1)) == 0, "a power of two");
static_assert(_Alignof(max_align_t) <= ARENA_ALIGNMENT, "a piece may hold any type");

static void use_first(struct arena *arena)
{
    poison(arena->first, arena->first_size);
    arena->next = arena->first;
    arena->left = arena->first_size;
}

void arena_init(struct arena *arena, const struct arena_options *options)
{
    const size_t wanted = options && options->chunk_size ? options->chunk_size : ARENA_CHUNK_SIZE;
    const size_t chunk_size = wanted & ~(size_t)(ARENA_ALIGNMENT - 1);
    ASSERT(chunk_size >= sizeof(struct arena_chunk) + arena_rounded(1));
    *arena = (struct arena){
        .chunk_size = chunk_size,
        .size_max = options && options->size_max ? options->size_max : SIZE_MAX,
    };
    if (options && options->first) {
        ASSERT((uintptr_t)options->first % ARENA_ALIGNMENT == 0);
        arena->first = options->first;
        arena->first_size = options->first_size & ~(size_t)(ARENA_ALIGNMENT - 1);
        use_first(arena);
    }
}

static void free_chunk(struct arena *arena, struct arena_chunk *chunk)
{
    const size_t size = sizeof *chunk + chunk->size;
    ASSERT(arena->size >= size);
    arena->size -= size;
    unpoison(chunk->data, chunk->size);
    free(chunk);
}

/* Frees the list up to `kept`, which may be NULL: to its end. */
static void free_chunks(struct arena *arena, struct arena_chunk *chunk,
                        const struct arena_chunk *kept)
{
    while (chunk != kept) {
        struct arena_chunk *next = chunk->next;
        free_chunk(arena, chunk);
        chunk = next;
    }
}

/* A chunk with `size` bytes of data, poisoned, at the head of the list. NULL at the limit. */
static struct arena_chunk *add_chunk(struct arena *arena, struct arena_chunk **list, size_t size)
{
    ASSERT(size % ARENA_ALIGNMENT == 0);
    ASSERT(arena->size <= arena->size_max);
    const size_t room = arena->size_max - arena->size;
    if (room < sizeof(struct arena_chunk) || size > room - sizeof(struct arena_chunk))
        return NULL;
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    if (!chunk)
        return NULL;
    *chunk = (struct arena_chunk){.next = *list, .size = size};
    *list = chunk;
    arena->size += sizeof *chunk + size;
    poison(chunk->data, size);
    return chunk;
}

static void use_chunk(struct arena *arena, struct arena_chunk *chunk)
{
    arena->next = chunk ? chunk->data : NULL;
    arena->left = chunk ? chunk->size : 0;
}

void arena_fini(struct arena *arena)
{
    free_chunks(arena, arena->chunks, NULL);
    free_chunks(arena, arena->large, NULL);
    ASSERT(arena->size == 0);
    if (arena->first)
        unpoison(arena->first, arena->first_size);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    free_chunks(arena, arena->large, NULL);
    arena->large = NULL;
    if (arena->first) {
        free_chunks(arena, arena->chunks, NULL);
        arena->chunks = NULL;
        use_first(arena);
        return;
    }
    struct arena_chunk *first = arena->chunks;
    if (first) {
        while (first->next)
            first = first->next;
        free_chunks(arena, arena->chunks, first);
        poison(first->data, first->size);
    }
    arena->chunks = first;
    use_chunk(arena, first);
}

void *arena_alloc_slowly(struct arena *arena, size_t size)
{
    ASSERT(arena->chunk_size > 0); /* initialised, and not ended */
    if (size > SIZE_MAX / 2)
        return NULL; /* so that nothing below wraps round */
    if (size == 0)
        size = 1;
    const size_t taken = arena_rounded(size);
    const size_t data_size = arena->chunk_size - sizeof(struct arena_chunk);
    if (taken > data_size) {
        struct arena_chunk *chunk = add_chunk(arena, &arena->large, taken);
        if (!chunk)
            return NULL;
        unpoison(chunk->data, size);
        return chunk->data;
    }
    if (taken > arena->left) {
        struct arena_chunk *chunk = add_chunk(arena, &arena->chunks, data_size);
        if (!chunk)
            return NULL;
        use_chunk(arena, chunk);
    }
    ASSERT(taken <= arena->left);
    return arena_alloc(arena, size);
}

void *arena_alloc_aligned(struct arena *arena, size_t size, size_t alignment)
{
    ASSERT(alignment > 0 && (alignment & (alignment - 1)) == 0);
    if (alignment <= ARENA_ALIGNMENT)
        return arena_alloc(arena, size);
    if (size > SIZE_MAX / 2 || alignment > SIZE_MAX / 4)
        return NULL;
    /* The piece begins somewhere in the first `alignment` bytes of a longer one. */
    const size_t slack = alignment - ARENA_ALIGNMENT;
    char *piece = arena_alloc(arena, size + slack);
    if (!piece)
        return NULL;
    char *aligned = piece + (-(uintptr_t)piece & (alignment - 1));
    ASSERT(aligned + size <= piece + size + slack);
    poison(piece, size + slack);
    unpoison(aligned, size ? size : 1);
    return aligned;
}

char *arena_copy(struct arena *arena, struct leat_slice bytes)
{
    ASSERT(bytes.data || bytes.size == 0);
    char *copy = bytes.size < SIZE_MAX ? arena_alloc(arena, bytes.size + 1) : NULL;
    if (!copy)
        return NULL;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return copy;
}
