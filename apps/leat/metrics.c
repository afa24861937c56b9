/* SPDX-License-Identifier: MIT */
/*
 * See metrics.h. Families are named after https://prometheus.io/docs/practices/naming; what can be
 * summed over workers without a loss is, what shows that one of them is not like the others has a
 * label.
 */
#include "metrics.h"

#include <string.h>
#include <time.h>

#include "codec/workshop.h"
#include "fiber/fiber.h"
#include "leat/clock.h"
#include "net/file.h"

static uint64_t thread_cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000 * 1000 + (uint64_t)used.tv_nsec / 1000;
}

void worker_view_read(const struct worker *worker, struct worker_view *ret_view)
{
    const struct leat_loop *loop = worker->loop;
    struct fiber_counters fibers;
    struct file_counters files;
    fiber_counters_read(loop, &fibers);
    file_counters_read(loop, &files);
    *ret_view = (struct worker_view){
        .is_known = true,
        .fibers = fibers.fibers,
        .fibers_peak = fibers.fibers_peak,
        .fiber_switches = fibers.switches,
        .fibers_spawned = fibers.spawned,
        .stacks = fibers.stacks,
        .stacks_idle = fibers.stacks_cached,
        .turns = loop->counters.turns,
        .messages = loop->counters.messages,
        .operations = op_busy_count,
        .timers = loop->timers.count,
        .jobs = loop->jobs,
        .file_hits = files.hits,
        .file_misses = files.misses,
        .file_revalidations = files.revalidations,
        .file_evictions = files.evictions,
        .file_entries = files.entries,
        .file_fills = files.fills,
        .file_filled_bytes = files.filled_bytes,
        .cpu_us = thread_cpu_us(),
    };
    viewers_read_counters(leat_now_ns(), &ret_view->viewers);
    const struct workshop *workshop = workshop_of(worker->loop);
    if (workshop) {
        ret_view->encoders = workshop->active;
        ret_view->encoder_memory = workshop->memory;
    }
    ret_view->sent = worker->last_counters.bytes_sent;
    if (!worker->has_server)
        return;
    struct gauges gauges;
    struct leat_http_counters counters;
    leat_http_server_counters(worker->server, &counters);
    gauges_read(worker->server, &gauges);
    ret_view->conns = gauges.conns;
    ret_view->exchanges = gauges.exchanges;
    ret_view->sent = counters.bytes_sent + gauges.sent;
    for (unsigned state = 0; state < CONN_STATES; state++)
        ret_view->connections[state] = gauges.connections[state];
}

void metrics_begin_family(struct text *text, const char *name, const char *type, const char *help)
{
    text_add_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_number(struct text *text, const char *name, const char *type, const char *help,
                       uint64_t value)
{
    metrics_begin_family(text, name, type, help);
    text_add_format(text, "%s %llu\n", name, (unsigned long long)value);
}

static void add_seconds(struct text *text, const char *name, const char *type, const char *help,
                        double value)
{
    metrics_begin_family(text, name, type, help);
    text_add_format(text, "%s %.6f\n", name, value);
}

/* ---- HTTP, of all workers -------------------------------------------------------------------- */

static struct leat_http_counters sum_of(const struct metrics *metrics)
{
    struct leat_http_counters sum = {0};
    for (unsigned index = 0; index < metrics->count; index++) {
        const struct leat_http_counters *counters = &metrics->counters[index];
        sum.connections += counters->connections;
        sum.bytes_received += counters->bytes_received;
        sum.bytes_sent += counters->bytes_sent;
        sum.errors += counters->errors;
        sum.timeouts += counters->timeouts;
        sum.refused += counters->refused;
        sum.durations_ns += counters->durations_ns;
        for (unsigned class = 0; class < 6; class ++)
            sum.statuses[class] += counters->statuses[class];
        for (unsigned bucket = 0; bucket < LEAT_HTTP_DURATION_BUCKETS; bucket++)
            sum.durations[bucket] += counters->durations[bucket];
    }
    return sum;
}

static void add_durations(struct text *text, const struct leat_http_counters *sum)
{
    static const char name[] = "leat_http_request_duration_seconds";
#define X(bound) bound,
    static const unsigned bounds_us[] = {LEAT_HTTP_DURATIONS_US(X)};
#undef X
    uint64_t count = 0;
    metrics_begin_family(text, name, "histogram",
                         "From a request's head to its response's last byte.");
    for (unsigned bucket = 0; bucket < LEAT_HTTP_DURATION_BUCKETS; bucket++) {
        count += sum->durations[bucket];
        if (bucket < LEAT_HTTP_DURATION_BUCKETS - 1)
            text_add_format(text, "%s_bucket{le=\"%g\"} %llu\n", name, bounds_us[bucket] / 1e6,
                            (unsigned long long)count);
        else
            text_add_format(text, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)count);
    }
    text_add_format(text, "%s_sum %.9f\n", name, (double)sum->durations_ns / 1e9);
    text_add_format(text, "%s_count %llu\n", name, (unsigned long long)count);
}

