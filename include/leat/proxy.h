/* SPDX-License-Identifier: MIT */
/*
 * A reverse proxy (a gateway in the words of RFC 9110, section 3.7): a handler that asks one of
 * several upstreams and passes the answer on. Heads are made anew, never forwarded as they came;
 * bodies go from socket to socket within the kernel where they can. It is made before its servers
 * and shared by their threads.
 *
 *     leat_proxy_create(&options, &proxy, &reason);
 *     leat_http_route(router, &(struct leat_http_route){.pattern = "/api/{path...}",
 *                                                       .handler = leat_proxy_handle,
 *                                                       .user = proxy});
 */
#ifndef LEAT_PROXY_H
#define LEAT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/http.h"
#include "leat/tuning.h"

#ifdef __cplusplus
extern "C" {
#endif

struct leat_proxy;

enum leat_proxy_balance {
    LEAT_PROXY_LEAST_LOADED, /* of two drawn at random */
    LEAT_PROXY_BY_PATH,      /* the same upstream for the same path and query, as far as it is up */
    LEAT_PROXY_BY_CLIENT,    /* … for the same address of a client */
    LEAT_PROXY_BY_FIELD,     /* … for the same value of the field `balance_field` */
};

/* 0: the default. */
struct leat_proxy_options {
    /* "http://HOST:PORT[/BASE]", "http://unix:/path"; 64 at most. */
    const char *const *urls;
    unsigned url_count;
    const char *prefix; /* "/api": what is below it is proxied, without it. NULL: all, as it is */
    enum leat_proxy_balance balance;
    const char *balance_field;
    bool keeps_host; /* Host as the client said it, else the upstream's */
    bool
        trusts_forwarded; /* Forwarded and X-Forwarded-* of the client are added to, else dropped */
    /* Milliseconds. */
    int64_t connect_timeout_ms;     /* 3000 */
    int64_t answer_timeout_ms;      /* until the head of the answer; then 504. 60,000 */
    int64_t read_timeout_ms;        /* between two pieces of its body. 60,000 */
    int64_t tunnel_idle_timeout_ms; /* of what was upgraded. 3,600,000 */
    int64_t idle_timeout_ms;        /* of a connection to an upstream that nobody uses. 30,000 */
    unsigned connections_max;       /* to an upstream. 1024 */
    unsigned queue_max;             /* requests that wait for one of these; beyond it 503. 1024 */
    int64_t queue_timeout_ms;       /* … and how long. 5000 */
    unsigned retries_max;           /* of a request, over other upstreams. 2; UINT_MAX: none */
    unsigned retry_percent;         /* of all requests, for all retries. 20 */
    unsigned failures_max;          /* in a row, that have an upstream left alone for a while. 5 */
    int64_t slow_start_ms;          /* 0: who has come back gets its share at once */
    const char *health_path;        /* NULL: upstreams are not asked how they are */
    int64_t health_interval_ms;     /* 5000 */
    uint64_t pace_bytes_per_s;      /* towards a client, of an answer. 0: as fast as may be */
    const struct leat_tuning *tuning; /* of connections to upstreams. NULL: the defaults; copied */
    const char *via;                  /* our name in Via. "leat" */
    uint64_t body_size_max;           /* of a request. Any */
};

/* -EINVAL: *ret_reason, which may be NULL, is a static text that says why; -ENOMEM. */
int leat_proxy_create(const struct leat_proxy_options *options, struct leat_proxy **ret_proxy,
                      const char **ret_reason);
/* When the loops that used it are gone. NULL is fine. */
void leat_proxy_destroy(struct leat_proxy *proxy);

/* Once on the loop that is to ask upstreams how they are, if they are to be asked; without it the
 * first loop that gets a request does. It does not keep the loop running. */
void leat_proxy_watch(struct leat_proxy *proxy);

/* The handler; `user` is the proxy. */
void leat_proxy_handle(struct leat_http_request *request, struct leat_http_response *response,
                       void *user);

/* All but those that end in _now grow for ever. */
struct leat_proxy_counters {
    uint64_t requests, answered;       /* by an upstream */
    uint64_t failed, refused, late;    /* 502, 503, 504 */
    uint64_t retries, retries_refused; /* the budget was used up */
    uint64_t broken;                   /* answers that ended before their end */
    uint64_t tunnels, tunnels_now;
    uint64_t spliced_bytes, copied_bytes; /* of bodies, both ways */
};
/* From any thread. */
void leat_proxy_counters(const struct leat_proxy *proxy, struct leat_proxy_counters *ret_counters);

#ifdef __cplusplus
}
#endif
#endif
