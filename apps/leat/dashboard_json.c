/* SPDX-License-Identifier: MIT */
/*
 * See dashboard.h: the snapshot. What is not known is null. A value for which there was no memory
 * makes json_pack fail, and with it all that it would have been in.
 */
#include "dashboard.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/assert.h"
#include "base/slice.h"
#include "http/proxy_parts.h"
#include "leat/clock.h"
#include "leat/version.h"
#include "text.h"

enum { REAL_DIGITS = 15 };

/* Text of strangers may be anything; that of JSON is UTF-8. */
static json_t *text_of(const char *bytes)
{
    struct text text = {0};
    text_add_utf8(&text, slice_from_text(bytes));
    json_t *json = text.has_failed ? NULL : json_stringn(text.size > 0 ? text.data : "", text.size);
    text_fini(&text);
    return json;
}

static json_t *text_or_null(const char *bytes)
{
    return bytes[0] ? text_of(bytes) : json_null();
}

static json_t *count_of(uint64_t count)
{
    return json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count);
}

/* To a thousandth, and so without digits that mean nothing. */
static json_t *number_of(double number)
{
    return isfinite(number) ? json_real(round(number * 1e3) / 1e3) : json_null();
}

static double seconds_between(int64_t from_ns, int64_t to_ns)
{
    return (double)(to_ns - from_ns) / 1e9;
}

/* Sums of all workers never fall, but what a worker has in work is looked at, and not counted. */
static uint64_t growth(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

/* ---- History --------------------------------------------------------------------------------- */

static uint64_t bits_per_s(const struct dashboard_moment *from, const struct dashboard_moment *to)
{
    const double seconds = seconds_between(from->now_ns, to->now_ns);
    return seconds > 0 ? (uint64_t)((double)growth(from->sent, to->sent) * 8 / seconds) : 0;
}

/* A value a second, the oldest first. */
static json_t *history_of(const struct dashboard *dashboard)
{
    json_t *bits = json_array(), *viewers = json_array();
    const uint64_t count = dashboard->moment_count - 1;
    const unsigned steps = count < DASHBOARD_HISTORY_S ? (unsigned)count : DASHBOARD_HISTORY_S;
    for (unsigned ago = steps; ago > 0; ago--) {
        const struct dashboard_moment *to = dashboard_past(dashboard, ago - 1);
        (void)json_array_append_new(bits, count_of(bits_per_s(dashboard_past(dashboard, ago), to)));
        (void)json_array_append_new(viewers, count_of(to->viewers));
    }
    return json_pack("{s:i, s:o, s:o}", "seconds", DASHBOARD_HISTORY_S, "bits_per_s", bits,
                     "viewers", viewers);
}

/* ---- Latency --------------------------------------------------------------------------------- */

#define X(bound) bound,
static const unsigned bounds_us[LEAT_HTTP_DURATION_BUCKETS - 1] = {LEAT_HTTP_DURATIONS_US(X)};
#undef X

/* As if what is in a bucket lay evenly in it; what is in the last is as long as that is at least.
 * Null: there is nothing. */
static json_t *quantile_of(const uint64_t *counts, double quantile)
{
    uint64_t total = 0, below = 0;
    for (unsigned bucket = 0; bucket < LEAT_HTTP_DURATION_BUCKETS; bucket++)
        total += counts[bucket];
    if (total == 0)
        return json_null();
    const double wanted = quantile * (double)total;
    unsigned bucket = 0;
    while (bucket < LEAT_HTTP_DURATION_BUCKETS - 1 && (double)(below + counts[bucket]) < wanted)
        below += counts[bucket++];
    if (bucket == LEAT_HTTP_DURATION_BUCKETS - 1)
        return number_of(bounds_us[bucket - 1]);
    const double low = bucket > 0 ? bounds_us[bucket - 1] : 0;
    const double part = counts[bucket] > 0 ? (wanted - (double)below) / (double)counts[bucket] : 1;
    return number_of(low + part * (bounds_us[bucket] - low));
}

static json_t *latency_of(const struct dashboard *dashboard)
{
    const struct dashboard_moment *from = dashboard_past(dashboard, DASHBOARD_RECENT_S);
    const struct dashboard_moment *to = dashboard_past(dashboard, 0);
    uint64_t counts[LEAT_HTTP_DURATION_BUCKETS];
    json_t *bounds = json_array(), *numbers = json_array();
    for (unsigned bucket = 0; bucket < LEAT_HTTP_DURATION_BUCKETS; bucket++) {
        counts[bucket] = growth(from->durations[bucket], to->durations[bucket]);
        (void)json_array_append_new(numbers, count_of(counts[bucket]));
        if (bucket < LEAT_HTTP_DURATION_BUCKETS - 1)
            (void)json_array_append_new(bounds, json_integer(bounds_us[bucket]));
    }
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "seconds", DASHBOARD_RECENT_S, "bounds_us",
                     bounds, "counts", numbers, "p50_us", quantile_of(counts, 0.5), "p90_us",
                     quantile_of(counts, 0.9), "p99_us", quantile_of(counts, 0.99));
}

