/* SPDX-License-Identifier: MIT */
/*
 * Numbers that do not fit become UINT64_MAX, which lies beyond every representation: so none of the
 * comparisons below can overflow.
 */
#include "wire/range.h"

#include <stdbool.h>

#include "base/assert.h"
#include "wire/chars.h"

/* A range-spec, not yet seen against a size. */
struct wish {
    bool is_suffix; /* the last `last` bytes */
    uint64_t first, last;
};

/* first-pos "-" [last-pos] / "-" suffix-length (section 14.1.1) */
static bool parse_wish(struct leat_slice text, struct wish *ret_wish)
{
    struct wish wish = {.last = UINT64_MAX};
    const char *dash = memchr(text.data, '-', text.size);
    if (!dash)
        return false;
    const struct leat_slice first = slice_of(text.data, (size_t)(dash - text.data));
    const struct leat_slice last = slice_after(text, first.size + 1);
    wish.is_suffix = first.size == 0;
    if (!wish.is_suffix && !chars_decimal(first, &wish.first))
        return false;
    if ((wish.is_suffix || last.size > 0) && !chars_decimal(last, &wish.last))
        return false;
    if (!wish.is_suffix && wish.first > wish.last)
        return false;
    *ret_wish = wish;
    return true;
}

enum range_answer range_parse(struct leat_slice value, uint64_t size, struct range *ret_range)
{
    const struct leat_slice unit = SLICE("bytes=");
    if (value.size <= unit.size || !slice_equal_nocase(slice_of(value.data, unit.size), unit))
        return RANGE_IGNORE;
    struct leat_slice list = slice_after(value, unit.size), element;
    struct wish wish = {0};
    unsigned count = 0;
    while (chars_next_element(&list, &element)) {
        if (element.size == 0)
            continue;
        if (++count > 1 || !parse_wish(element, &wish))
            return RANGE_IGNORE;
    }
    if (count == 0)
        return RANGE_IGNORE;
    if (wish.is_suffix) {
        if (wish.last == 0)
            return RANGE_UNSATISFIABLE;
        if (size == 0) /* all of nothing: a 206 has no words for it, a 200 has */
            return RANGE_IGNORE;
        *ret_range =
            (struct range){.first = wish.last < size ? size - wish.last : 0, .last = size - 1};
        return RANGE_PART;
    }
    if (wish.first >= size)
        return RANGE_UNSATISFIABLE;
    *ret_range =
        (struct range){.first = wish.first, .last = wish.last < size ? wish.last : size - 1};
    ASSERT(ret_range->first <= ret_range->last && ret_range->last < size);
    return RANGE_PART;
}

static char *put_decimal(char *at, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    ASSERT(count <= sizeof(digits));
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

size_t range_format(const struct range *range, uint64_t size, char ret_text[RANGE_TEXT_SIZE])
{
    memcpy(ret_text, "bytes ", 6);
    char *at = ret_text + 6;
    if (range) {
        ASSERT(range->first <= range->last && range->last < size);
        at = put_decimal(at, range->first);
        *at++ = '-';
        at = put_decimal(at, range->last);
    } else {
        *at++ = '*';
    }
    *at++ = '/';
    at = put_decimal(at, size);
    ASSERT((size_t)(at - ret_text) <= RANGE_TEXT_SIZE);
    return (size_t)(at - ret_text);
}
