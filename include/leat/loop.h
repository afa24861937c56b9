/* SPDX-License-Identifier: MIT */
/*
 * A completion loop: one a thread, made, run and destroyed in that thread. Everything else in leat
 * happens on a loop. Most programs never see it: leat_run (leat/fiber.h) makes one. While it lives
 * SIGPIPE is blocked in its thread: a peer that is gone is -EPIPE.
 */
#ifndef LEAT_LOOP_H
#define LEAT_LOOP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leat_loop;

enum leat_engine {
    LEAT_ENGINE_AUTO, /* io_uring where it works, else epoll */
    LEAT_ENGINE_URING,
    LEAT_ENGINE_EPOLL,
};

struct leat_loop_options {
    enum leat_engine engine;
    /* Rounded up to a power of two, 32,768 at most. */
    unsigned queue_entries;   /* 0: 1024 */
    unsigned receive_buffers; /* 0: 256; each of receive_buffer_size bytes (0: 2048) */
    unsigned receive_buffer_size;
};

/* 0, or -errno: -ENOSYS or -EPERM when `engine` is URING and this host refuses it, -EEXIST when
 * this thread has a loop already. `options` may be NULL. */
int leat_loop_create(const struct leat_loop_options *options, struct leat_loop **ret_loop);

/* NULL is fine. Nothing may be running on the loop any more. */
void leat_loop_destroy(struct leat_loop *loop);

/* Runs until leat_loop_stop, or until nothing is left that could ever happen (no operation, no
 * timer, no task). 0, or -errno when waiting for the kernel fails. */
int leat_loop_run(struct leat_loop *loop);

/* One turn: waits until something happens or `deadline_ns`, and does it. For programs with a loop
 * of their own: wait until leat_loop_fd is readable, then call this with a deadline of 0. */
int leat_loop_run_once(struct leat_loop *loop, int64_t deadline_ns);

/* A descriptor that is readable when leat_loop_run_once has something to do, timers included; it
 * belongs to the loop. Or -errno. Calls that start new work from outside must be followed by one
 * leat_loop_run_once. */
int leat_loop_fd(struct leat_loop *loop);

/* From any thread, and from a signal handler: leat_loop_run returns soon. */
void leat_loop_stop(struct leat_loop *loop);

/* "uring" or "epoll". */
const char *leat_loop_engine(const struct leat_loop *loop);

/* The loop of the calling thread, or NULL. */
struct leat_loop *leat_loop_current(void);

/* A thread watches all loops of the process: when one has not come round for `threshold_ms`,
 * `report` is called in the watching thread with the name of the fiber (or "loop") that holds it,
 * once an incident. A threshold of 0 ends the watch. */
typedef void (*leat_watchdog_fn)(const char *name, int64_t held_ms, void *user);
int leat_watchdog(int64_t threshold_ms, leat_watchdog_fn report, void *user);

#ifdef __cplusplus
}
#endif
#endif
