/* SPDX-License-Identifier: MIT */
/*
 * What goes through a proxy in the simulator. An order is a request and the answer that its origin
 * is to give; customers (customer.c) place orders with the proxy, origins (origin.c) are asked by
 * it. Both hold what arrives against the order, whose number is in the URL.
 */
#ifndef TESTS_SIM_ORDER_H
#define TESTS_SIM_ORDER_H

#include "base/list.h"
#include "harness.h"
#include "leat/address.h"

enum { ORDERS_MAX = 24, ORIGINS_MAX = 3, CUSTOMERS_MAX = 6, ORIGIN_PORT = 9000 };

enum order_framing { ORDER_EMPTY, ORDER_SIZED, ORDER_CHUNKED, ORDER_TO_CLOSE };

enum order_break {
    ORDER_WHOLE,
    ORDER_CLOSED,  /* the origin closes after breaks_at bytes of its answer, */
    ORDER_RESET,   /* resets there, */
    ORDER_SILENT,  /* says nothing more there, */
    ORDER_GARBAGE, /* or something that is no HTTP, in place of the head */
};

struct order {
    /* Drawn. */
    unsigned number;
    const char *method;
    enum order_framing body, answer;
    uint64_t body_size, answer_size;
    unsigned interims;
    int64_t delay_ms;
    enum order_break fate;
    size_t breaks_at;
    bool expects_continue, says_close, has_trailer;
    bool answers_early, reads_on; /* before it has read the body, which it then reads or not */
    /* What has happened. */
    unsigned asked;    /* times that an origin had its head */
    bool was_answered; /* an origin has sent all of its answer */
    bool is_refusable; /* an origin has failed it, or may have */
    int status;        /* that the customer saw; 0: none */
    bool is_whole;     /* and all of the answer */
};

struct market {
    struct sim_run *run;
    struct leat_address proxy;
    unsigned origin_count, order_count;
    struct order orders[ORDERS_MAX];
    unsigned customers_left;
    bool is_closed_origin[ORIGINS_MAX]; /* nobody listens there */
    struct list_node origins;           /* one for each connection of the proxy's */
};

static inline bool order_is_head(const struct order *order)
{
    return strcmp(order->method, "HEAD") == 0;
}

/* What both sides' bodies are made of. */
static inline uint64_t order_body(const struct order *order)
{
    return 2 * order->number;
}

static inline uint64_t order_answer(const struct order *order)
{
    return 2 * order->number + 1;
}

/* Is whatever goes wrong in this world the proxy's fault? */
static inline bool market_is_kind(const struct market *market)
{
    return !may_break(market->run) && !may_lack(market->run);
}

/* "/17" and what may stand behind it: the order, or NULL. */
struct order *market_find(struct market *market, const char *target, size_t size);

/* Listens as origin number `index`. */
void origin_open(struct market *market, unsigned index);

/* Frees those whose connections the end of the loop has left open; nothing happens any more. */
void origins_end(struct market *market);

/* Places orders first..last, one after the other, over as many connections as it takes. */
void customer_start(struct market *market, unsigned first, unsigned last);

#endif
