/* SPDX-License-Identifier: MIT */
/*
 * A socket for frames, set up for its role: bound or connected, in its group, with the buffers,
 * stamps and other help the host grants. What a line cannot do without is an error with a reason;
 * what only makes it better (a large buffer, UDP_GRO, SO_BUSY_POLL) is taken as it comes.
 */
#ifndef FEED_TRANSPORT_UDP_SOCKET_H
#define FEED_TRANSPORT_UDP_SOCKET_H

#include "feed/transport.h"

struct udp_socket {
    int fd;
    bool has_gro;         /* what came may be several of one size */
    bool has_sent_stamps; /* there will be times in the error queue */
};

/* SOF_TIMESTAMPING_* of a SEND socket: asked for anew, its keys begin with 0 again. */
int udp_socket_stamp_sent(const struct backend_sys *sys, int fd);

/* 0, or -errno and a line in ret_reason; `options` is of feed_transport_open. */
int udp_socket_open(struct leat_loop *loop, const struct feed_transport_options *options,
                    const struct leat_address *address, struct udp_socket *ret_socket,
                    char *ret_reason, size_t reason_size);

/* An IP address without a port, of the family. 0 or -EINVAL. */
int udp_parse_host(const char *text, int family, struct leat_address *ret_address);

#endif
