/* SPDX-License-Identifier: MIT */
/* Decimal text: every count of digits, and nothing behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "base/decimal.h"

static void expect_as_printf(uint64_t number)
{
    char text[DECIMAL_SIZE_MAX + 2], wanted[DECIMAL_SIZE_MAX + 1];
    memset(text, '#', sizeof text);
    const int size = snprintf(wanted, sizeof wanted, "%" PRIu64, number);
    assert_ptr_equal(decimal_put(text, number), text + size);
    assert_memory_equal(text, wanted, (size_t)size);
    assert_int_equal(text[size], '#');
}

static void numbers_are_as_printf_has_them(void **state)
{
    expect_as_printf(0);
    expect_as_printf(UINT64_MAX);
    for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
        expect_as_printf(power);
        expect_as_printf(power - 1);
        expect_as_printf(power * 7 + 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_as_printf_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
