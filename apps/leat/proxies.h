/* SPDX-License-Identifier: MIT */
/*
 * The proxies of a process: the one of `leat proxy`, or those of `leat serve`, one a prefix of its
 * URLs. A prefix is of whole segments of the path, as the client wrote it: "/api" has "/api" and
 * "/api/x" below it, and not "/apis" or "/%61pi". The longest one counts.
 *
 * They are made by the main thread before there are workers; all workers use them.
 */
#ifndef LEAT_PROXIES_H
#define LEAT_PROXIES_H

#include <stdbool.h>
#include <stddef.h>

#include "leat/proxy.h"
#include "http/upstreams.h"
#include "leat/http.h"
#include "sandbox.h"

enum {
    PROXIES_MAX = 16,
    PROXIES_PREFIX_SIZE = 256,
    PROXIES_URL_SIZE = 512,
    PROXIES_ERROR_SIZE = 1024, /* a URL and what is wrong with it */
};

struct proxied {
    char prefix[PROXIES_PREFIX_SIZE]; /* without its last '/'; "": all */
    const char *urls[UPSTREAMS_MAX];
    unsigned url_count;
    struct leat_proxy *proxy;
};

struct proxies {
    unsigned count;
    struct proxied items[PROXIES_MAX];
};

/* A path as it stands in URLs (RFC 3986, section 3.3), from its first '/' on; the same as a prefix,
 * for which there is room. */
bool proxies_is_path(const char *text, size_t size);
bool proxies_is_prefix(const char *text, size_t size);

/* Of a prefix that is there already, or a new one's first: 0, or -1 with one line in ret_error.
 * `url` is kept. */
int proxies_add(struct proxies *proxies, struct leat_slice prefix, const char *url, char *ret_error,
                size_t ret_error_size);
/* --proxy PREFIX=URL, for option.take (options.h); `proxies` is the target. */
int proxies_take(const char *text, void *proxies, char *ret_error, size_t ret_error_size);

/* Makes them; `options` hold for all, less URLs and prefix. 0, or -1 with one line in ret_error. */
int proxies_open(struct proxies *proxies, const struct leat_proxy_options *options, char *ret_error,
                 size_t ret_error_size);
/* What the sandbox has to leave them: their upstreams' ports, and names. */
void proxies_allow(const struct proxies *proxies, struct sandbox_options *options);
/* On the loop that is to look after the upstreams' health. */
void proxies_watch(const struct proxies *proxies);
/* Once no worker uses them. */
void proxies_close(struct proxies *proxies);

/* Is the request for one of them? Then it is replied to. */
bool proxies_handle(const struct proxies *proxies, struct leat_http_request *request,
                    struct leat_http_response *response);

#endif
