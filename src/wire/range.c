/* SPDX-License-Identifier: MIT */
/*
 * Numbers that do not fit become UINT64_MAX, which lies beyond every representation: so none of the
 * comparisons below can overflow.
 */
#include "wire/range.h"

#include <stdbool.h>

#include "base/assert.h"
#include "base/decimal.h"
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

enum reach {
    REACH_NOTHING,  /* it is not satisfiable */
    REACH_ALL_OF_0, /* the last bytes of an empty representation: a 206 has no words for them */
    REACH_PART,
};

/* What a wish comes to with `size` bytes (section 14.1.2). */
static enum reach reach_of(const struct wish *wish, uint64_t size, struct range *ret_range)
{
    if (wish->is_suffix && wish->last > 0 && size == 0)
        return REACH_ALL_OF_0;
    if (wish->is_suffix ? wish->last == 0 : wish->first >= size)
        return REACH_NOTHING;
    const uint64_t end = size - 1;
    if (wish->is_suffix)
        *ret_range =
            (struct range){.first = wish->last < size ? size - wish->last : 0, .last = end};
    else
        *ret_range =
            (struct range){.first = wish->first, .last = wish->last < size ? wish->last : end};
    ASSERT(ret_range->first <= ret_range->last && ret_range->last < size);
    return REACH_PART;
}

/* Do they overlap, or lie fewer than RANGE_GAP_MIN bytes apart? */
static bool is_near(const struct range *a, const struct range *b)
{
    if (a->first > b->last)
        return a->first - b->last <= RANGE_GAP_MIN;
    return b->first <= a->last || b->first - a->last <= RANGE_GAP_MIN;
}

/* Adds a range, as one with the parts that are near it. They are not near each other, so what they
 * make together is near no further part: every such part would have been near one of them. */
static void add_part(struct range_set *set, struct range range)
{
    unsigned place = set->count, kept = 0;
    for (unsigned index = 0; index < set->count; index++) {
        const struct range part = set->parts[index];
        if (!is_near(&part, &range)) {
            set->parts[kept++] = part;
            continue;
        }
        range.first = part.first < range.first ? part.first : range.first;
        range.last = part.last > range.last ? part.last : range.last;
        if (place == set->count)
            place = kept++;
    }
    if (place == set->count)
        place = kept++;
    ASSERT(place < kept && kept <= RANGE_PARTS_MAX);
    set->parts[place] = range;
    set->count = kept;
}

enum range_answer range_parse(struct leat_slice value, uint64_t size, struct range_set *ret_set)
{
    const struct leat_slice unit = SLICE("bytes=");
    if (value.size <= unit.size || !slice_equal_nocase(slice_of(value.data, unit.size), unit))
        return RANGE_IGNORE;
    struct leat_slice list = slice_after(value, unit.size), element;
    struct range_set set = {0};
    unsigned count = 0;
    while (chars_next_element(&list, &element)) {
        struct wish wish;
        struct range range;
        if (element.size == 0)
            continue;
        if (++count > RANGE_PARTS_MAX || !parse_wish(element, &wish))
            return RANGE_IGNORE;
        switch (reach_of(&wish, size, &range)) {
        case REACH_NOTHING: break;
        case REACH_ALL_OF_0: return RANGE_IGNORE;
        case REACH_PART: add_part(&set, range); break;
        }
    }
    if (count == 0)
        return RANGE_IGNORE;
    if (set.count == 0)
        return RANGE_UNSATISFIABLE;
    *ret_set = set;
    return RANGE_PARTS;
}

size_t range_format(const struct range *range, uint64_t size, char ret_text[RANGE_TEXT_SIZE])
{
    memcpy(ret_text, "bytes ", 6);
    char *at = ret_text + 6;
    if (range) {
        ASSERT(range->first <= range->last && range->last < size);
        at = decimal_put(at, range->first);
        *at++ = '-';
        at = decimal_put(at, range->last);
    } else {
        *at++ = '*';
    }
    *at++ = '/';
    at = decimal_put(at, size);
    ASSERT((size_t)(at - ret_text) <= RANGE_TEXT_SIZE);
    return (size_t)(at - ret_text);
}
