/* SPDX-License-Identifier: MIT */
/*
 * How many connections each client address has: an IPv4 address, or an IPv6 /64, which is what one
 * subscriber is given. Entries exist while they have connections. One thread: the server's.
 */
#ifndef HTTP_CROWD_H
#define HTTP_CROWD_H

#include <stdint.h>

#include "base/hash.h"
#include "leat/address.h"

struct crowd_entry {
    struct hash_node node;
    uint64_t key[2];
    unsigned count;
};

struct crowd {
    struct hash_table table;
    struct hash_seed seed;
};

/* 0 or -ENOMEM. */
int crowd_init(struct crowd *crowd, struct hash_seed seed);
/* Everybody must have left. */
void crowd_fini(struct crowd *crowd);

/* One more of this address. 0; -LEAT_E_LIMIT when `count_max` are there already, -ENOMEM. Unix
 * sockets have no address: 0 and NULL. */
int crowd_enter(struct crowd *crowd, const struct leat_address *address, unsigned count_max,
                struct crowd_entry **ret_entry);
/* NULL is fine. */
void crowd_leave(struct crowd *crowd, struct crowd_entry *entry);

#endif
