/* SPDX-License-Identifier: MIT */
/*
 * The administrator's address: the dashboard at /, /metrics, /healthz, /debug/fibers. A thread of
 * its own with a loop and a server of its own, so that it answers also when a worker does not.
 *
 * What a worker's loop must tell is asked for by a task that is posted there and comes back; who
 * has not answered within a second is held. The admin's loop outlives the workers, whose answers
 * may come late; its listener goes earlier, when another process takes over.
 */
#ifndef LEAT_ADMIN_H
#define LEAT_ADMIN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "dashboard.h"
#include "leat/leat.h"
#include "loop/loop.h"
#include "process_stats.h"
#include "proxies.h"
#include "worker.h"

enum { ADMIN_BACKLOG = 64 };

struct admin {
    /* Set before admin_start. */
    struct leat_address address;
    const struct socket_group *socket; /* it listens on a duplicate */
    struct worker *workers;
    unsigned worker_count;
    struct leat_access_log *log;                     /* NULL: none */
    struct site_films *films;                        /* NULL: there are none */
    const struct leat_http_coded_files *coded_files; /* likewise */
    struct live_hub *live;                           /* NULL: there are no channels */
    const struct proxies *proxies;                   /* NULL: there are none */
    struct process_files files;

    /* admin's own */
    pthread_t thread;
    struct leat_loop *loop;
    struct leat_http_server *server;
    struct leat_http_router *router;
    struct timer keep; /* runs, far in the future, until admin_stop */
    struct dashboard *dashboard;
    struct leat_events *events; /* its snapshots */
    struct leat_scope scope;    /* of the fiber that makes them: */
    struct fiber *watcher;      /* while it waits for the next second */
    struct task release_task, stop_task;
    _Atomic bool is_draining;
};

/* Starts the thread and returns when it serves. 0 or -errno. */
int admin_start(struct admin *admin);
/* From now on /healthz is 503. */
void admin_drain(struct admin *admin);
/* Listens no more: another process wants the address. */
void admin_release(struct admin *admin);
/* Ends the thread, when the workers have ended. */
void admin_stop(struct admin *admin);

#endif
