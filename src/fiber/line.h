/* SPDX-License-Identifier: MIT */
/*
 * A line of fibers, of any loops, before something that a mutex guards: what a condition variable
 * is to threads. All calls are made with the lock held, which must not be held for long: loops take
 * it. Who calls a fiber sends a message to its loop.
 */
#ifndef FIBER_LINE_H
#define FIBER_LINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct line {
    struct list_node waiters; /* first come, first served */
};

void line_init(struct line *line);
bool line_is_empty(const struct line *line);

/* The calling fiber waits; meanwhile the lock is free. Returns what it was called with; or
 * -ETIMEDOUT, -ECANCELED, and then *ret_was_called says whether it was called all the same.
 * `deadline_ns` must not be LEAT_FOREVER: a loop with nothing else to do ends. */
int line_wait(struct line *line, pthread_mutex_t *lock, int64_t deadline_ns, bool *ret_was_called);

/* Calls the first; false: there is none. */
bool line_call(struct line *line, int result);
void line_call_all(struct line *line, int result);

#endif
