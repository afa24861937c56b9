/* SPDX-License-Identifier: MIT */
/*
 * Listeners, inner half: connections are handed to a machine as they come. Public half:
 * leat/listener.h.
 *
 *                     start                    out of descriptors, memory
 *      LISTENER_IDLE -------> LISTENER_ACCEPTING -------------------> LISTENER_PAUSED
 *        |  ^   ^                  |   |                                 |   |
 *        |  |   +-- enough, stop --+   |                                 |   |
 *        |  +--------------------------|-------- after a while ----------+   |
 *        v                             v                                     v
 *        +----------------- close -----+-------------------------------------+
 *                                      v
 *                            LISTENER_CLOSED (freed when its op has ended)
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "leat/listener.h"
#include "loop/loop.h"

enum {
    LISTENER_BACKLOG = 4096,
    /* Accepted, and not yet asked for by leat_accept: at the first number accepting stops, and what
     * was on its way by then (io_uring takes all that wait at once) has room up to the second. */
    LISTENER_QUEUE_ENOUGH = 32,
    LISTENER_QUEUE_MAX = 2 * LISTENER_BACKLOG,
    LISTENER_PAUSE_MS = 100, /* when descriptors have run out */
};

/* The descriptor is the callee's from now on. */
typedef void (*listener_accept_fn)(void *user, int fd);

/* Begins to accept; connections go to `accept`. Not together with leat_accept. */
void listener_start(struct leat_listener *listener, listener_accept_fn accept, void *user);
/* Accepts no more until the next start; what is on its way is still handed over. */
void listener_stop(struct leat_listener *listener);

/* Closes it after listener_start. What the kernel has accepted by then is still handed over, for
 * its client was told that it is connected; when nothing can come any more the listener is freed
 * and `gone` called with the user of listener_start, maybe before this returns. */
typedef void (*listener_gone_fn)(void *user);
void listener_close_gently(struct leat_listener *listener, listener_gone_fn gone);

#endif