static void add_http(struct text *text, const struct metrics *metrics)
{
    const struct leat_http_counters sum = sum_of(metrics);
    metrics_begin_family(text, "leat_http_requests_total", "counter",
                         "Requests that are over, by their status; none: broken off without one.");
    for (unsigned class = 1; class < 6; class ++)
        text_add_format(text, "leat_http_requests_total{code=\"%uxx\"} %llu\n", class,
                        (unsigned long long)sum.statuses[class]);
    text_add_format(text, "leat_http_requests_total{code=\"none\"} %llu\n",
                    (unsigned long long)sum.statuses[0]);
    add_durations(text, &sum);
    add_number(text, "leat_http_received_bytes_total", "counter", "Bytes received.",
               sum.bytes_received);
    add_number(text, "leat_http_sent_bytes_total", "counter",
               "Bytes sent in responses that are over.", sum.bytes_sent);
    add_number(text, "leat_http_connections_total", "counter", "Connections accepted.",
               sum.connections);
    add_number(text, "leat_http_connections_refused_total", "counter",
               "Connections beyond a limit.", sum.refused);
    add_number(text, "leat_http_malformed_total", "counter",
               "Requests answered without asking the site: malformed, late, beyond a limit.",
               sum.errors);
    add_number(text, "leat_http_timeouts_total", "counter",
               "Requests and connections that took too long.", sum.timeouts);
}

/* ---- Of each worker -------------------------------------------------------------------------- */

static const struct family {
    const char *name, *type, *help;
    size_t offset; /* in struct worker_view */
} families[] = {
    {"leat_http_connection_objects", "gauge", "Connections taken from the pool.",
     offsetof(struct worker_view, conns)},
    {"leat_http_exchange_objects", "gauge", "Requests in work, with their memory.",
     offsetof(struct worker_view, exchanges)},
    {"leat_fibers", "gauge", "Fibers that live.", offsetof(struct worker_view, fibers)},
    {"leat_fibers_peak", "gauge", "The most fibers that ever lived at a time.",
     offsetof(struct worker_view, fibers_peak)},
    {"leat_fibers_spawned_total", "counter", "Fibers begun.",
     offsetof(struct worker_view, fibers_spawned)},
    {"leat_fiber_switches_total", "counter", "Switches to a fiber.",
     offsetof(struct worker_view, fiber_switches)},
    {"leat_stacks", "gauge", "Stacks of fibers that exist.", offsetof(struct worker_view, stacks)},
    {"leat_stacks_idle", "gauge", "Stacks kept with their memory for fibers to come.",
     offsetof(struct worker_view, stacks_idle)},
    {"leat_loop_turns_total", "counter", "Turns of the loop.", offsetof(struct worker_view, turns)},
    {"leat_loop_messages_total", "counter", "Messages from other threads.",
     offsetof(struct worker_view, messages)},
    {"leat_loop_operations", "gauge", "Operations that the kernel has.",
     offsetof(struct worker_view, operations)},
    {"leat_loop_timers", "gauge", "Timers that run.", offsetof(struct worker_view, timers)},
    {"leat_loop_offload_jobs", "gauge", "Jobs of this loop in the pool of threads.",
     offsetof(struct worker_view, jobs)},
    {"leat_file_cache_hits_total", "counter", "Files found open.",
     offsetof(struct worker_view, file_hits)},
    {"leat_file_cache_misses_total", "counter", "Files that had to be opened.",
     offsetof(struct worker_view, file_misses)},
    {"leat_file_cache_revalidations_total", "counter", "Open files looked at again.",
     offsetof(struct worker_view, file_revalidations)},
    {"leat_file_cache_evictions_total", "counter", "Open files that had to make room.",
     offsetof(struct worker_view, file_evictions)},
    {"leat_file_cache_entries", "gauge", "Paths in the cache of open files.",
     offsetof(struct worker_view, file_entries)},
    {"leat_file_fills_total", "counter", "Reads of what was to be sent and not in the page cache.",
     offsetof(struct worker_view, file_fills)},
    {"leat_file_filled_bytes_total", "counter", "Their bytes.",
     offsetof(struct worker_view, file_filled_bytes)},
    {"leat_viewer_segments_total", "counter", "Segments and parts replied with.",
     offsetof(struct worker_view, viewers.segments)},
    {"leat_viewer_stalls_total", "counter", "Players that ran empty, as they say themselves.",
     offsetof(struct worker_view, viewers.stalls)},
    {"leat_viewers_displaced_total", "counter", "Viewers forgotten because there were too many.",
     offsetof(struct worker_view, viewers.displaced)},
};

