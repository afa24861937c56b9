/* SPDX-License-Identifier: MIT */
/*
 * The proxy between customers and origins: answers of every framing and size, bodies both ways,
 * interim answers, early ones, origins that close, reset, fall silent or babble at any byte or are
 * not there at all, customers who dawdle and vanish. What each side must see is in order.h; here:
 * that nothing is left behind, and that who may be asked again is.
 */
#include <stdio.h>

#include "fiber/fiber.h"
#include "http/proxy_parts.h"
#include "leat/error.h"
#include "leat/http.h"
#include "leat/proxy.h"
#include "order.h"
#include "talker.h"

enum { ANSWER_TIMEOUT_MS = 5000, READ_TIMEOUT_MS = 3000 };

struct play {
    struct market market;
    struct leat_proxy *proxy;
    struct leat_http_server *server;
};

static uint64_t draw_size(struct sim_run *run)
{
    return draw(run, 0, draw_chance(run, 50) ? 2000 : draw_chance(run, 50) ? 60000 : 300000);
}

/* What an origin does to it before its answer is whole. */
static void draw_fate(struct sim_run *run, struct order *order)
{
    order->fate = draw_chance(run, 75) ? ORDER_WHOLE
                                       : (enum order_break)draw(run, ORDER_CLOSED, ORDER_GARBAGE);
    order->breaks_at =
        draw_chance(run, 30) ? 0 : (size_t)draw(run, 0, 2 * order->answer_size + 200);
    order->delay_ms = draw_chance(run, 80) ? 0 : (int64_t)draw(run, 1, 300);
    if (draw_chance(run, 2))
        order->delay_ms = 2 * ANSWER_TIMEOUT_MS;
    /* An early answer to a body that is still on its way ends in a race between the answer and the
     * reset that what comes behind it brings about (RFC 9112, section 9.6). */
    order->is_refusable =
        order->fate != ORDER_WHOLE || order->delay_ms >= ANSWER_TIMEOUT_MS || order->answers_early;
}

static void draw_order(struct sim_run *run, struct order *order)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND"};
    order->method = methods[draw(run, 0, 5)];
    order->answer = (enum order_framing)draw(run, ORDER_SIZED, ORDER_TO_CLOSE);
    order->answer_size = draw_size(run);
    if (order->method[0] == 'P') {
        order->body = (enum order_framing)draw(run, ORDER_EMPTY, ORDER_CHUNKED);
        order->body_size = order->body == ORDER_EMPTY ? 0 : draw_size(run);
        order->expects_continue = order->body_size > 0 && draw_chance(run, 30);
        order->answers_early = order->body_size > 0 && draw_chance(run, 15);
        order->reads_on = draw_chance(run, 50);
    }
    order->interims = draw_chance(run, 10) ? (unsigned)draw(run, 1, 3) : 0;
    order->has_trailer = draw_chance(run, 30);
    order->says_close = draw_chance(run, 20);
    draw_fate(run, order);
}

static void draw_market(struct market *market, struct sim_run *run)
{
    market->run = run;
    list_init(&market->origins);
    market->origin_count = (unsigned)draw(run, 1, ORIGINS_MAX);
    market->order_count = (unsigned)draw(run, 1, ORDERS_MAX);
    for (unsigned number = 0; number < market->order_count; number++) {
        market->orders[number].number = number;
        draw_order(run, &market->orders[number]);
    }
    for (unsigned index = 0; index < market->origin_count; index++) {
        market->is_closed_origin[index] = index > 0 && draw_chance(run, 20);
        if (!market->is_closed_origin[index])
            origin_open(market, index);
    }
    /* Whose failures leave an upstream alone for a while has others fail with it. */
    bool is_any_refusable = false;
    for (unsigned number = 0; number < market->order_count; number++)
        is_any_refusable |= market->orders[number].is_refusable;
    for (unsigned number = 0; is_any_refusable && number < market->order_count; number++)
        market->orders[number].is_refusable = true;
}

