/* SPDX-License-Identifier: MIT */
/*
 * Byte ranges (RFC 9110, section 14). A Range field is a wish, not an order: what is no well-formed
 * set of ranges of bytes is ignored, and the whole is sent; so is a set of more ranges than
 * RANGE_PARTS_MAX, which no honest client asks for at a time (section 14.2).
 *
 * Ranges that overlap, or lie closer than a part's head is long, are sent as one (15.3.7.2). So the
 * parts of an answer are apart from each other, and together never larger than the whole, whatever
 * was asked for.
 */
#ifndef WIRE_RANGE_H
#define WIRE_RANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    RANGE_PARTS_MAX = 16, /* asked for at a time; beyond them the whole is sent */
    RANGE_GAP_MIN = 80,   /* bytes between two parts; what is closer is sent as one */
};

enum range_answer {
    RANGE_IGNORE,        /* malformed, another unit, too many, or no need: 200 */
    RANGE_PARTS,         /* 206 */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* Bytes first..last of the representation, both included. */
struct range {
    uint64_t first, last;
};

/* In the order they were asked for: a part that was made of several stands where the first of them
 * was. */
struct range_set {
    unsigned count;
    struct range parts[RANGE_PARTS_MAX];
};

/* What the value of a Range field asks of a representation of `size` bytes. With RANGE_PARTS there
 * is at least one, and first <= last < size for each. */
enum range_answer range_parse(struct leat_slice value, uint64_t size, struct range_set *ret_set);

enum { RANGE_TEXT_SIZE = 6 + 3 * 20 + 2 };

/* The value of Content-Range: "bytes 0-499/1234", or with NULL "bytes *" "/1234". Returns its size;
 * not zero-terminated. */
size_t range_format(const struct range *range, uint64_t size, char ret_text[RANGE_TEXT_SIZE]);

#endif
