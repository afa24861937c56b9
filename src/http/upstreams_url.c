/* SPDX-License-Identifier: MIT */
/*
 * Upstreams as they are named: what a URL says, and connecting to what it names. A person wrote it
 * on a command line, and gets told what would have been right.
 */
#include "http/upstreams_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "net/dial.h"
#include "net/stream.h"
#include "wire/url.h"

enum { PORT_DEFAULT = 80 };

static const char how_to_write[] =
    "an upstream is written http://HOST:PORT, http://HOST:PORT/BASE or http://unix:/path";

/* Its keys are the same upstream's after a restart, and in another process. */
static const struct hash_seed hash_seed = {{UINT64_C(0x6c656174), UINT64_C(0x70726f7879)}};

static char *copy(struct leat_slice text)
{
    return strndup(text.data ? text.data : "", text.size);
}

/* A number has its address now; a name keeps its host. */
static void find_address(struct member *member, const struct url *url)
{
    char text[URL_HOST_SIZE_MAX + sizeof "[]:65535"];
    const int size =
        snprintf(text, sizeof text, url->is_ipv6 ? "[%s]:%u" : "%s:%u", member->host, member->port);
    ASSERT(size > 0 && (size_t)size < sizeof text);
    if (leat_address_parse(text, &member->address, NULL) != 0)
        member->address.size = 0;
}

static const char *read_http(struct member *member, const char *text)
{
    struct url url;
    if (url_parse(slice_from_text(text), &url) != 0 || url.host.size == 0)
        return how_to_write;
    if (slice_equal(url.authority, SLICE("unix:"))) /* whose path is missing, not a port */
        return how_to_write;
    if (slice_equal_nocase(url.scheme, SLICE("https")))
        return "upstreams are spoken to in plain http: https is not there yet";
    if (!slice_equal_nocase(url.scheme, SLICE("http")))
        return how_to_write;
    if (url.query.data || url.fragment.data)
        return "the URL of an upstream ends with its path: no '?' and no '#'";
    struct leat_slice authority = url.authority, base = url.path;
    if (slice_ends_with(authority, SLICE(":"))) /* an empty port, which may be (RFC 3986, 3.2.3) */
        authority.size--;
    while (slice_ends_with(base, SLICE("/")))
        base.size--;
    member->port = url.port ? url.port : PORT_DEFAULT;
    member->authority = copy(authority);
    member->base = copy(base);
    member->host = copy(url.host);
    if (member->host)
        find_address(member, &url);
    return NULL;
}

static const char *read_unix(struct member *member, const char *name)
{
    const char *reason = NULL;
    if (leat_address_parse(name, &member->address, &reason) != 0)
        return reason;
    /* The socket's path is nobody's host, and some field must be sent (RFC 9112, section 3.2). */
    member->authority = copy(SLICE("localhost"));
    member->base = copy(SLICE(""));
    member->host = copy(SLICE(""));
    return NULL;
}

int member_init(struct member *member, const char *url, const char **ret_reason)
{
    const struct leat_slice text = slice_from_text(url);
    const bool is_unix = slice_starts_with(text, SLICE("http://unix:/")) ||
                         slice_starts_with(text, SLICE("http://unix:@"));
    const char *reason =
        is_unix ? read_unix(member, url + strlen("http://")) : read_http(member, url);
    if (reason) {
        *ret_reason = reason;
        return -EINVAL;
    }
    member->url = copy(text);
    if (!member->url || !member->authority || !member->base || !member->host)
        return -ENOMEM;
    member->hash = hash_bytes(&hash_seed, text);
    member->shown.url = member->url;
    member->shown.authority = member->authority;
    member->shown.base = member->base;
    return 0;
}

void member_fini(struct member *member)
{
    ASSERT(!member->check.fiber && atomic_load(&member->in_flight) == 0);
    free(member->url);
    free(member->authority);
    free(member->base);
    free(member->host);
}

int member_dial(void *user, int64_t deadline_ns)
{
    const struct member *member = user;
    const struct upstreams *upstreams = member->group;
    const int64_t limit_ns = leat_after_ms(upstreams->options.connect_timeout_ms);
    if (limit_ns < deadline_ns)
        deadline_ns = limit_ns;
    if (member->address.size == 0)
        return dial_host(member->host, member->port, &upstreams->tuning, deadline_ns);
    return stream_connect(&member->address, &upstreams->tuning, deadline_ns);
}
