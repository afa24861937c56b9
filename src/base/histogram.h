/* SPDX-License-Identifier: MIT */
/*
 * A histogram of times in nanoseconds, log-linear as HdrHistogram (Tene) has it: every octave is
 * cut into 128 buckets, so a quantile is never more than 0.8 % above the value it stands for, from
 * 1 ns to centuries, and recording is an increment. Least, greatest and sum are exact. Histograms
 * of several threads are added up. One thread: its owner's.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 7,
    HISTOGRAM_SUB_COUNT = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_COUNT,
};

/* Zeroed memory is an empty one. */
struct histogram {
    uint64_t count;
    uint64_t least_ns, greatest_ns; /* 0 while empty */
    double sum_ns, sum_of_squares_ns2;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t value_ns)
{
    if (value_ns < HISTOGRAM_SUB_COUNT)
        return (unsigned)value_ns;
    const unsigned shift = 63 - (unsigned)__builtin_clzll(value_ns) - HISTOGRAM_SUB_BITS;
    return shift * HISTOGRAM_SUB_COUNT + (unsigned)(value_ns >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t value_ns)
{
    if (histogram->count++ == 0 || value_ns < histogram->least_ns)
        histogram->least_ns = value_ns;
    if (value_ns > histogram->greatest_ns)
        histogram->greatest_ns = value_ns;
    histogram->sum_ns += (double)value_ns;
    histogram->sum_of_squares_ns2 += (double)value_ns * (double)value_ns;
    histogram->buckets[histogram_bucket(value_ns)]++;
}

/* The smallest and the largest value that fall into the bucket. */
uint64_t histogram_bucket_low_ns(unsigned bucket);
uint64_t histogram_bucket_high_ns(unsigned bucket);

void histogram_add(struct histogram *histogram, const struct histogram *other);
void histogram_clear(struct histogram *histogram);

/* The least value that at least `quantile` (0 to 1) of all do not exceed, as exactly as buckets
 * are; 0 when empty. The quantile 1 is the greatest. */
uint64_t histogram_quantile_ns(const struct histogram *histogram, double quantile);
double histogram_mean_ns(const struct histogram *histogram);
double histogram_deviation_ns(const struct histogram *histogram); /* standard */

#endif
