/* SPDX-License-Identifier: MIT */
/*
 * What a server has at this moment, for its metrics. It walks all connections; on the server's
 * loop.
 */
#ifndef HTTP_GAUGES_H
#define HTTP_GAUGES_H

#include <stddef.h>
#include <stdint.h>

#include "http/conn.h"

struct gauges {
    size_t connections[CONN_STATES];
    size_t conns, exchanges; /* taken from their pools */
    uint64_t sent;           /* bytes of responses that are not over: in no counter yet */
};

void gauges_read(const struct leat_http_server *server, struct gauges *ret_gauges);

/* "awaiting", "head" … */
const char *gauges_state_name(enum conn_state state);

#endif
