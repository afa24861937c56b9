/* SPDX-License-Identifier: MIT */
/* The object pool: order, slabs, the limit, and that what was given back is poisoned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/pool.h"

static void last_in_first_out(void **state)
{
    struct pool pool;
    pool_init(&pool, &(struct pool_options){.object_size = 40});
    void *a = pool_take(&pool), *b = pool_take(&pool), *c = pool_take(&pool);
    assert_int_equal(pool.count, 3);
    pool_give(&pool, b);
    pool_give(&pool, c);
    pool_give(&pool, NULL);
    assert_int_equal(pool.count, 1);
    assert_ptr_equal(pool_take(&pool), c);
    assert_ptr_equal(pool_take(&pool), b);
    pool_give(&pool, a);
    pool_give(&pool, b);
    pool_give(&pool, c);
    pool_fini(&pool);
}

/* Random taking and giving: no object is handed out twice, none overlaps another. */
static void objects_are_apart(void **state)
{
    const size_t sizes[] = {1, 8, 17, 64, 1000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const size_t size = sizes[k];
        struct pool pool;
        pool_init(&pool, &(struct pool_options){.object_size = size, .slab_count = 5});
        unsigned char *taken[64] = {0};
        uint32_t random = 1;
        for (int step = 0; step < 4000; step++) {
            random = random * 1664525 + 1013904223;
            const size_t at = random >> 26;
            if (taken[at]) {
                for (size_t i = 0; i < size; i++)
                    assert_int_equal(taken[at][i], at);
                pool_give(&pool, taken[at]);
                taken[at] = NULL;
            } else {
                taken[at] = pool_take(&pool);
                assert_non_null(taken[at]);
                assert_int_equal((uintptr_t)taken[at] % POOL_ALIGNMENT, 0);
                memset(taken[at], (int)at, size);
            }
        }
        for (size_t at = 0; at < 64; at++)
            pool_give(&pool, taken[at]);
        assert_int_equal(pool.count, 0);
        pool_fini(&pool);
    }
}

static void the_limit_is_told_and_survived(void **state)
{
    struct pool pool;
    pool_init(&pool, &(struct pool_options){.object_size = 8, .count_max = 3, .slab_count = 2});
    void *objects[3];
    for (int i = 0; i < 3; i++) {
        objects[i] = pool_take(&pool);
        assert_non_null(objects[i]);
    }
    assert_null(pool_take(&pool));
    assert_int_equal(pool.count, 3);
    pool_give(&pool, objects[1]);
    assert_ptr_equal(pool_take(&pool), objects[1]);
    assert_null(pool_take(&pool));
    for (int i = 0; i < 3; i++)
        pool_give(&pool, objects[i]);
    pool_fini(&pool);
}

#if POISON_ENABLED
static void what_is_free_is_poisoned(void **state)
{
    struct pool pool;
    pool_init(&pool, &(struct pool_options){.object_size = 48, .slab_count = 4});
    char *first = pool_take(&pool), *second = pool_take(&pool);
    assert_false(poison_touches(first, 48));
    assert_true(poison_touches(first + 48, 1));                    /* the gap to its neighbour */
    assert_true(poison_touches(second + 48 + POISON_GAP_SIZE, 1)); /* never taken yet */
    pool_give(&pool, first);
    assert_true(poison_touches(first, 1) && poison_touches(first + 47, 1));
    assert_ptr_equal(pool_take(&pool), first);
    assert_false(poison_touches(first, 48));
    pool_give(&pool, first);
    pool_give(&pool, second);
    pool_fini(&pool);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_in_first_out),
        cmocka_unit_test(objects_are_apart),
        cmocka_unit_test(the_limit_is_told_and_survived),
#if POISON_ENABLED
        cmocka_unit_test(what_is_free_is_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
