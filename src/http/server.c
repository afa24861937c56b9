/* SPDX-License-Identifier: MIT */
/*
 * The server of one loop.
 */
#include "http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/counters.h"
#include "http/conn.h"
#include "http/lot.h"
#include "leat/error.h"
#include "net/address.h"
#include "net/listener.h"
#include "wire/date.h"

static_assert(DATE_LINE_SIZE == sizeof "Date: " - 1 + DATE_SIZE + 2, "the Date line is fixed");

static void put_defaults(struct leat_http_options *options)
{
#define DEFAULT(field, value)                                                                      \
    if (options->field <= 0)                                                                       \
    options->field = value
    DEFAULT(head_timeout_ms, 10 * 1000);
    DEFAULT(body_timeout_ms, 20 * 1000);
    DEFAULT(idle_timeout_ms, 75 * 1000);
    DEFAULT(send_timeout_ms, 60 * 1000);
#undef DEFAULT
    if (options->body_rate_min == 0)
        options->body_rate_min = 240;
    if (options->send_rate_min == 0)
        options->send_rate_min = 240;
    if (options->body_size_max == 0)
        options->body_size_max = 1024 * 1024;
    if (options->connections_max == 0)
        options->connections_max = 16 * 1024;
}

/* Where it lies and when it was made is seed enough against one who would fill a bucket. */
static struct hash_seed seed_of(const struct leat_http_server *server)
{
    const struct backend_sys *sys = server->loop->sys;
    const uintptr_t place = server->loop->ops->is_simulated ? 1 : (uintptr_t)server;
    return (struct hash_seed){{place, (uint64_t)sys->wall_ns(sys)}};
}

const char *server_date_line(struct leat_http_server *server)
{
    if (server->loop->now_ns >= server->date_until_ns) {
        const struct backend_sys *sys = server->loop->sys;
        const int64_t wall_ns = sys->wall_ns(sys);
        memcpy(server->date_line, "Date: ", 6);
        date_format(wall_ns / LEAT_NS_PER_S, server->date_line + 6);
        memcpy(server->date_line + 6 + DATE_SIZE, "\r\n", 2);
        server->date_until_ns = server->loop->now_ns + LEAT_NS_PER_S - wall_ns % LEAT_NS_PER_S;
    }
    return server->date_line;
}

static void on_grace_over(struct timer *timer)
{
    struct leat_http_server *server = CONTAINER_OF(timer, struct leat_http_server, grace);
    server->is_over = true;
    for (struct list_node *node = server->conns.next, *next; node != &server->conns; node = next) {
        next = node->next;
        conn_end(CONTAINER_OF(node, struct conn, node), false);
    }
}

int leat_http_server_create(const struct leat_http_options *options,
                            struct leat_http_server **ret_server)
{
    ASSERT(options->handler != NULL);
    ASSERT(loop_current != NULL);
    if (coding_check(&options->compress) != 0)
        return -EINVAL;
    struct leat_http_server *server = calloc(1, sizeof *server);
    if (!server)
        return -ENOMEM;
    server->loop = loop_current;
    server->options = *options;
    put_defaults(&server->options);
    server->limits = http1_limits_default;
    if (server->options.head_size_max > 0 && server->options.head_size_max < EXCHANGE_INPUT_SIZE)
        server->limits.head_size = server->options.head_size_max;
    if (server->limits.line_size > server->limits.head_size)
        server->limits.line_size = server->limits.head_size;
    if (options->connections_per_address_max > 0 && crowd_init(&server->crowd, seed_of(server))) {
        free(server);
        return -ENOMEM;
    }
    timer_init(&server->grace, on_grace_over);
    list_init(&server->conns);
    list_init(&server->guests);
    lot_server_init(server);
    pool_init(&server->conn_pool, &(struct pool_options){.object_size = sizeof(struct conn)});
    pool_init(&server->exchange_pool,
              &(struct pool_options){.object_size = sizeof(struct exchange)});
    *ret_server = server;
    return 0;
}

/* Its place among those of its address; false: there is none left. */
static bool enter_crowd(struct leat_http_server *server, int fd, struct crowd_entry **ret_entry)
{
    const unsigned count_max = server->options.connections_per_address_max;
    struct leat_address peer;
    if (count_max == 0 || address_of_peer(server->loop->sys, fd, &peer) != 0)
        return true;
    return crowd_enter(&server->crowd, &peer, count_max, ret_entry) == 0;
}

