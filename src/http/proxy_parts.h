/* SPDX-License-Identifier: MIT */
/*
 * The proxy's inside. A passage is a request's way through it, on its handler's stack:
 * straight-line code in a fiber, from one file to the next:
 *
 *     proxy.c          chooses an upstream, and another when that fails (passage_ask)
 *     proxy_ask.c      one attempt: a connection, the request, its body, the head of the answer
 *     proxy_answer.c   the answer: its head made anew, its body
 *     proxy_tunnel.c   what follows 101: bytes both ways
 *
 * A request whose body is still on its way has a second fiber, the uploader.
 */
#ifndef HTTP_PROXY_PARTS_H
#define HTTP_PROXY_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/conn_pool.h"
#include "http/link.h"
#include "http/proxy_head.h"
#include "http/upstreams.h"
#include "leat/fiber.h"
#include "leat/http.h"
#include "leat/proxy.h"

enum {
    /* Of a body that lies in the kernel: from here on splicing earns its calls. */
    PROXY_SPLICE_MIN = 32 * 1024,
    /* How long "100 Continue" is waited for; then the body is sent unasked. */
    PROXY_CONTINUE_MS = 1000,
    /* How long the rest of a small answer is waited for before its head goes on. */
    PROXY_GATHER_MS = 100,
};

struct leat_proxy {
    struct leat_proxy_options options; /* with the defaults put in; texts are our own */
    struct leat_slice prefix, via;
    struct conn_pool *pool;
    struct upstreams *upstreams;
    _Atomic bool is_watched;
    _Atomic uint64_t requests, answered, failed, refused, late, retries, retries_refused, broken;
    _Atomic uint64_t tunnels, tunnels_now, spliced_bytes, copied_bytes;
};

/* Why a passage has no answer, beyond errors: what the client is told. */
enum passage_end {
    PASSAGE_ANSWERED, /* link->head is the final one */
    PASSAGE_FAILED,   /* 502 */
    PASSAGE_STALE,   /* likewise; but the connection had rested, and may be the only one to blame */
    PASSAGE_LATE,    /* 504 */
    PASSAGE_BUSY,    /* 503: no upstream may be asked, or the queue is full */
    PASSAGE_REFUSED, /* the request cannot be passed on: passage->refusal */
    PASSAGE_CLIENT_FAILED, /* its body could not be read: the server knows what to say */
};

struct passage {
    struct leat_proxy *proxy;
    struct leat_http_request *request;
    struct leat_http_response *response;
    const struct http1_head *head; /* the request's */
    struct leat_loop *loop;
    struct leat_address peer;
    struct upstreams_attempt attempt;
    int64_t retry_after_ms;
    int refusal; /* a status */
    enum conn_pool_want want;
    bool has_sent;      /* a byte of the request may have reached an upstream */
    bool has_read_body; /* bytes that are nowhere any more: it cannot be sent again */
    bool is_upgrade;
    struct link link;
    char *out; /* a buffer: heads that we make, and bodies on their way up */
    /* The uploader. */
    struct leat_scope scope;
    bool has_scope;
    bool awaits_client;     /* all that it has sent has gone on */
    bool has_client_failed; /* its body could not be read */
    bool cannot_send;       /* the upstream reads no more; it may have answered */
    bool said_continue;     /* by ourselves */
    uint64_t uploaded;      /* bytes, for who asks whether it moves */
};

/* ---- proxy.c --------------------------------------------------------------------------------- */

/* Counters are shared by the cores. */
static inline void proxy_count(_Atomic uint64_t *counter, uint64_t count)
{
    atomic_fetch_add_explicit(counter, count, memory_order_relaxed);
}

/* `out` is of no more use. */
void passage_give_out(struct passage *passage);

/* For metrics. */
const struct upstreams *proxy_upstreams(const struct leat_proxy *proxy);

/* ---- proxy_ask.c ----------------------------------------------------------------------------- */

/* One attempt, with the upstream that was chosen. ANSWERED: the link is open and has the final
 * head; else it is closed. */
enum passage_end passage_attempt(struct passage *passage);
/* Ends what is left of an upload. */
void passage_stop_upload(struct passage *passage);

/* ---- proxy_answer.c -------------------------------------------------------------------------- */

/* A 1xx that is no switch of protocols: passed on. 0 or an error of the client's side. */
int passage_pass_interim(struct passage *passage);
/* Passes the answer on; the link is still open afterwards. */
void passage_answer(struct passage *passage);
/* The head of a 101: its size, or -LEAT_E_LIMIT. */
ssize_t passage_make_switch(struct passage *passage, char *out, size_t size);

/* ---- proxy_tunnel.c -------------------------------------------------------------------------- */

void passage_tunnel(struct passage *passage);

#endif
