/* SPDX-License-Identifier: MIT */
/*
 * The table of character classes, and the two things every list and number in HTTP is made of.
 */
#include "wire/chars.h"

#include "base/assert.h"

/* Letters of the rows below, so that one can read them against the RFCs. */
enum {
    T = CHARS_TOKEN,
    G = CHARS_TARGET,
    V = CHARS_VALUE,
    R = CHARS_REG_NAME,
    U = CHARS_UNRESERVED,
    D = CHARS_DIGIT,
};

const uint8_t chars_table[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | G | V | R,
    ['"'] = G | V,
    ['#'] = T | V,
    ['$' ... '\''] = T | G | V | R, /* $ % & ' */
    ['(' ... ')'] = G | V | R,
    ['*' ... '+'] = T | G | V | R,
    [','] = G | V | R,
    ['-' ... '.'] = T | G | V | R | U,
    ['/'] = G | V,
    ['0' ... '9'] = T | G | V | R | U | D,
    [':'] = G | V,
    [';'] = G | V | R,
    ['<'] = G | V,
    ['='] = G | V | R,
    ['>' ... '@'] = G | V, /* > ? @ */
    ['A' ... 'Z'] = T | G | V | R | U,
    ['[' ... ']'] = G | V, /* [ \ ] */
    ['^'] = T | G | V,
    ['_'] = T | G | V | R | U,
    ['`'] = T | G | V,
    ['a' ... 'z'] = T | G | V | R | U,
    ['{'] = G | V,
    ['|'] = T | G | V,
    ['}'] = G | V,
    ['~'] = T | G | V | R | U,
    [0x80 ... 0xff] = V,
};

bool chars_next_element(struct leat_slice *list, struct leat_slice *ret_element)
{
    if (list->data == NULL)
        return false;
    const char *comma = memchr(list->data, ',', list->size);
    const size_t size = comma ? (size_t)(comma - list->data) : list->size;
    ASSERT(size <= list->size);
    *ret_element = chars_trim(slice_of(list->data, size));
    *list = comma ? slice_after(*list, size + 1) : slice_of(NULL, 0);
    return true;
}

bool chars_decimal(struct leat_slice digits, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool overflow = false;
    for (size_t i = 0; i < digits.size; i++) {
        if (!chars_is(digits.data[i], CHARS_DIGIT))
            return false;
        const unsigned digit = (unsigned)(digits.data[i] - '0');
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, digit, &value);
    }
    if (digits.size == 0)
        return false;
    *ret_value = overflow ? UINT64_MAX : value;
    return true;
}