/* ---- The proxy ------------------------------------------------------------------------------- */

static void make_proxy(struct play *play, struct sim_run *run)
{
    static const char *const urls[] = {"http://127.0.0.1:9000", "http://127.0.0.1:9001",
                                       "http://127.0.0.1:9002"};
    const struct leat_proxy_options options = {
        .urls = urls,
        .url_count = play->market.origin_count,
        .balance = draw_chance(run, 50) ? LEAT_PROXY_LEAST_LOADED : LEAT_PROXY_BY_PATH,
        .answer_timeout_ms = ANSWER_TIMEOUT_MS,
        .read_timeout_ms = READ_TIMEOUT_MS,
        .connections_max = draw_chance(run, 30) ? (unsigned)draw(run, 1, 3) : 0,
        .queue_timeout_ms = 60 * 60 * 1000,
        .idle_timeout_ms = draw_chance(run, 50) ? (int64_t)draw(run, 1, 100) : 0,
    };
    CHECK(run, leat_proxy_create(&options, &play->proxy, NULL) == 0);
}

static void proxy_main(void *arg)
{
    struct play *play = arg;
    struct market *market = &play->market;
    struct sim_run *run = market->run;
    struct leat_listener *listener = listen_anywhere(run, 64);
    market->proxy = *leat_listener_address(listener);
    market->proxy.v4.sin_addr.s_addr = local_address(0).v4.sin_addr.s_addr;
    make_proxy(play, run);
    const struct leat_http_options options = {.handler = leat_proxy_handle, .user = play->proxy};
    CHECK(run, leat_http_server_create(&options, &play->server) == 0);
    CHECK(run, leat_http_server_add(play->server, listener) == 0);
    const unsigned customers = (unsigned)draw(run, 1, CUSTOMERS_MAX);
    for (unsigned index = 0, first = 0; index < customers; index++) {
        const unsigned last = market->order_count * (index + 1) / customers;
        if (last > first)
            customer_start(market, first, last - 1);
        first = last;
    }
    while (market->customers_left > 0)
        CHECK(run, leat_sleep_ms(20) == 0);
    leat_http_server_close(play->server, leat_now_ns(), leat_after_ms(60000));
}

static void check_orders(const struct market *market)
{
    struct sim_run *run = market->run;
    for (unsigned number = 0; number < market->order_count; number++) {
        const struct order *order = &market->orders[number];
        /* POST, and what nobody knows, are never asked for twice. */
        const bool is_repeatable =
            strcmp(order->method, "POST") != 0 && strcmp(order->method, "PROPFIND") != 0;
        CHECK(run, is_repeatable || order->asked <= 1);
    }
}

static void check_upstreams(const struct play *play)
{
    struct sim_run *run = play->market.run;
    const struct upstreams *upstreams = proxy_upstreams(play->proxy);
    for (unsigned index = 0; index < upstreams_count(upstreams); index++) {
        struct upstreams_view view;
        upstreams_view(upstreams, index, &view);
        CHECK(run, view.in_flight == 0);
        CHECK(run, view.state != UPSTREAM_PROBING); /* who probed has told, or given it back */
        CHECK(run, view.connections.leased_now == 0 && view.connections.waiting_now == 0);
    }
}

static void run_proxy(struct sim_run *run)
{
    /* It outlives its loop, which the harness destroys. */
    static struct leat_proxy *last;
    struct play *play = calloc(1, sizeof *play);
    CHECK(run, play != NULL);
    leat_proxy_destroy(last);
    draw_market(&play->market, run);
    run_fiber(run, proxy_main, play);
    check_orders(&play->market);
    check_upstreams(play);
    origins_end(&play->market);
    last = play->proxy;
    free(play);
}

const struct scenario scenario_proxy = {
    "proxy", "a proxy between customers who dawdle and origins that break", run_proxy};
