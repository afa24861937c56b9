/* SPDX-License-Identifier: MIT */
/*
 * Heads as a proxy passes them on (RFC 9110, section 7.6; RFC 9112): made anew from what was
 * parsed, never forwarded as they came. What concerns one connection stays on it: Connection and
 * what it names, Keep-Alive, Proxy-Connection, Proxy-Authorization, TE, Transfer-Encoding,
 * HTTP2-Settings, and Upgrade but for a tunnel. Host, the framing, Via and who asked are written
 * here; the other lines go along in their order. Sans-I/O: heads in, text out.
 */
#ifndef HTTP_PROXY_HEAD_H
#define HTTP_PROXY_HEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"
#include "leat/address.h"
#include "wire/http1.h"

enum {
    PROXY_HEAD_OPTIONS_MAX = 64, /* of Connection, in all its lines; beyond it -LEAT_E_LIMIT */
    PROXY_HEAD_PASSES_MAX = 16,  /* of a request through proxies of our name: it goes in a circle */
};

enum proxy_framing {
    PROXY_NO_BODY, /* and nothing is said of one; but see proxy_head_request */
    PROXY_SIZED,   /* Content-Length: size; also what HEAD and 304 say of a body they lack */
    PROXY_CHUNKED,
    PROXY_TO_CLOSE, /* of an answer, to HTTP/1.0: it ends with the connection */
};

struct proxy_request_facts {
    struct leat_slice authority; /* the upstream's */
    struct leat_slice base;      /* before the path, without a '/' at its end; may be empty */
    size_t prefix_size;          /* of the request's path: taken off it; see proxy_head_below */
    bool passes_host;            /* Host as the client said it, if it did; else `authority` */
    bool trusts_forwarded;       /* what the client says in Forwarded and X-Forwarded-* is added to;
                                    else it is dropped, and ours stands alone */
    bool is_upgrade;             /* Connection: Upgrade and Upgrade go along */
    bool expects_continue;       /* Expect: 100-continue goes along; others never do */
    const struct leat_address *peer;
    struct leat_slice via; /* our name there, a token */
    enum proxy_framing framing;
    uint64_t size;
};

struct proxy_response_facts {
    bool keep_alive;        /* of the client's connection */
    uint8_t client_version; /* minor */
    bool is_upgrade;        /* 101: Connection: Upgrade and Upgrade go along */
    struct leat_slice via;
    enum proxy_framing framing;
    uint64_t size;
    struct leat_slice date_line; /* for one that has no Date; with its CRLF */
};

/* Writes the head with its empty line to `out`: its size, -LEAT_E_LIMIT (it does not fit, or
 * Connection has too many options), or -EACCES: ".." in the path leads out of prefix and base.
 * A request without a body has Content-Length: 0 where the client said so or its method has one
 * as a rule (RFC 9110, section 8.6). The request is no CONNECT. */
ssize_t proxy_head_request(const struct http1_request *head,
                           const struct proxy_request_facts *facts, char *out, size_t size);

/* The same. A 1xx answer has neither framing nor Date nor keep-alive, a 204 no framing, whatever
 * the facts say. */
ssize_t proxy_head_response(const struct http1_response *head,
                            const struct proxy_response_facts *facts, char *out, size_t size);

/* May the trailer of this message go on, as far as its head tells? Not when Connection names fields
 * of its own (RFC 9110, section 7.6.1), for they would have to be looked for when the head is gone;
 * it is let go instead, which is always allowed (section 6.5.1). */
bool proxy_head_keeps_trailer(const struct http1_head *head);
/* Which fields of a trailer may go on (RFC 9110, section 6.5.1): `lines` as wire/http1_chunked
 * hands them on, put together; written are whole lines, without the empty one. Its size, or
 * -LEAT_E_LIMIT. */
ssize_t proxy_head_trailer(struct leat_slice lines, char *out, size_t size);

/* Is this path, still encoded, below the prefix ("/api", no '/' at its end; empty: all are), which
 * may then be taken off? */
static inline bool proxy_head_below(struct leat_slice path, struct leat_slice prefix)
{
    return slice_starts_with(path, prefix) &&
           (path.size == prefix.size || path.data[prefix.size] == '/');
}

/* May the request become a tunnel? In HTTP/1.0 nothing is upgraded; and never to HTTP/2, of which
 * the upstream would serve requests that nobody has looked at. */
bool proxy_head_asks_upgrade(const struct http1_request *head);
/* Does this 101 switch to what was asked for, and to nothing else (RFC 9110, section 7.8)? */
bool proxy_head_is_switch(const struct http1_request *asked, const struct http1_response *answer);
/* Max-Forwards: 0 of TRACE and OPTIONS, which a proxy answers itself (RFC 9110, section 7.6.2). */
bool proxy_head_ends_here(const struct http1_request *head);
/* Via has our name so often that the request goes in a circle (RFC 9110, section 7.6). */
bool proxy_head_is_loop(const struct http1_request *head, struct leat_slice via);

#endif