/* ---- Caches ---------------------------------------------------------------------------------- */

static json_t *share_of(uint64_t part, uint64_t all)
{
    return all == 0 ? json_null() : number_of((double)(part < all ? part : all) / (double)all);
}

static json_t *residency_of(const struct dashboard *dashboard)
{
    const struct dashboard_moment *from = dashboard_past(dashboard, DASHBOARD_RECENT_S);
    const struct dashboard_moment *to = dashboard_past(dashboard, 0);
    const uint64_t sent = growth(from->sent, to->sent);
    const uint64_t filled = growth(from->filled_bytes, to->filled_bytes);
    return json_pack("{s:i, s:o, s:o, s:o}", "seconds", DASHBOARD_RECENT_S, "sent_bytes",
                     count_of(sent), "filled_bytes", count_of(filled), "share",
                     share_of(sent > filled ? sent - filled : 0, sent));
}

static json_t *files_of(const struct dashboard *dashboard, const struct metrics *metrics)
{
    const struct dashboard_moment *from = dashboard_past(dashboard, DASHBOARD_RECENT_S);
    const struct dashboard_moment *to = dashboard_past(dashboard, 0);
    const uint64_t hits = growth(from->file_hits, to->file_hits);
    const uint64_t misses = growth(from->file_misses, to->file_misses);
    uint64_t entries = 0, evictions = 0;
    for (unsigned index = 0; index < metrics->count; index++) {
        entries += metrics->views[index].file_entries;
        evictions += metrics->views[index].file_evictions;
    }
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "seconds", DASHBOARD_RECENT_S, "entries",
                     count_of(entries), "evictions", count_of(evictions), "hits", count_of(hits),
                     "misses", count_of(misses), "share", share_of(hits, hits + misses));
}

static json_t *film_cache_of(const struct site_films_counters *films)
{
    if (!films)
        return json_null();
    const struct film_cache_counters *cache = &films->cache;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "entries", count_of(cache->entries),
                     "bytes", count_of(cache->bytes), "building", count_of(cache->building),
                     "builds", count_of(cache->builds), "failures", count_of(cache->failures),
                     "segments", count_of(films->segments), "copied_bytes",
                     count_of(films->copied_bytes));
}

/* Since the start. */
static json_t *compression_of(const struct metrics *metrics)
{
    uint64_t responses = 0, plain = 0, coded = 0;
    if (!metrics->compress)
        return json_null();
    for (unsigned codec = LEAT_CODEC_NONE + 1; codec < LEAT_CODECS; codec++) {
        responses += metrics->compress->responses[codec];
        plain += metrics->compress->plain_bytes[codec];
        coded += metrics->compress->coded_bytes[codec];
    }
    const uint64_t copies = metrics->coded_files ? metrics->coded_files->bytes : 0;
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "responses", count_of(responses), "plain_bytes",
                     count_of(plain), "coded_bytes", count_of(coded), "cpu_s",
                     number_of((double)metrics->compress->cpu_ns / 1e9), "copy_bytes",
                     count_of(copies));
}

/* ---- The server ------------------------------------------------------------------------------ */

static json_t *workers_of(const struct dashboard *dashboard, const struct metrics *metrics)
{
    json_t *workers = json_array();
    for (unsigned index = 0; index < metrics->count; index++) {
        const struct dashboard_worker *past = &dashboard->workers[index];
        const struct worker_view *view = &metrics->views[index];
        const bool is_held = metrics->is_held[index];
        (void)json_array_append_new(
            workers, json_pack("{s:s, s:o, s:o, s:o, s:o}", "state",
                               view->is_known ? "on"
                               : is_held      ? "held"
                                              : "ended",
                               "cpu", view->is_known ? number_of(past->share) : json_null(),
                               "connections", count_of(view->conns), "requests_per_s",
                               count_of(past->requests_per_s), "fibers", count_of(view->fibers)));
    }
    return workers;
}

static json_t *connections_of(const struct metrics *metrics)
{
    json_t *states = json_object();
    for (unsigned state = 0; state < CONN_STATES; state++) {
        uint64_t count = 0;
        for (unsigned index = 0; index < metrics->count; index++)
            count += metrics->views[index].connections[state];
        (void)json_object_set_new(states, gauges_state_name((enum conn_state)state),
                                  count_of(count));
    }
    return states;
}

