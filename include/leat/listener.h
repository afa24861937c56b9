/* SPDX-License-Identifier: MIT */
/*
 * Listeners: where streams come from. One a loop and address; several loops may share an address
 * with SO_REUSEPORT.
 */
#ifndef LEAT_LISTENER_H
#define LEAT_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_listener;

struct leat_listen_options {
    const struct leat_tuning *tuning; /* NULL: the defaults; accepted streams inherit it */
    int backlog;                      /* 0: 4096, which the host's somaxconn may clip */
    bool reuse_port;                  /* several loops listen on one address (SO_REUSEPORT) */
    bool steer_by_cpu;                /* with reuse_port: listener n takes what core n receives */
    unsigned steer_count;             /* how many listeners there will be */
    int inherited_fd;                 /* > 0: a listening socket from elsewhere (systemd) */
};

/* `address` may be NULL with an inherited socket, which is closed when this fails. -EADDRINUSE,
 * -EADDRNOTAVAIL, -EACCES … Port 0 takes a free one (leat_listener_address). */
int leat_listen(const struct leat_address *address, const struct leat_listen_options *options,
                struct leat_listener **ret_listener);
/* The next connection. When descriptors run out accepting pauses and goes on by itself.
 * -LEAT_E_CLOSED when it is closed meanwhile. */
int leat_accept(struct leat_listener *listener, int64_t deadline_ns,
                struct leat_stream **ret_stream);
/* The address it listens on. */
const struct leat_address *leat_listener_address(const struct leat_listener *listener);
/* Its socket, for another loop's listener to inherit a duplicate of. It belongs to the listener. */
int leat_listener_fd(const struct leat_listener *listener);
/* Stops and frees it; those who wait in leat_accept are told -LEAT_E_CLOSED. */
void leat_listener_close(struct leat_listener *listener);

#ifdef __cplusplus
}
#endif
#endif
