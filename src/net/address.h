/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets that exist, through the door to the kernel. Public half: leat/address.h.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "leat/address.h"
#include "loop/backend.h"

/* Where the socket is bound: with port 0 asked for, what the kernel chose. 0 or -errno. */
int address_of_socket(const struct backend_sys *sys, int fd, struct leat_address *ret_address);

/* Who is at its other end. 0 or -errno. */
int address_of_peer(const struct backend_sys *sys, int fd, struct leat_address *ret_address);

/* The same family and host, whatever the ports are; of unix sockets, the same name. */
bool address_same_host(const struct leat_address *a, const struct leat_address *b);

#endif
