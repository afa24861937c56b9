/* SPDX-License-Identifier: MIT */
/*
 * See proxies.h.
 */
#include "proxies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/error.h"

enum { PORT_HTTP = 80, PORT_DNS = 53 };

static_assert(UPSTREAMS_MAX == 64 && PROXIES_MAX == 16, "as the messages say");
static_assert(PROXIES_MAX * UPSTREAMS_MAX + 1 <= SANDBOX_PORTS_MAX, "each may have its own port");

/* ---- Flags ----------------------------------------------------------------------------------- */

static struct proxied *find(struct proxies *proxies, struct leat_slice prefix)
{
    for (unsigned index = 0; index < proxies->count; index++) {
        struct proxied *item = &proxies->items[index];
        if (strlen(item->prefix) == prefix.size &&
            memcmp(item->prefix, prefix.data, prefix.size) == 0)
            return item;
    }
    return NULL;
}

int proxies_add(struct proxies *proxies, struct leat_slice prefix, const char *url, char *ret_error,
                size_t ret_error_size)
{
    while (prefix.size > 0 && prefix.data[prefix.size - 1] == '/')
        prefix.size--;
    ASSERT(prefix.size < PROXIES_PREFIX_SIZE);
    struct proxied *item = find(proxies, prefix);
    if (!item && proxies->count == PROXIES_MAX) {
        snprintf(ret_error, ret_error_size, "there can be 16 prefixes at most");
        return -1;
    }
    if (item && item->url_count == UPSTREAMS_MAX) {
        snprintf(ret_error, ret_error_size, "there can be 64 upstreams at most");
        return -1;
    }
    if (strlen(url) >= PROXIES_URL_SIZE) {
        snprintf(ret_error, ret_error_size, "an upstream's URL has %d bytes at most",
                 PROXIES_URL_SIZE - 1);
        return -1;
    }
    if (!item) {
        item = &proxies->items[proxies->count++];
        memcpy(item->prefix, prefix.data, prefix.size);
    }
    item->urls[item->url_count++] = url;
    return 0;
}

bool proxies_is_path(const char *text, size_t size)
{
    static const char others[] = "/-._~!$&'()*+,;:@%";
    for (size_t index = 0; index < size; index++) {
        const char byte = text[index];
        const bool is_common = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                               (byte >= '0' && byte <= '9');
        if (!is_common && (byte == '\0' || !strchr(others, byte)))
            return false;
    }
    return size > 0 && text[0] == '/';
}

bool proxies_is_prefix(const char *text, size_t size)
{
    return size < PROXIES_PREFIX_SIZE && proxies_is_path(text, size);
}

int proxies_take(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    const char *equals = strstr(text, "=http");
    const size_t size = equals ? (size_t)(equals - text) : 0;
    char reason[128];
    if (!equals || !proxies_is_prefix(text, size))
        snprintf(reason, sizeof reason, "it takes PREFIX=URL, such as /api=http://127.0.0.1:9000");
    else if (proxies_add(target, (struct leat_slice){text, size}, equals + 1, reason,
                         sizeof reason) == 0)
        return 0;
    snprintf(ret_error, ret_error_size, "--proxy '%s': %s", text, reason);
    return -1;
}

/* ---- From the start to the end --------------------------------------------------------------- */

/* The first that is refused by itself. */
static const char *find_wrong_url(const struct proxied *item,
                                  const struct leat_proxy_options *options)
{
    struct leat_proxy_options of_url = *options;
    of_url.url_count = 1;
    for (unsigned index = 0; index < item->url_count; index++) {
        struct leat_proxy *proxy;
        of_url.urls = &item->urls[index];
        if (leat_proxy_create(&of_url, &proxy, NULL) != 0)
            return item->urls[index];
        leat_proxy_destroy(proxy);
    }
    return item->urls[0];
}

int proxies_open(struct proxies *proxies, const struct leat_proxy_options *options, char *ret_error,
                 size_t ret_error_size)
{
    for (unsigned index = 0; index < proxies->count; index++) {
        struct proxied *item = &proxies->items[index];
        struct leat_proxy_options of_item = *options;
        const char *reason = NULL;
        of_item.urls = item->urls;
        of_item.url_count = item->url_count;
        of_item.prefix = item->prefix[0] ? item->prefix : NULL;
        const int error = leat_proxy_create(&of_item, &item->proxy, &reason);
        if (!error)
            continue;
        snprintf(ret_error, ret_error_size, "%s: %s", find_wrong_url(item, options),
                 reason ? reason : leat_error_text(error));
        return -1;
    }
    return 0;
}

/* 0: it has none, but a socket of this host's. What is no URL was refused by proxies_open. */
static unsigned port_of(const char *url)
{
    const char *host = strstr(url, "://");
    ASSERT(host);
    host += 3;
    if (strncmp(host, "unix:", 5) == 0)
        return 0;
    const char *end = host + strcspn(host, "/?#"), *colon = end;
    while (colon > host && *colon != ':' && *colon != ']')
        colon--;
    const unsigned long port = *colon == ':' ? strtoul(colon + 1, NULL, 10) : 0;
    return port > 0 && port <= UINT16_MAX ? (unsigned)port : PORT_HTTP;
}

void proxies_allow(const struct proxies *proxies, struct sandbox_options *options)
{
    if (proxies->count == 0)
        return;
    options->resolves_names = true;
    options->ports[options->port_count++] = PORT_DNS; /* an answer that no datagram has room for */
    for (unsigned index = 0; index < proxies->count; index++) {
        const struct proxied *item = &proxies->items[index];
        for (unsigned position = 0; position < item->url_count; position++) {
            const unsigned port = port_of(item->urls[position]);
            if (port > 0)
                options->ports[options->port_count++] = (uint16_t)port;
        }
    }
}

void proxies_watch(const struct proxies *proxies)
{
    for (unsigned index = 0; index < proxies->count; index++)
        leat_proxy_watch(proxies->items[index].proxy);
}

void proxies_close(struct proxies *proxies)
{
    for (unsigned index = 0; index < proxies->count; index++)
        leat_proxy_destroy(proxies->items[index].proxy);
    proxies->count = 0;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static bool is_below(struct leat_slice path, const char *prefix, size_t prefix_size)
{
    return slice_starts_with(path, slice_of(prefix, prefix_size)) &&
           (path.size == prefix_size || path.data[prefix_size] == '/');
}

bool proxies_handle(const struct proxies *proxies, struct leat_http_request *request,
                    struct leat_http_response *response)
{
    const struct leat_slice path = leat_http_path(request);
    const struct proxied *found = NULL;
    size_t found_size = 0;
    for (unsigned index = 0; index < proxies->count; index++) {
        const struct proxied *item = &proxies->items[index];
        const size_t size = strlen(item->prefix);
        if ((found && size <= found_size) || !is_below(path, item->prefix, size))
            continue;
        found = item;
        found_size = size;
    }
    if (found)
        leat_proxy_handle(request, response, found->proxy);
    return found != NULL;
}
