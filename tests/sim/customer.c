/* SPDX-License-Identifier: MIT */
/*
 * A customer of the proxy: it places its orders one after the other, reads each answer as strictly
 * as a client can, holds it against the order, and may go away at any byte. What it must see: the
 * whole answer; or an end that cannot be taken for one; or an error that has a reason.
 */
#include <stdio.h>

#include "draft.h"
#include "http/body.h"
#include "order.h"
#include "wire/http1.h"

enum { TOLD_MAX_S = 40 };

struct customer {
    struct market *market;
    struct sim_peer *peer; /* NULL: not connected */
    unsigned calls_to_come;
    unsigned next, last;
    struct order *order; /* on its way; NULL: none */
    struct draft in, out;
    size_t read, sent;
    int64_t moved_ns;   /* when something last came or went */
    size_t vanishes_at; /* bytes, either way; 0: never */
    uint64_t bytes;
    bool has_head, awaits_continue;
    struct body body;
    struct arena arena;
    bool keeps; /* the connection lives on behind this answer */
};

static void go_on(struct customer *customer);

static void on_time(struct sim *sim, void *user)
{
    struct customer *customer = user;
    (void)sim;
    customer->calls_to_come--;
    go_on(customer);
}

static void call_later(struct customer *customer, int64_t delay_ms)
{
    struct sim *sim = customer->market->run->sim;
    customer->calls_to_come++;
    sim_at(sim, sim_now_ns(sim) + delay_ms * LEAT_NS_PER_MS, on_time, customer);
}

/* ---- Placing an order ------------------------------------------------------------------------ */

static void put_body(struct customer *customer)
{
    const struct order *order = customer->order;
    struct sim_run *run = customer->market->run;
    if (order->body == ORDER_SIZED)
        draft_content(&customer->out, order_body(order), 0, order->body_size);
    if (order->body != ORDER_CHUNKED)
        return;
    for (uint64_t done = 0; done < order->body_size;) {
        const uint64_t size = draw(run, 1, order->body_size - done);
        draft_say(&customer->out, "%llx\r\n", (unsigned long long)size);
        draft_content(&customer->out, order_body(order), done, size);
        draft_say(&customer->out, "\r\n");
        done += size;
    }
    draft_say(&customer->out, "0\r\n\r\n");
}

static void place(struct customer *customer)
{
    struct order *order = &customer->market->orders[customer->next++];
    struct draft *out = &customer->out;
    customer->order = order;
    customer->moved_ns = sim_now_ns(customer->market->run->sim);
    out->size = customer->sent = 0;
    customer->has_head = false;
    draft_say(out, "%s /%u HTTP/1.1\r\nHost: here\r\nConnection: X-Hop\r\nX-Hop: 1\r\n",
              order->method, order->number);
    if (order->body == ORDER_CHUNKED)
        draft_say(out, "Transfer-Encoding: chunked\r\n");
    if (order->body == ORDER_SIZED)
        draft_say(out, "Content-Length: %llu\r\n", (unsigned long long)order->body_size);
    draft_say(out, "%s\r\n", order->expects_continue ? "Expect: 100-continue\r\n" : "");
    customer->awaits_continue = order->expects_continue;
    if (!order->expects_continue)
        put_body(customer);
}

/* ---- The answer ------------------------------------------------------------------------------ */

static void check_status(struct customer *customer, const struct http1_response *response)
{
    struct sim_run *run = customer->market->run;
    struct order *order = customer->order;
    order->status = response->status;
    if (response->status == 200) {
        CHECK(run, order->asked > 0 && response->head.first_line[HTTP1_FIELD_DATE] > 0);
        for (unsigned line = 0; line < response->head.line_count; line++)
            CHECK(run, !slice_equal_nocase(response->head.lines[line].name, SLICE("x-hop")));
        return;
    }
    /* Without memory or descriptors for it a body cannot be read. */
    CHECK(run, (response->status >= 502 && response->status <= 504) ||
                   (response->status == 500 && may_lack(run)));
    CHECK(run, order->is_refusable || !market_is_kind(customer->market));
}

/* A head, if it is all there: interim ones are passed over. */
static bool take_head(struct customer *customer)
{
    struct sim_run *run = customer->market->run;
    struct http1_response response;
    for (;;) {
        const struct leat_slice input =
            slice_of(customer->in.data + customer->read, customer->in.size - customer->read);
        const int size = input.size > 0 ? http1_parse_response(input, 0, NULL, &response) : 0;
        CHECK(run, size >= 0);
        if (size == 0)
            return false;
        customer->read += (size_t)size;
        if (response.status >= 200)
            break;
        if (response.status == 100 && customer->awaits_continue) {
            customer->awaits_continue = false;
            put_body(customer);
        }
    }
    check_status(customer, &response);
    customer->has_head = true;
    customer->keeps = response.head.keep_alive;
    body_init_of_response(&customer->body, &response, order_is_head(customer->order),
                          &customer->arena);
    /* One that does not end by itself could not be told from one that was cut. */
    CHECK(run, customer->body.state != BODY_TO_THE_END);
    return true;
}

static void take_body(struct customer *customer)
{
    struct sim_run *run = customer->market->run;
    struct leat_slice input =
        slice_of(customer->in.data + customer->read, customer->in.size - customer->read);
    struct leat_slice piece;
    uint64_t before = customer->body.received;
    int result;
    while ((result = body_next(&customer->body, &input, &piece)) > 0) {
        if (customer->order->status == 200)
            CHECK(run,
                  sim_content_equal(order_answer(customer->order), before, piece.data, piece.size));
        before = customer->body.received;
    }
    CHECK(run, result == 0);
    customer->read = customer->in.size - input.size;
}

