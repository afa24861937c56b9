/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "wire/amf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void values_of_each_type(void **state)
{
    static const struct row {
        struct leat_slice wire;
        enum amf_type type;
        double number;
        struct leat_slice bytes;
    } rows[] = {
        {SLICE("\x00\x3f\xf8\0\0\0\0\0\0"), AMF_NUMBER, 1.5, {NULL, 0}},
        {SLICE("\x01\x00"), AMF_BOOLEAN, 0, {NULL, 0}},
        {SLICE("\x01\x07"), AMF_BOOLEAN, 1, {NULL, 0}},
        {SLICE("\x02\0\3abc"), AMF_STRING, 0, SLICE("abc")},
        {SLICE("\x02\0\0"), AMF_STRING, 0, {NULL, 0}},
        {SLICE("\x0c\0\0\0\3abc"), AMF_STRING, 0, SLICE("abc")},
        {SLICE("\x03\0\1a\5\0\0\x09"), AMF_OBJECT, 0, SLICE("\0\1a\5")},
        {SLICE("\x03\0\0\x09"), AMF_OBJECT, 0, {NULL, 0}},
        {SLICE("\x08\xff\xff\xff\xff\0\1a\5\0\0\x09"), AMF_OBJECT, 0, SLICE("\0\1a\5")},
        {SLICE("\x10\0\2Ab\0\1a\5\0\0\x09"), AMF_OBJECT, 0, SLICE("\0\1a\5")},
        {SLICE("\x05"), AMF_NULL, 0, {NULL, 0}},
        {SLICE("\x06"), AMF_NULL, 0, {NULL, 0}},
        {SLICE("\x0d"), AMF_NULL, 0, {NULL, 0}},
        {SLICE("\x07\1\2"), AMF_REFERENCE, 0x102, {NULL, 0}},
        {SLICE("\x0a\0\0\0\2\5\1\1"), AMF_STRICT_ARRAY, 0, SLICE("\5\1\1")},
        {SLICE("\x0a\0\0\0\0"), AMF_STRICT_ARRAY, 0, {NULL, 0}},
        {SLICE("\x0b\x40\x59\0\0\0\0\0\0\0\0"), AMF_DATE, 100, {NULL, 0}},
        {SLICE("\x0f\0\0\0\4<a/>"), AMF_XML_DOCUMENT, 0, SLICE("<a/>")},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        struct cursor cursor = cursor_over(rows[index].wire);
        struct amf_value value;
        amf_take(&cursor, &value);
        assert_false(cursor.failed);
        assert_int_equal(cursor_left(&cursor), 0);
        assert_int_equal(value.type, rows[index].type);
        assert_true(value.number == rows[index].number);
        assert_true(slice_equal(value.bytes, rows[index].bytes));
        /* Cut anywhere it fails, and says nothing. */
        for (size_t size = 0; size < rows[index].wire.size; size++) {
            cursor = cursor_over(slice_of(rows[index].wire.data, size));
            amf_take(&cursor, &value);
            assert_true(cursor.failed);
            assert_int_equal(value.type, AMF_NULL);
            assert_int_equal(value.bytes.size, 0);
        }
    }
}

static void what_cannot_be_read_fails(void **state)
{
    static const struct leat_slice wires[] = {
        SLICE("\x04\0\0\0\0"),
        SLICE("\x09"),
        SLICE("\x0e\0\0"),
        SLICE("\x11\x01"),
        SLICE("\x12"),
        SLICE("\xff"),
        SLICE("\x0a\xff\xff\xff\xff\5\5\5"),
        SLICE("\x03\0\1a\x09\0\0"),
    };
    for (size_t index = 0; index < COUNT_OF(wires); index++) {
        struct cursor cursor = cursor_over(wires[index]);
        struct amf_value value;
        amf_take(&cursor, &value);
        assert_true(cursor.failed);
    }
}

static void an_empty_name_is_a_property_when_no_end_marker_follows(void **state)
{
    struct cursor cursor = cursor_over(SLICE("\x03\0\0\x02\0\1x\0\0\x09"));
    struct amf_value object;
    amf_take(&cursor, &object);
    assert_false(cursor.failed);
    assert_true(slice_equal(amf_find_string(&object, SLICE("")), SLICE("x")));
}

