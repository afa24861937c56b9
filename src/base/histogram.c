/* SPDX-License-Identifier: MIT */
/*
 * See histogram.h. A value of 2^(7 + n) and above is kept to its 8 leading bits: bucket number
 * n * 128 + those bits.
 */
#include "base/histogram.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"

uint64_t histogram_bucket_low_ns(unsigned bucket)
{
    ASSERT(bucket < HISTOGRAM_BUCKETS);
    if (bucket < 2 * HISTOGRAM_SUB_COUNT)
        return bucket;
    const unsigned shift = bucket / HISTOGRAM_SUB_COUNT - 1;
    return (uint64_t)(bucket % HISTOGRAM_SUB_COUNT + HISTOGRAM_SUB_COUNT) << shift;
}

uint64_t histogram_bucket_high_ns(unsigned bucket)
{
    return bucket + 1 < HISTOGRAM_BUCKETS ? histogram_bucket_low_ns(bucket + 1) - 1 : UINT64_MAX;
}

void histogram_add(struct histogram *histogram, const struct histogram *other)
{
    if (other->count == 0)
        return;
    if (histogram->count == 0 || other->least_ns < histogram->least_ns)
        histogram->least_ns = other->least_ns;
    if (other->greatest_ns > histogram->greatest_ns)
        histogram->greatest_ns = other->greatest_ns;
    histogram->count += other->count;
    histogram->sum_ns += other->sum_ns;
    histogram->sum_of_squares_ns2 += other->sum_of_squares_ns2;
    const unsigned end = histogram_bucket(other->greatest_ns) + 1;
    for (unsigned bucket = histogram_bucket(other->least_ns); bucket < end; bucket++)
        histogram->buckets[bucket] += other->buckets[bucket];
}

void histogram_clear(struct histogram *histogram)
{
    if (histogram->count == 0)
        return;
    const unsigned begin = histogram_bucket(histogram->least_ns);
    const unsigned end = histogram_bucket(histogram->greatest_ns) + 1;
    memset(histogram->buckets + begin, 0, (end - begin) * sizeof *histogram->buckets);
    memset(histogram, 0, offsetof(struct histogram, buckets));
}

uint64_t histogram_quantile_ns(const struct histogram *histogram, double quantile)
{
    ASSERT(quantile >= 0 && quantile <= 1);
    if (histogram->count == 0)
        return 0;
    /* 0.3 * 10 is a little more than 3: without the margin it would be the fourth of ten. */
    const double wanted = ceil(quantile * (double)histogram->count - 1e-6);
    uint64_t seen = 0;
    const unsigned end = histogram_bucket(histogram->greatest_ns);
    for (unsigned bucket = histogram_bucket(histogram->least_ns); bucket < end; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen > 0 && (double)seen >= wanted)
            return histogram_bucket_high_ns(bucket);
    }
    return histogram->greatest_ns;
}

double histogram_mean_ns(const struct histogram *histogram)
{
    return histogram->count > 0 ? histogram->sum_ns / (double)histogram->count : 0;
}

double histogram_deviation_ns(const struct histogram *histogram)
{
    if (histogram->count == 0)
        return 0;
    const double mean = histogram_mean_ns(histogram);
    const double variance = histogram->sum_of_squares_ns2 / (double)histogram->count - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}