static void finish_order(struct customer *customer)
{
    struct sim_run *run = customer->market->run;
    struct order *order = customer->order;
    order->is_whole = true;
    /* What an origin ends by closing may have been cut, and nobody can tell. */
    if (order->status == 200 && !order_is_head(order) && order->answer != ORDER_TO_CLOSE) {
        CHECK(run, customer->body.received == order->answer_size);
        CHECK(run, order->was_answered);
    }
    customer->order = NULL;
}

/* ---- The connection -------------------------------------------------------------------------- */

static void hang_up(struct customer *customer, bool is_reset)
{
    if (is_reset)
        sim_peer_reset(customer->peer);
    else
        sim_peer_close(customer->peer);
    customer->peer = NULL;
    customer->order = NULL;
    customer->in.size = customer->read = 0;
}

/* The proxy has ended the connection. In the midst of an order that has a reason, and is told soon:
 * not when a connection has been idle for too long. */
static void was_left(struct customer *customer)
{
    struct sim_run *run = customer->market->run;
    const struct order *order = customer->order;
    if (order) {
        CHECK(run, order->is_refusable || !market_is_kind(customer->market));
        CHECK(run, sim_now_ns(run->sim) <= customer->moved_ns + TOLD_MAX_S * LEAT_NS_PER_S);
    }
    hang_up(customer, false);
}

static bool has_vanished(struct customer *customer, size_t size)
{
    customer->bytes += size;
    customer->moved_ns = sim_now_ns(customer->market->run->sim);
    if (customer->vanishes_at == 0 || customer->bytes < customer->vanishes_at)
        return false;
    hang_up(customer, draw_chance(customer->market->run, 50));
    customer->vanishes_at = 0;
    return true;
}

static void receive(struct customer *customer)
{
    struct sim_run *run = customer->market->run;
    char bytes[8192];
    while (customer->peer) {
        const ssize_t size =
            sim_peer_recv(customer->peer, bytes, (size_t)draw(run, 1, sizeof bytes));
        if (size == -EAGAIN)
            return;
        if (size <= 0) {
            was_left(customer);
            return;
        }
        CHECK(run, customer->order != NULL); /* nobody asked for anything */
        draft_append(&customer->in, bytes, (size_t)size);
        if (customer->has_head || take_head(customer))
            take_body(customer);
        if (customer->has_head && customer->body.state == BODY_DONE) {
            CHECK(run, customer->read == customer->in.size);
            finish_order(customer);
            /* What of the request is not sent yet nobody needs any more. */
            if (!customer->keeps || customer->sent < customer->out.size)
                hang_up(customer, false);
            customer->has_head = false;
            return;
        }
        if (has_vanished(customer, (size_t)size))
            return;
        if (draw_chance(run, 5)) {
            call_later(customer, (int64_t)draw(run, 1, 300));
            return;
        }
    }
}

static void deliver(struct customer *customer)
{
    struct sim_run *run = customer->market->run;
    while (customer->peer && customer->sent < customer->out.size) {
        const size_t left = customer->out.size - customer->sent;
        const size_t size = draw_chance(run, 60) ? left : (size_t)draw(run, 1, left);
        const ssize_t sent =
            sim_peer_send(customer->peer, customer->out.data + customer->sent, size);
        if (sent == -EAGAIN)
            return;
        if (sent < 0) {
            was_left(customer);
            return;
        }
        customer->sent += (size_t)sent;
        if (has_vanished(customer, (size_t)sent))
            return;
        if (draw_chance(run, 10)) {
            call_later(customer, (int64_t)draw(run, 1, 50));
            return;
        }
    }
}

static void on_event(struct sim_peer *peer, void *user)
{
    (void)peer;
    go_on(user);
}

static void connect_to_proxy(struct customer *customer)
{
    const struct leat_address *proxy = &customer->market->proxy;
    struct sim_run *run = customer->market->run;
    customer->peer = sim_peer_connect(run->sim, &proxy->base, proxy->size, on_event, customer);
    customer->bytes = 0;
    customer->vanishes_at = draw_chance(run, 15) ? (size_t)draw(run, 1, 40000) : 0;
}

static bool is_done(const struct customer *customer)
{
    return !customer->order && customer->next > customer->last;
}

static void go_on(struct customer *customer)
{
    if (customer->peer)
        receive(customer);
    if (customer->peer)
        deliver(customer);
    while (!customer->order && customer->next <= customer->last) {
        if (!customer->peer)
            connect_to_proxy(customer);
        place(customer);
        deliver(customer);
    }
    if (!is_done(customer))
        return;
    if (customer->peer)
        hang_up(customer, false);
    if (customer->calls_to_come > 0)
        return;
    customer->market->customers_left--;
    arena_fini(&customer->arena);
    draft_fini(&customer->in);
    draft_fini(&customer->out);
    free(customer);
}

void customer_start(struct market *market, unsigned first, unsigned last)
{
    struct customer *customer = calloc(1, sizeof *customer);
    CHECK(market->run, customer != NULL);
    customer->market = market;
    customer->next = first;
    customer->last = last;
    customer->in.run = customer->out.run = market->run;
    arena_init(&customer->arena, NULL);
    market->customers_left++;
    call_later(customer, (int64_t)draw(market->run, 0, 50));
}