static void add_family(struct text *text, const struct metrics *metrics,
                       const struct family *family)
{
    metrics_begin_family(text, family->name, family->type, family->help);
    for (unsigned index = 0; index < metrics->count; index++) {
        const struct worker_view *view = &metrics->views[index];
        if (!view->is_known)
            continue;
        const uint64_t *value =
            (const uint64_t *)(const void *)((const char *)view + family->offset);
        text_add_format(text, "%s{worker=\"%u\"} %llu\n", family->name, index,
                        (unsigned long long)*value);
    }
}

static void add_viewers(struct text *text, const struct metrics *metrics)
{
    metrics_begin_family(
        text, "leat_viewers", "gauge",
        "Sessions of players and connections that were sent a segment of late; one that "
        "two workers serve counts for both.");
    for (unsigned index = 0; index < metrics->count; index++) {
        const struct worker_view *view = &metrics->views[index];
        if (view->is_known)
            text_add_format(text,
                            "leat_viewers{worker=\"%u\",kind=\"film\"} %llu\n"
                            "leat_viewers{worker=\"%u\",kind=\"live\"} %llu\n",
                            index, (unsigned long long)view->viewers.films, index,
                            (unsigned long long)view->viewers.lives);
    }
    metrics_begin_family(text, "leat_viewer_bytes_total", "counter",
                         "Bytes of segments replied with.");
    for (unsigned index = 0; index < metrics->count; index++) {
        const struct worker_view *view = &metrics->views[index];
        if (view->is_known)
            text_add_format(text,
                            "leat_viewer_bytes_total{worker=\"%u\",kind=\"film\"} %llu\n"
                            "leat_viewer_bytes_total{worker=\"%u\",kind=\"live\"} %llu\n",
                            index, (unsigned long long)view->viewers.film_bytes, index,
                            (unsigned long long)view->viewers.live_bytes);
    }
}

static void add_workers(struct text *text, const struct metrics *metrics)
{
    metrics_begin_family(text, "leat_loop_held", "gauge",
                         "1: the loop has not come round for a second, and tells nothing else.");
    for (unsigned index = 0; index < metrics->count; index++)
        text_add_format(text, "leat_loop_held{worker=\"%u\"} %d\n", index, metrics->is_held[index]);
    metrics_begin_family(text, "leat_worker_requests_total", "counter", "Requests of a worker.");
    for (unsigned index = 0; index < metrics->count; index++)
        text_add_format(text, "leat_worker_requests_total{worker=\"%u\"} %llu\n", index,
                        (unsigned long long)metrics->counters[index].requests);
    metrics_begin_family(text, "leat_worker_cpu_seconds_total", "counter",
                         "CPU time of a worker's thread.");
    for (unsigned index = 0; index < metrics->count; index++)
        if (metrics->views[index].is_known)
            text_add_format(text, "leat_worker_cpu_seconds_total{worker=\"%u\"} %.6f\n", index,
                            (double)metrics->views[index].cpu_us / 1e6);
    metrics_begin_family(text, "leat_http_connections", "gauge",
                         "Open connections by what they are at.");
    for (unsigned index = 0; index < metrics->count; index++)
        for (unsigned state = 0; metrics->views[index].is_known && state < CONN_STATES; state++)
            text_add_format(text, "leat_http_connections{worker=\"%u\",state=\"%s\"} %zu\n", index,
                            gauges_state_name((enum conn_state)state),
                            metrics->views[index].connections[state]);
    for (size_t index = 0; index < sizeof families / sizeof *families; index++)
        add_family(text, metrics, &families[index]);
    add_viewers(text, metrics);
}

/* ---- The process ----------------------------------------------------------------------------- */

