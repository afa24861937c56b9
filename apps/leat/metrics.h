/* SPDX-License-Identifier: MIT */
/*
 * The metrics of a server, as Prometheus reads them (text format 0.0.4). What is a loop's own
 * is looked at on that loop (worker_view_read); the page is made of such views anywhere.
 */
#ifndef LEAT_METRICS_H
#define LEAT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/gauges.h"
#include "leat/leat.h"
#include "media/live.h"
#include "process_stats.h"
#include "proxies.h"
#include "site_film.h"
#include "text.h"
#include "viewers.h"
#include "worker.h"

/* A moment of a worker. */
struct worker_view {
    bool is_known; /* the loop has answered; without that all below is 0 */
    uint64_t fibers, fibers_peak, fiber_switches, fibers_spawned, stacks, stacks_idle;
    uint64_t turns, messages, operations, timers, jobs;
    uint64_t conns, exchanges;
    uint64_t file_hits, file_misses, file_revalidations, file_evictions, file_entries;
    uint64_t file_fills, file_filled_bytes;
    uint64_t encoders, encoder_memory; /* of content codings */
    uint64_t sent;                     /* bytes, those of responses that are not over included */
    uint64_t cpu_us;                   /* of the thread, its kernel's half included */
    struct viewers_counters viewers;
    size_t connections[CONN_STATES];
};

/* On the worker's loop. */
void worker_view_read(const struct worker *worker, struct worker_view *ret_view);

struct metrics {
    const struct worker_view *views; /* of each worker */
    const struct leat_http_counters *counters;
    const bool *is_held; /* its loop should have answered */
    unsigned count;
    const char *engine;
    unsigned offload_depth;
    const struct leat_access_log_counters *log; /* NULL: there is none */
    const struct site_films_counters *films;    /* likewise */
    const struct live_info *channels;           /* the live ones */
    unsigned channel_count;
    const struct proxies *proxies;                            /* NULL: there are none */
    const struct leat_http_compress_counters *compress;       /* of all; NULL: off */
    const struct leat_http_coded_files_counters *coded_files; /* NULL: there are none */
    const struct process_stats *process;
};

void metrics_write(struct text *text, const struct metrics *metrics);

/* Adds what one worker's server has coded to what all have. */
void metrics_add_compress(struct leat_http_compress_counters *sum,
                          const struct leat_http_compress_counters *counters);

/* ---- For the files that it is made of -------------------------------------------------------- */

void metrics_begin_family(struct text *text, const char *name, const char *type, const char *help);
/* What is there of proxies and their upstreams (metrics_proxy.c). */
void metrics_write_proxies(struct text *text, const struct proxies *proxies);
/* What was coded, and what not (metrics_compress.c). */
void metrics_write_compress(struct text *text, const struct metrics *metrics);

#endif
