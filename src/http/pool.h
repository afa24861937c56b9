/* SPDX-License-Identifier: MIT */
/*
 * Connections to origins that are used again, shared by the cores. A connection is either leased
 * (one fiber speaks over it) or at rest: nothing is unread, nothing unsent, and no operation is
 * armed, so that any core may have it next.
 *
 *                    pool_take                                   pool_give
 *     shelf of this core, last in first out -----+        +----> a waiter, of whatever core
 *     else the shared list, last in first out ---+-> lease +---> shelf of this core
 *     else a new connection, within limits ------+        +----> shared list: what a shelf need not
 *     else the waiting line, first come ---------+        |      keep
 *                                                         +----> closed: not reusable, too old, …
 *
 * A shelf is what a pool has on one loop; there the lease is taken and given back. What moves to
 * another core is taken out of its loop's backend first (backend_ops.release). A connection is
 * looked at before it is handed out (recv with MSG_PEEK): one that the origin has closed, or that
 * has bytes nobody asked for, is closed and the next one taken.
 *
 * The pool and its destinations may be used by any thread under the pool's lock; a shelf and its
 * connections by their loop's alone.
 */
#ifndef HTTP_POOL_H
#define HTTP_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/stream.h"

struct pool;
struct pool_destination;
struct pool_shelf;

struct pool_options {
    unsigned connections_max; /* of all destinations and cores, leased and at rest. 0: 16,384 */
};

struct pool_destination_options {
    const char *name; /* for people and metrics; copied */
    /* A connected descriptor, or -errno; in the fiber that wants it, which may be any core's. */
    int (*dial)(void *user, int64_t deadline_ns);
    void *user;
    unsigned connections_max; /* leased and at rest; 0: as the pool's */
    unsigned waiting_max;     /* fibers that wait for one; beyond it -LEAT_E_LIMIT. 0: 1024 */
    unsigned uses_max;        /* of a connection; 0: any number */
    int64_t idle_ns;          /* at rest; 0: 60 s */
    int64_t age_ns;           /* since it was opened; 0: any */
    unsigned ahead; /* connections to have at rest before they are needed (pool_open_ahead) */
};

/* All but those that end in _now grow for ever. */
struct pool_counters {
    uint64_t opened, reused, failed; /* failed: dials */
    uint64_t moved;                  /* to another core */
    uint64_t waited;                 /* for a connection, in line */
    uint64_t refused, late;          /* the line was full; the deadline passed in it */
    uint64_t evicted;                /* idle too long, too old, one too many */
    uint64_t stale;                  /* closed by the origin, or spoken to unasked, while at rest */
    uint64_t leased_now, resting_now, waiting_now, leased_peak;
};

/* A connection, leased. Its owner may read and send over `stream`; `user` is the owner's. */
struct pool_conn {
    struct leat_stream stream;
    struct pool_destination *destination;
    struct pool_shelf *shelf;
    unsigned uses; /* leases, this one included: 1 is a fresh one */
    int64_t opened_ns, rests_since_ns;
    struct list_node node; /* the pool's */
};

/* 0 or -ENOMEM. `options` may be NULL. */
int pool_create(const struct pool_options *options, struct pool **ret_pool);
/* Its loops are gone, and so are its shelves. With its destinations. NULL is fine. */
void pool_destroy(struct pool *pool);

/* From any thread. It stays until the pool goes; who needs it no more retires it. */
int pool_add(struct pool *pool, const struct pool_destination_options *options,
             struct pool_destination **ret_destination);
/* What rests there is closed, soon, and what is leased when it is given back. */
void pool_retire(struct pool_destination *destination);

/* The shelf of this thread's loop, made when it is first asked for; it goes with the loop. NULL: no
 * memory. */
struct pool_shelf *pool_shelf_here(struct pool *pool);
/* Another one, for tests of what cores do with each other: several may be on one loop. */
int pool_shelf_create(struct pool *pool, struct pool_shelf **ret_shelf);
/* Nothing of it is leased, nobody waits. */
void pool_shelf_destroy(struct pool_shelf *shelf);

enum pool_want {
    POOL_ANY,
    POOL_FRESH, /* not one that has rested: for what is tried again */
};
/* In a fiber. 0; what `dial` returned; -LEAT_E_LIMIT: the line is full; -ETIMEDOUT, -ECANCELED. */
int pool_take(struct pool_shelf *shelf, struct pool_destination *destination, enum pool_want want,
              int64_t deadline_ns, struct pool_conn **ret_conn);
/* Back, on the loop where it was taken. `is_reusable`: all of the last answer was read, nothing
 * else, and neither side has said that it will close. */
void pool_give(struct pool_conn *conn, bool is_reusable);
/* Opens what is missing of options.ahead; in a fiber. */
int pool_open_ahead(struct pool_shelf *shelf, struct pool_destination *destination,
                    int64_t deadline_ns);

/* Of one destination; of all of the pool. From any thread. */
void pool_destination_counters(const struct pool_destination *destination,
                               struct pool_counters *ret_counters);
void pool_counters_read(const struct pool *pool, struct pool_counters *ret_counters);
const char *pool_destination_name(const struct pool_destination *destination);

#endif
