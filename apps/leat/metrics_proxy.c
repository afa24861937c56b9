/* SPDX-License-Identifier: MIT */
/*
 * The metrics of proxies: what came of requests, by the prefix of each, and each upstream's own;
 * see metrics.h.
 */
#include "metrics.h"

#include <string.h>

#include "http/proxy_parts.h"

/* A label's value (Prometheus, exposition formats): URLs are the operator's own words. */
static void add_label(struct text *text, const char *value)
{
    for (const char *at = value; *at; at++) {
        if (*at == '\\' || *at == '"')
            text_add_literal(text, "\\");
        text_add(text, (struct leat_slice){at, 1});
    }
}

static void begin_sample(struct text *text, const char *name, const struct proxied *item)
{
    text_add_format(text, "%s{prefix=\"", name);
    add_label(text, item->prefix[0] ? item->prefix : "/");
    text_add_literal(text, "\"");
}

static void end_sample(struct text *text, uint64_t value)
{
    text_add_format(text, "} %llu\n", (unsigned long long)value);
}

/* ---- Of each proxy --------------------------------------------------------------------------- */

static const struct proxy_family {
    const char *name, *type, *help;
    size_t offset; /* of a uint64_t in struct leat_proxy_counters */
} families[] = {
    {"leat_proxy_requests_total", "counter", "Requests to be passed on.",
     offsetof(struct leat_proxy_counters, requests)},
    {"leat_proxy_answered_total", "counter", "Requests that an upstream has answered.",
     offsetof(struct leat_proxy_counters, answered)},
    {"leat_proxy_failed_total", "counter", "Requests that no upstream could be asked: 502.",
     offsetof(struct leat_proxy_counters, failed)},
    {"leat_proxy_refused_total", "counter", "Requests beyond a limit: 503.",
     offsetof(struct leat_proxy_counters, refused)},
    {"leat_proxy_late_total", "counter", "Requests whose answer did not come in time: 504.",
     offsetof(struct leat_proxy_counters, late)},
    {"leat_proxy_retries_total", "counter", "Requests sent to a further upstream.",
     offsetof(struct leat_proxy_counters, retries)},
    {"leat_proxy_retries_refused_total", "counter", "Retries that the budget did not allow.",
     offsetof(struct leat_proxy_counters, retries_refused)},
    {"leat_proxy_broken_total", "counter", "Answers that ended before their end.",
     offsetof(struct leat_proxy_counters, broken)},
    {"leat_proxy_tunnels_total", "counter", "Connections that were upgraded.",
     offsetof(struct leat_proxy_counters, tunnels)},
    {"leat_proxy_tunnels", "gauge", "Those that are open.",
     offsetof(struct leat_proxy_counters, tunnels_now)},
    {"leat_proxy_spliced_bytes_total", "counter",
     "Bytes of bodies that went from socket to socket within the kernel.",
     offsetof(struct leat_proxy_counters, spliced_bytes)},
    {"leat_proxy_copied_bytes_total", "counter", "Bytes of bodies that were copied.",
     offsetof(struct leat_proxy_counters, copied_bytes)},
};

static void add_proxies(struct text *text, const struct proxies *proxies)
{
    for (size_t index = 0; index < sizeof families / sizeof *families; index++) {
        const struct proxy_family *family = &families[index];
        metrics_begin_family(text, family->name, family->type, family->help);
        for (unsigned position = 0; position < proxies->count; position++) {
            const struct proxied *item = &proxies->items[position];
            struct leat_proxy_counters counters;
            uint64_t value;
            leat_proxy_counters(item->proxy, &counters);
            memcpy(&value, (const char *)&counters + family->offset, sizeof value);
            begin_sample(text, family->name, item);
            end_sample(text, value);
        }
    }
}

/* ---- Of each upstream ------------------------------------------------------------------------ */

#define OF_CONNECTIONS(member)                                                                     \
    offsetof(struct upstreams_view, connections) + offsetof(struct conn_pool_counters, member)

