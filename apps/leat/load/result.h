/* SPDX-License-Identifier: MIT */
/*
 * What a load has shown, in full: what the report, the JSON, the page and the expectations are made
 * from. Filled by cmd_load.c; the rest of this folder only reads it.
 */
#ifndef LOAD_RESULT_H
#define LOAD_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tally.h"

/* One second of it, all threads together. */
struct load_sample {
    double end_s; /* since the begin of the measurement */
    double length_s;
    uint64_t answered, bytes_received, errors;
    uint64_t p50_ns, p99_ns, greatest_ns;
};

struct load_result {
    /* What was asked for. */
    const char *url; /* the first */
    size_t url_count;
    const char *method;
    unsigned connections, threads;
    double rate; /* requests a second of an open loop; 0: closed loop */
    bool keep_alive;
    double warm_up_s;   /* before the measurement */
    const char *engine; /* "uring", "epoll" */

    /* What came of it. */
    int64_t begin_wall_ns; /* of the measurement, since 1970 */
    double elapsed_s;
    bool is_interrupted;
    const struct load_tally *tally;
    double cpu_user_s, cpu_system_s; /* of the whole process meanwhile */
    const struct load_sample *samples;
    size_t sample_count;
};

#endif
