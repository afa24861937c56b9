/* SPDX-License-Identifier: MIT */
/*
 * What the laboratory measures of leat's framework: what somebody who uses it has by default, Date
 * and deadlines included, with a router and a middleware around every handler.
 *
 *     GET /1k          1 KiB from memory: 1k.txt below --root, read once
 *     GET /wait/{ms}   a line, after so many milliseconds in which the fiber waits
 *     GET /{path...}   the files below --root
 *
 * --burn-ns N plants so many nanoseconds of work in each request, which the laboratory must find.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "leat/leat.h"
#include "leat/router.h"

struct settings {
    const char *listen;
    const char *root;
    long burn_ns;
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

static long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

/* Works until the clock says so; a thread that had to give way meanwhile works a little less. */
static void burn(struct leat_http_request *request, struct leat_http_response *response,
                 struct leat_http_next *next, void *user)
{
    const struct settings *settings = user;
    const long end_ns = now_ns() + settings->burn_ns;
    while (now_ns() < end_ns)
        ;
    leat_http_next(next);
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

static int serve(struct settings *settings, struct leat_root *root)
{
    struct leat_http_router *router = leat_http_router_create();
    if (router == NULL)
        return -ENOMEM;
    leat_http_use(router, count, NULL);
    if (settings->burn_ns > 0)
        leat_http_use(router, burn, settings);
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
        else if (strcmp(argv[index], "--burn-ns") == 0)
            settings.burn_ns = atol(argv[index + 1]);
        else if (strcmp(argv[index], "--engine") == 0)
            settings.engine = strcmp(argv[index + 1], "epoll") == 0   ? LEAT_ENGINE_EPOLL
                              : strcmp(argv[index + 1], "uring") == 0 ? LEAT_ENGINE_URING
                                                                      : LEAT_ENGINE_AUTO;
    }
    return settings;
}

/* Fills the body: from 1k.txt, or where there is none, with something. */
static void load_body(const char *root)
{
    char path[4096] = "";
    memset(body, 'x', sizeof body);
    if (root != NULL)
        snprintf(path, sizeof path, "%s/1k.txt", root);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return;
    if (fread(body, 1, sizeof body, file) != sizeof body)
        fprintf(stderr, "router_1k: %s: shorter than %zu bytes\n", path, sizeof body);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct settings settings = parse(argc, argv);
    load_body(settings.root);
    struct leat_root *root = NULL;
    int error = settings.root != NULL ? leat_root_open(settings.root, &root) : 0;
    if (!error)
        error = serve(&settings, root);
    leat_root_close(root);
    if (error)
        fprintf(stderr, "router_1k: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
