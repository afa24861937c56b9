/* SPDX-License-Identifier: MIT */
/* Buffers: references, how many lie idle, the limit, poisoning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/buffer.h"

static void defaults(void **state)
{
    struct buffer_pool pool;
    buffer_pool_init(&pool, NULL);
    struct buffer *buffer = buffer_pool_take(&pool);
    assert_int_equal(pool.buffer_size, BUFFER_SIZE);
    assert_int_equal((uintptr_t)buffer->data % BUFFER_ALIGNMENT, 0);
    memset(buffer->data, 1, BUFFER_SIZE);
    buffer_unref(buffer);
    assert_int_equal(pool.idle_count, 0);
    buffer_pool_fini(&pool);
}

static void the_last_to_let_go_returns_it(void **state)
{
    struct buffer_pool pool;
    buffer_pool_init(&pool, &(struct buffer_pool_options){.buffer_size = 100, .idle_max = 1});
    assert_int_equal(pool.buffer_size, 128);
    struct buffer *buffer = buffer_pool_take(&pool);
    buffer_ref(buffer);
    buffer_unref(buffer);
    assert_int_equal(pool.count, 1);
    assert_int_equal(buffer->references, 1);
    buffer_unref(buffer);
    buffer_unref(NULL);
    assert_int_equal(pool.count, 0);
    assert_int_equal(pool.idle_count, 1);
    assert_ptr_equal(buffer_pool_take(&pool), buffer);
    assert_int_equal(pool.idle_count, 0);
    buffer_unref(buffer);
    buffer_pool_fini(&pool);
}

static void idle_is_bounded_and_hottest_first(void **state)
{
    struct buffer_pool pool;
    buffer_pool_init(&pool, &(struct buffer_pool_options){.buffer_size = 64, .idle_max = 2});
    struct buffer *buffers[5];
    for (int i = 0; i < 5; i++)
        buffers[i] = buffer_pool_take(&pool);
    for (int i = 0; i < 5; i++)
        buffer_unref(buffers[i]);
    assert_int_equal(pool.idle_count, 2);
    assert_ptr_equal(buffer_pool_take(&pool), buffers[1]);
    assert_ptr_equal(buffer_pool_take(&pool), buffers[0]);
    buffer_unref(buffers[0]);
    buffer_unref(buffers[1]);
    buffer_pool_trim(&pool);
    assert_int_equal(pool.idle_count, 0);
    buffer_pool_trim(&pool);
    buffer_pool_fini(&pool);
}

static void the_limit_is_told_and_survived(void **state)
{
    struct buffer_pool pool;
    buffer_pool_init(
        &pool, &(struct buffer_pool_options){.buffer_size = 64, .count_max = 2, .idle_max = 2});
    struct buffer *first = buffer_pool_take(&pool), *second = buffer_pool_take(&pool);
    assert_null(buffer_pool_take(&pool));
    buffer_unref(first);
    first = buffer_pool_take(&pool);
    assert_non_null(first);
    buffer_unref(first);
    buffer_unref(second);
    buffer_pool_fini(&pool);
}

#if POISON_ENABLED
static void what_is_idle_is_poisoned(void **state)
{
    struct buffer_pool pool;
    buffer_pool_init(&pool, &(struct buffer_pool_options){.buffer_size = 64, .idle_max = 1});
    struct buffer *buffer = buffer_pool_take(&pool);
    assert_false(poison_touches(buffer->data, 64));
    buffer_unref(buffer);
    assert_true(poison_touches(buffer->data, 1) && poison_touches(buffer->data + 63, 1));
    assert_ptr_equal(buffer_pool_take(&pool), buffer);
    assert_false(poison_touches(buffer->data, 64));
    buffer_unref(buffer);
    buffer_pool_fini(&pool);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(the_last_to_let_go_returns_it),
        cmocka_unit_test(idle_is_bounded_and_hottest_first),
        cmocka_unit_test(the_limit_is_told_and_survived),
#if POISON_ENABLED
        cmocka_unit_test(what_is_idle_is_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
