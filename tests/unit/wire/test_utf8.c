/* SPDX-License-Identifier: MIT */
/*
 * UTF-8: every code point is taken as it is encoded, everything else is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/utf8.h"

enum { CODE_POINTS = 0x110000 };

static size_t encode(uint32_t point, unsigned char *bytes)
{
    if (point < 0x80) {
        bytes[0] = (unsigned char)point;
        return 1;
    }
    const size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t index = size - 1; index > 0; index--) {
        bytes[index] = (unsigned char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    bytes[0] = (unsigned char)(leads[size] | point);
    return size;
}

static void takes_every_code_point(void **state)
{
    for (uint32_t point = 0; point < CODE_POINTS; point++) {
        unsigned char bytes[8] = {0, 0, 0, 0, 0x80};
        const size_t size = encode(point, bytes);
        const bool is_surrogate = point >= 0xd800 && point < 0xe000;
        assert_int_equal(utf8_size(slice_of(bytes, sizeof bytes)), is_surrogate ? 0 : size);
        if (size > 1) /* cut off */
            assert_int_equal(utf8_size(slice_of(bytes, size - 1)), 0);
    }
}

/* Of all sequences of two bytes, and of three that begin as some do, as many as there are code
 * points of that size: none is taken twice. */
static void takes_nothing_else(void **state)
{
    unsigned two = 0, three = 0;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            const unsigned char pair[] = {(unsigned char)first, (unsigned char)second};
            two += utf8_size(slice_of(pair, sizeof pair)) == 2;
            for (unsigned third = 0; third < 256; third++) {
                const unsigned char bytes[] = {pair[0], pair[1], (unsigned char)third};
                three += utf8_size(slice_of(bytes, sizeof bytes)) == 3;
            }
        }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);
    assert_int_equal(utf8_size(SLICE("\xf4\x90\x80\x80")), 0); /* beyond U+10FFFF */
    assert_int_equal(utf8_size(SLICE("\xf0\x8f\xbf\xbf")), 0); /* overlong */
    assert_int_equal(utf8_size(SLICE("\xf8\x88\x80\x80\x80")), 0);
    assert_int_equal(utf8_size(slice_of(NULL, 0)), 0);
}

static void makes_what_is_none_the_replacement(void **state)
{
    struct leat_slice text = SLICE("a\xc3\xa9\xff\xe2\x82");
    const struct leat_slice wanted[] = {SLICE("a"), SLICE("\xc3\xa9"), SLICE("\xef\xbf\xbd"),
                                        SLICE("\xef\xbf\xbd"), SLICE("\xef\xbf\xbd")};
    for (size_t index = 0; index < sizeof wanted / sizeof *wanted; index++)
        assert_true(slice_equal(utf8_take(&text), wanted[index]));
    assert_int_equal(text.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_code_point),
        cmocka_unit_test(takes_nothing_else),
        cmocka_unit_test(makes_what_is_none_the_replacement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
