/* SPDX-License-Identifier: MIT */
/*
 * Histograms: buckets without gaps, quantiles as exact as promised, sums of several.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/histogram.h"
#include "base/random.h"

static void buckets_follow_each_other(void **state)
{
    uint64_t next = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        const uint64_t low = histogram_bucket_low_ns(bucket);
        const uint64_t high = histogram_bucket_high_ns(bucket);
        assert_int_equal(low, next);
        assert_true(high >= low);
        assert_int_equal(histogram_bucket(low), bucket);
        assert_int_equal(histogram_bucket(high), bucket);
        assert_true((double)(high - low) <= 0.008 * (double)low);
        next = high + 1;
    }
    assert_int_equal(next, 0); /* the last one ends at the largest number there is */
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_those_of_the_sorted_values(void **state)
{
    enum { COUNT = 10007 };
    static uint64_t values[COUNT];
    struct histogram *histogram = calloc(1, sizeof *histogram);
    struct random random;
    random_init(&random, 4);
    double sum = 0;
    for (unsigned index = 0; index < COUNT; index++) {
        values[index] = random_next(&random) >> (random_next(&random) % 40 + 20);
        sum += (double)values[index];
        histogram_record(histogram, values[index]);
    }
    qsort(values, COUNT, sizeof *values, compare);
    static const double quantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    for (unsigned index = 0; index < sizeof quantiles / sizeof *quantiles; index++) {
        const double rank = ceil(quantiles[index] * COUNT - 1e-6);
        const uint64_t exact = values[rank < 1 ? 0 : (unsigned)rank - 1];
        const uint64_t told = histogram_quantile_ns(histogram, quantiles[index]);
        assert_true(told >= exact);
        assert_true((double)told <= (double)exact * 1.008);
    }
    assert_int_equal(histogram->least_ns, values[0]);
    assert_int_equal(histogram_quantile_ns(histogram, 1), values[COUNT - 1]);
    assert_true(fabs(histogram_mean_ns(histogram) / (sum / COUNT) - 1) < 1e-9);
    free(histogram);
}

static void ten_values_have_ten_quantiles(void **state)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    for (unsigned value = 1; value <= 10; value++)
        histogram_record(histogram, value);
    for (unsigned value = 1; value <= 10; value++)
        assert_int_equal(histogram_quantile_ns(histogram, value / 10.0), value);
    assert_true(fabs(histogram_deviation_ns(histogram) - sqrt(8.25)) < 1e-9);
    free(histogram);
}

static void nothing_was_recorded(void **state)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_int_equal(histogram_quantile_ns(histogram, 0.5), 0);
    assert_true(histogram_mean_ns(histogram) == 0);
    assert_true(histogram_deviation_ns(histogram) == 0);
    free(histogram);
}

static void a_sum_is_as_if_one_had_seen_all(void **state)
{
    struct histogram *parts[2], *all = calloc(1, sizeof *all), *sum = calloc(1, sizeof *sum);
    for (unsigned part = 0; part < 2; part++)
        parts[part] = calloc(1, sizeof *parts[part]);
    struct random random;
    random_init(&random, 5);
    for (unsigned index = 0; index < 5000; index++) {
        const uint64_t value = random_next(&random) >> 40;
        histogram_record(parts[index % 2], value);
        histogram_record(all, value);
    }
    histogram_add(sum, parts[0]);
    histogram_add(sum, parts[1]);
    assert_memory_equal(sum->buckets, all->buckets, sizeof all->buckets);
    assert_int_equal(sum->count, all->count);
    assert_int_equal(sum->least_ns, all->least_ns);
    assert_int_equal(sum->greatest_ns, all->greatest_ns);

    histogram_clear(sum);
    struct histogram *empty = calloc(1, sizeof *empty);
    assert_memory_equal(sum, empty, sizeof *empty);
    histogram_add(sum, empty);
    assert_memory_equal(sum, empty, sizeof *empty);
    free(empty), free(parts[0]), free(parts[1]), free(all), free(sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_each_other),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
        cmocka_unit_test(ten_values_have_ten_quantiles),
        cmocka_unit_test(nothing_was_recorded),
        cmocka_unit_test(a_sum_is_as_if_one_had_seen_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
