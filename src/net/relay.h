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
    RELAY_WANTS_INPUT, /* POLLIN of from_fd */
    RELAY_WANTS_ROOM,  /* POLLOUT of to_fd */
    RELAY_WANTS_TURN,  /* others should run first */
    RELAY_FAILED,      /* `error` tells */
};

struct relay_pipe {
    int out_fd, in_fd; /* read from the first, written to the second */
    size_t size;       /* 0: none is held */
};

struct relay {
    struct leat_loop *loop;
    int from_fd, to_fd;
    bool may_splice;  /* both are plain sockets */
    bool more;        /* further bytes will follow the last that is moved (MSG_MORE) */
    uint64_t left;    /* still to be taken; UINT64_MAX: until the end */
    uint64_t moved;   /* handed to the receiver's kernel */
    size_t held;      /* taken and not yet handed over: in the pipe, or in `rest` */
    size_t chunk;     /* taken at a time; it follows what the receiver takes */
    size_t turn;      /* moved in this turn */
    bool was_blocked; /* the receiver has not taken all of the last chunk at once */
    bool is_to_blame; /* FAILED: it was the receiver */
    int error;
    struct relay_pipe pipe;
    char *rest; /* what was copied and is held; NULL: nothing */
    size_t rest_begin;
};

/* `size` bytes, UINT64_MAX: until the end; between plain streams. */
void relay_init(struct relay *relay, struct leat_stream *from, struct leat_stream *to,
                uint64_t size);
enum relay_want relay_step(struct relay *relay);
/* What is held is lost. */
void relay_fini(struct relay *relay);

/* Waits in the calling fiber for what a step wanted. 0, or why it may wait no more. */
int relay_wait(struct relay *relay, enum relay_want want, int64_t deadline_ns);

#endif
