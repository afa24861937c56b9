/* SPDX-License-Identifier: MIT */
/*
 * The dashboard on the administrator's address: a page, and what it shows, told once a second as a
 * server-sent event "snapshot". It remembers two minutes, so that a page that has just been opened
 * draws a whole picture. What is seen is gathered elsewhere (admin.c); here it becomes rates, and
 * JSON, whose members are described in docs/operations.md.
 *
 * Names of films, and what players say of themselves, are strangers' words: they are bounded, made
 * UTF-8, escaped, and never HTML. One thread: the administrator's.
 */
#ifndef LEAT_DASHBOARD_H
#define LEAT_DASHBOARD_H

#include "media/live.h"
#include "metrics.h"
#include "viewers.h"

enum {
    DASHBOARD_HISTORY_S = 120,   /* of rates, a value a second */
    DASHBOARD_RECENT_S = 60,     /* over which latency and residency are taken */
    DASHBOARD_VIEWERS_MAX = 200, /* that are listed: the busiest */
    DASHBOARD_TITLES_MAX = 100,
};

/* What is seen at a moment. */
struct dashboard_sight {
    const struct metrics *metrics;
    const struct viewers_list *viewers; /* of all workers */
    bool is_draining;
    int64_t now_ns, wall_ms;
};

struct dashboard;

int dashboard_create(unsigned worker_count, struct dashboard **ret_dashboard);
void dashboard_destroy(struct dashboard *dashboard); /* NULL is fine */

/* About once a second, whether somebody looks or not; sooner is as if it had not been called. */
void dashboard_note(struct dashboard *dashboard, const struct metrics *metrics, int64_t now_ns);
/* A snapshot, in one line or for people to read; free() it. NULL: no memory. After a note. */
char *dashboard_snapshot(const struct dashboard *dashboard, const struct dashboard_sight *sight,
                         bool is_for_people);
/* Is there no bundle? Then the page is a plain one, which shows a snapshot. */
bool dashboard_is_plain(void);
/* The page; `snapshot` is looked at where it is plain. */
void dashboard_reply_page(struct leat_http_response *response, const char *snapshot);

/* ---- For the snapshot ------------------------------------------------------------------------ */

struct dashboard_moment {
    int64_t now_ns;
    uint64_t sent, filled_bytes, file_hits, file_misses, requests, viewers;
    uint64_t durations[LEAT_HTTP_DURATION_BUCKETS];
};

struct dashboard {
    struct dashboard_moment moments[DASHBOARD_HISTORY_S + 1]; /* number n is at n % their count */
    uint64_t moment_count;                                    /* so far */
    double process_cpu_s, process_share; /* used so far; of a core, in the last second */
    unsigned worker_count;
    struct dashboard_worker {
        struct worker_view view; /* the last that was known */
        double share;            /* of a core, in the last second */
        uint64_t requests_per_s;
        uint64_t requests;
    } workers[];
};

/* The moment so many seconds before the last, or the oldest there is. There is one. */
const struct dashboard_moment *dashboard_past(const struct dashboard *dashboard, unsigned ago_s);

#endif
