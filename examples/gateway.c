/* SPDX-License-Identifier: MIT */
/*
 * gateway ADDR:PORT KEY URL...: a gateway in front of other servers. What is below /api goes to one
 * of them, as it is below its URL, if the request has the key ("Authorization: Bearer KEY");
 * /health is the gateway's own.
 */
#include <stdio.h>
#include <string.h>

#include "leat/leat.h"

static void health(struct leat_http_request *request, struct leat_http_response *reply, void *user)
{
    struct leat_proxy_counters counters;
    leat_proxy_counters(user, &counters);
    leat_http_reply_text(reply, 200, "answered %llu of %llu\n",
                         (unsigned long long)counters.answered,
                         (unsigned long long)counters.requests);
}

/* Stands before every request that is passed on. */
static void ask_for_key(struct leat_http_request *request, struct leat_http_response *reply,
                        struct leat_http_next *next, void *user)
{
    static const char scheme[] = "Bearer ";
    const struct leat_slice said = leat_http_field(request, "Authorization");
    const size_t size = sizeof scheme - 1, key_size = strlen(user);
    if (said.size == size + key_size && memcmp(said.data, scheme, size) == 0 &&
        memcmp(said.data + size, user, key_size) == 0) {
        leat_http_next(next);
        return;
    }
    leat_http_add_field(reply, "WWW-Authenticate", "Bearer");
    leat_http_reply_error(reply, 401);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: gateway ADDR:PORT KEY URL...\n");
    const struct leat_proxy_options options = {
        .urls = (const char *const *)argv + 3,
        .url_count = (unsigned)argc - 3,
        .prefix = "/api",
    };
    struct leat_proxy *proxy;
    const char *reason = "";
    int error = leat_proxy_create(&options, &proxy, &reason);
    if (error)
        return fprintf(stderr, "gateway: %s: %s\n", leat_error_text(error), reason);

    struct leat_http_router *router = leat_http_router_create();
    struct leat_http_router *api = leat_http_group(router, "/api");
    leat_http_get(router, "/health", health, proxy);
    leat_http_use(api, ask_for_key, argv[2]);
    leat_http_route(api, &(struct leat_http_route){
                             .pattern = "/{path...}", .handler = leat_proxy_handle, .user = proxy});
    const struct leat_http_run_options run = {.on_listening = leat_http_announce};
    error = leat_http_run(router, argv[1], &run);
    leat_http_router_destroy(router);
    leat_proxy_destroy(proxy);
    return error && fprintf(stderr, "gateway: %s\n", leat_error_text(error));
}
