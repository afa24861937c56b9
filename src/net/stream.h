/* SPDX-License-Identifier: MIT */
/*
 * Streams, inner half: the vtable behind which plain TCP and unix sockets are now and TLS will be,
 * with a face for fibers (read) and one for machines on the loop (receive, send). Public half:
 * leat/stream.h.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/stream.h"
#include "loop/loop.h"
#include "net/sender.h"

struct receiver;

/* `result` > 0: that many bytes in `data`, valid during the call. 0: the end of the stream.
 * Negative: an error. When `more` is false the receiver has ended. */
typedef void (*receiver_fn)(struct receiver *receiver, int32_t result, struct leat_slice data,
                            bool more);

/* Receiving without a stack and without a buffer: bytes are handed over as they come. */
struct receiver {
    struct op op;
    receiver_fn on_data;
};

struct stream_ops {
    ssize_t (*read)(struct leat_stream *stream, void *data, size_t size, int64_t deadline_ns);
    void (*receive_start)(struct leat_stream *stream, struct receiver *receiver);
    void (*receive_cancel)(struct leat_stream *stream, struct receiver *receiver);
    /* As sender_start and sender_cancel. */
    int (*send_start)(struct leat_stream *stream, struct sender *sender,
                      const struct leat_vector *vectors, size_t count, sender_done_fn done);
    void (*send_cancel)(struct leat_stream *stream, struct sender *sender);
    int (*finish)(struct leat_stream *stream);
    void (*fini)(struct leat_stream *stream);
};

struct leat_stream {
    const struct stream_ops *ops;
    struct leat_loop *loop;
    int fd;
    unsigned calls; /* of fibers, in progress */
};

extern const struct stream_ops stream_plain_ops;

/* A plain stream of a connected descriptor, which it owns from now on. For streams that live inside
 * their owner; stream_fini closes it. */
void stream_init(struct leat_stream *stream, struct leat_loop *loop, int fd);
void stream_fini(struct leat_stream *stream);

/* A socket to connect to this address with, tuned for it (NULL: as by default), or -errno. */
int stream_socket(const struct leat_address *address, const struct leat_tuning *tuning);
/* As leat_connect, in the calling fiber: a connected descriptor, or -errno. */
int stream_connect(const struct leat_address *address, const struct leat_tuning *tuning,
                   int64_t deadline_ns);

static inline void receiver_init(struct receiver *receiver, receiver_fn on_data)
{
    op_init(&receiver->op, OP_RECV_MANY, -1, NULL);
    receiver->on_data = on_data;
}

static inline bool receiver_is_busy(const struct receiver *receiver)
{
    return op_is_busy(&receiver->op);
}

#endif
