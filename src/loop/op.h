/* SPDX-License-Identifier: MIT */
/*
 * An operation: something asked of the kernel that completes later. It lives inside its owner.
 *
 *              op_init            loop_submit              last completion
 *     (none) ----------> OP_IDLE ------------> OP_BUSY ------------------> OP_IDLE
 *                                    |  loop_cancel: still BUSY, still completes (-ECANCELED or
 *                                    |  with what had happened before the cancel landed)
 *
 * The one rule: an op, and the memory it points to, stay where they are while it is BUSY. The
 * kernel (or the simulator, which checks) writes to them until the last completion has been
 * delivered. `done` is called on the loop's stack, never before loop_submit or loop_cancel has
 * returned; inside it the op may be submitted again, or its memory freed, when `more` is false.
 */
#ifndef LOOP_OP_H
#define LOOP_OP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"

struct op;

enum op_kind {
    OP_ACCEPT,  /* many: `result` is a connected descriptor (blocking mode unspecified, cloexec) */
    OP_CONNECT, /* once: 0 or an error */
    OP_RECV,    /* once: 1..size bytes in the owner's buffer, 0 at the end of the stream */
    OP_RECV_MANY, /* many: bytes in `completion.data`, valid during the call; 0: end of stream */
    OP_SEND,      /* once: all of the bytes (`result` = size) or an error */
    OP_POLL,      /* once: the events that are ready (POLLIN | POLLOUT | POLLERR | POLLHUP) */
    OP_READ,      /* once: 0..size bytes of a file at `offset`, from the disk if need be */
    OP_FILL,      /* once: 0 when a range of a file is (as far as it exists) in the page cache */
};

enum op_state { OP_IDLE, OP_BUSY };

struct completion {
    int32_t result;         /* as the kind says, or -errno */
    bool more;              /* "many" kinds: further completions will follow; the op stays BUSY */
    struct leat_slice data; /* OP_RECV_MANY alone */
};

typedef void (*op_done_fn)(struct op *op, const struct completion *completion);

/* Results that every backend shares (see tests/unit/loop/test_conformance.c):
 *   -ECANCELED     loop_cancel landed first
 *   -ECONNRESET, -EPIPE, -ECONNREFUSED, -ETIMEDOUT     as in connect(2), recv(2), send(2)
 *   -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM on OP_ACCEPT   ends it (`more` false): submit it once more
 *   -ENOBUFS on OP_RECV_MANY never reaches an owner: the backend arms it again by itself. */
struct op {
    enum op_kind kind : 8;
    enum op_state state : 8;
    bool cancelled; /* loop_cancel was called since the last submit */
    int fd;
    op_done_fn done;
    void *waiter; /* fiber_await's */
    union {
        struct {
            /* Set before a cancel: connections that this op was woken for are accepted first. Who
             * shares the socket would not hear of them. */
            bool takes_rest;
        } accept;
        struct {
            const struct sockaddr *address;
            socklen_t size;
        } connect;
        struct {
            void *data;
            size_t size;
        } recv;
        struct {
            const void *data;
            size_t size;
            size_t sent; /* the backend's own progress; starts as 0 */
            bool more;   /* further bytes will follow at once: the kernel may wait for them */
        } send;
        struct {
            short events;
        } poll;
        struct {
            void *data;
            size_t size;
            uint64_t offset;
        } read;
        struct {
            size_t size;
            uint64_t offset;
        } fill;
    };
    struct list_node node;  /* the backend's, while BUSY */
    uint64_t backend_word;  /* the backend's, while BUSY */
    uint32_t backend_count; /* the backend's, while BUSY */
};

/* BUSY ops of this thread's loop. */
extern _Thread_local unsigned op_busy_count __attribute__((tls_model("initial-exec")));

static inline void op_init(struct op *op, enum op_kind kind, int fd, op_done_fn done)
{
    op->kind = kind;
    op->state = OP_IDLE;
    op->cancelled = false;
    op->fd = fd;
    op->done = done;
    op->waiter = NULL;
    memset(&op->send, 0, sizeof op->send); /* the largest of them */
    static_assert(sizeof op->send >= sizeof op->read, "all arguments are zero");
    list_init(&op->node);
}

static inline bool op_is_busy(const struct op *op)
{
    return op->state == OP_BUSY;
}

/* Backends deliver through this alone: it settles the state before the owner sees the result. */
static inline void op_complete(struct op *op, const struct completion *completion)
{
    ASSERT(op->state == OP_BUSY);
    if (!completion->more) {
        op->state = OP_IDLE;
        op_busy_count--;
    }
    op->done(op, completion);
}

#endif
