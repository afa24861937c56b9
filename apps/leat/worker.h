/* SPDX-License-Identifier: MIT */
/*
 * A worker of a service (service.h): a thread with a loop, listeners and a server of its own.
 * Workers share nothing but the sockets they listen on and what is served, which the main thread
 * has opened.
 */
#ifndef LEAT_WORKER_H
#define LEAT_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "leat/leat.h"
#include "loop/loop.h"
#include "sockets.h"

struct worker;

struct worker_settings {
    enum leat_engine engine;
    unsigned thread_count;
    struct leat_http_options http; /* handler and user: what is served */
    struct leat_tuning tuning;
    int backlog;
    bool steer_by_cpu;
    const struct sockets *sockets; /* each worker listens on duplicates of its share */
    int ended_fd;                  /* an eventfd: counts the workers that have ended */
    /* On the worker's loop: when it serves; when it has ended, but for what was posted there
     * meanwhile. NULL: nothing. */
    void (*on_begin)(struct worker *worker, void *user);
    void (*on_end)(struct worker *worker, void *user);
    void *user;
};

struct worker {
    struct worker_settings *settings;
    unsigned index;
    pthread_t thread;
    struct leat_loop *loop;
    struct leat_http_server *server;
    struct task stop_task;
    pthread_mutex_t lock; /* for other threads: the loop and the server are there as long as said */
    bool has_loop, has_server;
    struct leat_http_counters last_counters; /* of a server that has gone */
    struct leat_http_compress_counters last_compress;
    int64_t idle_ns, grace_ns; /* of the stop */
    const char *engine;
    /* How the start went: 0, or an error and what it was about. */
    int error;
    char what[256];
};

/* Starts the thread and waits until it serves or has failed; then worker->error tells. Returns 0 or
 * -errno of the thread's creation. */
int worker_start(struct worker *worker, struct worker_settings *settings, unsigned index);
/* From another thread, once: ends what is idle at the one instant, what is in work at the other. */
void worker_stop(struct worker *worker, int64_t idle_ns, int64_t grace_ns);
void worker_join(struct worker *worker);

/* ---- For the admin's thread ------------------------------------------------------------------ */

/* The task runs on the worker's loop soon. False: that has ended. */
bool worker_post(struct worker *worker, struct task *task);
/* Of its server, or the last of them when it has gone. */
void worker_counters(struct worker *worker, struct leat_http_counters *ret_counters);
void worker_compress_counters(struct worker *worker,
                              struct leat_http_compress_counters *ret_counters);
/* The name of the fiber that runs there now; NULL: none. */
const char *worker_running(struct worker *worker);

#endif
