/* SPDX-License-Identifier: MIT */
/*
 * Names of hosts to addresses: /etc/hosts, then DNS by c-ares, without a stall of the loop.
 *
 * Each loop has a resolver of its own, made by the first who asks: a cache by TTL (what is not
 * there is remembered too, for a second), and one question for all who ask for the same name at the
 * same time. IPv6 and IPv4 are asked for side by side, and what has come is seen at once, for happy
 * eyeballs do not wait (RFC 8305, section 3).
 *
 * A simulated loop reads its world's /etc/hosts, and has no DNS: -LEAT_E_RESOLVER.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "leat/address.h"

struct fiber;
struct leat_loop;
struct resolve_name;

enum {
    RESOLVE_NAMES_MAX = 1024, /* a loop: known and asked for */
    RESOLVE_HOSTS_MAX = 8,    /* addresses of a name, of each family; others are passed over */
    RESOLVE_SERVERS_MAX = 8,
};

enum resolve_family { RESOLVE_V6, RESOLVE_V4, RESOLVE_FAMILIES };

/* Somebody's interest in a name. While it lasts its fiber is woken whenever more is known. */
struct resolve_wait {
    struct list_node node;
    struct fiber *fiber;
    struct resolve_name *name;
    unsigned turn;
};

/* In a fiber; what is said of the name may be there at once. -LEAT_E_NO_HOST: there can be no such
 * name; -LEAT_E_LIMIT: RESOLVE_NAMES_MAX others are being asked for; -ENOMEM. After 0 follows
 * resolve_end, on every path. `host`: not a number. A dot at its end: no search domains. */
int resolve_begin(struct resolve_wait *wait, const char *host);
/* When nobody else waits for any name, what is still asked is given up, and nothing is left of it
 * on the loop when this returns; it may wait for that, which nothing interrupts. */
void resolve_end(struct resolve_wait *wait);

/* Is there nothing more to come, of this family? */
bool resolve_is_over(const struct resolve_wait *wait, enum resolve_family family);
/* When the first address came; LEAT_FOREVER: there is none yet. */
int64_t resolve_since_ns(const struct resolve_wait *wait);
/* The index-th address of the family, with this port; false: there are no more, or not yet. Each
 * who asks begins with another of them, in turn. */
bool resolve_address(const struct resolve_wait *wait, enum resolve_family family, unsigned index,
                     uint16_t port, struct leat_address *ret_address);
/* When both families are over and there is no address: why. */
int resolve_error(const struct resolve_wait *wait);

/* Which family to begin with: IPv6, or what was better the last time. */
enum resolve_family resolve_preferred(const struct resolve_wait *wait);
void resolve_prefer(struct resolve_wait *wait, enum resolve_family family);

/* Of the loop, since it was made. */
struct resolve_counters {
    uint64_t asked;    /* names that were begun with */
    uint64_t kept;     /* of them, answered from the cache */
    uint64_t shared;   /* of them, asked for already */
    uint64_t queries;  /* sent to name servers */
    uint64_t failures; /* names that nobody answered for */
    uint64_t names;    /* in the cache now */
};
void resolve_counters_read(const struct leat_loop *loop, struct resolve_counters *ret_counters);

#endif
