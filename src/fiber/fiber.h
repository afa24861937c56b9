/* SPDX-License-Identifier: MIT */
/*
 * The fiber scheduler's inner half, for the layers above: state machines that start fibers, and
 * blocking calls made of operations.
 *
 * A fiber that must wait calls fiber_park; who brings what it waits for calls fiber_wake, on the
 * same thread. While parked it names an `interrupt`, which a cancel or a deadline calls: it must
 * make sure that a wake follows (at once, or when an operation has been cancelled).
 */
#ifndef FIBER_FIBER_H
#define FIBER_FIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/fiber.h"
#include "loop/loop.h"

struct fiber;

/* Called on the loop's thread, not on a fiber's stack that is about to go, when a fiber has
 * ended. */
typedef void (*fiber_end_fn)(void *user);

/* A fiber outside of any public scope: its owner (a connection) is told by `on_end` when it has
 * ended, and owns it till then. Starts to run at once, before this returns, and returns when it
 * first parks or ends: so a handler that never blocks costs two switches and no queue. Must be
 * called on the loop's stack (from a completion, a timer, a task). 0 or -ENOMEM. */
int fiber_start(struct leat_loop *loop, const struct leat_fiber_options *options, leat_fiber_fn fn,
                void *arg, fiber_end_fn on_end, void *user, struct fiber **ret_fiber);

/* As leat_scope_cancel, for one fiber. Returns at once; on_end follows later, never before. */
void fiber_cancel(struct fiber *fiber);

/* The fiber that runs now on this thread, or NULL. */
struct fiber *fiber_current(void);

/* Waits for fiber_wake. `interrupt(user)` is called at most once, when the fiber is cancelled (and
 * not shielded) or the deadline passes; it may call fiber_wake. Returns 0 when it was not
 * interrupted, else -ECANCELED or -ETIMEDOUT. When the reason stands already (cancelled before), it
 * returns it at once without parking and without calling interrupt. */
int fiber_park(int64_t deadline_ns, void (*interrupt)(void *user), void *user);
/* Makes it run soon; a fiber that is not parked is not affected by a second wake. */
void fiber_wake(struct fiber *fiber);

/* As fiber_park, but nothing interrupts it: for ends that have been asked for and will come. */
void fiber_park_sealed(void);

/* 0, or why the calling fiber may not wait: -ECANCELED, -ETIMEDOUT. For calls that start something
 * they must then wait for to the end: asked first, fiber_park does park. */
int fiber_interruption(int64_t deadline_ns);

/* Submits the op, waits for its completion and returns its result: the blocking form of a "once"
 * op. When the deadline passes or the fiber is cancelled the op is cancelled and its completion
 * awaited (the op is on the caller's stack); if it had succeeded all the same its result is
 * returned. op->done must be fiber_op_done. Returns -ECANCELED/-ETIMEDOUT without submitting when
 * that stands already. */
int32_t fiber_await(struct op *op, int64_t deadline_ns);
void fiber_op_done(struct op *op, const struct completion *completion);

/* Offload as a job of backend_sys calls: as leat_offload, for the library's own use. */
int fiber_offload(void (*fn)(void *arg, const struct backend_sys *sys), void *arg,
                  int64_t deadline_ns);

/* What a fiber is at, for who looks into a running program. */
struct fiber_info {
    const char *name, *state; /* "running", "ready", "parked" */
    bool is_cancelled;
    int64_t since_ns;              /* when it last left the processor, or was made */
    int64_t deadline_ns;           /* of what it waits for; LEAT_FOREVER: none */
    size_t stack_size, stack_used; /* bytes; used: ever, by any fiber that had the stack */
};
/* Calls see() with each fiber of the loop, the oldest first, until that returns false. On the
 * loop's thread. It looks for where a stack was ever written to, which takes some microseconds. */
void fiber_each(const struct leat_loop *loop,
                bool (*see)(const struct fiber_info *info, void *user), void *user);

struct fiber_counters {
    uint64_t fibers, fibers_peak, switches, spawned;
    uint64_t stacks, stacks_cached; /* that exist; that are idle and have their pages */
};
void fiber_counters_read(const struct leat_loop *loop, struct fiber_counters *ret_counters);

#endif
