/* SPDX-License-Identifier: MIT */
/*
 * Quantities behind flags: what people write is read, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quantity.h"

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } right[] = {{"0", 0},
                 {"10", 10000000000},
                 {"10s", 10000000000},
                 {"1.5s", 1500000000},
                 {"300ms", 300000000},
                 {"50us", 50000},
                 {"5m", 300000000000},
                 {"1h", 3600000000000}};
    static const char *const wrong[] = {"",    "s",   "-1", "+1",    " 1",  "1 s",       "1S",
                                        "1e3", "0x1", "1,", "1.2.3", "nan", "999999999h"};
    char error[128];
    int64_t ns;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(quantity_take_time(right[i].text, &ns, error, sizeof error), 0);
        assert_int_equal(ns, right[i].ns);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(quantity_take_time(wrong[i], &ns, error, sizeof error), -1);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {{"0", 0}, {"1400", 1400}, {"64k", 65536}, {"8M", 8388608}, {"1g", 1073741824}};
    static const char *const wrong[] = {"", "k", "-1", "1.5k", "1kb", "1t", "17179869184g"};
    char error[128];
    uint64_t bytes;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(quantity_take_size(right[i].text, &bytes, error, sizeof error), 0);
        assert_int_equal(bytes, right[i].bytes);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(quantity_take_size(wrong[i], &bytes, error, sizeof error), -1);
}

static void numbers_are_scaled(void **state)
{
    double number;
    const char *unit;
    assert_true(quantity_number("2.5k", &number, &unit));
    assert_true(quantity_scale(unit, 1000, &number));
    assert_true(number == 2500);
    assert_true(quantity_number("3", &number, &unit));
    assert_true(quantity_scale(unit, 1024, &number));
    assert_true(number == 3);
    assert_false(quantity_scale("x", 1024, &number));
    assert_false(quantity_scale("kb", 1024, &number));
    assert_false(quantity_number("12345678901234567890123456789012", &number, &unit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(sizes),
        cmocka_unit_test(numbers_are_scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
