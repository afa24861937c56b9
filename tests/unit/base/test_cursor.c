/* SPDX-License-Identifier: MIT */
/*
 * Cursors: what is written is read back, in both byte orders, and nothing ever leaves the bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cursor.h"

static void reads_both_byte_orders(void **state)
{
    const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct cursor cursor = cursor_over(slice_of(bytes, sizeof(bytes)));
    assert_int_equal(cursor_u8(&cursor), 1);
    assert_int_equal(cursor_u16be(&cursor), 0x0203);
    assert_int_equal(cursor_u32le(&cursor), 0x07060504);
    assert_int_equal(cursor_left(&cursor), 1);
    cursor = cursor_over(slice_of(bytes, sizeof(bytes)));
    assert_true(cursor_u64be(&cursor) == UINT64_C(0x0102030405060708));
    assert_int_equal(cursor_left(&cursor), 0);
    assert_false(cursor.failed);
    cursor = cursor_over(slice_of(bytes, sizeof(bytes)));
    assert_true(cursor_u64le(&cursor) == UINT64_C(0x0807060504030201));
    cursor = cursor_over(slice_of(bytes, sizeof(bytes)));
    assert_int_equal(cursor_u16le(&cursor), 0x0201);
    assert_int_equal(cursor_u32be(&cursor), 0x03040506);
}

static void failure_is_sticky_and_moves_nothing(void **state)
{
    const unsigned char bytes[] = {1, 2, 3};
    struct cursor cursor = cursor_over(slice_of(bytes, sizeof(bytes)));
    assert_int_equal(cursor_u8(&cursor), 1);
    assert_int_equal(cursor_u32be(&cursor), 0);
    assert_true(cursor.failed);
    assert_int_equal(cursor.offset, 1);
    /* One byte would fit, but what it means is unknown by now. */
    assert_int_equal(cursor_u8(&cursor), 0);
    assert_int_equal(cursor_left(&cursor), 0);
    assert_int_equal(cursor_bytes(&cursor, 1).size, 0);

    cursor = cursor_over(slice_of(bytes, sizeof(bytes)));
    cursor_skip(&cursor, 1);
    cursor_skip(&cursor, SIZE_MAX); /* offset + size would wrap round */
    assert_true(cursor.failed);
    assert_int_equal(cursor.offset, 1);
}

static void inner_cursor_ends_with_its_bytes(void **state)
{
    const unsigned char bytes[] = {1, 2, 3, 4};
    struct cursor outer = cursor_over(slice_of(bytes, sizeof(bytes)));
    struct cursor inner = cursor_within(&outer, 3);
    assert_int_equal(cursor_left(&inner), 3);
    assert_int_equal(cursor_u16be(&inner), 0x0102);
    assert_int_equal(cursor_u16be(&inner), 0);
    assert_true(inner.failed);
    assert_false(outer.failed);
    assert_int_equal(cursor_u8(&outer), 4);
    inner = cursor_within(&outer, 1);
    assert_true(inner.failed && outer.failed);
}

static void an_empty_cursor_gives_empty_bytes(void **state)
{
    struct cursor cursor = cursor_over(slice_of(NULL, 0));
    assert_int_equal(cursor_bytes(&cursor, 0).size, 0);
    assert_false(cursor.failed);
    assert_int_equal(cursor_u8(&cursor), 0);
    assert_true(cursor.failed);
}

static void writes_what_it_reads(void **state)
{
    unsigned char bytes[31];
    struct writer writer = writer_over(bytes, sizeof(bytes));
    writer_u8(&writer, 0xfe);
    writer_u16be(&writer, 0x0102);
    writer_u16le(&writer, 0x0102);
    writer_u32be(&writer, 0x01020304);
    writer_u32le(&writer, 0x01020304);
    writer_u64be(&writer, UINT64_C(0x0102030405060708));
    writer_u64le(&writer, UINT64_C(0x0102030405060708));
    writer_bytes(&writer, SLICE("ab"));
    assert_false(writer.failed);
    assert_int_equal(writer.size, sizeof(bytes));
    assert_memory_equal(bytes, "\xfe\x01\x02\x02\x01\x01\x02\x03\x04\x04\x03\x02\x01", 13);

    struct cursor cursor = cursor_over(writer_slice(&writer));
    assert_int_equal(cursor_u8(&cursor), 0xfe);
    assert_int_equal(cursor_u16be(&cursor), 0x0102);
    assert_int_equal(cursor_u16le(&cursor), 0x0102);
    assert_int_equal(cursor_u32be(&cursor), 0x01020304);
    assert_int_equal(cursor_u32le(&cursor), 0x01020304);
    assert_true(cursor_u64be(&cursor) == UINT64_C(0x0102030405060708));
    assert_true(cursor_u64le(&cursor) == UINT64_C(0x0102030405060708));
    assert_true(slice_equal(cursor_bytes(&cursor, 2), SLICE("ab")));
    assert_int_equal(cursor_left(&cursor), 0);
    assert_false(cursor.failed);
}

static void a_full_writer_writes_nothing_more(void **state)
{
    unsigned char bytes[4] = {9, 9, 9, 9};
    struct writer writer = writer_over(bytes, 3);
    writer_u16be(&writer, 0x0102);
    writer_u16be(&writer, 0x0304);
    assert_true(writer.failed);
    writer_u8(&writer, 5); /* would fit, but belongs behind what did not */
    writer_bytes(&writer, SLICE("x"));
    assert_int_equal(writer.size, 2);
    assert_memory_equal(bytes, "\x01\x02\x09\x09", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_byte_orders),
        cmocka_unit_test(failure_is_sticky_and_moves_nothing),
        cmocka_unit_test(inner_cursor_ends_with_its_bytes),
        cmocka_unit_test(an_empty_cursor_gives_empty_bytes),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(a_full_writer_writes_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
