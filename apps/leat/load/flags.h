/* SPDX-License-Identifier: MIT */
/*
 * The flags of `leat load`: from a command line to a plan and where results go.
 */
#ifndef LOAD_FLAGS_H
#define LOAD_FLAGS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "expect.h"
#include "options.h"
#include "plan.h"

struct load_flags {
    struct load_plan plan; /* with its targets, but the address that is to be chosen */
    cpu_set_t cores;
    bool has_cores;
    bool shows_progress;
    const char *json_path, *html_path, *histogram_path; /* NULL: none */
    struct load_expectation expectations[LOAD_EXPECTATIONS_MAX];
    size_t expectation_count;
};

/* Zeroed memory first. Unless it returns OPTIONS_GO nothing is left to do. */
enum options_result load_flags_parse(struct load_flags *flags, int argc, char **argv);
void load_flags_fini(struct load_flags *flags);

#endif
