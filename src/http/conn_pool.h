/* SPDX-License-Identifier: MIT */
/*
 * Connections to origins that are used again, shared by the cores. A connection is either leased
 * (one fiber speaks over it) or at rest: nothing is unread, nothing unsent, and no operation is
 * armed, so that any core may have it next.
 *
 *                conn_pool_take                                 conn_pool_give
 *     shelf of this core, last in first out --+        +----> the first in line, of whatever core
 *     else the shared list, the same ---------+        |
 *     else another core's shelf, if it has one+> lease +----> shelf of this core
 *     else a new one, within the limits ------+        |
 *     else the line, first come first served -+        +----> closed: not reusable, too old, ...
 *
 * A shelf is what a pool has on one loop; there the lease is taken and given back. What lies on a
 * shelf unused for a while becomes shared. Before a core opens a connection it asks those on whose
 * shelves one rests, so that as many are open as were once needed at a time, on however many cores.
 * What moves is taken out of its loop's backend first (backend_ops.release). A connection is
 * looked at before it is handed out (recv with MSG_PEEK): one that the origin has closed, or that
 * has bytes nobody asked for, is closed and the next one taken.
 *
 * The pool and its destinations may be used by any thread under the pool's lock; a shelf and its
 * connections by their loop's alone.
 */
#ifndef HTTP_CONN_POOL_H
#define HTTP_CONN_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/stream.h"

struct conn_pool;
struct conn_pool_destination;
struct conn_pool_shelf;

struct conn_pool_options {
    unsigned connections_max; /* of all destinations and cores, leased and at rest. 0: 16,384 */
};

struct conn_pool_destination_options {
    const char *name; /* for people and metrics; copied */
    /* A connected descriptor, or -errno; in the fiber that wants it, which may be any core's. */
    int (*dial)(void *user, int64_t deadline_ns);
    void *user;
    unsigned connections_max; /* leased and at rest; 0: as the pool's */
    unsigned waiting_max;     /* fibers that wait for one; beyond it -LEAT_E_LIMIT. 0: 1024 */
    unsigned uses_max;        /* of a connection; 0: any number */
    int64_t idle_ns;          /* at rest; 0: 60 s */
    int64_t age_ns;           /* since it was opened; 0: any */
    unsigned ahead; /* connections to have at rest before they are needed (conn_pool_open_ahead) */
};

/* All but those that end in _now grow for ever. */
struct conn_pool_counters {
    uint64_t opened, reused, failed; /* failed: dials */
    uint64_t moved;                  /* to another core */
    uint64_t waited;                 /* in line, for want of room */
    uint64_t refused, late;          /* the line was full; the deadline passed in it */
    uint64_t evicted;                /* idle too long, too old, used often enough, one too many */
    uint64_t stale;                  /* closed by the origin, or spoken to unasked, while at rest */
    uint64_t leased_now, resting_now, waiting_now; /* leased: those being opened included */
    uint64_t leased_peak;                          /* of a pool: the sum of its destinations' */
};

/* A connection, leased. Its owner may read and send over `stream`. */
struct pooled_conn {
    struct leat_stream stream;
    struct conn_pool_destination *destination;
    struct conn_pool_shelf *shelf;
    unsigned uses; /* leases, this one included: 1 was opened for it, and has never rested */
    int64_t opened_ns, rests_until_ns;
    struct list_node node; /* the pool's */
};

/* 0 or -ENOMEM. `options` may be NULL. */
int conn_pool_create(const struct conn_pool_options *options, struct conn_pool **ret_pool);
/* Its loops are gone, and so are its shelves. With its destinations. NULL is fine. */
void conn_pool_destroy(struct conn_pool *pool);

/* From any thread. It stays until the pool goes; who needs it no more retires it. */
int conn_pool_add(struct conn_pool *pool, const struct conn_pool_destination_options *options,
                  struct conn_pool_destination **ret_destination);
/* What rests there is closed, soon, and what is leased when it is given back. From any thread. */
void conn_pool_retire(struct conn_pool_destination *destination);

/* The shelf of this thread's loop, made when it is first asked for; it goes with the loop. NULL: no
 * memory. */
struct conn_pool_shelf *conn_pool_shelf_here(struct conn_pool *pool);
/* Another one, for tests of what cores do with each other: several may be on one loop. */
int conn_pool_shelf_create(struct conn_pool *pool, struct conn_pool_shelf **ret_shelf);
/* Nothing of it is leased, nobody waits. */
void conn_pool_shelf_destroy(struct conn_pool_shelf *shelf);

enum conn_pool_want {
    CONN_POOL_ANY,
    CONN_POOL_FRESH, /* not one that has rested: for what is tried again */
};
/* In a fiber. 0; what `dial` returned; -LEAT_E_LIMIT: the line is full; -ETIMEDOUT, -ECANCELED. */
int conn_pool_take(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination,
                   enum conn_pool_want want, int64_t deadline_ns, struct pooled_conn **ret_conn);
/* Back, on the loop where it was taken. `is_reusable`: all of the last answer was read, nothing
 * else, and neither side has said that it will close. */
void conn_pool_give(struct pooled_conn *conn, bool is_reusable);
/* Opens what is missing of options.ahead; in a fiber. */
int conn_pool_open_ahead(struct conn_pool_shelf *shelf, struct conn_pool_destination *destination,
                         int64_t deadline_ns);

/* Of one destination; of all of the pool. From any thread. */
void conn_pool_destination_counters(const struct conn_pool_destination *destination,
                                    struct conn_pool_counters *ret_counters);
void conn_pool_counters_read(const struct conn_pool *pool, struct conn_pool_counters *ret_counters);
const char *conn_pool_destination_name(const struct conn_pool_destination *destination);

#endif
