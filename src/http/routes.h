/* SPDX-License-Identifier: MIT */
/*
 * The table of a router: patterns go in, a route for a method and a path comes out. A trie whose
 * edges are segments: a node has children that are spelt out, at most one for any segment (a
 * parameter), and the routes that end there or take the rest from there.
 *
 * The search goes depth first: what is spelt out, then the parameter, then the rest; what has no
 * route for the method leads nowhere too. Every edge takes one segment, so a node is reached on one
 * way alone and is looked at once at most: backtracking visits no more nodes than the patterns
 * have, and never one deeper than the longest of them. Beyond that a path is looked through
 * twice, for '/' and for '%', however long it is.
 *
 * Building allocates from the table's arena. Afterwards it is only read, and may be shared by
 * threads; what a match needs comes from the request's arena.
 */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/router.h"
#include "mem/arena.h"
#include "wire/http1.h"

enum {
    ROUTES_SEGMENTS_MAX = 32,  /* of a pattern */
    ROUTES_PATTERN_MAX = 1024, /* bytes of it */
    ROUTES_METHODS_MAX = 32,   /* those that HTTP1 has a name for, and others */
};

/* What a request's `match` points to. */
struct route_match {
    const struct route *route;
    const char *const *values; /* of its parameters, zero-terminated */
};

struct route_parameter {
    const char *name;
    unsigned segment; /* its index in the path, and in the pattern */
};

struct route {
    struct route *next; /* of those that end at the same place */
    unsigned method;
    const char *pattern; /* with the prefixes of its groups */
    leat_http_handler_fn handler;
    void *user;
    int64_t timeout_ns;                   /* 0: the server's, */
    uint64_t body_size_max;               /* likewise, */
    struct leat_compress_policy compress; /* likewise */
    const struct leat_http_router *group; /* whose middleware serves it */
    struct route_match match; /* of a route without parameters: the same for every request */
    bool takes_rest;          /* its last parameter does */
    unsigned parameter_count;
    struct route_parameter parameters[];
};

/* Where patterns end: the routes, at most one a method. */
struct route_end {
    struct route *routes;
    struct route *any; /* for methods without one */
    uint32_t methods;  /* a bit a method */
};

struct route_child;

struct route_node {
    struct route_child *children; /* spelt out, sorted */
    unsigned child_count, child_room;
    struct route_node *parameter;
    struct route_end here, rest;
};

struct routes {
    struct arena arena;
    struct route_node *start; /* NULL: nothing was added */
    unsigned depth;           /* segments of the longest pattern */
    uint32_t methods;         /* of all routes */
    unsigned other_count;     /* methods that HTTP1 has no name for */
    const char *others[ROUTES_METHODS_MAX];
};

void routes_init(struct routes *routes);
void routes_fini(struct routes *routes);

/* Adds a route. `spec->pattern` is whole here, lives in the arena, and its prefixes were part of
 * it. 0, -EINVAL: a pattern or method that cannot be, -EEXIST, -LEAT_E_LIMIT: too many methods,
 * -ENOMEM. */
int routes_add(struct routes *routes, const struct leat_http_route *spec,
               const struct leat_http_router *group);

/* May patterns begin with this, and go on with '/'? 0, -EINVAL, -ENOMEM. */
int routes_check_prefix(struct routes *routes, const char *prefix);

/* What is to be done about a request: answered by a route, or with a status. */
struct routes_answer {
    int status;                      /* 0: there is a match; 204: OPTIONS and no route for it;
                                        400, 404, 405, 503 */
    const struct route_match *match; /* in the arena, or the table's */
    uint32_t methods;                /* with 204 and 405: those that are allowed */
};

/* `head` lacks nothing but field lines. */
void routes_find(const struct routes *routes, const struct http1_request *head, struct arena *arena,
                 struct routes_answer *ret_answer);

/* "GET, HEAD, OPTIONS" in the arena; NULL: no memory. HEAD and OPTIONS are put in where they are
 * answered without a route. */
const char *routes_allow(const struct routes *routes, uint32_t methods, struct arena *arena);

#endif
