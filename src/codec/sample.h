/* SPDX-License-Identifier: MIT */
/*
 * A look at some of a text's bytes: is it worth coding, and how well will it code? Magic numbers
 * tell what is compressed already; a count of its bytes (a core set and the entropy, as btrfs has
 * it) what is noise; LZ4 on the pieces, from all over the text, how much it repeats itself. 10 us
 * or so, whatever the size.
 */
#ifndef CODEC_SAMPLE_H
#define CODEC_SAMPLE_H

#include "codec/codec.h"

enum {
    SAMPLE_PIECE_SIZE = 2 * 1024,
    SAMPLE_PIECES_MAX = 4,
    SAMPLE_SIZE_MAX = SAMPLE_PIECES_MAX * SAMPLE_PIECE_SIZE,
};

/* Which bytes of a text of `size` to look at, first to last: how many pieces. */
struct sample_range {
    uint64_t offset;
    size_t size;
};
unsigned sample_ranges(uint64_t size, struct sample_range ret_ranges[SAMPLE_PIECES_MAX]);

struct sample {
    uint64_t size;      /* of the whole text */
    bool is_compressed; /* by its magic */
    float core_set;     /* share of the 256 byte values that make up 90 % of it */
    float entropy;      /* bits a byte, of order 0 */
    float lz4_ratio;    /* coded to plain, of the pieces; 1: LZ4 finds nothing */
    float lz4_later;    /* of the later half of them, which have the earlier ones to refer to */
};

/* `pieces` are the bytes of sample_ranges, in their order; of a text that is still to come, its
 * first bytes, as far as they are there. */
void sample_take(uint64_t size, const struct leat_slice *pieces, unsigned count,
                 struct sample *ret_sample);

#endif
