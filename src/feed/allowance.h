/* SPDX-License-Identifier: MIT */
/*
 * How many bytes a second each address may be sent: token buckets in a table of a fixed size. An
 * address that is not in it takes the place of the one that was heard of least lately among those
 * its hash leads to, and begins with a full bucket: who floods under many names is bounded by the
 * bucket of all. Sans I/O; time is passed in. One thread: its owner's.
 */
#ifndef FEED_ALLOWANCE_H
#define FEED_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/address.h"

enum { FEED_ALLOWANCE_SETS = 64, FEED_ALLOWANCE_WAYS = 4 };

struct feed_bucket {
    int64_t bytes; /* that may be sent now; below 0: owed */
    int64_t filled_ns;
    uint8_t host[16]; /* IPv6, or IPv4 mapped */
    bool is_used;
};

struct feed_allowance {
    uint64_t bytes_per_s, all_bytes_per_s; /* and what a full bucket holds */
    struct feed_bucket all;
    struct feed_bucket buckets[FEED_ALLOWANCE_SETS][FEED_ALLOWANCE_WAYS];
};

void feed_allowance_init(struct feed_allowance *allowance, uint64_t bytes_per_s,
                         uint64_t all_bytes_per_s, int64_t now_ns);

/* May this address be sent more now? A host has one bucket, whatever its ports. */
bool feed_allowance_ask(struct feed_allowance *allowance, const struct leat_address *address,
                        int64_t now_ns);
/* It was sent so much, after an ask. */
void feed_allowance_take(struct feed_allowance *allowance, const struct leat_address *address,
                         uint64_t bytes, int64_t now_ns);

#endif
