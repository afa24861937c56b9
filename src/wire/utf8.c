/* SPDX-License-Identifier: MIT */
/*
 * See utf8.h. What is well-formed is in table 3-7 of the Unicode standard.
 */
#include "wire/utf8.h"

#include "base/assert.h"

size_t utf8_size(struct leat_slice text)
{
    if (text.size == 0)
        return 0;
    const unsigned char *byte = (const unsigned char *)text.data;
    const unsigned char first = byte[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    const size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (text.size < size)
        return 0;
    for (size_t index = 1; index < size; index++)
        if ((byte[index] & 0xc0) != 0x80)
            return 0;
    /* Overlong, a surrogate, beyond U+10FFFF. */
    if ((first == 0xe0 && byte[1] < 0xa0) || (first == 0xed && byte[1] > 0x9f) ||
        (first == 0xf0 && byte[1] < 0x90) || (first == 0xf4 && byte[1] > 0x8f))
        return 0;
    ASSERT(size >= 2 && size <= 4);
    return size;
}

struct leat_slice utf8_take(struct leat_slice *text)
{
    ASSERT(text->size > 0);
    const size_t size = utf8_size(*text);
    const struct leat_slice taken = size > 0 ? slice_of(text->data, size) : SLICE("\xef\xbf\xbd");
    *text = slice_after(*text, size > 0 ? size : 1);
    return taken;
}
