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
    SMALL_SIZE = 64 * 1024,
    LZ4_FAST = 1, /* its usual speed: the tables are small enough to stay in cache */
};

unsigned sample_ranges(uint64_t size, struct sample_range ret_ranges[SAMPLE_PIECES_MAX])
{
    /* Of small texts less, for less can be gained: the sample must not cost more than that. */
    const unsigned most = size <= SMALL_SIZE ? SAMPLE_PIECES_MAX / 2 : SAMPLE_PIECES_MAX;
    unsigned count = 0;
    if (size <= most * SAMPLE_PIECE_SIZE) {
        for (uint64_t offset = 0; offset < size; count++) {
            const uint64_t left = size - offset;
            const size_t piece = left < SAMPLE_PIECE_SIZE ? (size_t)left : SAMPLE_PIECE_SIZE;
            ret_ranges[count] = (struct sample_range){offset, piece};
            offset += piece;
        }
        return count;
    }
    /* The start is often unlike the rest (a licence, a heading), and has the magic. */
    const uint64_t step = (size - SAMPLE_PIECE_SIZE) / (most - 1);
    for (; count < most; count++)
        ret_ranges[count] = (struct sample_range){count * step, SAMPLE_PIECE_SIZE};
    return count;
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

/* One after another: those before are there to refer to, as they are for a codec with a window. */
static void take_lz4(struct sample *sample, const struct leat_slice *pieces, unsigned count)
{
    /* The state is too large for a fiber's stack, and what is coded is not looked at. */
    static _Thread_local LZ4_stream_t state;
    static _Thread_local char coded[LZ4_COMPRESSBOUND(SAMPLE_PIECE_SIZE)];
    size_t plain_size[2] = {0}, coded_size[2] = {0}; /* of the earlier half, and the later one */
    LZ4_initStream(&state, sizeof state);
    for (unsigned index = 0; index < count; index++) {
        const unsigned half = index >= (count + 1) / 2;
        plain_size[half] += pieces[index].size;
        coded_size[half] += (size_t)LZ4_compress_fast_continue(
            &state, pieces[index].data, coded, (int)pieces[index].size, sizeof coded, LZ4_FAST);
    }
    const float all =
        (float)(coded_size[0] + coded_size[1]) / (float)(plain_size[0] + plain_size[1]);
    const float later = plain_size[1] > 0 ? (float)coded_size[1] / (float)plain_size[1] : all;
    sample->lz4_ratio = all < 1 ? all : 1;
    sample->lz4_later = later < 1 ? later : 1;
}

/* The first piece of what is written piece by piece may be a bracket. The less there is, the more
 * it is taken for what its kind usually is; but what looks like noise is believed. */
static void make_up_for_little(struct sample *sample, size_t sampled)
{
    static const float usual_entropy = 5, usual_lz4_ratio = 0.5f, noise_entropy = 6.5f;
    const size_t wanted =
        sample->size < SAMPLE_PIECE_SIZE ? (size_t)sample->size : SAMPLE_PIECE_SIZE;
    if (sampled >= wanted || sample->entropy > noise_entropy)
        return;
    const float seen = (float)sampled / (float)wanted;
    sample->entropy = seen * sample->entropy + (1 - seen) * usual_entropy;
    sample->lz4_ratio = seen * sample->lz4_ratio + (1 - seen) * usual_lz4_ratio;
    sample->lz4_later = sample->lz4_ratio;
}

void sample_take(uint64_t size, const struct leat_slice *pieces, unsigned count,
                 struct sample *ret_sample)
{
    ASSERT(count <= SAMPLE_PIECES_MAX);
    uint32_t tables[4][BYTE_VALUES] = {0};
    size_t sampled = 0;
    *ret_sample = (struct sample){.size = size, .lz4_ratio = 1, .lz4_later = 1};
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
    take_lz4(ret_sample, pieces, count);
    make_up_for_little(ret_sample, sampled);
}