/* Since the start. */
static json_t *errors_of(const struct metrics *metrics)
{
    uint64_t malformed = 0, timeouts = 0, refused = 0, of_client = 0, of_server = 0, broken = 0;
    for (unsigned index = 0; index < metrics->count; index++) {
        const struct leat_http_counters *counters = &metrics->counters[index];
        malformed += counters->errors;
        timeouts += counters->timeouts;
        refused += counters->refused;
        of_client += counters->statuses[4];
        of_server += counters->statuses[5];
        broken += counters->statuses[0];
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "status_4xx", count_of(of_client),
                     "status_5xx", count_of(of_server), "malformed", count_of(malformed),
                     "timeouts", count_of(timeouts), "refused_connections", count_of(refused),
                     "unanswered", count_of(broken));
}

static json_t *process_of(const struct dashboard *dashboard, const struct process_stats *process)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "cpu", number_of(dashboard->process_share),
                     "memory_bytes", count_of(process->resident), "files", count_of(process->fds),
                     "files_max", count_of(process->fds_max));
}

/* ---- Who watches what ------------------------------------------------------------------------ */

static json_t *titles_of(const struct viewers_list *list)
{
    json_t *titles = json_array();
    for (unsigned index = 0; index < list->title_count && index < DASHBOARD_TITLES_MAX; index++) {
        const struct viewer_title *title = &list->titles[index];
        (void)json_array_append_new(
            titles, json_pack("{s:o, s:b, s:o, s:o, s:o, s:o}", "name", text_of(title->name),
                              "live", title->is_live, "viewers", count_of(title->viewers),
                              "bits_per_s", count_of(title->bits_per_s), "sent_bytes",
                              count_of(title->bytes), "stalls", count_of(title->stalls)));
    }
    return titles;
}

static const char *name_of(const struct viewers_list *list, uint64_t number)
{
    for (unsigned index = 0; index < list->title_count; index++)
        if (list->titles[index].title == number)
            return list->titles[index].name;
    return "";
}

static const char *streams_of(uint8_t streams)
{
    switch (streams) {
    case VIEWER_VIDEO: return "video";
    case VIEWER_AUDIO: return "audio";
    case VIEWER_VIDEO | VIEWER_AUDIO: return "video + audio";
    default: return "muxed";
    }
}

static json_t *viewer_of(const struct viewers_list *list, const struct viewer_info *info,
                         int64_t now_ns)
{
    char id[17];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)info->key);
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
        id, "peer", text_or_null(info->peer), "session", text_or_null(info->session), "agent",
        text_or_null(info->agent), "title", text_of(name_of(list, info->title)), "live",
        info->is_live, "rung", text_or_null(info->rung), "streams", streams_of(info->streams),
        "bits_per_s", count_of(info->bits_per_s), "media_bits_per_s",
        info->has_media_rate ? count_of(info->media_kbit_per_s * UINT64_C(1000)) : json_null(),
        "pace_bits_per_s",
        info->pace_bytes_per_s ? count_of(info->pace_bytes_per_s * 8) : json_null(), "buffer_ms",
        info->has_buffer ? count_of(info->buffer_ms) : json_null(), "stalls",
        count_of(info->stalls), "sent_bytes", count_of(info->bytes), "since_s",
        number_of(seconds_between(info->since_ns, now_ns)), "seen_s",
        number_of(seconds_between(info->seen_ns, now_ns)));
}

static json_t *viewers_of(const struct dashboard_sight *sight)
{
    const struct viewers_list *list = sight->viewers;
    json_t *viewers = json_array();
    for (unsigned index = 0; index < list->count && index < DASHBOARD_VIEWERS_MAX; index++)
        (void)json_array_append_new(viewers, viewer_of(list, &list->viewers[index], sight->now_ns));
    return viewers;
}

/* ---- Live ------------------------------------------------------------------------------------ */

static uint64_t watching(const struct viewers_list *list, const char *channel)
{
    for (unsigned index = 0; index < list->title_count; index++)
        if (list->titles[index].is_live && strcmp(list->titles[index].name, channel) == 0)
            return list->titles[index].viewers;
    return 0;
}

static json_t *channel_of(const struct dashboard_sight *sight, const struct live_info *info)
{
    static const char *const states[] = {[LIVE_STARTING] = "starting",
                                         [LIVE_ON] = "live",
                                         [LIVE_STALLED] = "stalled",
                                         [LIVE_ENDED] = "ended"};
    const struct live_track_info *video = &info->video;
    return json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "name",
        text_of(info->name), "state", states[info->state], "peer", text_or_null(info->peer),
        "since_s", number_of((double)(sight->wall_ms - info->since_ms) / 1e3), "viewers",
        count_of(watching(sight->viewers, info->name)), "bits_per_s", count_of(info->bits_per_s),
        "latency_ms", info->parts ? json_integer(info->latency_ms) : json_null(), "width",
        video->is_there ? (int)video->codec.width : 0, "height",
        video->is_there ? (int)video->codec.height : 0, "parts", count_of(info->parts), "segments",
        count_of(info->segments), "epochs", count_of(info->epochs), "memory_bytes",
        count_of(info->memory), "stored_bytes", count_of(info->stored));
}

