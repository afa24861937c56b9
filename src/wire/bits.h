/* SPDX-License-Identifier: MIT */
/*
 * Reading bit by bit, from the highest of each byte on: what the configurations of decoders are
 * written in. Like a cursor it is asked once, at the end, whether all that was read was there:
 * behind the end there are zeros. The bytes are borrowed.
 */
#ifndef WIRE_BITS_H
#define WIRE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"

struct bits {
    struct leat_slice bytes;
    size_t at; /* in bits; may lie behind the end */
};

/* Bits not read yet; 0 at the end and behind it. */
static inline size_t bits_left(const struct bits *bits)
{
    const size_t size = bits->bytes.size * 8;
    return bits->at < size ? size - bits->at : 0;
}

/* More was read than there is. */
static inline bool bits_overran(const struct bits *bits)
{
    return bits->at > bits->bytes.size * 8;
}

static inline uint32_t bits_take(struct bits *bits, unsigned count)
{
    uint32_t value = 0;
    ASSERT(count <= 32);
    for (unsigned i = 0; i < count; i++, bits->at++) {
        const bool is_there = bits->at / 8 < bits->bytes.size;
        const unsigned byte = is_there ? (unsigned char)bits->bytes.data[bits->at / 8] : 0;
        value = value << 1 | (byte >> (7 - bits->at % 8) & 1);
    }
    return value;
}

static inline void bits_skip(struct bits *bits, size_t count)
{
    bits->at += count;
}

/* ue(v) and se(v): exponential-Golomb codes (ITU-T H.264 and H.265, section 9.1 and 9.2). A code
 * before which more zeros stand than 32 bits have use for counts as the end of the bits. */
static inline uint32_t bits_take_ue(struct bits *bits)
{
    unsigned zeros = 0;
    while (bits_take(bits, 1) == 0) {
        if (++zeros > 31 || bits_left(bits) == 0) {
            bits->at = bits->bytes.size * 8 + 1;
            return 0;
        }
    }
    const uint32_t rest = bits_take(bits, zeros);
    return (uint32_t)((UINT64_C(1) << zeros) - 1 + rest);
}

static inline int32_t bits_take_se(struct bits *bits)
{
    const uint32_t code = bits_take_ue(bits);
    const int32_t half = (int32_t)(code / 2);
    return code % 2 ? half + 1 : -half;
}

#endif