static const struct upstream_family {
    const char *name, *type, *help;
    size_t offset; /* of a uint64_t in struct upstreams_view */
} upstream_families[] = {
    {"leat_upstream_requests_total", "counter", "Requests sent to an upstream, retries included.",
     offsetof(struct upstreams_view, requests)},
    {"leat_upstream_failures_total", "counter", "Those that it failed.",
     offsetof(struct upstreams_view, failures)},
    {"leat_upstream_circuits_opened_total", "counter", "Times that it was left alone for a while.",
     offsetof(struct upstreams_view, opened_circuits)},
    {"leat_upstream_connections_opened_total", "counter", "Connections made.",
     OF_CONNECTIONS(opened)},
    {"leat_upstream_connections_reused_total", "counter",
     "Requests that found a connection at rest.", OF_CONNECTIONS(reused)},
    {"leat_upstream_connections_failed_total", "counter", "Connections that could not be made.",
     OF_CONNECTIONS(failed)},
    {"leat_upstream_connections_moved_total", "counter", "Connections that went to another thread.",
     OF_CONNECTIONS(moved)},
    {"leat_upstream_connections_evicted_total", "counter",
     "Connections closed because they were idle, old, or too many.", OF_CONNECTIONS(evicted)},
    {"leat_upstream_connections_stale_total", "counter",
     "Connections that the upstream closed, or spoke on, while they were at rest.",
     OF_CONNECTIONS(stale)},
    {"leat_upstream_connections_leased", "gauge", "Connections in use.",
     OF_CONNECTIONS(leased_now)},
    {"leat_upstream_connections_leased_peak", "gauge", "The most that were ever in use at a time.",
     OF_CONNECTIONS(leased_peak)},
    {"leat_upstream_connections_resting", "gauge", "Connections at rest.",
     OF_CONNECTIONS(resting_now)},
    {"leat_upstream_queue", "gauge", "Requests that wait for a connection.",
     OF_CONNECTIONS(waiting_now)},
    {"leat_upstream_queued_total", "counter", "Requests that had to wait for one.",
     OF_CONNECTIONS(waited)},
    {"leat_upstream_queue_refused_total", "counter", "Requests that found the queue full.",
     OF_CONNECTIONS(refused)},
    {"leat_upstream_queue_late_total", "counter", "Requests that waited in it for too long.",
     OF_CONNECTIONS(late)},
};

/* Calls `write` with each upstream; its sample is begun, up to the labels' end. */
static void each_upstream(struct text *text, const struct proxies *proxies, const char *name,
                          void (*write)(struct text *text, const struct upstreams_view *view,
                                        size_t offset),
                          size_t offset)
{
    for (unsigned index = 0; index < proxies->count; index++) {
        const struct proxied *item = &proxies->items[index];
        const struct upstreams *upstreams = proxy_upstreams(item->proxy);
        for (unsigned position = 0; position < upstreams_count(upstreams); position++) {
            struct upstreams_view view;
            upstreams_view(upstreams, position, &view);
            begin_sample(text, name, item);
            text_add_literal(text, ",upstream=\"");
            add_label(text, view.upstream->url);
            text_add_literal(text, "\"");
            write(text, &view, offset);
        }
    }
}

static void write_number(struct text *text, const struct upstreams_view *view, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)view + offset, sizeof value);
    end_sample(text, value);
}

static void write_is_up(struct text *text, const struct upstreams_view *view, size_t unused)
{
    end_sample(text, view->state == UPSTREAM_UP);
}

static void write_in_flight(struct text *text, const struct upstreams_view *view, size_t unused)
{
    end_sample(text, view->in_flight);
}

static void write_latency(struct text *text, const struct upstreams_view *view, size_t unused)
{
    text_add_format(text, "} %.6f\n", (double)view->latency_ns / 1e9);
}

static void add_upstreams(struct text *text, const struct proxies *proxies)
{
    metrics_begin_family(text, "leat_upstream_up", "gauge",
                         "1: it is asked; 0: it is left alone, or its health is bad.");
    each_upstream(text, proxies, "leat_upstream_up", write_is_up, 0);
    metrics_begin_family(text, "leat_upstream_in_flight", "gauge", "Requests in work there.");
    each_upstream(text, proxies, "leat_upstream_in_flight", write_in_flight, 0);
    metrics_begin_family(text, "leat_upstream_latency_seconds", "gauge",
                         "Until the head of its answer, a moving mean.");
    each_upstream(text, proxies, "leat_upstream_latency_seconds", write_latency, 0);
    for (size_t index = 0; index < sizeof upstream_families / sizeof *upstream_families; index++) {
        const struct upstream_family *family = &upstream_families[index];
        metrics_begin_family(text, family->name, family->type, family->help);
        each_upstream(text, proxies, family->name, write_number, family->offset);
    }
}

void metrics_write_proxies(struct text *text, const struct proxies *proxies)
{
    if (proxies->count == 0)
        return;
    add_proxies(text, proxies);
    add_upstreams(text, proxies);
}
