/* SPDX-License-Identifier: MIT */
/*
 * What carries frames: a burst out, a burst in, neither ever waits. A frame is one packet of
 * MoldUDP64; it arrives whole or not at all, once or twice, in any order. Here are no sockets: they
 * are one of the ways to carry.
 *
 *     udp   kernel UDP: groups and single addresses; frames of one size leave together
 *     shm   a ring in shared memory, for the same host
 *     unfaithful   another transport, with loss, disorder and duplicates by a seed: for tests
 *
 * Every transport passes one suite, tests/unit/feed/test_transports.c. Those that own the wire's
 * memory themselves (AF_XDP, DPDK, RDMA) are to come behind the same door.
 * One thread: its loop's.
 */
#ifndef FEED_TRANSPORT_H
#define FEED_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/address.h"
#include "leat/feed.h"
#include "loop/loop.h"

struct feed_frame {
    const uint8_t *data;
    uint32_t size;
    int64_t stamp_ns; /* in: the kernel had it then, on the wall clock; 0: nobody knows */
    /* in: who sent it, NULL when nobody knows; out: to whom; NULL: to the transport's address */
    const struct leat_address *peer;
};

enum { FEED_BURST_MAX = 256 };

struct feed_transport_stats {
    uint64_t sent, received;      /* frames */
    uint64_t lost;                /* out: taken, and refused by the kernel for another reason than
                                    that it is busy */
    uint64_t dropped;             /* in: they came, and there was no room, or they were too long */
    uint64_t foreign;             /* in: of another source than the one asked for */
    uint64_t calls_out, calls_in; /* system calls */
    uint64_t stamps;              /* out: frames whose time of leaving is known, */
    int64_t stamp_sum_ns;         /* and how long after the call they left, all together */
};

struct feed_transport;

struct feed_transport_ops {
    const char *name;
    /* Sends frames in order; `count` is 1..FEED_BURST_MAX. How many were taken, 1 or more: one that
     * the kernel refuses for good counts as taken, and in `lost`. -EAGAIN: none, for now. */
    int (*send)(struct feed_transport *transport, const struct feed_frame *frames, unsigned count);
    /* Up to `count` frames, borrowed until the next call of `receive` or `destroy`. -EAGAIN: there
     * are none. -ENOTSUP: this one only sends. */
    int (*receive)(struct feed_transport *transport, struct feed_frame *ret_frames, unsigned count);
    /* What poll(2) tells readiness of; -ENOTSUP: nothing does, it has to be asked all the time. */
    int (*fd)(const struct feed_transport *transport);
    /* Its own, where it has one; NULL: it never does. */
    int (*address)(const struct feed_transport *transport, struct leat_address *ret_address);
    void (*stats)(struct feed_transport *transport, struct feed_transport_stats *ret_stats);
    void (*destroy)(struct feed_transport *transport);
};

struct feed_transport {
    const struct feed_transport_ops *ops;
};

enum feed_role {
    FEED_ROLE_SEND,    /* a publisher's line */
    FEED_ROLE_RECEIVE, /* a subscriber's */
    FEED_ROLE_ASK,     /* requests out, answers in: the address is the publisher's */
    FEED_ROLE_ANSWER,  /* requests in, answers out, each with its peer */
};

struct feed_transport_options {
    const char *address; /* as leat/feed.h has them; "shm:" only sends or receives */
    enum feed_role role;
    const char *source;     /* RECEIVE: of this IP address alone; NULL: of anyone */
    size_t packet_size_max; /* longer ones are dropped and counted */
    struct leat_feed_socket_options socket;
};

/* 0, or -errno and a line in ret_reason. Not blocking; no fiber is needed. */
int feed_transport_open(struct leat_loop *loop, const struct feed_transport_options *options,
                        struct feed_transport **ret_transport, char *ret_reason,
                        size_t reason_size);

/* The socket's own address (port 0 was asked for, or ASK); -ENOTSUP for what has none. */
int feed_transport_address(const struct feed_transport *transport,
                           struct leat_address *ret_address);

/* Writes the line to ret_reason (of `reason_size`, which may be 0) and returns the error. */
int feed_refuse(int error, char *ret_reason, size_t reason_size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- A transport that cannot be trusted ------------------------------------------------------ */

struct feed_unfaithful_options {
    uint64_t seed;
    /* in millionths, of frames received (and, with `acts_on_send`, sent) */
    uint32_t loss, duplicate, reorder;
    unsigned reorder_frames; /* a late one comes up to so many frames later, 1..64 */
    bool acts_on_send;
};

/* Owns `inner` from now on, and destroys it. -ENOMEM, and `inner` is still the caller's. */
int feed_unfaithful_create(struct feed_transport *inner,
                           const struct feed_unfaithful_options *options,
                           struct feed_transport **ret_transport);

static inline int feed_send(struct feed_transport *transport, const struct feed_frame *frames,
                            unsigned count)
{
    return transport->ops->send(transport, frames, count);
}

static inline int feed_receive(struct feed_transport *transport, struct feed_frame *ret_frames,
                               unsigned count)
{
    return transport->ops->receive(transport, ret_frames, count);
}

static inline void feed_transport_destroy(struct feed_transport *transport)
{
    if (transport)
        transport->ops->destroy(transport);
}

#endif