static void on_connection(void *user, int fd)
{
    struct leat_http_server *server = user;
    struct crowd_entry *crowd = NULL;
    if (server->is_over) {
        server->loop->ops->close(server->loop->backend, fd);
        return;
    }
    counter_add(&server->connections, 1);
    const bool is_refused =
        server->conn_count >= server->options.connections_max || !enter_crowd(server, fd, &crowd);
    if (is_refused)
        counter_add(&server->refused, 1);
    if (is_refused && server->refusal_count >= SERVER_REFUSALS_MAX) {
        server->loop->ops->close(server->loop->backend, fd);
        return;
    }
    if (conn_start(server, fd, crowd, is_refused))
        counter_add(&server->connections_now, 1);
}

int leat_http_server_add(struct leat_http_server *server, struct leat_listener *listener)
{
    if (server->listener_count == SERVER_LISTENERS_MAX)
        return -LEAT_E_LIMIT;
    server->listeners[server->listener_count++] = listener;
    listener_start(listener, on_connection, server);
    return 0;
}

static void try_free(struct leat_http_server *server)
{
    if (!server->is_closing || server->listener_count > 0 || !list_is_empty(&server->conns))
        return;
    if (server->options.on_closed)
        server->options.on_closed(server, server->options.on_closed_user);
    loop_timer_stop(server->loop, &server->grace);
    lot_server_fini(server);
    pool_fini(&server->conn_pool);
    pool_fini(&server->exchange_pool);
    if (server->options.connections_per_address_max > 0)
        crowd_fini(&server->crowd);
    free(server);
}

void server_conn_gone(struct leat_http_server *server)
{
    counter_subtract(&server->connections_now, 1);
    try_free(server);
}

static void on_listener_gone(void *user)
{
    struct leat_http_server *server = user;
    server->listener_count--;
    try_free(server);
}

void leat_http_server_close(struct leat_http_server *server, int64_t idle_ns, int64_t grace_ns)
{
    ASSERT(!server->is_closing);
    server->idle_until_ns = idle_ns;
    const unsigned listener_count = server->listener_count; /* some may be gone at once */
    for (unsigned index = 0; index < listener_count; index++)
        listener_close_gently(server->listeners[index], on_listener_gone);
    loop_timer_start(server->loop, &server->grace, grace_ns);
    for (struct list_node *node = server->conns.next, *next; node != &server->conns; node = next) {
        next = node->next;
        conn_end(CONTAINER_OF(node, struct conn, node), true);
    }
    server->is_closing = true;
    LIST_FOR_EACH (node, &server->guests) {
        struct server_guest *guest = CONTAINER_OF(node, struct server_guest, node);
        guest->on_close(guest);
    }
    try_free(server);
}

void leat_http_server_counters(const struct leat_http_server *server,
                               struct leat_http_counters *ret_counters)
{
    *ret_counters = (struct leat_http_counters){
        .connections = counter_read(&server->connections),
        .connections_now = counter_read(&server->connections_now),
        .requests = counter_read(&server->requests),
        .bytes_received = counter_read(&server->bytes_received),
        .bytes_sent = counter_read(&server->bytes_sent),
        .errors = counter_read(&server->errors),
        .timeouts = counter_read(&server->timeouts),
        .refused = counter_read(&server->refused),
        .durations_ns = counter_read(&server->durations_ns),
    };
    for (unsigned index = 0; index < 6; index++)
        ret_counters->statuses[index] = counter_read(&server->statuses[index]);
    for (unsigned index = 0; index < LEAT_HTTP_DURATION_BUCKETS; index++)
        ret_counters->durations[index] = counter_read(&server->durations[index]);
}

void leat_http_server_compress_counters(const struct leat_http_server *server,
                                        struct leat_http_compress_counters *ret_counters)
{
    const struct coding_counters *counters = &server->coding;
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        ret_counters->responses[codec] = counter_read(&counters->responses[codec]);
        ret_counters->plain_bytes[codec] = counter_read(&counters->plain_bytes[codec]);
        ret_counters->coded_bytes[codec] = counter_read(&counters->coded_bytes[codec]);
    }
    for (unsigned reason = 0; reason < LEAT_HTTP_LEFT_REASONS; reason++)
        ret_counters->left[reason] = counter_read(&counters->left[reason]);
    ret_counters->cpu_ns = counter_read(&counters->cpu_ns);
}
