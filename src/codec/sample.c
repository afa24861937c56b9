/* SPDX-License-Identifier: MIT */
/*
 * See sample.h. Three figures, each of which sees what the others do not: the entropy, what a
 * Huffman code can gain; the core set, noise with a few favourite bytes; LZ4, what repeats itself.
 * They are what the model's table (model.c) was fitted to: a change here asks for a new fit.
 */
#include "codec/sample.h"

#include <lz4.h>
#include <math.h>

#include "base/assert.h"
#include "codec/magic.h"

enum {
    BYTE_VALUES = 256,
    CORE_PERCENT = 90,
    LZ4_FAST = 1,               /* its usual speed: the tables are small enough to stay in cache */
    LZ4_STATE_SIZE_MAX = 16416, /* LZ4_sizeofState(), which is no constant expression */
};

unsigned sample_ranges(uint64_t size, struct sample_range ret_ranges[SAMPLE_PIECES_MAX])
{
    static_assert(SAMPLE_PIECES_MAX == 2, "the start, for its magic, and the middle");
    if (size == 0)
        return 0;
    if (size <= SAMPLE_PIECE_SIZE) {
        ret_ranges[0] = (struct sample_range){0, (size_t)size};
        return 1;
    }
    /* The start is often unlike the rest (a licence, a heading), so another piece is looked at. */
    const uint64_t left = size - SAMPLE_PIECE_SIZE;
    const size_t second = left < SAMPLE_PIECE_SIZE ? (size_t)left : SAMPLE_PIECE_SIZE;
    ret_ranges[0] = (struct sample_range){0, SAMPLE_PIECE_SIZE};
    ret_ranges[1] = (struct sample_range){SAMPLE_PIECE_SIZE + (left - second) / 2, second};
    return 2;
}

/* Four tables, for a byte that comes often would else wait for itself. */
static void count_bytes(uint32_t tables[4][BYTE_VALUES], struct leat_slice piece)
{
    const unsigned char *bytes = (const unsigned char *)piece.data;
    size_t index = 0;
    for (; index + 4 <= piece.size; index += 4) {
        tables[0][bytes[index]]++;
        tables[1][bytes[index + 1]]++;
        tables[2][bytes[index + 2]]++;
        tables[3][bytes[index + 3]]++;
    }
    for (; index < piece.size; index++)
        tables[0][bytes[index]]++;
}

static float entropy_of(const uint32_t counts[BYTE_VALUES], size_t size)
{
    float sum = 0;
    for (unsigned value = 0; value < BYTE_VALUES; value++)
        if (counts[value] > 0)
            sum += (float)counts[value] * log2f((float)counts[value]);
    const float entropy = log2f((float)size) - sum / (float)size;
    return entropy > 0 ? entropy : 0;
}

/* How many values come at least `least` times, and how often in all. */
static unsigned count_common(const uint32_t counts[BYTE_VALUES], uint32_t least, uint32_t *ret_sum)
{
    uint32_t sum = 0;
    unsigned common = 0;
    for (unsigned value = 0; value < BYTE_VALUES; value++) {
        common += counts[value] >= least;
        sum += counts[value] >= least ? counts[value] : 0;
    }
    *ret_sum = sum;
    return common;
}

/* The fewest values that make up CORE_PERCENT of it. A search for the least count among them, for
 * that needs no sorting. */
static float core_set_of(const uint32_t counts[BYTE_VALUES], size_t size)
{
    const uint32_t wanted = (uint32_t)((size * CORE_PERCENT + 99) / 100);
    uint32_t low = 1, high = (uint32_t)size + 1; /* `low` is enough, `high` is not */
    uint32_t sum;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        (void)count_common(counts, middle, &sum);
        if (sum >= wanted)
            low = middle;
        else
            high = middle;
    }
    unsigned core = count_common(counts, low, &sum);
    ASSERT(sum >= wanted && core > 0);
    core -= (sum - wanted) / low; /* of those that come `low` times, not all may be needed */
    return (float)core / BYTE_VALUES;
}

/* Each piece by itself, as if it were all there is. */
static float lz4_ratio_of(const struct leat_slice *pieces, unsigned count, size_t size)
{
    /* The state is too large for a fiber's stack, and what is coded is not looked at. */
    static _Thread_local _Alignas(8) char state[LZ4_STATE_SIZE_MAX];
    static _Thread_local char coded[LZ4_COMPRESSBOUND(SAMPLE_PIECE_SIZE)];
    size_t coded_size = 0;
    ASSERT((size_t)LZ4_sizeofState() <= sizeof state);
    for (unsigned index = 0; index < count; index++)
        coded_size += (size_t)LZ4_compress_fast_extState(
            state, pieces[index].data, coded, (int)pieces[index].size, sizeof coded, LZ4_FAST);
    return coded_size < size ? (float)coded_size / (float)size : 1;
}

void sample_take(uint64_t size, const struct leat_slice *pieces, unsigned count,
                 struct sample *ret_sample)
{
    ASSERT(count <= SAMPLE_PIECES_MAX);
    uint32_t tables[4][BYTE_VALUES] = {0};
    size_t sampled = 0;
    *ret_sample = (struct sample){.size = size, .lz4_ratio = 1};
    for (unsigned index = 0; index < count; index++) {
        ASSERT(pieces[index].size <= SAMPLE_PIECE_SIZE);
        sampled += pieces[index].size;
        count_bytes(tables, pieces[index]);
    }
    if (sampled == 0)
        return;
    for (unsigned value = 0; value < BYTE_VALUES; value++)
        tables[0][value] += tables[1][value] + tables[2][value] + tables[3][value];
    ret_sample->is_compressed = magic_is_compressed(pieces[0]);
    ret_sample->entropy = entropy_of(tables[0], sampled);
    ret_sample->core_set = core_set_of(tables[0], sampled);
    ret_sample->lz4_ratio = lz4_ratio_of(pieces, count, sampled);
}
