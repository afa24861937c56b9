/* SPDX-License-Identifier: MIT */
/*
 * How much of its core a loop gets. A loop that has the core to itself computes for as long as the
 * work takes; where others want it too (other processes, the loop's own other work, other texts
 * that are being coded) it takes so many times as long. That is the price of a codec's time.
 */
#ifndef CODEC_HEADROOM_H
#define CODEC_HEADROOM_H

#include <stdint.h>

struct backend_sys;

struct headroom {
    int64_t last_ns;          /* the wall clock when it last learned; 0: never */
    double wall_ns, cpu_ns;   /* spent on pieces of late: older ones fade */
    double thread_ns, age_ns; /* the thread's CPU time of late, and in how much time; fading, too */
    int64_t thread_last_ns;   /* the thread's clock when it last learned */
};

void headroom_init(struct headroom *headroom);

/* Around a piece of coding: both clocks, and what the piece cost. */
struct headroom_watch {
    int64_t wall_ns, cpu_ns;
};
void headroom_begin(const struct backend_sys *sys, struct headroom_watch *ret_watch);
/* Returns the CPU time of the piece, and learns from it. */
int64_t headroom_end(struct headroom *headroom, const struct backend_sys *sys,
                     const struct headroom_watch *watch);

/* Wall time that a unit of a new text's CPU time will take, with `active` others at work: >= 1. */
double headroom_slowdown(const struct headroom *headroom, const struct backend_sys *sys,
                         unsigned active);

#endif
