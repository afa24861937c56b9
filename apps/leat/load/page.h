/* SPDX-License-Identifier: MIT */
/*
 * A load's result as one self-contained HTML page, with plots in SVG: latency by percentile, and
 * throughput and latency by second. It needs no script and nothing from elsewhere.
 */
#ifndef LOAD_PAGE_H
#define LOAD_PAGE_H

#include <stddef.h>
#include <stdio.h>

#include "expect.h"
#include "result.h"

/* 0, or -errno. */
int load_page_write(const struct load_result *result, const struct load_expectation *expectations,
                    size_t expectation_count, FILE *out);

#endif
