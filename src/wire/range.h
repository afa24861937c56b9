/* SPDX-License-Identifier: MIT */
/*
 * Byte ranges (RFC 9110, section 14), one at a time. A Range field is a wish, not an order: what is
 * not a single well-formed range of bytes is ignored, and the whole is sent.
 */
#ifndef WIRE_RANGE_H
#define WIRE_RANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum range_answer {
    RANGE_IGNORE,        /* malformed, another unit, several ranges, or no need: 200 */
    RANGE_PART,          /* 206 */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* Bytes first..last of the representation, both included. */
struct range {
    uint64_t first, last;
};

/* What the value of a Range field asks of a representation of `size` bytes. With RANGE_PART,
 * first <= last < size. */
enum range_answer range_parse(struct leat_slice value, uint64_t size, struct range *ret_range);

enum { RANGE_TEXT_SIZE = 6 + 3 * 20 + 2 };

/* The value of Content-Range: "bytes 0-499/1234", or with NULL "bytes *" "/1234". Returns its size;
 * not zero-terminated. */
size_t range_format(const struct range *range, uint64_t size, char ret_text[RANGE_TEXT_SIZE]);

#endif
