/* SPDX-License-Identifier: MIT */
/*
 * Fibers: straight-line code on a loop. A fiber has a stack of its own and runs until it calls
 * something that must wait; then others run. Fibers never migrate between threads and are never
 * preempted: between two blocking calls a fiber has its loop to itself, so it needs no locks, and
 * must not compute for long (leat_offload is for that).
 *
 * Every fiber belongs to a scope, and a scope does not end before its fibers have: nothing leaks,
 * nothing outlives the variables it uses.
 *
 * Every blocking call takes an absolute deadline (leat/clock.h) and returns -ETIMEDOUT when it
 * passes, -ECANCELED when the fiber was cancelled. Blocking calls may be made by fibers alone.
 */
#ifndef LEAT_FIBER_H
#define LEAT_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/clock.h"
#include "leat/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*leat_fiber_fn)(void *arg);

/* Makes a loop in this thread (options may be NULL), runs `main_fiber` on it as the first fiber,
 * and destroys the loop when that fiber has returned and what it has closed (a server, a listener)
 * has ended. What it leaves open keeps the loop running. Returns what it returned, or -errno. */
int leat_run(int (*main_fiber)(void *arg), void *arg, const struct leat_loop_options *options);

/* ---- Scopes -------------------------------------------------------------------------------- */

/* A nursery for fibers, on its owner's stack or inside its owner. Its fields are the library's. */
struct leat_scope {
    void *reserved[8];
};

struct leat_fiber_options {
    const char *name;  /* for the debugger and the watchdog; a literal, for they may come late */
    size_t stack_size; /* 0: LEAT_STACK_SIZE; others are rounded up to pages and are not cached */
};

enum { LEAT_STACK_SIZE = 64 * 1024 };

/* A scope in the calling fiber, or (outside of any fiber) on the calling thread's loop. */
void leat_scope_init(struct leat_scope *scope);

/* Cancels what still runs, waits for it, and ends the scope. Not itself interrupted by a cancel of
 * the caller: the children are cancelled already. Call it on every path. Outside of a fiber the
 * scope must be empty. */
void leat_scope_fini(struct leat_scope *scope);

/* A new fiber runs fn(arg) soon. 0, -ENOMEM, or -ECANCELED when the scope was cancelled.
 * `options` may be NULL. */
int leat_spawn(struct leat_scope *scope, leat_fiber_fn fn, void *arg,
               const struct leat_fiber_options *options);

/* Waits until all fibers of the scope have returned: 0, -ETIMEDOUT, -ECANCELED. */
int leat_scope_join(struct leat_scope *scope, int64_t deadline_ns);

/* Every fiber of the scope, now and to come, is cancelled: the blocking call it is in, and each it
 * makes from now on, returns -ECANCELED. Returns at once. */
void leat_scope_cancel(struct leat_scope *scope);

/* Fibers of the scope that have not returned yet. */
size_t leat_scope_count(const struct leat_scope *scope);

/* ---- The calling fiber ----------------------------------------------------------------------- */

/* The others that may run do so first. 0 or -ECANCELED. */
int leat_yield(void);

/* 0 when the time has come, or -ECANCELED. */
int leat_sleep_until(int64_t deadline_ns);
int leat_sleep_ms(int64_t delay_ms);

/* Has this fiber been cancelled (even while shielded)? */
bool leat_is_cancelled(void);

/* A cancelled fiber may say goodbye: between begin and end its blocking calls work in spite of the
 * cancel, until `grace_ns` (absolute) at the latest. They do not nest: the first begin counts. */
void leat_shield_begin(int64_t grace_ns);
void leat_shield_end(void);

/* ---- Batches --------------------------------------------------------------------------------- */

enum leat_gather_policy {
    LEAT_GATHER_CANCEL, /* the first failure cancels the others */
    LEAT_GATHER_WAIT,   /* all run to their end */
};

struct leat_call {
    int (*fn)(void *arg); /* negative: it failed */
    void *arg;
    int result; /* set by leat_gather; -ECANCELED for what was never begun */
};

struct leat_gather_options {
    enum leat_gather_policy on_error;
    size_t parallel_max; /* 0: all at once */
    int64_t deadline_ns; /* 0: LEAT_FOREVER; when it passes the calls are cancelled */
};

/* Runs the calls in fibers, in parallel, and returns when all have ended; the answers are in the
 * calls, in order. 0, or the first failure. `options` may be NULL. */
int leat_gather(struct leat_call *calls, size_t count, const struct leat_gather_options *options);

/* Runs fn(arg) in a thread of the pool and waits for it. 0 (the answer is in *ret_result),
 * -EAGAIN: the pool's queue is full, -ETIMEDOUT or -ECANCELED: it was not begun in time and never
 * will be. What has begun is waited for, whatever the deadline: its memory is yours. */
int leat_offload(int (*fn)(void *arg), void *arg, int64_t deadline_ns, int *ret_result);

/* ---- Channels -------------------------------------------------------------------------------- */

/* A bounded queue of items of one size between fibers of one loop. */
struct leat_channel;

/* A capacity of 0 hands over directly: send returns when a receiver has the item. */
int leat_channel_create(size_t item_size, size_t capacity, struct leat_channel **ret_channel);
/* Nobody may be waiting in it. NULL is fine. */
void leat_channel_destroy(struct leat_channel *channel);
/* 0, -ETIMEDOUT, -ECANCELED, or -LEAT_E_CLOSED. First come, first served. */
int leat_channel_send(struct leat_channel *channel, const void *item, int64_t deadline_ns);
/* As send; what is queued is received even after the channel was closed. */
int leat_channel_recv(struct leat_channel *channel, void *ret_item, int64_t deadline_ns);
/* Those who wait are told. */
void leat_channel_close(struct leat_channel *channel);

#ifdef __cplusplus
}
#endif
#endif
