/* SPDX-License-Identifier: MIT */
/*
 * A load's result for people (text on a terminal), for programs (JSON), and its histogram as a file
 * that both can read. The forms are described in leat-load(1).
 */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include <stddef.h>
#include <stdio.h>

#include "expect.h"
#include "result.h"

/* All return 0, or -errno: the disk is full, the pipe is closed. */
int load_report_text(const struct load_result *result, const struct load_expectation *expectations,
                     size_t expectation_count, FILE *out);
int load_report_json(const struct load_result *result, const struct load_expectation *expectations,
                     size_t expectation_count, FILE *out);
int load_report_histogram(const struct load_result *result, FILE *out);

#endif
