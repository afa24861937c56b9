/* SPDX-License-Identifier: MIT */
/*
 * A client of a load: one thread, one loop, its share of the connections. Each connection is a
 * small machine on the loop (the drawing is in client.c); no fiber, no stack, and on io_uring
 * hardly a system call a request. Clients share nothing but the plan.
 *
 * Closed loop: a connection asks again when it was answered. Open loop (plan->rate): request i of
 * all is due at begin + i / rate, whatever the server does; its latency counts from then, also
 * while no connection was free to ask, so that a stall is seen by all requests it delays
 * (coordinated omission).
 */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"
#include "tally.h"

struct load_client;

/* In the thread that will run it, which gets a loop. `index` of plan->threads. 0 or -errno. */
int load_client_create(const struct load_plan *plan, unsigned index,
                       struct load_client **ret_client);
/* Makes the connections that will be kept, as far as the server accepts them within the timeout. */
int load_client_connect(struct load_client *client);
/* The load: from `warm_up_ns` on with the measurement beginning at `begin_ns` (both of the loop's
 * clock, CLOCK_MONOTONIC). Returns when it is over: 0, or -errno when the loop is broken. */
int load_client_run(struct load_client *client, int64_t warm_up_ns, int64_t begin_ns);
void load_client_destroy(struct load_client *client);

/* "uring" or "epoll". */
const char *load_client_engine(const struct load_client *client);

/* ---- From any thread ------------------------------------------------------------------------- */

/* Adds what was counted since the last call, up to about now while it runs, exactly in the end. */
void load_client_collect(struct load_client *client, struct load_tally *tally);
/* It ends soon, without waiting for what was asked. */
void load_client_stop(struct load_client *client);

#endif
