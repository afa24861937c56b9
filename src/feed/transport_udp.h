/* SPDX-License-Identifier: MIT */
/*
 * Kernel UDP. Out, frames of one size leave as one datagram that the kernel, or the card, takes
 * apart (UDP_SEGMENT), and a burst is one system call; in, what belongs together comes together
 * (UDP_GRO). Where a host grants neither, frames are sent and read one by one, many a call.
 */
#ifndef FEED_TRANSPORT_UDP_H
#define FEED_TRANSPORT_UDP_H

#include "feed/transport.h"

/* `address` is that of the options, parsed. As feed_transport_open. */
int transport_udp_open(struct leat_loop *loop, const struct feed_transport_options *options,
                       const struct leat_address *address, struct feed_transport **ret_transport,
                       char *ret_reason, size_t reason_size);

#endif
