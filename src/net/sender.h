/* SPDX-License-Identifier: MIT */
/*
 * The sender: drains a list of send vectors into a plain socket, however slowly the peer reads, and
 * holds no stack meanwhile. It is a small machine on the loop:
 *
 *            sender_start
 *                 |
 *                 v      memory: OP_SEND, or send(2) at once        all sent
 *            +--------+  file:   residency? sendfile(2) at once   ------------> done(0)
 *            |  step  |
 *            +--------+ -- socket full --> OP_POLL --+
 *               ^   |-- range cold ----> OP_FILL --+ |        sender_cancel, an error
 *               |   +-- had its share -> a task -+ | |       ------------> done(error)
 *               +--------------------------------+-+-+
 *
 * Exactly one op is BUSY while it waits, beside at most one prefetch of the next window. The owner
 * keeps vectors, memory and files until `done`, which is never called from within sender_start or
 * sender_cancel.
 */
#ifndef NET_SENDER_H
#define NET_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/stream.h"
#include "loop/loop.h"
#include "net/file.h"

struct sender;

/* 0: the kernel has taken all. -ECANCELED, -EPIPE, -ECONNRESET, -LEAT_E_TRUNCATED, -EIO …: the
 * stream is good for closing only. */
typedef void (*sender_done_fn)(struct sender *sender, int result);

enum sender_state { SENDER_IDLE, SENDER_BUSY, SENDER_ENDING };

struct sender {
    struct leat_loop *loop;
    int fd;
    enum sender_state state;
    bool is_cancelled;
    bool is_corked; /* the kernel holds back what does not fill a segment */
    const struct leat_vector *vectors;
    size_t count, index;
    uint64_t position;     /* within vectors[index] */
    uint64_t resident_end; /* file bytes of vectors[index] before this offset may be sent */
    uint64_t prefetch_end; /* up to here the prefetch has been asked to read */
    struct leat_file *prefetch_file;
    unsigned fills_left; /* until a range that will not stay in the cache is sent all the same */
    struct op op;
    struct op prefetch;
    struct file_fill fill, prefetch_fill; /* what they read, when they do */
    struct task task;
    bool is_deferred; /* the task is queued */
    sender_done_fn done;
    int result;
    int64_t progress_ns; /* when the socket last took something: for the owner's stall timeout */
    uint64_t sent;       /* bytes, since sender_init */
};

void sender_init(struct sender *sender, struct leat_loop *loop, int fd);

/* 0: all was sent at once and `done` will not be called. -EINPROGRESS: `done` will be called. Any
 * other error: it failed at once and `done` will not be called. */
int sender_start(struct sender *sender, const struct leat_vector *vectors, size_t count,
                 sender_done_fn done);

/* `done` follows soon (with -ECANCELED, unless all was sent before the cancel landed). */
void sender_cancel(struct sender *sender);

/* It is not the peer who keeps it waiting. */
static inline bool sender_awaits_disk(const struct sender *sender)
{
    return op_is_busy(&sender->op) && sender->op.kind == OP_FILL;
}

static inline bool sender_is_busy(const struct sender *sender)
{
    return sender->state != SENDER_IDLE;
}

#endif