/* `depth` arrays, or objects, within one another. */
static struct leat_slice nested(unsigned depth, bool is_object, char *bytes, size_t capacity)
{
    struct writer writer = writer_over(bytes, capacity);
    for (unsigned index = 0; index < depth; index++) {
        if (is_object)
            writer_bytes(&writer, SLICE("\x03\0\1a"));
        else
            amf_write_array_begin(&writer, 1);
    }
    amf_write_null(&writer);
    for (unsigned index = 0; is_object && index < depth; index++)
        amf_write_object_end(&writer);
    assert_false(writer.failed);
    return writer_slice(&writer);
}

static void depth_is_bounded(void **state)
{
    enum { DEEP = 200000, CAPACITY = 2 * 1024 * 1024 };
    char *const bytes = malloc(CAPACITY);
    for (unsigned is_object = 0; is_object < 2; is_object++) {
        struct cursor cursor;
        struct amf_value value;
        cursor = cursor_over(nested(AMF_DEPTH_MAX - 1, is_object, bytes, CAPACITY));
        amf_take(&cursor, &value);
        assert_false(cursor.failed);
        assert_int_equal(cursor_left(&cursor), 0);
        cursor = cursor_over(nested(AMF_DEPTH_MAX, is_object, bytes, CAPACITY));
        amf_take(&cursor, &value);
        assert_true(cursor.failed);
        cursor = cursor_over(nested(DEEP, is_object, bytes, CAPACITY));
        amf_take(&cursor, &value);
        assert_true(cursor.failed);
        assert_true(cursor.offset < 200); /* it was given up where it became too deep */
    }
    free(bytes);
}

static void what_is_written_is_read(void **state)
{
    unsigned char bytes[256];
    struct writer writer = writer_over(bytes, sizeof bytes);
    amf_write_string(&writer, SLICE("connect"));
    amf_write_number(&writer, -0.5);
    amf_write_object_begin(&writer);
    amf_write_name(&writer, SLICE("app"));
    amf_write_string(&writer, SLICE("live"));
    amf_write_name(&writer, SLICE("inner"));
    amf_write_object_begin(&writer);
    amf_write_name(&writer, SLICE("app"));
    amf_write_string(&writer, SLICE("no"));
    amf_write_object_end(&writer);
    amf_write_name(&writer, SLICE("fpad"));
    amf_write_boolean(&writer, true);
    amf_write_name(&writer, SLICE("app"));
    amf_write_string(&writer, SLICE("second"));
    amf_write_object_end(&writer);
    amf_write_null(&writer);
    amf_write_array_begin(&writer, 1);
    amf_write_string(&writer, SLICE("hvc1"));
    assert_false(writer.failed);

    struct cursor cursor = cursor_over(writer_slice(&writer));
    struct amf_value object, value;
    assert_true(slice_equal(amf_take_string(&cursor), SLICE("connect")));
    assert_true(amf_take_number(&cursor) == -0.5);
    amf_take(&cursor, &object);
    assert_true(slice_equal(amf_find_string(&object, SLICE("app")), SLICE("live")));
    assert_true(amf_find(&object, SLICE("fpad"), &value));
    assert_int_equal(value.type, AMF_BOOLEAN);
    assert_true(value.number == 1);
    assert_false(amf_find(&object, SLICE("none"), &value));
    assert_int_equal(amf_find_string(&object, SLICE("fpad")).size, 0);
    assert_true(amf_find(&object, SLICE("inner"), &object));
    assert_true(slice_equal(amf_find_string(&object, SLICE("app")), SLICE("no")));
    amf_take(&cursor, &value);
    assert_int_equal(value.type, AMF_NULL);
    assert_false(amf_find(&value, SLICE("app"), &value));
    amf_take(&cursor, &value);
    assert_int_equal(value.type, AMF_STRICT_ARRAY);
    assert_int_equal(cursor_left(&cursor), 0);
    assert_false(cursor.failed);
}

static void another_type_than_asked_for_fails(void **state)
{
    struct cursor cursor = cursor_over(SLICE("\x05\x05"));
    assert_int_equal(amf_take_string(&cursor).size, 0);
    assert_true(cursor.failed);
    cursor = cursor_over(SLICE("\x02\0\1a"));
    assert_true(amf_take_number(&cursor) == 0);
    assert_true(cursor.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_each_type),
        cmocka_unit_test(what_cannot_be_read_fails),
        cmocka_unit_test(an_empty_name_is_a_property_when_no_end_marker_follows),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(another_type_than_asked_for_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
