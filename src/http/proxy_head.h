/* SPDX-License-Identifier: MIT */
/*
 * Heads as a proxy passes them on (RFC 9110, section 7.6; RFC 9112): made anew from what was
 * parsed, never forwarded as they came. What concerns one connection stays on it: Connection and
 * what it names, Keep-Alive, Proxy-Connection, TE, Trailer's framing, Transfer-Encoding, Upgrade
 * (but for a tunnel). Sans-I/O: heads in, text out.
 */
#ifndef HTTP_PROXY_HEAD_H
#define HTTP_PROXY_HEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"
#include "leat/address.h"
#include "wire/http1.h"

enum proxy_framing {
    PROXY_NO_BODY, /* and nothing is said of one */
    PROXY_SIZED,   /* Content-Length: size; also what HEAD and 304 say of a body they lack */
    PROXY_CHUNKED,
    PROXY_TO_CLOSE, /* HTTP/1.0: it ends with the connection */
};

struct proxy_request_facts {
    struct leat_slice authority; /* the upstream's */
    struct leat_slice base;      /* before the path */
    size_t prefix_size;    /* of the request's path: taken off it (it ends at a '/' or the end) */
    bool passes_host;      /* Host as the client said it; else `authority` */
    bool trusts_forwarded; /* what the client says in Forwarded and X-Forwarded-* is added to;
                                    else it is dropped, and ours stands alone */
    bool is_upgrade;       /* Connection: Upgrade and Upgrade go along */
    bool expects_continue; /* Expect goes along */
    const struct leat_address *peer;
    enum proxy_framing framing;
    uint64_t size;
};

struct proxy_response_facts {
    bool keep_alive;        /* of the client's connection */
    uint8_t client_version; /* minor */
    bool is_upgrade;        /* 101 */
    bool is_interim;        /* 1xx: neither framing nor Date are added */
    enum proxy_framing framing;
    uint64_t size;
    struct leat_slice date_line; /* for one that has no Date; with its CRLF */
};

/* Writes the head with its empty line to `out`: its size, or -LEAT_E_LIMIT. */
ssize_t proxy_head_request(const struct http1_request *head,
                           const struct proxy_request_facts *facts, char *out, size_t size);
ssize_t proxy_head_response(const struct http1_response *head,
                            const struct proxy_response_facts *facts, char *out, size_t size);
/* Which fields of a trailer may go on (RFC 9110, section 6.5.1): `lines` as wire/http1_chunked
 * hands them on; whole lines, without the empty one. Its size, or -LEAT_E_LIMIT. */
ssize_t proxy_head_trailer(struct leat_slice lines, char *out, size_t size);

/* Max-Forwards: 0 of TRACE and OPTIONS, which a proxy answers itself (RFC 9110, section 7.6.2). */
bool proxy_head_ends_here(const struct http1_request *head);

#endif
