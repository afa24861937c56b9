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

static void wait_ms(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    leat_sleep_ms(atoi(leat_http_param(request, "ms")));
    leat_http_reply_static(response, 200, "text/plain", "waited\n", 7);
}

static int serve(const struct settings *settings, struct leat_root *root)
{
    struct leat_http_router *router = leat_http_router_create();
    if (router == NULL)
        return -ENOMEM;
    leat_http_use(router, count, NULL);
    leat_http_get(router, "/1k", hello, NULL);
    leat_http_get(router, "/wait/{ms}", wait_ms, NULL);
    if (root != NULL)
        leat_http_files(router, "/", root);
    const int error = leat_http_run(
        router, settings->listen,
        &(struct leat_http_run_options){.threads = 1, .loop = {.engine = settings->engine}});
    leat_http_router_destroy(router);
    return error;
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
    struct leat_root *root = NULL;
    int error = settings.root != NULL ? leat_root_open(settings.root, &root) : 0;
    if (!error)
        error = serve(&settings, root);
    leat_root_close(root);
    if (error)
        fprintf(stderr, "router_1k: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
