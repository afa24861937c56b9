/* SPDX-License-Identifier: MIT */
/* Slices: comparison, prefixes and suffixes, the empty slice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/slice.h"

static const struct leat_slice none = {.data = NULL, .size = 0};

static void making(void **state)
{
    assert_int_equal(SLICE("a\0b").size, 3);
    assert_int_equal(slice_from_text("abc").size, 3);
    assert_int_equal(slice_from_text(NULL).size, 0);
    assert_int_equal(slice_from_text("").size, 0);
    const struct leat_slice rest = slice_after(SLICE("hello"), 2);
    assert_true(slice_equal(rest, SLICE("llo")));
    assert_true(slice_equal(slice_after(rest, 3), none));
}

static void equality(void **state)
{
    assert_true(slice_equal(SLICE("abc"), SLICE("abc")));
    assert_false(slice_equal(SLICE("abc"), SLICE("abd")));
    assert_false(slice_equal(SLICE("abc"), SLICE("ab")));
    assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
    assert_false(slice_equal(SLICE("abc"), SLICE("ABC")));
    assert_true(slice_equal(none, SLICE("")));
    assert_true(slice_equal_nocase(SLICE("Content-Length"), SLICE("content-LENGTH")));
    assert_false(slice_equal_nocase(SLICE("Content-Length"), SLICE("Content_Length")));
    assert_false(slice_equal_nocase(SLICE("ab"), SLICE("abc")));
    assert_true(slice_equal_nocase(none, none));
}

static void ends(void **state)
{
    assert_true(slice_starts_with(SLICE("/live/a"), SLICE("/live/")));
    assert_true(slice_starts_with(SLICE("/live/"), SLICE("/live/")));
    assert_false(slice_starts_with(SLICE("/live"), SLICE("/live/")));
    assert_true(slice_starts_with(SLICE("x"), none));
    assert_true(slice_starts_with(none, none));
    assert_true(slice_ends_with(SLICE("film.mp4"), SLICE(".mp4")));
    assert_false(slice_ends_with(SLICE("film.mp4"), SLICE(".mkv")));
    assert_false(slice_ends_with(SLICE("mp4"), SLICE(".mp4")));
    assert_true(slice_ends_with(SLICE("x"), none));
    assert_false(slice_ends_with(none, SLICE("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making),
        cmocka_unit_test(equality),
        cmocka_unit_test(ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
