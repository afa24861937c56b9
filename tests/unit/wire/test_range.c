/* SPDX-License-Identifier: MIT */
/*
 * Ranges: every shape a Range field can have, against files of several sizes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/range.h"

#define TOP UINT64_MAX

static void parses(void **state)
{
    static const struct {
        const char *value;
        uint64_t size;
        enum range_answer answer;
        uint64_t first, last;
    } rows[] = {
        {"bytes=0-499", 10000, RANGE_PART, 0, 499},
        {"bytes=500-999", 10000, RANGE_PART, 500, 999},
        {"bytes=-500", 10000, RANGE_PART, 9500, 9999},
        {"bytes=9500-", 10000, RANGE_PART, 9500, 9999},
        {"bytes=0-0", 10000, RANGE_PART, 0, 0},
        {"bytes=-1", 10000, RANGE_PART, 9999, 9999},
        {"BYTES=0-1", 10000, RANGE_PART, 0, 1},
        {"bytes=0-", 1, RANGE_PART, 0, 0},
        {"bytes=00-007", 10000, RANGE_PART, 0, 7},
        {"bytes= 0-1 ", 10000, RANGE_PART, 0, 1},
        {"bytes=0-1,", 10000, RANGE_PART, 0, 1},
        {"bytes=, ,0-1", 10000, RANGE_PART, 0, 1},
        /* beyond the end, and beyond any number */
        {"bytes=0-10000", 10000, RANGE_PART, 0, 9999},
        {"bytes=9999-99999999999999999999999", 10000, RANGE_PART, 9999, 9999},
        {"bytes=-20000", 10000, RANGE_PART, 0, 9999},
        {"bytes=-99999999999999999999999", 10000, RANGE_PART, 0, 9999},
        {"bytes=18446744073709551614-18446744073709551615", TOP, RANGE_PART, TOP - 1, TOP - 1},
        {"bytes=-18446744073709551615", TOP, RANGE_PART, 0, TOP - 1},
        {"bytes=10000-", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=10000-10001", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551615-", TOP, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551616-18446744073709551617", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-000", 10000, RANGE_UNSATISFIABLE, 0, 0},
        /* nothing of nothing */
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-5", 0, RANGE_IGNORE, 0, 0},
        /* several */
        {"bytes=0-1,3-4", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0-1,-1", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0-1,junk", 10000, RANGE_IGNORE, 0, 0},
        /* malformed, or of another kind */
        {"", 10000, RANGE_IGNORE, 0, 0},
        {"bytes", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=,", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=-", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=5-4", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=--5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0--5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=+0-5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0 - 5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0x0-0x5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=a-b", 10000, RANGE_IGNORE, 0, 0},
        {"bytes:0-5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes =0-5", 10000, RANGE_IGNORE, 0, 0},
        {"seconds=0-5", 10000, RANGE_IGNORE, 0, 0},
        {"0-5", 10000, RANGE_IGNORE, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct range range = {.first = 77, .last = 78};
        const enum range_answer answer =
            range_parse(slice_from_text(rows[i].value), rows[i].size, &range);
        if (answer != rows[i].answer)
            print_error("row %zu: %s\n", i, rows[i].value);
        assert_int_equal(answer, rows[i].answer);
        assert_true(range.first == (answer == RANGE_PART ? rows[i].first : 77));
        assert_true(range.last == (answer == RANGE_PART ? rows[i].last : 78));
    }
    struct range range;
    assert_int_equal(range_parse(slice_of(NULL, 0), 1, &range), RANGE_IGNORE);
}

static void formats(void **state)
{
    char text[RANGE_TEXT_SIZE + 1] = {0};
    size_t size = range_format(&(struct range){0, 499}, 1234, text);
    assert_int_equal(size, 16);
    assert_memory_equal(text, "bytes 0-499/1234", 16);
    size = range_format(NULL, 0, text);
    assert_int_equal(size, 9);
    assert_memory_equal(text, "bytes */0", 9);
    size = range_format(&(struct range){TOP - 2, TOP - 1}, TOP, text);
    assert_int_equal(size, RANGE_TEXT_SIZE);
    assert_string_equal(text,
                        "bytes 18446744073709551613-18446744073709551614/18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
