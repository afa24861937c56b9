/* SPDX-License-Identifier: MIT */
/*
 * The router's inner half: groups, and the middleware that stands around their handlers. The table
 * of routes that all groups of a router share: routes.h. Public half: leat/router.h.
 *
 * Every group has the whole chain of its middleware, its parents' first; what is added to a group
 * is added to the chains of those below it too. So nothing is left to be worked out, or written,
 * while it serves.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "http/routes.h"
#include "leat/router.h"

struct middleware {
    leat_http_middleware_fn fn;
    void *user;
};

/* A group; the one without a parent is the router itself. */
struct leat_http_router {
    struct router *router;
    struct leat_http_router *parent, *next;
    const char *prefix; /* with those of its parents, without a final '/' */
    struct middleware *chain;
    unsigned chain_count, chain_room;
};

struct router {
    struct routes routes;
    struct leat_http_router self;
    struct leat_http_router *last; /* of the groups, in the order they were made */
    int error;                     /* the first; then it serves nothing */
    char error_pattern[ROUTES_PATTERN_MAX + 1];
};

/* The handler of leat_http_files, whose route has the root as its user. */
void router_serve_files(struct leat_http_request *request, struct leat_http_response *response,
                        void *root);

#endif
