/* SPDX-License-Identifier: MIT */
/*
 * See router.h. A router that could not be built as it was meant to be serves nothing: a route
 * whose middleware is missing might be one that had to be guarded.
 */
#include "http/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/coding.h"
#include "http/exchange.h"

/* ---- Building -------------------------------------------------------------------------------- */

struct leat_http_router *leat_http_router_create(void)
{
    struct router *router = calloc(1, sizeof *router);
    if (!router)
        return NULL;
    routes_init(&router->routes);
    router->self = (struct leat_http_router){.router = router, .prefix = ""};
    router->last = &router->self;
    return &router->self;
}

void leat_http_router_destroy(struct leat_http_router *group)
{
    if (!group)
        return;
    ASSERT(!group->parent);
    routes_fini(&group->router->routes);
    free(group->router);
}

int leat_http_router_error(const struct leat_http_router *group, const char **ret_pattern)
{
    const char *pattern = "";
    if (group && group->router->error)
        pattern = group->router->error_pattern;
    if (ret_pattern)
        *ret_pattern = pattern;
    return group ? group->router->error : -ENOMEM;
}

/* Keeps the first error and what it was about; 0 is none. */
static int note_error(struct leat_http_router *group, int error, const char *pattern)
{
    struct router *router = group->router;
    if (error && !router->error) {
        router->error = error;
        snprintf(router->error_pattern, sizeof router->error_pattern, "%s%s", group->prefix,
                 pattern);
    }
    return error;
}

/* The prefix of the group and what stands behind it, in the table's arena. 0 or an error. */
static int join(struct leat_http_router *group, const char *pattern, char **ret_whole)
{
    const size_t prefix_size = strlen(group->prefix), size = strlen(pattern);
    if (size > 0 && pattern[0] != '/')
        return -EINVAL;
    if (prefix_size + size > ROUTES_PATTERN_MAX)
        return -EINVAL;
    char *whole = arena_alloc(&group->router->routes.arena, prefix_size + size + 1);
    if (!whole)
        return -ENOMEM;
    memcpy(whole, group->prefix, prefix_size);
    memcpy(whole + prefix_size, pattern, size + 1);
    *ret_whole = whole;
    return 0;
}

static void cut_final_slash(char *text)
{
    const size_t size = strlen(text);
    if (size > 0 && text[size - 1] == '/')
        text[size - 1] = '\0';
}

struct leat_http_router *leat_http_group(struct leat_http_router *parent, const char *prefix)
{
    if (!parent)
        return NULL;
    struct router *router = parent->router;
    struct leat_http_router *group = arena_alloc(&router->routes.arena, sizeof *group);
    struct middleware *chain =
        arena_alloc(&router->routes.arena, parent->chain_count * sizeof *chain);
    if (!group || !chain) {
        note_error(parent, -ENOMEM, prefix);
        return NULL;
    }
    char *whole = "";
    int error = join(parent, prefix, &whole);
    if (!error && whole[0]) {
        cut_final_slash(whole);
        error = whole[0] ? routes_check_prefix(&router->routes, whole) : 0;
    }
    note_error(parent, error, prefix);
    *group = (struct leat_http_router){
        .router = router,
        .parent = parent,
        .prefix = whole,
        .chain = chain,
        .chain_count = parent->chain_count,
        .chain_room = parent->chain_count,
    };
    if (parent->chain_count > 0)
        memcpy(chain, parent->chain, parent->chain_count * sizeof *chain);
    router->last->next = group;
    router->last = group;
    return group;
}

int leat_http_route(struct leat_http_router *group, const struct leat_http_route *route)
{
    if (!group)
        return -ENOMEM;
    ASSERT(route->handler != NULL);
    ASSERT(route->deadline_ms >= 0 && coding_check(&route->compress) == 0);
    char *whole;
    int error = join(group, route->pattern, &whole);
    if (!error) {
        struct leat_http_route spec = *route;
        spec.pattern = whole;
        error = routes_add(&group->router->routes, &spec, group);
    }
    return note_error(group, error, route->pattern);
}

static int add_method(struct leat_http_router *group, const char *method, const char *pattern,
                      leat_http_handler_fn handler, void *user)
{
    const struct leat_http_route route = {
        .method = method,
        .pattern = pattern,
        .handler = handler,
        .user = user,
    };
    return leat_http_route(group, &route);
}

int leat_http_get(struct leat_http_router *group, const char *pattern, leat_http_handler_fn handler,
                  void *user)
{
    return add_method(group, "GET", pattern, handler, user);
}

int leat_http_post(struct leat_http_router *group, const char *pattern,
                   leat_http_handler_fn handler, void *user)
{
    return add_method(group, "POST", pattern, handler, user);
}

int leat_http_put(struct leat_http_router *group, const char *pattern, leat_http_handler_fn handler,
                  void *user)
{
    return add_method(group, "PUT", pattern, handler, user);
}

int leat_http_patch(struct leat_http_router *group, const char *pattern,
                    leat_http_handler_fn handler, void *user)
{
    return add_method(group, "PATCH", pattern, handler, user);
}

int leat_http_delete(struct leat_http_router *group, const char *pattern,
                     leat_http_handler_fn handler, void *user)
{
    return add_method(group, "DELETE", pattern, handler, user);
}

