/* SPDX-License-Identifier: MIT */
/*
 * What the files of the codec share (leat/itch.h): itch.c has every message, one by one;
 * itch_shuffle.c is a shorter way for runs of most of them, on processors that have it; itch_json.c
 * writes text.
 */
#ifndef WIRE_ITCH_H
#define WIRE_ITCH_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "leat/itch.h"

/* On the wire. */
enum {
    ITCH_LENGTH_SIZE = 2,  /* before a message in blocks */
    ITCH_SIDE_OFFSET = 19, /* in all messages that have a side */
    ITCH_SIZE_U16 = 2,
    ITCH_SIZE_U32 = 4,
    ITCH_SIZE_U48 = 6,
    ITCH_SIZE_U64 = 8,
    ITCH_SIZE_PRICE4 = 4,
    ITCH_SIZE_PRICE8 = 8,
    ITCH_SIZE_ALPHA2 = 2,
    ITCH_SIZE_ALPHA4 = 4,
    ITCH_SIZE_ALPHA8 = 8,
    ITCH_SIZE_CODE = 1,
    ITCH_SIZE_SIDE = 1,
};

/* Blocks that are being read or written: what is left of them. */
struct itch_blocks {
    uint8_t *at;
    size_t left;
};

/*
 * As many messages as go by shuffles, one after the other: how many; `blocks` is behind them. They
 * stop before anything out of the ordinary (a fault, too little room, a rare type), which is
 * leat_itch_encode's and leat_itch_decode's to judge, and do nothing where there are no shuffles.
 */
size_t itch_encode_run(const struct leat_itch_message *messages, size_t count,
                       struct itch_blocks *blocks);
size_t itch_decode_run(struct itch_blocks *blocks, struct leat_itch_message *ret_messages,
                       size_t count);

/* ---- Text: eight characters in a word, the first one lowest ---------------------------------- */

#define ITCH_ONES UINT64_C(0x0101010101010101)
#define ITCH_HIGHS (ITCH_ONES * 0x80)
#define ITCH_SPACES (ITCH_ONES * ' ')

/* `size` characters, and spaces up to eight. */
static inline uint64_t itch_text_load(const void *from, size_t size)
{
    uint64_t text = ITCH_SPACES;
    memcpy(&text, from, size);
    return le64toh(text);
}

static inline void itch_text_store(uint64_t text, void *to, size_t size)
{
    text = htole64(text);
    memcpy(to, &text, size);
}

/* Bits where a character is not from ' ' to '~'. A borrow or carry out of a byte begins in one that
 * is a fault already. */
static inline uint64_t itch_text_faults(uint64_t text)
{
    const uint64_t above_space = text - ITCH_SPACES;
    return (above_space | (above_space + ITCH_ONES * (0x80 - '~' + ' ' - 1))) & ITCH_HIGHS;
}

/* Zeros in place of the spaces behind the last other character. The first character stays: of
 * spaces alone remains one. */
static inline uint64_t itch_text_trim(uint64_t text)
{
    const int trailing_bits = __builtin_clzll((text ^ ITCH_SPACES) | 1) & ~7;
    return text & UINT64_MAX >> trailing_bits;
}

/* Spaces in place of zeros; exact for ASCII. */
static inline uint64_t itch_text_pad(uint64_t text)
{
    const uint64_t is_zero = ~(text + (ITCH_HIGHS - ITCH_ONES)) & ITCH_HIGHS;
    return text | is_zero >> 2;
}

#endif
