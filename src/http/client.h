/* SPDX-License-Identifier: MIT */
/*
 * A client: a pool of connections, and the hosts it has asked, each a destination of the pool. All
 * threads share it: its table is under a lock, which is held for a look-up alone. A host that
 * nobody asks and to which no connection is left gives its place to another one when there are too
 * many.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "http/conn_pool.h"
#include "leat/fetch.h"
#include "wire/url.h"

enum { CLIENT_HOSTS_MAX = 4096, CLIENT_PORT = 80 };

/* Where a fetch goes. Name and port stay as they are while it has users. */
struct client_host {
    struct leat_client *client;
    struct conn_pool_destination *destination;
    struct hash_node node;
    struct list_node idle_node; /* in client->idle while it has no user */
    unsigned users;             /* fetches */
    uint16_t port;
    char name[URL_HOST_SIZE_MAX + 1]; /* as leat_dial takes it */
};

struct leat_client {
    struct conn_pool *pool;
    struct conn_pool_destination_options limits; /* of every destination */
    int64_t connect_timeout_ns;
    struct leat_tuning tuning;
    char *user_agent; /* "": none is said */

    pthread_mutex_t lock; /* of what follows */
    struct hash_table hosts;
    struct hash_seed seed;
    struct list_node idle; /* the one that has had no user for longest first */

    _Atomic uint64_t fetches, retries, redirects; /* many write them */
};

/* The host of an http URL, to be let go by client_let_host_go. -LEAT_E_LIMIT: too many are in use;
 * -ENOMEM. */
int client_take_host(struct leat_client *client, const struct url *url,
                     struct client_host **ret_host);
/* NULL is fine. */
void client_let_host_go(struct client_host *host);

static inline void client_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
