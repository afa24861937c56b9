/* SPDX-License-Identifier: MIT */
/*
 * Text that grows: what was added stands there in order, whatever it took to make room; and once it
 * has failed, it stays so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "mem/text.h"

static void assert_text(const struct text *text, struct leat_slice wanted)
{
    assert_false(text->has_failed);
    assert_int_equal(text->size, wanted.size);
    assert_memory_equal(text->data, wanted.data, wanted.size);
}

static void adds_all_kinds(void **state)
{
    struct text text = {0};
    text_add(&text, slice_of(NULL, 0));
    assert_int_equal(text.size, 0);
    text_add_literal(&text, "one ");
    text_add_number(&text, 0);
    text_add_literal(&text, " ");
    text_add_number(&text, UINT64_MAX);
    text_add_format(&text, " %s %03d", "two", 7);
    text_add(&text, SLICE(" a\0b"));
    assert_text(&text, SLICE("one 0 18446744073709551615 two 007 a\0b"));
    text_fini(&text);
    assert_null(text.data);
    text_fini(&text); /* empty again, and that is fine */
}

static void grows_without_losing_a_byte(void **state)
{
    enum { COUNT = 100 * 1000 };
    struct text text = {0};
    for (unsigned number = 0; number < COUNT; number++)
        text_add_format(&text, "%05u", number);
    assert_false(text.has_failed);
    assert_int_equal(text.size, 5 * COUNT);
    for (unsigned number = 0; number < COUNT; number += 997) {
        char wanted[16];
        snprintf(wanted, sizeof wanted, "%05u", number);
        assert_memory_equal(text.data + (size_t)5 * number, wanted, 5);
    }
    /* A piece that is larger than the next doubling. */
    char *place = text_reserve(&text, 4 * 1000 * 1000);
    assert_non_null(place);
    memset(place, 'x', 4 * 1000 * 1000);
    assert_memory_equal(text.data, "0000000001", 10);
    text_fini(&text);
}

static void stays_failed(void **state)
{
    struct text text = {0};
    text_add_literal(&text, "before");
    assert_null(text_reserve(&text, SIZE_MAX));
    assert_true(text.has_failed);
    text_add_literal(&text, "after");
    text_add_number(&text, 1);
    text_add_format(&text, "%d", 1);
    assert_null(text_reserve(&text, 1));
    assert_true(text.has_failed);
    assert_int_equal(text.size, 6);
    text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_all_kinds),
        cmocka_unit_test(grows_without_losing_a_byte),
        cmocka_unit_test(stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
