/* SPDX-License-Identifier: MIT */
/*
 * hello [ADDR:PORT]: a server with a path parameter that replies with text and with JSON. A thread
 * a core; Ctrl-C lets what is in work finish.
 */
#include <jansson.h>
#include "leat/leat.h"

static void hello(struct leat_http_request *request, struct leat_http_response *reply, void *user)
{
    leat_http_reply_text(reply, 200, "hello %s\n", leat_http_param(request, "name"));
}

static void film(struct leat_http_request *request, struct leat_http_response *reply, void *user)
{
    leat_http_reply_json(reply, 200, json_pack("{ss}", "title", leat_http_param(request, "title")));
}

int main(int argc, char **argv)
{
    struct leat_http_router *router = leat_http_router_create();
    leat_http_get(router, "/hello/{name}", hello, NULL);
    leat_http_get(router, "/films/{title}", film, NULL);
    const struct leat_http_run_options options = {.on_listening = leat_http_announce};
    const int error = leat_http_run(router, argv[1], &options);
    leat_http_router_destroy(router);
    return error && fprintf(stderr, "hello: %s\n", leat_error_text(error));
}
