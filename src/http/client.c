/* SPDX-License-Identifier: MIT */
/*
 * See client.h. A host's entry, once made, stays as long as the client, for so does its destination
 * in the pool; what changes is whose it is.
 */
#include "http/client.h"

#include <errno.h>
#include <stdlib.h>

#include "base/counters.h"
#include "http/fetch_head.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "leat/version.h"
#include "net/dial.h"
#include "wire/chars.h"

enum {
    CONNECTIONS_MAX = 4096,
    CONNECTIONS_PER_HOST_MAX = 64,
    WAITING_MAX = 1024,
    CONNECT_TIMEOUT_MS = 10 * 1000,
    IDLE_TIMEOUT_MS = 30 * 1000,
    PLACES_LOOKED_AT = 16, /* for one that may be taken */
};

/* ---- Hosts ----------------------------------------------------------------------------------- */

static int dial(void *user, int64_t deadline_ns)
{
    const struct client_host *host = user;
    const struct leat_client *client = host->client;
    const int64_t latest_ns = leat_now_ns() + client->connect_timeout_ns;
    return dial_host(host->name, host->port, &client->tuning,
                     deadline_ns < latest_ns ? deadline_ns : latest_ns);
}

static struct client_host *find(const struct leat_client *client, uint64_t hash,
                                struct leat_slice name, uint16_t port)
{
    for (struct hash_node *node = hash_find(&client->hosts, hash); node;
         node = hash_find_next(node)) {
        struct client_host *host = CONTAINER_OF(node, struct client_host, node);
        if (host->port == port && slice_equal(slice_from_text(host->name), name))
            return host;
    }
    return NULL;
}

/* One that nobody asks and to which there is no connection, taken out of the table; or NULL. */
static struct client_host *take_place(struct leat_client *client)
{
    struct list_node *node = client->idle.next;
    for (unsigned i = 0; i < PLACES_LOOKED_AT && node != &client->idle; i++, node = node->next) {
        struct client_host *host = CONTAINER_OF(node, struct client_host, idle_node);
        struct conn_pool_counters counters;
        ASSERT(host->users == 0);
        conn_pool_destination_counters(host->destination, &counters);
        if (counters.resting_now + counters.leased_now + counters.waiting_now > 0)
            continue;
        hash_remove(&client->hosts, &host->node);
        list_remove(&host->idle_node);
        return host;
    }
    return NULL;
}

static int make_host(struct leat_client *client, struct client_host **ret_host)
{
    struct client_host *host = malloc(sizeof *host);
    if (!host)
        return -ENOMEM;
    *host = (struct client_host){.client = client};
    struct conn_pool_destination_options options = client->limits;
    options.name = "client";
    options.dial = dial;
    options.user = host;
    const int error = conn_pool_add(client->pool, &options, &host->destination);
    if (error) {
        free(host);
        return error;
    }
    *ret_host = host;
    return 0;
}

/* With the lock held. The new host is in the table, and in nobody's use. */
static int add_host(struct leat_client *client, uint64_t hash, struct leat_slice name,
                    uint16_t port, struct client_host **ret_host)
{
    struct client_host *host = NULL;
    if (client->hosts.count == CLIENT_HOSTS_MAX) {
        host = take_place(client);
        if (!host)
            return -LEAT_E_LIMIT;
    } else {
        const int error = make_host(client, &host);
        if (error)
            return error;
    }
    ASSERT(name.size <= URL_HOST_SIZE_MAX);
    memcpy(host->name, name.data, name.size);
    host->name[name.size] = '\0';
    host->port = port;
    const int error = hash_insert(&client->hosts, &host->node, hash);
    ASSERT(!error);
    list_push_back(&client->idle, &host->idle_node);
    *ret_host = host;
    return 0;
}

int client_take_host(struct leat_client *client, const struct url *url,
                     struct client_host **ret_host)
{
    ASSERT(url->host.size > 0);
    const uint16_t port = url->port ? url->port : CLIENT_PORT;
    const uint64_t hash = hash_bytes(&client->seed, url->host) ^ hash_number(port);
    int error = 0;
    pthread_mutex_lock(&client->lock);
    struct client_host *host = find(client, hash, url->host, port);
    if (!host)
        error = add_host(client, hash, url->host, port, &host);
    if (!error && host->users++ == 0)
        list_remove(&host->idle_node);
    pthread_mutex_unlock(&client->lock);
    if (!error)
        *ret_host = host;
    return error;
}

