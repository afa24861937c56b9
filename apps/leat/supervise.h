/* SPDX-License-Identifier: MIT */
/*
 * The main thread of a server once the workers serve: it waits for signals, for news of a
 * successor, and for the workers to end.
 *
 *              SIGTERM, SIGINT, a worker has failed
 *     SERVING -------------------------------------> ENDING -- all workers have ended --> over
 *      |   ^                                           ^ |
 *      |   | SIGHUP: logs                              | +-- a second signal: at once
 *      |   | SIGUSR2: a successor starts               |
 *      |   +-- it fails                SIGTERM, SIGINT |
 *      +------ it serves -----> REPLACED --------------+
 *                                  +------ all workers have ended --> over
 */
#ifndef LEAT_SUPERVISE_H
#define LEAT_SUPERVISE_H

#include <stdint.h>

#include "replace.h"
#include "worker.h"

struct supervision {
    const char *command; /* what its messages begin with */
    int signal_fd;       /* supervise_prepare's; closed at the end */
    struct worker *workers;
    struct worker_settings *settings;
    struct sockets *sockets;
    const struct program *program;
    const char *sandbox;      /* what replace_start is told */
    int64_t grace_ms;         /* SIGTERM: for what is in work */
    int64_t replace_grace_ms; /* SIGUSR2: likewise */
    /* SIGHUP: to open anew what may have been moved away. NULL: nothing. */
    void (*on_hup)(void *user);
    /* It serves no more: it ends with what is in work, or another has taken its place. NULL:
     * nothing. */
    void (*on_end)(bool is_replaced, void *user);
    void *user;
};

/* Blocks the signals that it waits for, in this thread and those it makes from then on; before
 * there are any. Returns the descriptor that tells of them, or -errno: it has to be there before
 * the first client is, for a crowd of clients may leave none. */
int supervise_prepare(void);
/* Until all workers have ended and are joined. Returns the exit status; a second signal does not
 * let it return. */
int supervise(const struct supervision *supervision);

#endif
