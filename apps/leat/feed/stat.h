/* SPDX-License-Identifier: MIT */
/*
 * leat feed stat: what was seen in an interval, and its forms. stat.c counts, stat_show.c writes.
 */
#ifndef LEAT_FEED_STAT_H
#define LEAT_FEED_STAT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/histogram.h"
#include "leat/feed.h"

struct stat_interval {
    double length_s, running_s; /* of this one; since the beginning */
    int64_t end_wall_ns;
    struct leat_feed_subscriber_stats now, before;
    const struct histogram *latency; /* from the kernel to the program; empty: no stamps */
    const struct histogram *age;     /* from ITCH's timestamp to here; NULL: not asked for */
    bool has_b;
};

enum stat_form {
    STAT_LINES,  /* one an interval, under a heading now and then */
    STAT_SCREEN, /* a table, drawn over the last one */
    STAT_JSON,   /* an object a line */
};

/* `count` intervals were shown before. 0 or -errno of the output. */
int stat_show(enum stat_form form, const struct stat_interval *interval, unsigned count, FILE *out);

#endif
