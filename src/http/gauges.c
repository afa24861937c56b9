/* SPDX-License-Identifier: MIT */
/*
 * See gauges.h.
 */
#include "http/gauges.h"

#include "base/assert.h"
#include "http/server.h"

void gauges_read(const struct leat_http_server *server, struct gauges *ret_gauges)
{
    ASSERT(server->loop == loop_current);
    *ret_gauges = (struct gauges){
        .conns = server->conn_pool.count,
        .exchanges = server->exchange_pool.count,
    };
    LIST_FOR_EACH (node, &server->conns) {
        const struct conn *conn = CONTAINER_OF(node, struct conn, node);
        ASSERT(conn->state < CONN_STATES);
        ret_gauges->connections[conn->state]++;
        const struct exchange *exchange = conn->exchange;
        if (exchange && exchange->has_request)
            ret_gauges->sent += exchange->sender.sent - exchange->sent_before;
    }
}

const char *gauges_state_name(enum conn_state state)
{
    static const char *const names[] = {
        [CONN_AWAITING] = "awaiting", [CONN_HEAD] = "head",           [CONN_HANDLING] = "handling",
        [CONN_REPLY] = "reply",       [CONN_SENDING] = "sending",     [CONN_SENT] = "sent",
        [CONN_SKIPPING] = "skipping", [CONN_LINGERING] = "lingering", [CONN_CLOSING] = "closing",
        [CONN_PARKED] = "parked",
    };
    static_assert(sizeof names / sizeof *names == CONN_STATES, "each has a name");
    ASSERT(state < CONN_STATES);
    return names[state];
}
