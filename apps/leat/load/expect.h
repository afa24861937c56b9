/* SPDX-License-Identifier: MIT */
/*
 * --expect: what a result must show, for continuous integration: METRIC OPERATOR VALUE, without
 * spaces or with them.
 *
 *     metric    p50, p99, p99.9 … (p and a percentage), min, mean, max: of latency; a value has a
 *               unit (ns, us, ms, s)
 *               rps: answered requests a second · throughput: bytes received a second, k, m, g are
 *               binary · errors, failures (statuses of 400 and above), unfinished: a count, or a
 *               percentage of all requests with "%" behind the number
 *     operator  < <= > >= =
 */
#ifndef LOAD_EXPECT_H
#define LOAD_EXPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "result.h"

enum { LOAD_EXPECTATIONS_MAX = 32 };

enum load_metric {
    LOAD_QUANTILE,
    LOAD_MIN,
    LOAD_MEAN,
    LOAD_MAX,
    LOAD_RPS,
    LOAD_THROUGHPUT,
    LOAD_EXPECT_ERRORS,
    LOAD_EXPECT_FAILURES,
    LOAD_EXPECT_UNFINISHED,
};

static inline bool load_metric_is_time(enum load_metric metric)
{
    return metric == LOAD_QUANTILE || metric == LOAD_MIN || metric == LOAD_MEAN ||
           metric == LOAD_MAX;
}

enum load_operator { LOAD_LESS, LOAD_AT_MOST, LOAD_MORE, LOAD_AT_LEAST, LOAD_EQUAL };

struct load_expectation {
    const char *text; /* as given; borrowed */
    enum load_metric metric;
    double quantile; /* 0 to 1 */
    enum load_operator operator;
    double value; /* latencies in ns */
    bool is_percentage;
};

/* 0, or -1 with one line in ret_error that says what would be right. */
int load_expect_parse(const char *text, struct load_expectation *ret_expectation, char *ret_error,
                      size_t ret_error_size);
/* What the result has for it, in the units of `value`, and whether that is as expected. A result
 * without one answered request meets nothing but expectations of errors. */
bool load_expect_met(const struct load_expectation *expectation, const struct load_result *result,
                     double *ret_value);

#endif