void client_let_host_go(struct client_host *host)
{
    if (!host)
        return;
    struct leat_client *client = host->client;
    pthread_mutex_lock(&client->lock);
    ASSERT(host->users > 0);
    if (--host->users == 0)
        list_push_back(&client->idle, &host->idle_node);
    pthread_mutex_unlock(&client->lock);
}

/* ---- Clients --------------------------------------------------------------------------------- */

static int64_t ns_of(int64_t ms, int64_t default_ms)
{
    static const int64_t year_ms = INT64_C(365) * 24 * 3600 * 1000;
    if (ms == 0)
        ms = default_ms;
    return (ms < year_ms ? ms : year_ms) * LEAT_NS_PER_MS;
}

/* What needs no memory. */
static void set_options(struct leat_client *client, const struct leat_client_options *options)
{
    static const struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    client->tuning = options->tuning ? *options->tuning : tuning;
    client->connect_timeout_ns = ns_of(options->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    client->limits = (struct conn_pool_destination_options){
        .connections_max = options->connections_per_host_max ? options->connections_per_host_max
                                                             : CONNECTIONS_PER_HOST_MAX,
        .waiting_max = options->waiting_max ? options->waiting_max : WAITING_MAX,
        .uses_max = options->uses_max,
        .idle_ns = ns_of(options->idle_timeout_ms, IDLE_TIMEOUT_MS),
        .age_ns = ns_of(options->age_max_ms, 0),
    };
}

int leat_client_create(const struct leat_client_options *options, struct leat_client **ret_client)
{
    static const struct leat_client_options defaults;
    options = options ? options : &defaults;
    const char *user_agent = options->user_agent ? options->user_agent : "leat/" LEAT_VERSION;
    if (!fetch_head_is_value(slice_from_text(user_agent)) || options->connect_timeout_ms < 0 ||
        options->idle_timeout_ms < 0 || options->age_max_ms < 0)
        return -EINVAL;
    struct leat_client *client = calloc(1, sizeof *client);
    if (!client)
        return -ENOMEM;
    set_options(client, options);
    client->seed = (struct hash_seed){{(uintptr_t)client, (uint64_t)leat_now_ns()}};
    list_init(&client->idle);
    pthread_mutex_init(&client->lock, NULL);
    const struct conn_pool_options pool = {
        .connections_max = options->connections_max ? options->connections_max : CONNECTIONS_MAX};
    int error = hash_init(&client->hosts, CLIENT_HOSTS_MAX);
    if (!error)
        error = conn_pool_create(&pool, &client->pool);
    client->user_agent = strdup(user_agent);
    if (error || !client->user_agent) {
        leat_client_destroy(client);
        return -ENOMEM;
    }
    *ret_client = client;
    return 0;
}

void leat_client_destroy(struct leat_client *client)
{
    if (!client)
        return;
    conn_pool_destroy(client->pool);
    struct list_node *node;
    while ((node = list_take_front(&client->idle)))
        free(CONTAINER_OF(node, struct client_host, idle_node));
    hash_fini(&client->hosts);
    pthread_mutex_destroy(&client->lock);
    free(client->user_agent);
    free(client);
}

void leat_client_counters(const struct leat_client *client,
                          struct leat_client_counters *ret_counters)
{
    struct conn_pool_counters pool;
    conn_pool_counters_read(client->pool, &pool);
    *ret_counters = (struct leat_client_counters){
        .opened = pool.opened,
        .reused = pool.reused,
        .waited = pool.waited,
        .evicted = pool.evicted,
        .stale = pool.stale,
        .failed = pool.failed,
        .fetches = counter_read(&client->fetches),
        .retries = counter_read(&client->retries),
        .redirects = counter_read(&client->redirects),
        .leased_now = pool.leased_now,
        .resting_now = pool.resting_now,
        .waiting_now = pool.waiting_now,
    };
}
