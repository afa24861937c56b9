/* SPDX-License-Identifier: MIT */
/*
 * Publishing over RTMP: rtmp://ADDR:PORT/live/NAME, or NAME?key=KEY where keys are asked for; the
 * key as it stands, up to '&'. A listener on one worker's loop, a fiber a connection. What comes
 * goes through wire/rtmp and wire/flv to the channel, as what is pushed over HTTP does.
 *
 * Who connects has LIVE_RTMP_STRANGER_MS to say what he publishes, and whoever publishes may not be
 * silent for longer than LIVE_RTMP_SILENCE_MS. At the limit newcomers are sent away.
 */
#ifndef LEAT_LIVE_RTMP_H
#define LEAT_LIVE_RTMP_H

#include <semaphore.h>
#include <stdbool.h>

#include "leat/leat.h"
#include "site_live.h"
#include "worker.h"

enum {
    LIVE_RTMP_BACKLOG = 64,
    LIVE_RTMP_CONNECTIONS_MAX = 64,
    LIVE_RTMP_STRANGER_MS = 10 * 1000,
    LIVE_RTMP_SILENCE_MS = 20 * 1000, /* without a message of pictures or sound */
    LIVE_RTMP_WRITE_MS = 5 * 1000,
    LIVE_RTMP_GOODBYE_MS = 1000,
};

struct live_rtmp {
    /* Set before live_rtmp_start. */
    struct leat_address address;
    const struct socket_group *socket; /* it listens on a duplicate */
    struct site_live *live;
    struct worker *worker; /* on whose loop it is */

    /* live_rtmp's own, from here on the loop's */
    struct leat_listener *listener; /* NULL: it does not listen */
    struct leat_scope scope;        /* of the listener's fiber; those of connections are in that */
    unsigned count;                 /* connections */
    struct task start_task, stop_task;
    sem_t is_decided;
    int error;
    bool is_started; /* the main thread's */
};

/* When the worker serves: returns when it listens. 0 or -errno. */
int live_rtmp_start(struct live_rtmp *rtmp);
/* Ends it soon, before or as the worker ends: publishers are told, and have a second to hear it.
 * Nothing when it was not started. */
void live_rtmp_stop(struct live_rtmp *rtmp);

#endif
