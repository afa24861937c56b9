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

/* All that were due, however each of them ended. */
static inline uint64_t load_result_requests(const struct load_result *result)
{
    return result->tally->answered + load_tally_errors(result->tally) + result->tally->unfinished;
}

static inline double load_result_per_second(const struct load_result *result, uint64_t count)
{
    return result->elapsed_s > 0 ? (double)count / result->elapsed_s : 0;
}

/* How much of the time that its threads had the client has worked: 0 to about 1. */
static inline double load_result_client_load(const struct load_result *result)
{
    const double had_s = result->elapsed_s * result->threads;
    return had_s > 0 ? (result->cpu_user_s + result->cpu_system_s) / had_s : 0;
}

/* The client itself may have been what was measured. */
static inline bool load_result_client_was_busy(const struct load_result *result)
{
    return load_result_client_load(result) > 0.9;
}

/* An open loop that the server did not keep up with. Requests that are on their way at the end are
 * nothing strange, one a connection; those beyond have waited in vain to be sent at all. */
static inline bool load_result_fell_behind(const struct load_result *result)
{
    return result->rate > 0 && result->tally->unfinished > result->connections;
}

#endif
