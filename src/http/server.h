/* SPDX-License-Identifier: MIT */
/*
 * The server of one loop: its listeners, connections, the pool of exchanges, the clock's text.
 * Public half: leat/http.h.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "http/coding.h"
#include "http/crowd.h"
#include "http/exchange.h"
#include "leat/http.h"
#include "loop/loop.h"
#include "mem/pool.h"

enum {
    SERVER_LISTENERS_MAX = 16,
    /* Connections beyond the limit that are told so; more than that are closed without a word. */
    SERVER_REFUSALS_MAX = 64,
};

/* A handler that waits for what may never come, and wants to be told when the server begins to
 * close. It leaves the list by itself, not in the call. */
struct server_guest {
    struct list_node node; /* in server->guests */
    void (*on_close)(struct server_guest *guest);
};

struct leat_http_server {
    struct leat_loop *loop;
    struct leat_http_options options; /* with the defaults put in */
    struct http1_limits limits;
    bool is_closing;       /* as long as listeners or connections are left */
    bool is_over;          /* the grace is: nothing new may begin */
    int64_t idle_until_ns; /* while closing: how long who asks for nothing may stay */
    struct timer grace;
    struct list_node conns, guests;
    struct list_node woken; /* places of parked requests whose handlers are to run again */
    struct timer waking;    /* when there are such */
    struct crowd crowd;     /* with connections_per_address_max alone */
    struct pool conn_pool, exchange_pool;
    unsigned conn_count, refusal_count;
    struct leat_listener *listeners[SERVER_LISTENERS_MAX];
    unsigned listener_count;
    int64_t date_until_ns; /* of the loop's clock */
    char date_line[DATE_LINE_SIZE];
    _Atomic uint64_t connections, connections_now, requests, bytes_received, bytes_sent;
    _Atomic uint64_t errors, timeouts, refused;
    struct coding_counters coding;
    struct coding_type types[CODING_TYPES]; /* that were seen of late */
    _Atomic uint64_t statuses[6], durations[LEAT_HTTP_DURATION_BUCKETS], durations_ns;
};

/* DATE_LINE_SIZE bytes, made anew once a second. */
const char *server_date_line(struct leat_http_server *server);

/* A connection has ended and given its memory back. */
void server_conn_gone(struct leat_http_server *server);

#endif
