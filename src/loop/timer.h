/* SPDX-License-Identifier: MIT */
/*
 * Timers: a hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7). Eight levels of 64
 * slots and a tick of 2^16 ns, so that every deadline has a slot. Starting and stopping are O(1)
 * whatever the number of timers, and a bitmap a level finds the next one. A timer fires at or
 * after its deadline, never before, and at most a tick late by the wheel's doing. Time is handed
 * in. One thread: its loop's.
 */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum { TIMER_TICK_BITS = 16, TIMER_SLOT_BITS = 6, TIMER_SLOTS = 64, TIMER_LEVELS = 8 };

struct timer;
typedef void (*timer_fire_fn)(struct timer *timer);

struct timer {
    struct list_node node; /* in a slot, or in the list of those due */
    int64_t deadline_ns;
    timer_fire_fn fire; /* may start this timer again, stop others, free its own memory */
    uint8_t level, slot;
    bool is_running;
    bool is_quiet; /* set after timer_init: leat_loop_run does not stay for it */
};

struct timer_wheel {
    uint64_t now_tick;
    uint64_t bitmaps[TIMER_LEVELS];
    struct list_node slots[TIMER_LEVELS][TIMER_SLOTS];
    struct list_node due; /* whose tick has come; fired by timer_wheel_advance */
    uint64_t count;       /* running, but for the quiet ones */
};

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ns);
/* The timers still running are forgotten; their memory is their owners'. */
void timer_wheel_fini(struct timer_wheel *wheel);

void timer_init(struct timer *timer, timer_fire_fn fire);
/* Starts it, or moves it when it runs. LEAT_FOREVER: stops it. A deadline in the past fires at the
 * next advance. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, int64_t deadline_ns);
void timer_stop(struct timer_wheel *wheel, struct timer *timer);

/* Fires all that are due at `now_ns`, in the order of their ticks. Timers started by what it fires
 * wait for the next advance, so that a timer which restarts itself in the past cannot spin it. */
void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_ns);

/* When to call advance next: no timer is due before; LEAT_FOREVER when none runs. It may be early
 * (a slot of a higher level has to be dealt out first), never late. */
int64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

#endif
