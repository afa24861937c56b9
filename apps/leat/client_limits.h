/* SPDX-License-Identifier: MIT */
/*
 * What a client may ask of a server, as flags have it: numbers that become the server's options. A
 * pipelining client is limited in bytes, not here (INTAKE_OVERFLOW_MAX).
 */
#ifndef LEAT_CLIENT_LIMITS_H
#define LEAT_CLIENT_LIMITS_H

#include "leat/http.h"

struct client_limits {
    long connections, connections_per_address, requests, head_size;
    long idle_ms, head_ms, body_ms, send_ms;
    long send_rate, body_rate; /* bytes a second */
};

/* Those of leat/http.h; 0 is "any number". */
#define CLIENT_LIMITS_DEFAULT                                                                      \
    {                                                                                              \
        .connections = 16384, .head_size = 16384, .idle_ms = 75000, .head_ms = 10000,              \
        .body_ms = 20000, .send_ms = 60000, .send_rate = 240, .body_rate = 240                     \
    }

static inline void client_limits_apply(const struct client_limits *limits,
                                       struct leat_http_options *http)
{
    http->connections_max = (unsigned)limits->connections;
    http->connections_per_address_max = (unsigned)limits->connections_per_address;
    http->requests_max = (unsigned)limits->requests;
    http->head_size_max = (unsigned)limits->head_size;
    http->idle_timeout_ms = limits->idle_ms;
    http->head_timeout_ms = limits->head_ms;
    http->body_timeout_ms = limits->body_ms;
    http->send_timeout_ms = limits->send_ms;
    http->send_rate_min = (uint64_t)limits->send_rate;
    http->body_rate_min = (uint64_t)limits->body_rate;
}

#endif
