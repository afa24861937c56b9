/* SPDX-License-Identifier: MIT */
/*
 * Figures for people: three digits, for a histogram knows no more, and the unit that fits. Numbers
 * are written as the "C" locale has them, which the command never leaves.
 */
#ifndef LOAD_FIGURE_H
#define LOAD_FIGURE_H

#include <stdint.h>
#include <stdio.h>

#include "expect.h"
#include "text.h"

/* By value: `load_figure_time(ns).text` lasts until the end of the expression. */
struct load_figure {
    char text[32];
};

struct load_figure load_figure_time(double ns);                  /* "1.20 ms" */
struct load_figure load_figure_short_time(double ns);            /* "1.2 ms", "200 us" */
struct load_figure load_figure_count(uint64_t count);            /* "1,234,567" */
struct load_figure load_figure_rate(double per_s);               /* "123,457", "12.3" */
struct load_figure load_figure_size(double bytes);               /* "1.21 MiB" */
struct load_figure load_figure_share(double part, double whole); /* "1.2 %" */
struct load_figure load_figure_instant(int64_t wall_ns);         /* "2026-11-22T18:45:03.250Z" */
/* A value of load_expect_met() in the expectation's own unit. */
struct load_figure load_figure_expected(const struct load_expectation *expectation, double value);

/* The percentiles that every form of a result has. */
struct load_percentile {
    const char *name; /* "p99.9" */
    double quantile;
};
enum { LOAD_PERCENTILES = 6 };
extern const struct load_percentile load_percentiles[LOAD_PERCENTILES];

/* Writes the text out: 0, or -errno, of memory that the text lacked too. */
int load_figure_write(const struct text *text, FILE *out);

#endif
