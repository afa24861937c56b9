/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets that exist, through the door to the kernel. Public half: leat/address.h.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/decimal.h"
#include "leat/address.h"
#include "loop/backend.h"

/* Where the socket is bound: with port 0 asked for, what the kernel chose. 0 or -errno. */
int address_of_socket(const struct backend_sys *sys, int fd, struct leat_address *ret_address);

/* Who is at its other end. 0 or -errno. */
int address_of_peer(const struct backend_sys *sys, int fd, struct leat_address *ret_address);

/* The same family and host, whatever the ports are; of unix sockets, the same name. */
bool address_same_host(const struct leat_address *a, const struct leat_address *b);

/* Writes "192.0.2.1", INET_ADDRSTRLEN - 1 bytes at most and no zero byte, and returns where it
 * ends: for the lines that every request writes. */
static inline char *address_put_ipv4(char *at, const struct in_addr *address)
{
    const unsigned char *bytes = (const unsigned char *)&address->s_addr;
    for (int index = 0; index < 4; index++) {
        if (index > 0)
            *at++ = '.';
        at = decimal_put(at, bytes[index]);
    }
    return at;
}

#endif
