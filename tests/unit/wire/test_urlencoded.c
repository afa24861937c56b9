/* SPDX-License-Identifier: MIT */
/*
 * Queries and simple forms: the table is the standard's parser, case by case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "wire/urlencoded.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The pairs as "name=value;", decoded. */
static void list_pairs(struct leat_slice input, char *text, size_t text_size)
{
    struct leat_slice name, value;
    char buffer[128];
    size_t size = 0;
    text[0] = '\0';
    while (urlencoded_next(&input, &name, &value)) {
        const size_t name_size = urlencoded_decode(name, buffer);
        assert_true(urlencoded_equal(name, slice_of(buffer, name_size)));
        size += (size_t)snprintf(text + size, text_size - size, "%.*s=", (int)name_size, buffer);
        const size_t value_size = urlencoded_decode(value, buffer);
        size += (size_t)snprintf(text + size, text_size - size, "%.*s;", (int)value_size, buffer);
    }
    assert_int_equal(input.size, 0);
}

static void pairs(void **state)
{
    static const struct {
        const char *input, *pairs;
    } rows[] = {
        {"", ""},
        {"&", ""},
        {"&&&", ""},
        {"a=b", "a=b;"},
        {"a=b&c=d", "a=b;c=d;"},
        {"&a=b&&c=d&", "a=b;c=d;"},
        {"a", "a=;"},
        {"a&b", "a=;b=;"},
        {"a=", "a=;"},
        {"=a", "=a;"},
        {"=", "=;"},
        {"a=b=c", "a=b=c;"},
        {"a=1&a=2", "a=1;a=2;"},
        {"a+b=c+d", "a b=c d;"},
        {"a%20b=c%2Bd", "a b=c+d;"},
        {"a%26b=%3D", "a&b==;"},
        {"%C3%A4=%c3%a4", "\xc3\xa4=\xc3\xa4;"},
        {"\xc3\xa4=\xff", "\xc3\xa4=\xff;"},
        /* a '%' that is none */
        {"a=%", "a=%;"},
        {"a=%4", "a=%4;"},
        {"a=%g1", "a=%g1;"},
        {"a=%1g", "a=%1g;"},
        {"a=100%&b=c", "a=100%;b=c;"},
        {"a=%%41", "a=%A;"},
        {"a=%25%34%31", "a=%41;"},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        char text[256];
        list_pairs(slice_from_text(rows[index].input), text, sizeof text);
        assert_string_equal(text, rows[index].pairs);
    }
}

static void decoding_may_be_in_place(void **state)
{
    char text[] = "%61+%2b%00z";
    assert_int_equal(urlencoded_decode(slice_of(text, sizeof text - 1), text), 5);
    assert_memory_equal(text, "a +\0z", 5);
}

static void comparing_is_decoding(void **state)
{
    assert_true(urlencoded_equal(SLICE("n%61me"), SLICE("name")));
    assert_false(urlencoded_equal(SLICE("n%61me"), SLICE("nam")));
    assert_false(urlencoded_equal(SLICE("n%61me"), SLICE("names")));
    assert_false(urlencoded_equal(SLICE("name%00"), SLICE("name")));
    assert_true(urlencoded_equal(SLICE(""), SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(decoding_may_be_in_place),
        cmocka_unit_test(comparing_is_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
