/* SPDX-License-Identifier: MIT */
/* Counters: arithmetic, and one writer beside a reader (TSan watches). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/counters.h"

static void arithmetic(void **state)
{
    _Atomic uint64_t counter = 0;
    counter_add(&counter, 5);
    counter_add(&counter, UINT64_C(1) << 40);
    counter_subtract(&counter, 4);
    assert_true(counter_read(&counter) == (UINT64_C(1) << 40) + 1);
    counter_set(&counter, 10);
    counter_raise(&counter, 9);
    assert_int_equal(counter_read(&counter), 10);
    counter_raise(&counter, 11);
    assert_int_equal(counter_read(&counter), 11);
}

enum { STEPS = 100000 };

static void *write_steps(void *arg)
{
    _Atomic uint64_t *counter = arg;
    for (int i = 0; i < STEPS; i++)
        counter_add(counter, (UINT64_C(1) << 32) + 1);
    return NULL;
}

/* Both halves of the number move together: a reader that saw them apart saw half a write. */
static void a_reader_sees_whole_numbers(void **state)
{
    _Atomic uint64_t counter = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_steps, &counter), 0);
    uint64_t previous = 0;
    while (previous >> 32 < STEPS) {
        const uint64_t value = counter_read(&counter);
        assert_true(value >= previous);
        assert_int_equal(value >> 32, value & UINT32_MAX);
        previous = value;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(a_reader_sees_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
