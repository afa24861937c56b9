/* SPDX-License-Identifier: MIT */
/*
 * Offload: a bounded pool of threads for what blocks in spite of itself (opening on a cold disk,
 * listing a folder, fdatasync, a user's library). A job is queued, run by one of the threads, and
 * its `done` is called on the loop that queued it. At the queue's limit the newcomer is told.
 *
 * The pool is one a process, started by the first job, and shared by its loops; threads are made as
 * they are needed and live until the last loop goes. In the simulator there are none: jobs run on
 * the loop's thread at a time the seed decides.
 */
#ifndef LOOP_OFFLOAD_H
#define LOOP_OFFLOAD_H

#include "base/list.h"
#include "loop/backend.h"
#include "loop/loop.h"

enum { OFFLOAD_THREADS_MAX = 16, OFFLOAD_QUEUE_MAX = 1024 };

struct offload_job;

enum offload_state { OFFLOAD_IDLE, OFFLOAD_QUEUED, OFFLOAD_RUNNING, OFFLOAD_DONE };

struct offload_job {
    /* Runs in a pool thread (in the simulator: on the loop's). */
    void (*run)(struct offload_job *job, const struct backend_sys *sys);
    /* Runs on the loop; may free the job. After a cancel that came in time run() was not called:
     * `cancelled` says so. */
    void (*done)(struct offload_job *job);
    bool cancelled;

    /* offload's own */
    struct leat_loop *loop;
    enum offload_state state;
    struct list_node node; /* in the queue */
    struct task task;      /* on the way back to its loop */
};

/* 0, or -EAGAIN when OFFLOAD_QUEUE_MAX jobs wait already. */
int offload_submit(struct leat_loop *loop, struct offload_job *job);

/* A job that has not begun will not run; a running one runs to its end. `done` is called in both
 * cases, never before this returns. */
void offload_cancel(struct offload_job *job);

/* For the pool and for backends that run jobs themselves: run() unless cancelled; then, on the
 * loop, done(). */
void offload_run(struct offload_job *job, const struct backend_sys *sys);
void offload_finish(struct offload_job *job);

/* A loop takes part in the pool from its creation to its end. */
void offload_attach(void);
void offload_detach(void);

/* Jobs waiting or running now, in the whole process. */
unsigned offload_depth(void);

#endif
