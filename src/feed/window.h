/* SPDX-License-Identifier: MIT */
/*
 * The packets that came too early, until those before them have come: a bounded store, lowest
 * sequence first. All memory is taken at the beginning. Sans I/O and clock.
 *
 * A binary heap of places: what comes in order goes in and out without moving anything else. It
 * knows nothing of gaps; packets may overlap each other, who takes them out skips what it has.
 */
#ifndef FEED_WINDOW_H
#define FEED_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct window_packet {
    uint64_t sequence;
    struct leat_slice blocks; /* in the window: its own bytes */
    int64_t received_ns;
    uint16_t count;
    bool is_recovered;
};

struct window_entry {
    uint64_t sequence;
    uint32_t place;
};

struct window {
    struct window_entry *heap; /* those from `count` on are free places */
    struct window_packet *packets;
    char *memory; /* place_size bytes for each place */
    size_t place_size;
    uint32_t count, places;
};

struct window_options {
    uint32_t places; /* 4 or more */
    size_t place_size;
    bool is_prefaulted; /* no page fault later */
};

/* 0 or -ENOMEM, and then the window is empty and without places. */
int window_init(struct window *window, const struct window_options *options);
void window_fini(struct window *window);

/* A copy of the packet; false: there is no place, or it is too long for one. The last quarter of
 * the places is for what was asked for: else what is live, and does not wait, would take them all
 * from what it waits for. */
bool window_add(struct window *window, const struct window_packet *packet);

/* The packet of the lowest sequence, NULL: none. Valid until window_drop. */
const struct window_packet *window_first(const struct window *window);
void window_drop(struct window *window); /* the first, which is there */

#endif
