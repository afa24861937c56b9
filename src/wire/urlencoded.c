/* SPDX-License-Identifier: MIT */
/*
 * One byte at a time by one function, from which decoding and comparing are made.
 */
#include "wire/urlencoded.h"

#include "base/assert.h"
#include "wire/chars.h"

bool urlencoded_next(struct leat_slice *input, struct leat_slice *ret_name,
                     struct leat_slice *ret_value)
{
    while (input->size > 0 && input->data[0] == '&')
        *input = slice_after(*input, 1);
    if (input->size == 0)
        return false;
    const char *const end = memchr(input->data, '&', input->size);
    const struct leat_slice pair =
        slice_of(input->data, end ? (size_t)(end - input->data) : input->size);
    const char *const mark = memchr(pair.data, '=', pair.size);
    ASSERT(pair.size > 0 && pair.size <= input->size);
    *ret_name = slice_of(pair.data, mark ? (size_t)(mark - pair.data) : pair.size);
    *ret_value = slice_after(pair, ret_name->size + (mark ? 1 : 0));
    *input = slice_after(*input, pair.size);
    return true;
}

/* The next byte of the text, decoded, taken off its start. */
static char take_byte(struct leat_slice *text)
{
    char c = text->data[0];
    size_t size = 1;
    if (c == '+') {
        c = ' ';
    } else if (c == '%' && text->size >= 3) {
        const int high = chars_hex(text->data[1]), low = chars_hex(text->data[2]);
        if (high >= 0 && low >= 0) {
            c = (char)(high << 4 | low);
            size = 3;
        }
    }
    *text = slice_after(*text, size);
    return c;
}

size_t urlencoded_decode(struct leat_slice text, char *buffer)
{
    const size_t size_max = text.size;
    size_t size = 0;
    while (text.size > 0)
        buffer[size++] = take_byte(&text); /* never beyond what was read: it may be in place */
    ASSERT(size <= size_max);
    return size;
}

bool urlencoded_equal(struct leat_slice text, struct leat_slice decoded)
{
    size_t size = 0;
    while (text.size > 0) {
        if (size == decoded.size || take_byte(&text) != decoded.data[size])
            return false;
        size++;
    }
    return size == decoded.size;
}
