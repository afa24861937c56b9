/* SPDX-License-Identifier: MIT */
/*
 * See dashboard.h. Of a worker that does not answer what it said last counts on: sums of all
 * workers never fall.
 */
#include "dashboard.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/clock.h"
#include "site_assets.h"
#include "text.h"

enum { MOMENTS = DASHBOARD_HISTORY_S + 1, STEP_LEAST_MS = 800 };

int dashboard_create(unsigned worker_count, struct dashboard **ret_dashboard)
{
    struct dashboard *dashboard =
        calloc(1, sizeof *dashboard + worker_count * sizeof *dashboard->workers);
    if (!dashboard)
        return -ENOMEM;
    dashboard->worker_count = worker_count;
    *ret_dashboard = dashboard;
    return 0;
}

void dashboard_destroy(struct dashboard *dashboard)
{
    free(dashboard);
}

/* ---- The past -------------------------------------------------------------------------------- */

const struct dashboard_moment *dashboard_past(const struct dashboard *dashboard, unsigned ago_s)
{
    const uint64_t last = dashboard->moment_count - 1;
    const uint64_t kept = last < DASHBOARD_HISTORY_S ? last : DASHBOARD_HISTORY_S;
    ASSERT(dashboard->moment_count > 0 && ago_s <= DASHBOARD_HISTORY_S);
    return &dashboard->moments[(last - (ago_s < kept ? ago_s : kept)) % MOMENTS];
}

/* `elapsed_s` 0: nothing is known of the time before. */
static void note_worker(struct dashboard_worker *past, const struct worker_view *view,
                        const struct leat_http_counters *counters, double elapsed_s)
{
    past->share = 0;
    past->requests_per_s = 0;
    if (elapsed_s > 0)
        past->requests_per_s =
            (uint64_t)((double)(counters->requests - past->requests) / elapsed_s);
    past->requests = counters->requests;
    if (!view->is_known)
        return;
    if (elapsed_s > 0 && past->view.is_known)
        past->share = (double)(view->cpu_us - past->view.cpu_us) / 1e6 / elapsed_s;
    past->view = *view;
}

static void add_worker(struct dashboard_moment *moment, const struct dashboard_worker *worker,
                       const struct leat_http_counters *counters)
{
    moment->sent += worker->view.sent;
    moment->filled_bytes += worker->view.file_filled_bytes;
    moment->file_hits += worker->view.file_hits;
    moment->file_misses += worker->view.file_misses;
    moment->viewers += worker->view.viewers.films + worker->view.viewers.lives;
    moment->requests += counters->requests;
    for (unsigned bucket = 0; bucket < LEAT_HTTP_DURATION_BUCKETS; bucket++)
        moment->durations[bucket] += counters->durations[bucket];
}

void dashboard_note(struct dashboard *dashboard, const struct metrics *metrics, int64_t now_ns)
{
    ASSERT(metrics->count == dashboard->worker_count);
    struct dashboard_moment moment = {.now_ns = now_ns};
    double elapsed_s = 0;
    if (dashboard->moment_count > 0) {
        const int64_t elapsed_ns = now_ns - dashboard_past(dashboard, 0)->now_ns;
        if (elapsed_ns < STEP_LEAST_MS * LEAT_NS_PER_MS)
            return;
        elapsed_s = (double)elapsed_ns / 1e9;
        dashboard->process_share = (metrics->process->cpu_s - dashboard->process_cpu_s) / elapsed_s;
    }
    dashboard->process_cpu_s = metrics->process->cpu_s;
    for (unsigned index = 0; index < metrics->count; index++) {
        struct dashboard_worker *worker = &dashboard->workers[index];
        note_worker(worker, &metrics->views[index], &metrics->counters[index], elapsed_s);
        add_worker(&moment, worker, &metrics->counters[index]);
    }
    dashboard->moments[dashboard->moment_count++ % MOMENTS] = moment;
}

/* ---- The page -------------------------------------------------------------------------------- */

static const char page_start[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>leat: dashboard</title>\n"
    "<link rel=\"icon\" href=\"data:,\">\n";

static const char page_plain[] =
    "</head>\n<body>\n<main>\n"
    "<h1>leat: dashboard</h1>\n"
    "<p><a href=\"/metrics\">metrics</a> · <a href=\"/healthz\">health</a> · "
    "<a href=\"/debug/fibers\">fibers</a> · <a href=\"/snapshot.json\">snapshot</a></p>\n"
    "<p>This build is without the pages for browsers. What they would show, as of now:</p>\n"
    "<pre>";

/* The browser runs our scripts alone, and none that is written in the page. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'";

static void add_asset(struct text *page, const char *before, const char *name, const char *after)
{
    text_add_literal(page, before);
    text_add_format(page, "/.leat/%s?v=%s", name, site_asset_hash(name));
    text_add_literal(page, after);
}

bool dashboard_is_plain(void)
{
    return !site_asset_hash("dashboard.js") || !site_asset_hash("dashboard.css");
}

void dashboard_reply_page(struct leat_http_response *response, const char *snapshot)
{
    struct text page = {0};
    text_add_literal(&page, page_start);
    if (!dashboard_is_plain()) {
        add_asset(&page, "<link rel=\"stylesheet\" href=\"", "dashboard.css", "\">\n");
        add_asset(&page, "<script type=\"module\" src=\"", "dashboard.js",
                  "\"></script>\n</head>\n<body>\n");
        text_add_literal(&page, "<noscript><p>The dashboard is drawn by a script. Without one: "
                                "<a href=\"/metrics\">metrics</a>, "
                                "<a href=\"/snapshot.json\">snapshot</a>.</p></noscript>\n");
    } else {
        text_add_literal(&page, page_plain);
        text_add_html(&page, slice_from_text(snapshot));
        text_add_literal(&page, "</pre>\n</main>\n");
    }
    text_add_literal(&page, "</body>\n</html>\n");
    (void)leat_http_add_field(response, "Cache-Control", "no-store");
    (void)leat_http_add_field(response, "Content-Security-Policy", policy);
    (void)leat_http_add_field(response, "X-Content-Type-Options", "nosniff");
    (void)leat_http_add_field(response, "Referrer-Policy", "no-referrer");
    if (page.has_failed)
        (void)leat_http_reply_error(response, 503);
    else
        (void)leat_http_reply(response, 200, "text/html; charset=utf-8", page.data, page.size);
    text_fini(&page);
}
