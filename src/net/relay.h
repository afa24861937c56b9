/* SPDX-License-Identifier: MIT */
/*
 * Relaying, inner half: a step moves what two sockets have and take without waiting, by splice
 * through a pooled pipe, or where pipes run out by copying through memory of the loop's, and says
 * what to wait for. Who drives it chooses how to wait. Public half: leat/relay.h.
 *
 *     relay_init -> [relay_step -> wait for what it wants] ... -> relay_fini
 *
 * A pipe is held only while it has bytes in it; nothing is taken from one socket before the other
 * has taken all there was, and been ready for more: a thousand slow receivers hold no memory.
 */
#ifndef NET_RELAY_H
#define NET_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "net/stream.h"

enum relay_want {
    RELAY_DONE,        /* `left` bytes were moved */
    RELAY_ENDED,       /* the sender has ended before that */
    RELAY_WANTS_INPUT, /* POLLIN of from */
    RELAY_WANTS_ROOM,  /* POLLOUT of to */
    RELAY_WANTS_TURN,  /* others should run first */
    RELAY_FAILED,      /* `error` tells; the receiver's when is_to_error */
};

struct relay_pipe {
    int out_fd, in_fd; /* read from the first, written to the second; -1: none is held */
    uint32_t size;
};

struct relay {
    struct leat_loop *loop;
    int from_fd, to_fd;
    uint64_t left;          /* still to be taken; UINT64_MAX: until the end */
    uint64_t moved;         /* handed to the receiver's kernel */
    size_t held;            /* taken and not yet handed over: in the pipe, or in `rest` */
    uint32_t chunk;         /* taken at a time; it follows what the receiver takes */
    uint32_t turn;          /* moved since the last turn */
    bool is_to_blocked;     /* it did not take all of the last chunk */
    bool is_to_error, more; /* more: further bytes will follow what is moved (MSG_MORE) */
    int error;
    struct relay_pipe pipe;
    char *rest; /* copied, and not taken at once; NULL: nothing */
    uint32_t rest_begin;
};

void relay_init(struct relay *relay, struct leat_loop *loop, int from_fd, int to_fd, uint64_t size);
enum relay_want relay_step(struct relay *relay);
/* What is held is lost. */
void relay_fini(struct relay *relay);

/* Drives it in the calling fiber: 0 (all was moved, or the end has come: relay->left tells), or an
 * error. Each wait for input ends at `input_timeout_ns` after it began (-ETIMEDOUT); 0: never. */
int relay_run(struct relay *relay, int64_t input_timeout_ns, int64_t deadline_ns);

#endif
