/* SPDX-License-Identifier: MIT */
/*
 * A router: which handler answers which method and path, through which middleware; and a server in
 * one call. It is built before it serves, is then only read, and may be shared by all threads.
 *
 *     /films               the path itself
 *     /films/{name}        one segment, not empty; leat_http_param(request, "name") is it, decoded
 *     /files/{path...}     the rest of the path, which may be empty; as the last segment alone
 *
 * Segment by segment what is spelt out goes before a parameter, and a parameter before a rest,
 * whatever the order they were added in; where that leads nowhere, or to no route for the method,
 * the next is tried. Paths and patterns are matched segment by segment, decoded, and otherwise as
 * they are sent: "%2F" is no separator, ".." a segment like others, a final '/' counts, and "//"
 * has an empty segment, which a rest alone may have. A brace is "%7B". 32 segments at most.
 *
 * A path that is there for other methods is answered with 405 and Allow. HEAD is answered by GET's
 * handler unless it has its own; OPTIONS by 204 and Allow, likewise.
 */
#ifndef LEAT_ROUTER_H
#define LEAT_ROUTER_H

#include "leat/http.h"
#include "leat/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The router itself, or a group: routes below a prefix, which share middleware. */
struct leat_http_router;

/* ---- Building --------------------------------------------------------------------------------
 * The first error is kept, so that a program need not look at each: leat_http_router_error tells
 * it, leat_http_run returns it, and the router answers everything with 500, for what is missing
 * might have been a guard. A router that is NULL is -ENOMEM. Texts are copied. */

/* NULL: no memory. */
struct leat_http_router *leat_http_router_create(void);
/* With its groups. No server may use it. NULL is fine. */
void leat_http_router_destroy(struct leat_http_router *router);

/* -EINVAL: a pattern or method that cannot be, -EEXIST: a route of this method and pattern is there
 * already, -ENOMEM; *ret_pattern, which may be NULL, is what was wrong with it. */
int leat_http_router_error(const struct leat_http_router *router, const char **ret_pattern);

/* A group below a prefix such as "/api", which may have parameters; "" for middleware alone. A
 * final '/' of the prefix does not count; the pattern "" is the prefix itself. It lives as long as
 * its router. NULL: no memory. */
struct leat_http_router *leat_http_group(struct leat_http_router *router, const char *prefix);

struct leat_http_route {
    const char *method; /* a token such as "GET"; NULL: any that has no route of its own here */
    const char *pattern;
    leat_http_handler_fn handler;
    void *user;
    int64_t deadline_ms;                  /* in place of the server's handler_timeout_ms; 0: that */
    uint64_t body_size_max;               /* in place of the server's; 0: that */
    struct leat_compress_policy compress; /* in place of the server's; unset: that */
};
int leat_http_route(struct leat_http_router *router, const struct leat_http_route *route);

int leat_http_get(struct leat_http_router *router, const char *pattern,
                  leat_http_handler_fn handler, void *user);
int leat_http_post(struct leat_http_router *router, const char *pattern,
                   leat_http_handler_fn handler, void *user);
int leat_http_put(struct leat_http_router *router, const char *pattern,
                  leat_http_handler_fn handler, void *user);
int leat_http_patch(struct leat_http_router *router, const char *pattern,
                    leat_http_handler_fn handler, void *user);
int leat_http_delete(struct leat_http_router *router, const char *pattern,
                     leat_http_handler_fn handler, void *user);

/* The files below a root at `prefix` (such as "/static/"), as leat_http_reply_file has them. A
 * directory is its index.html, if it has one, at a path that ends with '/'; without that 301. Names
 * that begin with a dot are not there. */
int leat_http_files(struct leat_http_router *router, const char *prefix, struct leat_root *root);

/* Middleware stands around handlers: what it does before leat_http_next happens before the handler
 * runs, what it does afterwards when it has replied; without a call of it the handler does not run.
 * It serves every route of its group and of the groups below, the router's own every request, also
 * those without a route. Outer groups come first, then the order they were added in. */
struct leat_http_next;
typedef void (*leat_http_middleware_fn)(struct leat_http_request *request,
                                        struct leat_http_response *response,
                                        struct leat_http_next *next, void *user);
int leat_http_use(struct leat_http_router *router, leat_http_middleware_fn middleware, void *user);
/* Once, within the call. */
void leat_http_next(struct leat_http_next *next);

/* ---- Serving --------------------------------------------------------------------------------- */

/* The handler of a server (leat_http_options.handler) whose `user` is the router. */
void leat_http_router_handle(struct leat_http_request *request, struct leat_http_response *response,
                             void *router);

/* A parameter of the pattern that matched, decoded and zero-terminated; NULL: it has none of that
 * name. A zero byte in it (%00) is answered with 400 before any handler. */
const char *leat_http_param(const struct leat_http_request *request, const char *name);
/* The pattern that matched, such as "/films/{name}", for logs and metrics; NULL: none. */
const char *leat_http_pattern(const struct leat_http_request *request);

struct leat_http_run_options {
    unsigned threads;              /* 0: one a core */
    struct leat_http_options http; /* handler and user are the router's */
    struct leat_loop_options loop;
    int64_t grace_ms; /* for what is in work when it ends. 0: 10,000 */
    /* It listens: with the port it got when 0 was asked for. In the calling thread. */
    void (*on_listening)(const struct leat_address *address, void *user);
    void *user;
};
/* Serves at `address` ("[::]:8080", "unix:/path"; NULL: "127.0.0.1:8080") until SIGINT or SIGTERM,
 * then lets what is in work finish and returns 0; a second signal ends the process as it would
 * without us. Or what leat_http_router_error, leat_address_parse (-EINVAL) or leat_listen found.
 * The calling thread, which must have no loop, is the first of options.threads; threads that were
 * there before must have the two signals blocked. `options` may be NULL. */
int leat_http_run(struct leat_http_router *router, const char *address,
                  const struct leat_http_run_options *options);
/* For options.on_listening: the line "listening on http://127.0.0.1:8080" on standard output. */
void leat_http_announce(const struct leat_address *address, void *user);

#ifdef __cplusplus
}
#endif
#endif
