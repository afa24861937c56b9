/* SPDX-License-Identifier: MIT */
/*
 * See amf.h. An element takes a byte at least, so that no count, however large, makes a loop that
 * is longer than the message; and every byte is looked at once, whatever the depth.
 */
#include "wire/amf.h"

/* Markers that are read as another's type. 0x04 (movie clip) and 0x0e (record set) are reserved,
 * and behind 0x11 comes AMF 3: they end the reading (section 2.1). */
enum {
    MARKER_UNDEFINED = 0x06,
    MARKER_ECMA_ARRAY = 0x08,
    MARKER_OBJECT_END = 0x09,
    MARKER_LONG_STRING = 0x0c,
    MARKER_UNSUPPORTED = 0x0d,
    MARKER_TYPED_OBJECT = 0x10,
};

static void take_value(struct cursor *cursor, unsigned depth, struct amf_value *ret_value);

/* ---- Reading --------------------------------------------------------------------------------- */

static double take_double(struct cursor *cursor)
{
    const uint64_t bits = cursor_u64be(cursor);
    double number;
    static_assert(sizeof number == sizeof bits, "AMF's numbers are IEEE 754 doubles");
    memcpy(&number, &bits, sizeof number);
    return number;
}

static struct leat_slice bytes_since(const struct cursor *cursor, size_t begin, size_t end_size)
{
    ASSERT(!cursor->failed && begin + end_size <= cursor->offset);
    return slice_of(cursor->data + begin, cursor->offset - end_size - begin);
}

/* Section 2.5: names and values up to an empty name with the end marker behind it. */
static struct leat_slice take_properties(struct cursor *cursor, unsigned depth)
{
    enum { END_SIZE = 3 };
    const size_t begin = cursor->offset;
    struct amf_value value;
    while (!cursor->failed) {
        const uint16_t name_size = cursor_u16be(cursor);
        struct cursor peek = *cursor;
        if (name_size == 0 && cursor_u8(&peek) == MARKER_OBJECT_END) {
            *cursor = peek;
            if (!cursor->failed)
                return bytes_since(cursor, begin, END_SIZE);
        }
        cursor_skip(cursor, name_size);
        take_value(cursor, depth, &value);
    }
    return slice_of(NULL, 0);
}

/* Section 2.12. */
static struct leat_slice take_elements(struct cursor *cursor, unsigned depth)
{
    const uint32_t count = cursor_u32be(cursor);
    const size_t begin = cursor->offset;
    struct amf_value value;
    for (uint32_t index = 0; index < count && !cursor->failed; index++)
        take_value(cursor, depth, &value);
    return cursor->failed ? slice_of(NULL, 0) : bytes_since(cursor, begin, 0);
}

static void take_object(struct cursor *cursor, uint8_t marker, unsigned depth,
                        struct amf_value *value)
{
    if (marker == MARKER_TYPED_OBJECT)
        cursor_skip(cursor, cursor_u16be(cursor)); /* the class, section 2.18 */
    else if (marker == MARKER_ECMA_ARRAY)
        cursor_skip(cursor, 4); /* how many there may be, section 2.10 */
    value->type = AMF_OBJECT;
    value->bytes = take_properties(cursor, depth);
}

