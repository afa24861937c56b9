/* SPDX-License-Identifier: MIT */
/*
 * What leat's halves of the yardsticks of feeds share.
 */
#ifndef LEAT_BENCH_FEED_LEAT_H
#define LEAT_BENCH_FEED_LEAT_H

#include "leat/feed.h"
#include "feed_sides.h"
#include "leat/leat.h"

/* An error is the end, and said. `reason` may be empty. */
static inline void must(int error, const char *what, const char *reason)
{
    if (error >= 0)
        return;
    fprintf(stderr, "%s: %s%s%s\n", what, leat_error_text(error), *reason ? ": " : "", reason);
    exit(EXIT_FAILURE);
}

#endif
