/* SPDX-License-Identifier: MIT */
/*
 * What the kernel has measured on the way to a socket's peer (TCP_INFO). Public half: stream.h.
 */
#ifndef NET_DELIVERY_H
#define NET_DELIVERY_H

#include "leat/stream.h"

struct backend_sys;

/* As leat_stream_delivery, of a descriptor. */
int delivery_look(const struct backend_sys *sys, int fd, struct leat_delivery *ret_delivery);

#endif
