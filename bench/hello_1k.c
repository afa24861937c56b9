/* SPDX-License-Identifier: MIT */
/*
 * What the small experiment measures of leat: 1 KiB from memory by a handler in a fiber, a thread,
 * deadlines and Date as the server has them by default. --compress and --type are for the one that
 * shows what compression costs where it does not apply.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "leat/leat.h"

static char body[1024];
static const char *media_type = "text/plain";
static struct leat_compress_policy compress;
static struct leat_loop *loop;

static void hello(struct leat_http_request *request, struct leat_http_response *response,
                  void *user)
{
    leat_http_reply_static(response, 200, media_type, body, sizeof body);
}

static void stop(int signal_number)
{
    leat_loop_stop(loop);
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "hello_1k: %s: %s\n", what, leat_error_text(error));
    return 1;
}

static int serve(const struct leat_address *address)
{
    struct leat_listener *listener;
    struct leat_http_server *server;
    int error = leat_listen(address, NULL, &listener);
    if (error)
        return fail("listen", error);
    error = leat_http_server_create(
        &(struct leat_http_options){.handler = hello, .compress = compress}, &server);
    if (error)
        return fail("server", error);
    leat_http_server_add(server, listener);
    char text[LEAT_ADDRESS_TEXT_SIZE];
    printf("listening on http://%s\n", leat_address_format(leat_listener_address(listener), text));
    fflush(stdout);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    leat_loop_run(loop);
    leat_http_server_close(server, 0, 0);
    leat_loop_run(loop);
    return 0;
}

int main(int argc, char **argv)
{
    const char *listen_text = "127.0.0.1:8080";
    char error_text[128];
    struct leat_loop_options options = {.engine = LEAT_ENGINE_AUTO};
    for (int index = 1; index + 1 < argc; index += 2) {
        if (strcmp(argv[index], "--listen") == 0)
            listen_text = argv[index + 1];
        else if (strcmp(argv[index], "--type") == 0)
            media_type = argv[index + 1];
        else if (strcmp(argv[index], "--compress") == 0 &&
                 leat_compress_policy_parse(argv[index + 1], &compress, error_text,
                                            sizeof error_text)) {
            fprintf(stderr, "hello_1k: %s\n", error_text);
            return 2;
        } else if (strcmp(argv[index], "--engine") == 0)
            options.engine = strcmp(argv[index + 1], "epoll") == 0   ? LEAT_ENGINE_EPOLL
                             : strcmp(argv[index + 1], "uring") == 0 ? LEAT_ENGINE_URING
                                                                     : LEAT_ENGINE_AUTO;
    }
    memset(body, 'x', sizeof body);
    struct leat_address address;
    const char *reason;
    if (leat_address_parse(listen_text, &address, &reason)) {
        fprintf(stderr, "hello_1k: %s: %s\n", listen_text, reason);
        return 2;
    }
    const int error = leat_loop_create(&options, &loop);
    if (error)
        return fail("loop", error);
    const int status = serve(&address);
    leat_loop_destroy(loop);
    return status;
}
