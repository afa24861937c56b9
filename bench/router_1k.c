/* SPDX-License-Identifier: MIT */
/*
 * What the framework and waiting experiments measure of leat: what somebody who uses the framework
 * has by default, Date and deadlines included, with a router and a middleware around every handler.
 *
 *     GET /1k          1 KiB from memory
 *     GET /wait/{ms}   a line, after so many milliseconds in which the fiber waits
 *     GET /{path...}   the files below --root
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/leat.h"
#include "leat/router.h"

struct settings {
    const char *listen;
    const char *root;
    enum leat_engine engine;
};

static char body[1024];
static struct leat_loop *loop;
static unsigned long answers[6]; /* by the status's first digit */

/* Before and after, as a middleware that counts, times or logs. */
static void count(struct leat_http_request *request, struct leat_http_response *response,
                  struct leat_http_next *next, void *user)
{
    leat_http_next(next);
    answers[leat_http_status(response) / 100 % 6]++;
}

static void hello(struct leat_http_request *request, struct leat_http_response *response,
                  void *user)
{
    leat_http_reply_static(response, 200, "text/plain", body, sizeof body);
}

static void wait(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    leat_sleep_ms(atoi(leat_http_param(request, "ms")));
    leat_http_reply_static(response, 200, "text/plain", "waited\n", 7);
}

static void stop(int signal_number)
{
    leat_loop_stop(loop);
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "router_1k: %s: %s\n", what, leat_error_text(error));
    return 1;
}

static int serve(const struct leat_address *address, struct leat_http_router *router)
{
    struct leat_listener *listener;
    struct leat_http_server *server;
    int error = leat_listen(address, NULL, &listener);
    if (error)
        return fail("listen", error);
    error = leat_http_server_create(
        &(struct leat_http_options){.handler = leat_http_router_handle, .user = router}, &server);
    if (error)
        return fail("server", error);
    leat_http_server_add(server, listener);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    leat_loop_run(loop);
    leat_http_server_close(server, 0, 0);
    leat_loop_run(loop);
    return 0;
}

static int route_and_serve(const struct leat_address *address, struct leat_root *root)
{
    struct leat_http_router *router = leat_http_router_create();
    if (router == NULL)
        return fail("router", -ENOMEM);
    leat_http_use(router, count, NULL);
    leat_http_get(router, "/1k", hello, NULL);
    leat_http_get(router, "/wait/{ms}", wait, NULL);
    if (root != NULL)
        leat_http_files(router, "/", root);
    const int error = leat_http_router_error(router, NULL);
    const int status = error ? fail("route", error) : serve(address, router);
    leat_http_router_destroy(router);
    return status;
}

static struct settings parse(int argc, char **argv)
{
    struct settings settings = {.listen = "127.0.0.1:8080", .engine = LEAT_ENGINE_AUTO};
    for (int index = 1; index + 1 < argc; index += 2) {
        if (strcmp(argv[index], "--listen") == 0)
            settings.listen = argv[index + 1];
        else if (strcmp(argv[index], "--root") == 0)
            settings.root = argv[index + 1];
        else if (strcmp(argv[index], "--engine") == 0)
            settings.engine = strcmp(argv[index + 1], "epoll") == 0   ? LEAT_ENGINE_EPOLL
                              : strcmp(argv[index + 1], "uring") == 0 ? LEAT_ENGINE_URING
                                                                      : LEAT_ENGINE_AUTO;
    }
    return settings;
}

int main(int argc, char **argv)
{
    const struct settings settings = parse(argc, argv);
    memset(body, 'x', sizeof body);
    struct leat_address address;
    const char *reason;
    if (leat_address_parse(settings.listen, &address, &reason)) {
        fprintf(stderr, "router_1k: %s: %s\n", settings.listen, reason);
        return 2;
    }
    struct leat_root *root = NULL;
    int error = settings.root != NULL ? leat_root_open(settings.root, &root) : 0;
    if (error)
        return fail(settings.root, error);
    error = leat_loop_create(&(struct leat_loop_options){.engine = settings.engine}, &loop);
    if (error)
        return fail("loop", error);
    const int status = route_and_serve(&address, root);
    leat_loop_destroy(loop);
    leat_root_close(root);
    return status;
}
