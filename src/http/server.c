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
#include "leat/error.h"
#include "net/listener.h"
#include "wire/date.h"

static_assert(DATE_LINE_SIZE == sizeof "Date: " - 1 + DATE_SIZE + 2, "the Date line is fixed");

static void with_default(int64_t *value, int64_t default_value)
{
    if (*value <= 0)
        *value = default_value;
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
    struct leat_http_server *server = calloc(1, sizeof *server);
    if (!server)
        return -ENOMEM;
    server->loop = loop_current;
    server->options = *options;
    with_default(&server->options.head_timeout_ms, 10 * 1000);
    with_default(&server->options.idle_timeout_ms, 75 * 1000);
    with_default(&server->options.send_timeout_ms, 60 * 1000);
    if (server->options.connections_max == 0)
        server->options.connections_max = 16 * 1024;
    timer_init(&server->grace, on_grace_over);
    list_init(&server->conns);
    pool_init(&server->conn_pool, &(struct pool_options){.object_size = sizeof(struct conn)});
    pool_init(&server->exchange_pool,
              &(struct pool_options){.object_size = sizeof(struct exchange)});
    *ret_server = server;
    return 0;
}

static void on_connection(void *user, int fd)
{
    struct leat_http_server *server = user;
    counter_add(&server->connections, 1);
    const bool is_refused = server->conn_count >= server->options.connections_max;
    if (is_refused)
        counter_add(&server->refused, 1);
    if (is_refused && server->refusal_count >= SERVER_REFUSALS_MAX) {
        server->loop->ops->close(server->loop->backend, fd);
        return;
    }
    if (conn_start(server, fd, is_refused))
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
    if (!server->is_closing || !list_is_empty(&server->conns))
        return;
    loop_timer_stop(server->loop, &server->grace);
    pool_fini(&server->conn_pool);
    pool_fini(&server->exchange_pool);
    free(server);
}

void server_conn_gone(struct leat_http_server *server)
{
    counter_subtract(&server->connections_now, 1);
    try_free(server);
}

void leat_http_server_close(struct leat_http_server *server, int64_t grace_ns)
{
    ASSERT(!server->is_closing);
    while (server->listener_count > 0)
        leat_listener_close(server->listeners[--server->listener_count]);
    loop_timer_start(server->loop, &server->grace, grace_ns);
    for (struct list_node *node = server->conns.next, *next; node != &server->conns; node = next) {
        next = node->next;
        conn_end(CONTAINER_OF(node, struct conn, node), true);
    }
    server->is_closing = true;
    try_free(server);
}

void leat_http_server_counters(const struct leat_http_server *server,
                               struct leat_http_counters *ret_counters)
{
    *ret_counters = (struct leat_http_counters){
        .connections = counter_read(&server->connections),
        .connections_now = counter_read(&server->connections_now),
        .requests = counter_read(&server->requests),
        .bytes_sent = counter_read(&server->bytes_sent),
        .errors = counter_read(&server->errors),
        .timeouts = counter_read(&server->timeouts),
        .refused = counter_read(&server->refused),
    };
}
