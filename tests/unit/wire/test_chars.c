/* SPDX-License-Identifier: MIT */
/*
 * Characters: the sixteen-byte scanners agree with the table, whatever stands where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "wire/chars.h"

/* A run of good bytes with one other byte in it, at every place and of every value, in a buffer of
 * exactly its size, so that a sanitizer sees a read beyond it. */
static void scanners_agree_with_the_table(void **state)
{
    for (size_t size = 0; size <= 40; size++) {
        char *text = malloc(size + 1);
        char *exact = malloc(size > 0 ? size : 1);
        assert_non_null(text);
        assert_non_null(exact);
        for (size_t place = 0; place < size; place++) {
            for (int value = 0; value < 256; value++) {
                memset(exact, 'x', size);
                exact[place] = (char)value;
                const char *end = exact + size;
                assert_ptr_equal(chars_skip_target(exact, end),
                                 chars_skip(exact, end, CHARS_TARGET));
                assert_ptr_equal(chars_skip_value(exact, end), chars_skip(exact, end, CHARS_VALUE));
            }
        }
        free(exact);
        free(text);
    }
}

static void classes_are_those_of_the_standards(void **state)
{
    for (int value = 0; value < 256; value++) {
        const char c = (char)value;
        const bool alnum = (value >= '0' && value <= '9') || (value >= 'a' && value <= 'z') ||
                           (value >= 'A' && value <= 'Z');
        const bool in_ascii = value > 0 && value < 0x80;
        assert_int_equal(chars_is(c, CHARS_TOKEN),
                         alnum || (in_ascii && strchr("!#$%&'*+-.^_`|~", value)));
        assert_int_equal(chars_is(c, CHARS_TARGET), value > 0x20 && value < 0x7f && value != '#');
        assert_int_equal(chars_is(c, CHARS_VALUE),
                         value == '\t' || (value >= 0x20 && value != 0x7f));
        assert_int_equal(chars_is(c, CHARS_REG_NAME),
                         alnum || (in_ascii && strchr("-._~%!$&'()*+,;=", value)));
        assert_int_equal(chars_is(c, CHARS_UNRESERVED),
                         alnum || (in_ascii && strchr("-._~", value)));
        assert_int_equal(chars_is(c, CHARS_DIGIT), value >= '0' && value <= '9');
        const char *hex = in_ascii ? strchr("0123456789abcdef", chars_lower(c)) : NULL;
        assert_int_equal(chars_hex(c), hex ? hex - "0123456789abcdef" : -1);
    }
}

static void lists_come_apart(void **state)
{
    static const char *const expected[] = {"a", "", "b c", ""};
    struct leat_slice list = SLICE("a, ,\tb c ,"), element;
    size_t count = 0;
    while (chars_next_element(&list, &element)) {
        assert_true(count < 4);
        assert_true(slice_equal(element, slice_from_text(expected[count++])));
    }
    assert_int_equal(count, 4);
}

static void numbers_saturate(void **state)
{
    uint64_t value = 7;
    assert_true(chars_decimal(SLICE("0018446744073709551614"), &value));
    assert_true(value == UINT64_MAX - 1);
    assert_true(chars_decimal(SLICE("18446744073709551616"), &value));
    assert_true(value == UINT64_MAX);
    assert_true(chars_decimal(SLICE("99999999999999999999999999999999999"), &value));
    assert_true(value == UINT64_MAX);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1e3"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(chars_decimal(slice_from_text(bad[i]), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scanners_agree_with_the_table),
        cmocka_unit_test(classes_are_those_of_the_standards),
        cmocka_unit_test(lists_come_apart),
        cmocka_unit_test(numbers_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
