/* SPDX-License-Identifier: MIT */
/*
 * URLs and references to them (RFC 3986), strictly: what two readers could take for different hosts
 * is refused. So there is no user name before the host (RFC 9110, section 4.2.4), no backslash, no
 * percent-encoding in a host, and a host that ends in a number is an IPv4 address in its usual form
 * or nothing. One thing is allowed that the standard does not: '[' and ']' in a query, for so many
 * forms name their fields like that.
 *
 *     http://EXAMPLE.org:8080/a/b?x=1#top
 *     scheme host        port path query fragment        authority: EXAMPLE.org:8080
 */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum { URL_HOST_SIZE_MAX = 253 }; /* of a name in DNS */

/* All slices are parts of the text that was parsed. */
struct url {
    struct leat_slice text;
    struct leat_slice scheme;    /* empty: a relative reference */
    struct leat_slice authority; /* data is NULL when there is none, likewise the last two */
    struct leat_slice host;      /* without the brackets of an IPv6 address */
    struct leat_slice path, query, fragment;
    uint16_t port; /* 0: none is said */
    bool is_ipv6;
};

/* A URL or a relative reference, all of the text. 0 or -LEAT_E_MALFORMED. */
int url_parse(struct leat_slice text, struct url *ret_url);

/* What `reference` means where `base` is the page (RFC 3986, section 5.2), written to `buffer`:
 * scheme and host in lower case, the path without "." and "..", and "/" where it was empty behind a
 * host. `base` must be absolute; NULL: there is none, `reference` has to be absolute itself. 0;
 * -LEAT_E_MALFORMED: it is not, or the outcome would read as another URL; -ENOBUFS: the buffer must
 * have url_resolve_size bytes. */
int url_resolve(const struct url *base, const struct url *reference, char *buffer,
                size_t buffer_size, struct url *ret_url);

static inline size_t url_resolve_size(const struct url *base, const struct url *reference)
{
    return (base ? base->text.size : 0) + reference->text.size + 1; /* a "/" */
}

#endif