static json_t *channels_of(const struct dashboard_sight *sight)
{
    json_t *channels = json_array();
    for (unsigned index = 0; index < sight->metrics->channel_count; index++)
        (void)json_array_append_new(channels, channel_of(sight, &sight->metrics->channels[index]));
    return channels;
}

/* ---- Upstreams ------------------------------------------------------------------------------- */

static json_t *upstream_of(const struct proxied *item, const struct upstreams_view *view)
{
    static const char *const states[] = {[UPSTREAM_UP] = "up",
                                         [UPSTREAM_OPEN] = "open",
                                         [UPSTREAM_PROBING] = "probing",
                                         [UPSTREAM_DOWN] = "down"};
    const struct conn_pool_counters *connections = &view->connections;
    return json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "prefix",
        text_of(item->prefix[0] ? item->prefix : "/"), "url", text_of(view->upstream->url), "state",
        states[view->state], "in_flight", count_of(view->in_flight), "requests",
        count_of(view->requests), "failures", count_of(view->failures), "latency_ms",
        view->latency_ns > 0 ? number_of((double)view->latency_ns / 1e6) : json_null(), "leased",
        count_of(connections->leased_now), "resting", count_of(connections->resting_now), "waiting",
        count_of(connections->waiting_now), "opened", count_of(connections->opened), "reused",
        count_of(connections->reused));
}

static json_t *upstreams_of(const struct proxies *proxies)
{
    json_t *list = json_array();
    for (unsigned index = 0; proxies && index < proxies->count; index++) {
        const struct proxied *item = &proxies->items[index];
        const struct upstreams *upstreams = proxy_upstreams(item->proxy);
        for (unsigned position = 0; position < upstreams_count(upstreams); position++) {
            struct upstreams_view view;
            upstreams_view(upstreams, position, &view);
            (void)json_array_append_new(list, upstream_of(item, &view));
        }
    }
    return list;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static json_t *totals_of(const struct dashboard *dashboard, const struct dashboard_sight *sight)
{
    const struct dashboard_moment *from = dashboard_past(dashboard, 1);
    const struct dashboard_moment *to = dashboard_past(dashboard, 0);
    const double seconds = seconds_between(from->now_ns, to->now_ns);
    uint64_t connections = 0;
    for (unsigned index = 0; index < sight->metrics->count; index++)
        connections += sight->metrics->views[index].conns;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o}", "viewers", count_of(sight->viewers->count), "titles",
        count_of(sight->viewers->title_count), "bits_per_s", count_of(bits_per_s(from, to)),
        "requests_per_s",
        number_of(seconds > 0 ? (double)growth(from->requests, to->requests) / seconds : 0),
        "connections", count_of(connections), "sent_bytes", count_of(to->sent));
}

char *dashboard_snapshot(const struct dashboard *dashboard, const struct dashboard_sight *sight,
                         bool is_for_people)
{
    const struct metrics *metrics = sight->metrics;
    ASSERT(dashboard->moment_count > 0 && metrics->count == dashboard->worker_count);
    json_t *json = json_pack(
        "{s:I, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o}",
        "time_ms", (json_int_t)sight->wall_ms, "uptime_s",
        number_of((double)sight->wall_ms / 1e3 - metrics->process->start_s), "version",
        leat_version(), "engine", metrics->engine, "draining", sight->is_draining, "totals",
        totals_of(dashboard, sight), "workers", workers_of(dashboard, metrics), "process",
        process_of(dashboard, metrics->process), "latency", latency_of(dashboard), "residency",
        residency_of(dashboard), "files", files_of(dashboard, metrics), "film_cache",
        film_cache_of(metrics->films), "compression", compression_of(metrics), "connections",
        connections_of(metrics), "errors", errors_of(metrics), "channels", channels_of(sight),
        "upstreams", upstreams_of(metrics->proxies), "titles", titles_of(sight->viewers), "viewers",
        viewers_of(sight), "history", history_of(dashboard));
    char *text = json_dumps(json, (is_for_people ? JSON_INDENT(2) : JSON_COMPACT) |
                                      JSON_REAL_PRECISION(REAL_DIGITS));
    json_decref(json);
    return text;
}