static void add_log(struct text *text, const struct leat_access_log_counters *log)
{
    add_number(text, "leat_access_log_lines_total", "counter", "Lines taken for the access log.",
               log->lines);
    add_number(text, "leat_access_log_dropped_lines_total", "counter",
               "Lines that found no room, or were lost later.", log->dropped);
    add_number(text, "leat_access_log_failures_total", "counter",
               "Attempts at writing the access log that failed.", log->failures);
}

static void add_films(struct text *text, const struct site_films_counters *films)
{
    const struct film_cache_counters *cache = &films->cache;
    add_number(text, "leat_film_segments_total", "counter", "Segments of films replied with.",
               films->segments);
    add_number(text, "leat_film_copied_bytes_total", "counter",
               "Bytes of segments that were put together in memory.", films->copied_bytes);
    add_number(text, "leat_film_builds_total", "counter", "Indexes of films read.", cache->builds);
    add_number(text, "leat_film_failures_total", "counter",
               "Indexes that could not be read, or are of no film.", cache->failures);
    add_number(text, "leat_film_cache_hits_total", "counter", "Films found in the cache.",
               cache->hits);
    add_number(text, "leat_film_cache_evictions_total", "counter", "Films that had to make room.",
               cache->evictions);
    add_number(text, "leat_film_cache_entries", "gauge",
               "Files in the cache of films, those that are none included.", cache->entries);
    add_number(text, "leat_film_cache_bytes", "gauge", "Memory of the cache of films.",
               cache->bytes);
    add_number(text, "leat_film_building", "gauge",
               "Films whose index is being read, or waits for that.", cache->building);
}

struct channel_family {
    const char *name, *kind, *help;
    size_t offset; /* of a uint64_t in struct live_info */
};

/* Names of channels are letters, digits and a few marks: they need no escaping. */
static void add_channels(struct text *text, const struct live_info *channels, unsigned count)
{
    static const struct channel_family columns[] = {
        {"leat_live_parts_total", "counter", "Parts made; each is written once.",
         offsetof(struct live_info, parts)},
        {"leat_live_part_bytes_total", "counter", "Bytes of these.",
         offsetof(struct live_info, part_bytes)},
        {"leat_live_segments_total", "counter", "Segments that are whole.",
         offsetof(struct live_info, segments)},
        {"leat_live_memory_bytes", "gauge", "Segments in memory.",
         offsetof(struct live_info, memory)},
        {"leat_live_stored_bytes", "gauge", "Segments on disk.",
         offsetof(struct live_info, stored)},
    };
    for (size_t column = 0; column < sizeof columns / sizeof *columns; column++) {
        metrics_begin_family(text, columns[column].name, columns[column].kind,
                             columns[column].help);
        for (unsigned index = 0; index < count; index++) {
            uint64_t value;
            memcpy(&value, (const char *)&channels[index] + columns[column].offset, sizeof value);
            text_add_format(text, "%s{channel=\"%s\"} %llu\n", columns[column].name,
                            channels[index].name, (unsigned long long)value);
        }
    }
}

static void add_process(struct text *text, const struct process_stats *process)
{
    add_seconds(text, "process_cpu_seconds_total", "counter", "CPU time used, in seconds.",
                process->cpu_s);
    add_seconds(text, "process_start_time_seconds", "gauge", "When it started, since 1970.",
                process->start_s);
    add_number(text, "process_resident_memory_bytes", "gauge", "Resident memory.",
               process->resident);
    add_number(text, "process_virtual_memory_bytes", "gauge", "Virtual memory.", process->virtual);
    add_number(text, "process_open_fds", "gauge", "Open file descriptors.", process->fds);
    add_number(text, "process_max_fds", "gauge", "The limit of open file descriptors.",
               process->fds_max);
}

void metrics_write(struct text *text, const struct metrics *metrics)
{
    metrics_begin_family(text, "leat_build_info", "gauge", "Always 1; what runs is in the labels.");
    text_add_format(text, "leat_build_info{version=\"%s\",engine=\"%s\"} 1\n", leat_version(),
                    metrics->engine);
    add_http(text, metrics);
    add_workers(text, metrics);
    if (metrics->compress)
        metrics_write_compress(text, metrics);
    add_number(text, "leat_offload_jobs", "gauge", "Jobs in the process's pool of threads.",
               metrics->offload_depth);
    if (metrics->films)
        add_films(text, metrics->films);
    add_channels(text, metrics->channels, metrics->channel_count);
    if (metrics->proxies)
        metrics_write_proxies(text, metrics->proxies);
    if (metrics->log)
        add_log(text, metrics->log);
    add_process(text, metrics->process);
}
