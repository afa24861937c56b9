/* SPDX-License-Identifier: MIT */
/*
 * A tag may hold commas, so the list is walked tag by tag and not cut at its commas.
 */
#include "wire/etag.h"

#include "base/assert.h"
#include "wire/chars.h"

/* Size of the entity-tag at the start of `text`, or 0. */
static size_t etag_size(struct leat_slice text)
{
    size_t size = slice_starts_with(text, SLICE("W/")) ? 2 : 0;
    if (size == text.size || text.data[size] != '"')
        return 0;
    /* etagc: visible but the quote, or obs-text */
    for (size++; size < text.size && text.data[size] != '"'; size++) {
        if (!chars_is(text.data[size], CHARS_VALUE) || chars_is_space(text.data[size]))
            return 0;
    }
    return size < text.size ? size + 1 : 0;
}

bool etag_is_valid(struct leat_slice text)
{
    return text.size > 0 && etag_size(text) == text.size;
}

bool etag_equal(struct leat_slice a, struct leat_slice b, enum etag_comparison comparison)
{
    if (!etag_is_valid(a) || !etag_is_valid(b))
        return false;
    const bool a_is_weak = a.data[0] == 'W', b_is_weak = b.data[0] == 'W';
    if (comparison == ETAG_STRONG && (a_is_weak || b_is_weak))
        return false;
    return slice_equal(slice_after(a, a_is_weak ? 2 : 0), slice_after(b, b_is_weak ? 2 : 0));
}

bool etag_list_has(struct leat_slice list, struct leat_slice etag, enum etag_comparison comparison)
{
    list = chars_trim(list);
    if (slice_equal(list, SLICE("*")))
        return true;
    while (list.size > 0) {
        if (list.data[0] == ',' || chars_is_space(list.data[0])) {
            list = slice_after(list, 1);
            continue;
        }
        const size_t size = etag_size(list);
        if (size == 0)
            return false;
        const struct leat_slice tag = slice_of(list.data, size);
        list = chars_trim(slice_after(list, size));
        if (list.size > 0 && list.data[0] != ',')
            return false;
        if (etag_equal(tag, etag, comparison))
            return true;
    }
    return false;
}
