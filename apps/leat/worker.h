/* SPDX-License-Identifier: MIT */
/*
 * A worker of `leat serve`: a thread with a loop, listeners, a server and a site of its own.
 * Workers share nothing but the addresses they listen on.
 */
#ifndef LEAT_WORKER_H
#define LEAT_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "leat/leat.h"
#include "loop/loop.h"

enum { WORKER_ADDRESSES_MAX = 16 };

struct site;

struct worker_settings {
    const struct site *site; /* open */
    enum leat_engine engine;
    unsigned thread_count;
    struct leat_http_options http;
    struct leat_tuning tuning;
    int backlog;
    bool steer_by_cpu;
    /* Where to listen; the first worker puts in the ports that were asked for as 0. */
    struct leat_address addresses[WORKER_ADDRESSES_MAX];
    /* Sockets from systemd, or of the first worker (unix sockets have no REUSEPORT): each worker
     * listens on a duplicate. 0: none. */
    int inherited_fds[WORKER_ADDRESSES_MAX];
    unsigned address_count;
};

struct worker {
    struct worker_settings *settings;
    unsigned index;
    pthread_t thread;
    struct leat_loop *loop;
    struct leat_http_server *server;
    struct task stop_task;
    const char *engine;
    /* How the start went: 0, or an error and what it was about. */
    int error;
    char what[256];
};

/* Starts the thread and waits until it serves or has failed; then worker->error tells. The first
 * worker (index 0) must be started first. Returns 0 or -errno of the thread's creation. */
int worker_start(struct worker *worker, struct worker_settings *settings, unsigned index);
/* From another thread: ends what is idle, lets what is in work finish for a grace. */
void worker_stop(struct worker *worker);
void worker_join(struct worker *worker);

#endif
