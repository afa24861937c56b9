/* SPDX-License-Identifier: MIT */
/* The arena: alignment, chunks, the limit, what a reset keeps; what is free is poisoned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/arena.h"

enum { HEADER = 16, CHUNK = 1024 };

static const struct arena_options chunk_options = {.chunk_size = CHUNK};

static void pieces_are_aligned_and_apart(void **state)
{
    struct arena arena;
    arena_init(&arena, &chunk_options);
    char *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        const size_t size = i % 67;
        pieces[i] = arena_alloc(&arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % ARENA_ALIGNMENT, 0);
        memset(pieces[i], (int)i, size);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t at = 0; at < i % 67; at++)
            assert_int_equal((unsigned char)pieces[i][at], i);
    }
    arena_fini(&arena);
}

static void empty_pieces_are_distinct(void **state)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const void *first = arena_alloc(&arena, 0);
    const void *second = arena_alloc(&arena, 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    arena_fini(&arena);
}

static void nothing_is_held_before_the_first_piece(void **state)
{
    struct arena arena;
    arena_init(&arena, &chunk_options);
    assert_int_equal(arena.size, 0);
    arena_reset(&arena);
    assert_int_equal(arena.size, 0);
    assert_non_null(arena_alloc(&arena, 1));
    assert_int_equal(arena.size, CHUNK);
    arena_fini(&arena);
}

static void reset_keeps_the_first_chunk(void **state)
{
    struct arena arena;
    arena_init(&arena, &chunk_options);
    const void *first = arena_alloc(&arena, 100);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++)
            assert_non_null(arena_alloc(&arena, 100));
        assert_non_null(arena_alloc(&arena, 10 * CHUNK));
        assert_true(arena.size > 10 * CHUNK);
        arena_reset(&arena);
        assert_int_equal(arena.size, CHUNK);
        assert_ptr_equal(arena_alloc(&arena, 100), first);
    }
    arena_fini(&arena);
}

/* The current chunk goes on after a piece that was too large for it; alone it is not kept. */
static void large_pieces_stand_apart(void **state)
{
    struct arena arena;
    arena_init(&arena, &chunk_options);
    assert_non_null(arena_alloc(&arena, CHUNK));
    arena_reset(&arena);
    assert_int_equal(arena.size, 0);

    char *before = arena_alloc(&arena, 16);
    char *large = arena_alloc(&arena, 3 * CHUNK);
    char *after = arena_alloc(&arena, 16);
    assert_ptr_equal(after, before + 16 + POISON_GAP_SIZE);
    memset(large, 1, 3 * CHUNK);
    arena_fini(&arena);
}

/* Every size around what fits in a chunk: the last that fits shares it, the next stands apart. */
static void sizes_around_a_chunk(void **state)
{
    const size_t fits = CHUNK - HEADER - POISON_GAP_SIZE;
    for (size_t size = CHUNK - 80; size <= CHUNK + 16; size++) {
        struct arena arena;
        arena_init(&arena, &chunk_options);
        char *piece = arena_alloc(&arena, size);
        assert_non_null(piece);
        memset(piece, 7, size);
        if (size <= fits)
            assert_int_equal(arena.size, CHUNK);
        else
            assert_true(arena.size > CHUNK);
        arena_fini(&arena);
    }
}

static void the_limit_is_told_and_survived(void **state)
{
    struct arena arena;
    arena_init(&arena, &(struct arena_options){.chunk_size = CHUNK, .size_max = 3 * CHUNK});
    size_t count = 0;
    while (arena_alloc(&arena, 200))
        count++;
    assert_true(count >= 3 * 3 && count <= 3 * 5);
    assert_int_equal(arena.size, 3 * CHUNK);
    assert_null(arena_alloc(&arena, 3 * CHUNK));
    assert_null(arena_alloc_aligned(&arena, CHUNK, 256));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 200));
    assert_null(arena_alloc(&arena, 2 * CHUNK)); /* with its header it would pass the limit */
    assert_non_null(arena_alloc(&arena, 2 * CHUNK - HEADER - POISON_GAP_SIZE));
    arena_fini(&arena);
}

static void absurd_sizes_are_refused(void **state)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_null(arena_alloc(&arena, sizes[i]));
        assert_null(arena_alloc_aligned(&arena, sizes[i], 64));
    }
    assert_int_equal(arena.size, 0);
    arena_fini(&arena);
}

static void alignment_is_kept(void **state)
{
    struct arena arena;
    arena_init(&arena, &chunk_options);
    for (size_t alignment = 1; alignment <= 8192; alignment *= 2) {
        for (size_t size = 0; size < 40; size += 13) {
            char *piece = arena_alloc_aligned(&arena, size, alignment);
            assert_non_null(piece);
            assert_int_equal((uintptr_t)piece % alignment, 0);
            memset(piece, 3, size);
            assert_non_null(arena_alloc(&arena, 1));
        }
    }
    arena_fini(&arena);
}

static void copies_end_in_zero(void **state)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *copy = arena_copy(&arena, slice_of("a\0bc", 4));
    assert_memory_equal(copy, "a\0bc", 5);
    assert_string_equal(arena_copy(&arena, slice_of(NULL, 0)), "");
    arena_fini(&arena);
}

#if POISON_ENABLED
static void what_is_free_is_poisoned(void **state)
{
    struct arena arena;
    arena_init(&arena, &chunk_options);
    char *first = arena_alloc(&arena, 24);
    char *second = arena_alloc(&arena, 24);
    assert_false(poison_touches(first, 24));
    assert_true(poison_touches(first + 24, 1)); /* the gap */
    char *aligned = arena_alloc_aligned(&arena, 64, 64);
    assert_false(poison_touches(aligned, 64));
    assert_true(poison_touches(aligned + 64, 1));
    arena_reset(&arena);
    assert_true(poison_touches(first, 1));
    assert_true(poison_touches(second, 1));
    assert_ptr_equal(arena_alloc(&arena, 8), first);
    assert_false(poison_touches(first, 8));
    assert_true(poison_touches(first + 8, 1));
    arena_fini(&arena);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(empty_pieces_are_distinct),
        cmocka_unit_test(nothing_is_held_before_the_first_piece),
        cmocka_unit_test(reset_keeps_the_first_chunk),
        cmocka_unit_test(large_pieces_stand_apart),
        cmocka_unit_test(sizes_around_a_chunk),
        cmocka_unit_test(the_limit_is_told_and_survived),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(alignment_is_kept),
        cmocka_unit_test(copies_end_in_zero),
#if POISON_ENABLED
        cmocka_unit_test(what_is_free_is_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