int leat_http_files(struct leat_http_router *group, const char *prefix, struct leat_root *root)
{
    static const char rest[] = "/{path...}";
    char pattern[ROUTES_PATTERN_MAX + sizeof rest];
    if (!group)
        return -ENOMEM;
    if (strlen(prefix) > ROUTES_PATTERN_MAX)
        return note_error(group, -EINVAL, prefix);
    strcpy(pattern, prefix);
    cut_final_slash(pattern);
    strcat(pattern, rest);
    return add_method(group, "GET", pattern, router_serve_files, root);
}

/* ---- Middleware ------------------------------------------------------------------------------ */

static bool is_within(const struct leat_http_router *group, const struct leat_http_router *outer)
{
    while (group && group != outer)
        group = group->parent;
    return group != NULL;
}

static int insert(struct leat_http_router *group, unsigned place, struct middleware middleware)
{
    ASSERT(place <= group->chain_count && group->chain_count <= group->chain_room);
    if (group->chain_count == group->chain_room) {
        const unsigned room = group->chain_room ? group->chain_room * 2 : 4;
        struct middleware *chain = arena_alloc(&group->router->routes.arena, room * sizeof *chain);
        if (!chain)
            return -ENOMEM;
        if (group->chain_count > 0)
            memcpy(chain, group->chain, group->chain_count * sizeof *chain);
        group->chain = chain;
        group->chain_room = room;
    }
    struct middleware *at = group->chain + place;
    memmove(at + 1, at, (group->chain_count - place) * sizeof *at);
    *at = middleware;
    group->chain_count++;
    return 0;
}

int leat_http_use(struct leat_http_router *group, leat_http_middleware_fn middleware, void *user)
{
    if (!group)
        return -ENOMEM;
    ASSERT(middleware != NULL);
    const unsigned place = group->chain_count; /* where the chain of a group below goes on alone */
    int error = 0;
    for (struct leat_http_router *other = &group->router->self; other && !error;
         other = other->next)
        if (is_within(other, group))
            error = insert(other, place, (struct middleware){middleware, user});
    return note_error(group, error, "");
}

/* A place in the chain: it goes on with the middleware at `at`, and behind the last with the
 * handler. Each is on the stack of its caller, so that one call of each can be told from two. */
struct leat_http_next {
    struct leat_http_request *request;
    struct leat_http_response *response;
    const struct middleware *at, *end;
    leat_http_handler_fn handler;
    void *user;
    bool was_called;
};

static void go_on(const struct leat_http_next *next)
{
    if (next->at == next->end) {
        next->handler(next->request, next->response, next->user);
        return;
    }
    struct leat_http_next after = *next;
    after.at++;
    after.was_called = false;
    next->at->fn(next->request, next->response, &after, next->at->user);
}

void leat_http_next(struct leat_http_next *next)
{
    ASSERT(!next->was_called);
    next->was_called = true;
    go_on(next);
}

/* ---- Serving --------------------------------------------------------------------------------- */

/* A request that no route answers. */
struct stray {
    const struct router *router;
    struct routes_answer answer;
};

static void reply_to_stray(struct leat_http_request *request, struct leat_http_response *response,
                           void *user)
{
    const struct stray *stray = user;
    const int status = stray->answer.status;
    if (status != 204 && status != 405) {
        (void)leat_http_reply_error(response, status);
        return;
    }
    const char *allow =
        routes_allow(&stray->router->routes, stray->answer.methods, &request->arena);
    if (!allow) /* it must be said (RFC 9110, section 15.5.6) */
        (void)leat_http_reply_error(response, 503);
    else if (status == 405)
        (void)leat_http_reply_not_allowed(request, response, allow);
    else if (leat_http_add_field(response, "Allow", allow) == 0)
        (void)leat_http_reply(response, 204, NULL, NULL, 0);
    else
        (void)leat_http_reply_error(response, 503);
}

static void apply_limits(const struct route *route, struct leat_http_request *request)
{
    if (route->timeout_ns > 0)
        leat_http_set_deadline(request, request->received_ns + route->timeout_ns);
    if (route->body_size_max > 0)
        leat_http_set_body_size_max(request, route->body_size_max);
}

void leat_http_router_handle(struct leat_http_request *request, struct leat_http_response *response,
                             void *user)
{
    const struct router *router = ((const struct leat_http_router *)user)->router;
    if (router->error) {
        (void)leat_http_reply_error(response, 500);
        return;
    }
    struct stray stray = {.router = router};
    routes_find(&router->routes, &request->head, &request->arena, &stray.answer);
    struct leat_http_next first = {.request = request, .response = response};
    const struct leat_http_router *group = &router->self;
    if (stray.answer.status == 0) {
        const struct route *route = stray.answer.match->route;
        request->match = stray.answer.match;
        apply_limits(route, request);
        response->compress = route->compress;
        group = route->group;
        first.handler = route->handler;
        first.user = route->user;
    } else {
        first.handler = reply_to_stray;
        first.user = &stray;
    }
    first.at = group->chain;
    first.end = group->chain + group->chain_count;
    go_on(&first);
}

const char *leat_http_param(const struct leat_http_request *request, const char *name)
{
    const struct route_match *match = request->match;
    if (!match)
        return NULL;
    for (unsigned index = 0; index < match->route->parameter_count; index++)
        if (strcmp(match->route->parameters[index].name, name) == 0)
            return match->values[index];
    return NULL;
}

const char *leat_http_pattern(const struct leat_http_request *request)
{
    return request->match ? request->match->route->pattern : NULL;
}
