/* SPDX-License-Identifier: MIT */
/*
 * A slice: bytes that somebody else owns. It is passed by value and never freed; who made it says
 * how long it is valid. `data` may be NULL only when `size` is 0.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "leat/slice.h"

#define SLICE(literal) ((struct leat_slice){.data = (literal), .size = sizeof(literal) - 1})

static inline struct leat_slice slice_of(const void *data, size_t size)
{
    return (struct leat_slice){.data = data, .size = size};
}

static inline struct leat_slice slice_from_text(const char *text)
{
    return slice_of(text, text ? strlen(text) : 0);
}

static inline bool slice_equal(struct leat_slice a, struct leat_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* ASCII only, as field names and tokens of HTTP are (RFC 9110, section 5.1). */
static inline bool slice_equal_nocase(struct leat_slice a, struct leat_slice b)
{
    return a.size == b.size && (a.size == 0 || strncasecmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_starts_with(struct leat_slice whole, struct leat_slice start)
{
    return whole.size >= start.size &&
           (start.size == 0 || memcmp(whole.data, start.data, start.size) == 0);
}

static inline bool slice_ends_with(struct leat_slice whole, struct leat_slice end)
{
    return whole.size >= end.size &&
           (end.size == 0 || memcmp(whole.data + whole.size - end.size, end.data, end.size) == 0);
}

/* The slice without its first `count` bytes; count may not exceed its size. */
static inline struct leat_slice slice_after(struct leat_slice slice, size_t count)
{
    return slice_of(slice.data + count, slice.size - count);
}

#endif
