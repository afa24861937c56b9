/* SPDX-License-Identifier: MIT */
/*
 * Private to the io_uring backend: its state, and the half of it that makes and unmakes the ring.
 *
 *     backend_uring.c   operations: submission, completion, cancelling, waiting
 *     uring_ring.c      the ring, what of it this kernel can do, and the buffers for OP_RECV_MANY
 */
#ifndef LOOP_URING_H
#define LOOP_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "leat/slice.h"
#include "loop/backend.h"

/* A FILL reads its range in pieces of this size, into memory nobody looks at. */
enum { URING_FILL_PIECE_SIZE = 1024 * 1024 };

/* Connections that a cancelled OP_ACCEPT takes before it ends: as many as a queue usually holds. */
enum { URING_REST_MAX = 4096 };

/* Buffers the kernel picks from when bytes arrive. One that has come with a completion is ours
 * until it is given back; what was given back reaches the kernel with the next publish. */
struct uring_buffers {
    struct io_uring_buf_ring *ring;
    char *data;
    unsigned count, size; /* each of `size` bytes */
    unsigned unpublished;
    size_t mapped_size;
};

struct backend {
    struct io_uring ring;
    struct leat_loop *loop;
    struct list_node backlog;  /* ops that found no room in the submission queue */
    struct list_node starved;  /* RECV_MANY: no buffer was left; first come first served */
    struct list_node served;   /* RECV_MANY: had its bytes, and goes on behind the starved */
    struct list_node finished; /* ops whose result is known without the kernel */
    struct uring_buffers buffers;
    void *fill_scratch;
    bool *is_nonblocking; /* by descriptor: O_NONBLOCK is known to be set */
    int descriptor_count;
    int wake_fd;
    bool is_wake_armed;
    _Atomic int event_fd; /* -1 until somebody embeds the loop */
    bool is_rationed;     /* the starved are being served: one buffer each */
    bool is_in_wait;
    unsigned refused; /* see uring_refuse */
    struct backend_features features;
};

/* For the tests, which have one kernel: what a ring made from now on shall believe this kernel
 * cannot do, so that the ways around it are walked, too. */
enum {
    URING_REFUSE_DEFER_TASKRUN = 1, /* before 6.1 */
    URING_REFUSE_SINGLE_ISSUER = 2, /* before 6.0 */
    URING_REFUSE_MULTISHOT = 4,     /* before 6.0 (receive) and 5.19 (accept) */
    URING_REFUSE_FLUSH = 8,         /* a full submission queue empties in wait() alone */
};
extern unsigned uring_refuse;

int uring_ring_init(struct backend *backend, unsigned queue_entries);
void uring_ring_fini(struct backend *backend);

int uring_buffers_init(struct uring_buffers *buffers, struct io_uring *ring, unsigned count,
                       unsigned size);
void uring_buffers_fini(struct uring_buffers *buffers, struct io_uring *ring);
/* The bytes a completion has brought, until uring_buffers_give. */
struct leat_slice uring_buffers_borrow(struct uring_buffers *buffers, unsigned id, size_t size);
void uring_buffers_give(struct uring_buffers *buffers, unsigned id);
void uring_buffers_publish(struct uring_buffers *buffers);

#endif
