/* SPDX-License-Identifier: MIT */
/*
 * Where a subcommand's output goes, at its reader's pace: two buffers, one being filled, one being
 * written by a fiber of the sink's own. A file is written in a thread of the pool, a pipe when it
 * takes something, so that neither a slow disk nor a slow reader holds up the loop. Who fills waits
 * when both buffers are full; it is then for the feed to keep or to ask again.
 *
 * One loop; one fiber fills.
 */
#ifndef LEAT_FEED_SINK_H
#define LEAT_FEED_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/fiber.h"
#include "leat/slice.h"

enum { SINK_HALF_SIZE = 8 << 20 };

struct fiber;

struct feed_sink {
    int fd;
    bool is_polled; /* a pipe, a socket, a terminal */
    bool is_ending;
    int error; /* of a write: all is over */
    char *filling, *writing;
    size_t filled;                 /* bytes in `filling` */
    struct fiber *filler, *writer; /* who wait; NULL: nobody does */
    struct leat_scope scope;
};

/* Opens (and empties) the file; "-" is standard output. 0 or -errno. */
int feed_sink_open(struct feed_sink *sink, const char *path);
/* In a fiber. 0, -ECANCELED, or -errno of an earlier write. At most SINK_HALF_SIZE bytes. */
int feed_sink_add(struct feed_sink *sink, struct leat_slice bytes);
/* In a fiber: what was added is written until the deadline; then it is closed. 0, or what has gone
 * wrong since it was opened: -errno, -ETIMEDOUT, -ECANCELED. */
int feed_sink_close(struct feed_sink *sink, int64_t deadline_ns);
/* A close that goes on is given up. */
void feed_sink_abandon(struct feed_sink *sink);

#endif
