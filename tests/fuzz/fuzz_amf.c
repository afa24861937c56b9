/* SPDX-License-Identifier: MIT */
/*
 * AMF 0. Whatever the bytes: a value that can be read takes at least one of them and lies within
 * them; it cannot be read when it is cut; and it says the same without what comes behind it.
 */
#include "fuzz.h"
#include "wire/amf.h"

static void check_within(struct leat_slice whole, struct leat_slice part)
{
    ASSERT(part.size <= whole.size);
    if (part.size > 0)
        ASSERT(part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

/* Its properties one by one: there is an end to them, and each is found again by its name. */
static void check_object(struct leat_slice whole, const struct amf_value *object)
{
    struct cursor properties = cursor_over(object->bytes);
    for (unsigned count = 0; cursor_left(&properties) > 0; count++) {
        struct amf_value value, found;
        const struct leat_slice name = cursor_bytes(&properties, cursor_u16be(&properties));
        amf_take(&properties, &value);
        ASSERT(!properties.failed);
        check_within(whole, value.bytes);
        if (count < 8)
            ASSERT(amf_find(object, name, &found));
    }
}

/* Alone, without what comes behind it, it is the same; cut, it is nothing. */
static void check_cut(struct leat_slice bytes, const struct amf_value *value)
{
    char *const exact = fuzz_copy(bytes.data, bytes.size);
    struct amf_value again;
    struct cursor cursor = cursor_over(slice_of(exact, bytes.size));
    amf_take(&cursor, &again);
    ASSERT(!cursor.failed && cursor_left(&cursor) == 0);
    ASSERT(again.type == value->type && slice_equal(again.bytes, value->bytes));
    for (size_t size = 0; size < bytes.size; size += fuzz_stride(bytes.size)) {
        cursor = cursor_over(slice_of(exact, size));
        amf_take(&cursor, &again);
        ASSERT(cursor.failed && again.type == AMF_NULL);
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct leat_slice whole = slice_of(data, size);
    struct cursor cursor = cursor_over(whole);
    for (unsigned count = 0; count < 16 && cursor_left(&cursor) > 0; count++) {
        const size_t begin = cursor.offset;
        struct amf_value value;
        amf_take(&cursor, &value);
        check_within(whole, value.bytes);
        if (cursor.failed) {
            ASSERT(value.type == AMF_NULL && value.bytes.size == 0);
            break;
        }
        ASSERT(cursor.offset > begin);
        if (value.type == AMF_OBJECT)
            check_object(whole, &value);
        check_cut(slice_of(whole.data + begin, cursor.offset - begin), &value);
    }
    return 0;
}
