/* SPDX-License-Identifier: MIT */
/*
 * ticker [--listen ADDR:PORT] [--interval MS] [--heartbeat MS] [--behind N] [--slow skip|cut]:
 * publishes a tick now and then, as server-sent events at /ticks; the page at / shows them.
 *
 * The first fiber ticks, which never waits for a subscriber. Who was cut off comes back with
 * Last-Event-ID and is sent what it missed; who is more than N ticks behind misses the oldest and
 * is told how many (skip), or is cut off, whereupon its browser comes back by itself (cut).
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/leat.h"

enum { GRACE_MS = 5000 };

static struct {
    const char *address;
    int64_t interval_ms;
    struct leat_events_serve_options serve;
    struct leat_http_router *router;
    struct leat_events *events;
    struct leat_loop *loop;
} ticker = {.address = "127.0.0.1:8080", .interval_ms = 1000};

static void ticks(struct leat_http_request *request, struct leat_http_response *response,
                  void *user)
{
    leat_events_serve(ticker.events, request, response, &ticker.serve);
}

static void page(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    static const char text[] =
        "<!doctype html><meta charset=utf-8><title>Ticker</title><pre id=log></pre>\n"
        "<script>\n"
        "const show = text => document.getElementById('log').append(text + '\\n');\n"
        "const source = new EventSource('/ticks');\n"
        "source.onopen = () => show('connected');\n"
        "source.onerror = () => show('cut off');\n"
        "source.addEventListener('tick', event => show('tick ' + event.data));\n"
        "source.addEventListener('gap', event => show((event.data || 'some') + ' missed'));\n"
        "</script>\n";
    leat_http_reply_static(response, 200, "text/html; charset=utf-8", text, sizeof text - 1);
}

static void stop(int signal_number)
{
    leat_loop_stop(ticker.loop);
}

static void tick_until_stopped(void)
{
    int64_t next_ns = leat_now_ns(); /* counted from the start: being late does not add up */
    for (uint64_t count = 1; leat_sleep_until(next_ns) == 0; count++) {
        char text[24];
        snprintf(text, sizeof text, "%" PRIu64, count);
        /* Without an id of ours it gets one, which no other run of this program uses. */
        const struct leat_event event = {.type = "tick", .data = {text, strlen(text)}};
        if (leat_events_publish(ticker.events, &event))
            fprintf(stderr, "ticker: tick %s could not be published\n", text);
        next_ns += ticker.interval_ms * LEAT_NS_PER_MS;
    }
}

static int run(void *arg)
{
    struct leat_address address;
    struct leat_listener *listener;
    struct leat_http_server *server;
    const struct leat_http_options options = {.handler = leat_http_router_handle,
                                              .user = ticker.router};
    int error = leat_address_parse(ticker.address, &address, NULL);
    if (!error)
        error = leat_events_create(NULL, &ticker.events);
    if (!error)
        error = leat_listen(&address, NULL, &listener);
    if (error)
        return error;
    leat_http_announce(leat_listener_address(listener), NULL);
    error = leat_http_server_create(&options, &server);
    if (error) {
        leat_listener_close(listener);
        return error;
    }
    leat_http_server_add(server, listener);
    ticker.loop = leat_loop_current();
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    tick_until_stopped();
    leat_events_close(ticker.events); /* the subscribers' responses end */
    leat_http_server_close(server, 0, leat_after_ms(GRACE_MS));
    return 0; /* from leat_run, when the server has gone */
}

static const char *parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},    {"interval", required_argument, NULL, 'i'},
        {"heartbeat", required_argument, NULL, 'h'}, {"behind", required_argument, NULL, 'b'},
        {"slow", required_argument, NULL, 's'},      {0}};
    for (int flag; (flag = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (flag == 'l')
            ticker.address = optarg;
        else if (flag == 'i' && atoll(optarg) > 0)
            ticker.interval_ms = atoll(optarg);
        else if (flag == 'h' && atoll(optarg) > 0)
            ticker.serve.heartbeat_ms = atoll(optarg);
        else if (flag == 'b' && atoll(optarg) > 0)
            ticker.serve.behind_max = (unsigned)atoll(optarg);
        else if (flag == 's' && (!strcmp(optarg, "skip") || !strcmp(optarg, "cut")))
            ticker.serve.policy = *optarg == 's' ? LEAT_EVENTS_SKIP : LEAT_EVENTS_CUT;
        else
            return "[--listen ADDR:PORT] [--interval MS] [--heartbeat MS] [--behind N] "
                   "[--slow skip|cut]";
    }
    return optind < argc ? "there are flags alone" : NULL;
}

int main(int argc, char **argv)
{
    const char *reason = parse(argc, argv);
    if (reason) {
        fprintf(stderr, "ticker: %s\n", reason);
        return 2;
    }
    ticker.router = leat_http_router_create();
    leat_http_get(ticker.router, "/", page, NULL);
    leat_http_get(ticker.router, "/ticks", ticks, NULL);
    const int error = leat_run(run, NULL, NULL);
    if (error)
        fprintf(stderr, "ticker: %s: %s\n", ticker.address, leat_error_text(error));
    leat_events_destroy(ticker.events);
    leat_http_router_destroy(ticker.router);
    return error ? 1 : 0;
}
