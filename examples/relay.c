/* SPDX-License-Identifier: MIT */
/*
 * relay LISTEN UPSTREAM: joins each connection to one of its own to UPSTREAM. The bytes go from
 * socket to socket inside the kernel (splice), both ways at once, and each end is handed on.
 */
#include <signal.h>
#include <stdio.h>

#include "leat/leat.h"

enum { CONNECT_MS = 10 * 1000 };

struct way {
    struct leat_stream *from, *to;
};

static struct leat_address listen_address, upstream_address;
static struct leat_loop *loop;

static void stop(int signal_number)
{
    leat_loop_stop(loop);
}

static int move(void *arg)
{
    const struct way *way = arg;
    const int64_t moved = leat_relay(way->from, way->to, LEAT_FOREVER);
    return moved < 0 ? (int)moved : 0;
}

static void join(void *arg)
{
    struct leat_stream *client = arg, *upstream;
    if (leat_connect(&upstream_address, NULL, leat_after_ms(CONNECT_MS), &upstream) == 0) {
        struct way there = {client, upstream}, back = {upstream, client};
        struct leat_call calls[] = {{.fn = move, .arg = &there}, {.fn = move, .arg = &back}};
        leat_gather(calls, 2, NULL); /* when one way fails the other is cancelled */
        leat_stream_close(upstream);
    }
    leat_stream_close(client);
}

static int serve(void *arg)
{
    struct leat_listener *listener;
    const int error = leat_listen(&listen_address, NULL, &listener);
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
    struct leat_stream *client;
    while (leat_accept(listener, LEAT_FOREVER, &client) == 0)
        if (leat_spawn(&connections, join, client, NULL))
            leat_stream_close(client);
    leat_listener_close(listener);
    leat_scope_fini(&connections);
    return 0;
}

int main(int argc, char **argv)
{
    const char *reason = "two addresses are wanted: relay 127.0.0.1:7000 127.0.0.1:8080";
    if (argc != 3 || leat_address_parse(argv[1], &listen_address, &reason) ||
        leat_address_parse(argv[2], &upstream_address, &reason)) {
        fprintf(stderr, "relay: %s\n", reason);
        return 2;
    }
    const int error = leat_run(serve, NULL, NULL);
    if (error)
        fprintf(stderr, "relay: %s: %s\n", argv[1], leat_error_text(error));
    return error ? 1 : 0;
}