static void take_value(struct cursor *cursor, unsigned depth, struct amf_value *ret_value)
{
    struct amf_value value = {.type = AMF_NULL};
    const uint8_t marker = cursor_u8(cursor);
    if (depth == AMF_DEPTH_MAX)
        cursor->failed = true;
    switch (marker) {
    case AMF_NUMBER:
        value.type = AMF_NUMBER;
        value.number = take_double(cursor);
        break;
    case AMF_BOOLEAN:
        value.type = AMF_BOOLEAN;
        value.number = cursor_u8(cursor) != 0;
        break;
    case AMF_STRING:
        value.type = AMF_STRING;
        value.bytes = cursor_bytes(cursor, cursor_u16be(cursor));
        break;
    case MARKER_LONG_STRING:
    case AMF_XML_DOCUMENT:
        value.type = marker == MARKER_LONG_STRING ? AMF_STRING : AMF_XML_DOCUMENT;
        value.bytes = cursor_bytes(cursor, cursor_u32be(cursor));
        break;
    case AMF_OBJECT:
    case MARKER_ECMA_ARRAY:
    case MARKER_TYPED_OBJECT: take_object(cursor, marker, depth + 1, &value); break;
    case AMF_NULL:
    case MARKER_UNDEFINED:
    case MARKER_UNSUPPORTED: break;
    case AMF_REFERENCE:
        value.type = AMF_REFERENCE;
        value.number = cursor_u16be(cursor);
        break;
    case AMF_STRICT_ARRAY:
        value.type = AMF_STRICT_ARRAY;
        value.bytes = take_elements(cursor, depth + 1);
        break;
    case AMF_DATE: /* and a time zone that is reserved, section 2.13 */
        value.type = AMF_DATE;
        value.number = take_double(cursor);
        cursor_skip(cursor, 2);
        break;
    default: cursor->failed = true; break;
    }
    *ret_value = cursor->failed ? (struct amf_value){.type = AMF_NULL} : value;
}

void amf_take(struct cursor *cursor, struct amf_value *ret_value)
{
    take_value(cursor, 0, ret_value);
}

double amf_take_number(struct cursor *cursor)
{
    struct amf_value value;
    amf_take(cursor, &value);
    if (value.type != AMF_NUMBER)
        cursor->failed = true;
    return value.type == AMF_NUMBER ? value.number : 0;
}

struct leat_slice amf_take_string(struct cursor *cursor)
{
    struct amf_value value;
    amf_take(cursor, &value);
    if (value.type != AMF_STRING)
        cursor->failed = true;
    return value.type == AMF_STRING ? value.bytes : slice_of(NULL, 0);
}

bool amf_find(const struct amf_value *object, struct leat_slice name, struct amf_value *ret_value)
{
    if (object->type != AMF_OBJECT)
        return false;
    struct cursor properties = cursor_over(object->bytes);
    while (cursor_left(&properties) > 0) {
        struct amf_value value;
        const struct leat_slice found = cursor_bytes(&properties, cursor_u16be(&properties));
        amf_take(&properties, &value);
        if (!properties.failed && slice_equal(found, name)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

struct leat_slice amf_find_string(const struct amf_value *object, struct leat_slice name)
{
    struct amf_value value;
    if (!amf_find(object, name, &value) || value.type != AMF_STRING)
        return slice_of(NULL, 0);
    return value.bytes;
}

/* ---- Writing --------------------------------------------------------------------------------- */

void amf_write_number(struct writer *writer, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    writer_u8(writer, AMF_NUMBER);
    writer_u64be(writer, bits);
}

void amf_write_boolean(struct writer *writer, bool is_true)
{
    writer_u8(writer, AMF_BOOLEAN);
    writer_u8(writer, is_true);
}

void amf_write_string(struct writer *writer, struct leat_slice text)
{
    writer_u8(writer, AMF_STRING);
    amf_write_name(writer, text);
}

void amf_write_null(struct writer *writer)
{
    writer_u8(writer, AMF_NULL);
}

void amf_write_object_begin(struct writer *writer)
{
    writer_u8(writer, AMF_OBJECT);
}

void amf_write_name(struct writer *writer, struct leat_slice name)
{
    ASSERT(name.size <= UINT16_MAX);
    writer_u16be(writer, (uint16_t)name.size);
    writer_bytes(writer, name);
}

void amf_write_object_end(struct writer *writer)
{
    amf_write_name(writer, slice_of(NULL, 0));
    writer_u8(writer, MARKER_OBJECT_END);
}

void amf_write_array_begin(struct writer *writer, uint32_t count)
{
    writer_u8(writer, AMF_STRICT_ARRAY);
    writer_u32be(writer, count);
}
