/* SPDX-License-Identifier: MIT */
/*
 * echo [ADDR:PORT]: sends back what it is sent. A fiber a connection, all of them in one scope:
 * Ctrl-C ends them before it ends the program.
 */
#include <signal.h>
#include <stdio.h>

#include "leat/leat.h"

enum { IDLE_MS = 60 * 1000 };

static struct leat_loop *loop;

static void stop(int signal_number)
{
    leat_loop_stop(loop);
}

static void echo(void *arg)
{
    struct leat_stream *stream = arg;
    char data[16 * 1024];
    ssize_t size;
    while ((size = leat_stream_read(stream, data, sizeof data, leat_after_ms(IDLE_MS))) > 0)
        if (leat_stream_write(stream, data, (size_t)size, leat_after_ms(IDLE_MS)))
            break;
    leat_stream_close(stream);
}

static int serve(void *arg)
{
    struct leat_listener *listener;
    const int error = leat_listen(arg, NULL, &listener);
    if (error)
        return error;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    printf("listening on %s\n", leat_address_format(leat_listener_address(listener), text));
    fflush(stdout);
    loop = leat_loop_current();
    signal(SIGINT, stop);
    signal(SIGTERM, stop);

    struct leat_scope connections;
    leat_scope_init(&connections);
    struct leat_stream *stream;
    while (leat_accept(listener, LEAT_FOREVER, &stream) == 0)
        if (leat_spawn(&connections, echo, stream, NULL))
            leat_stream_close(stream);
    leat_listener_close(listener);
    leat_scope_fini(&connections);
    return 0;
}

int main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "127.0.0.1:7000", *reason;
    struct leat_address address;
    if (leat_address_parse(where, &address, &reason)) {
        fprintf(stderr, "echo: %s: %s\n", where, reason);
        return 2;
    }
    const int error = leat_run(serve, &address, NULL);
    if (error)
        fprintf(stderr, "echo: %s: %s\n", where, leat_error_text(error));
    return error ? 1 : 0;
}
