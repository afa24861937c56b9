/* SPDX-License-Identifier: MIT */
/*
 * Lots, inner half: what stays of a request that is parked. A place is one piece of memory: the
 * bytes of the head as they came (and of what came behind it), and what a new exchange cannot learn
 * from them.
 *
 *                leat_http_park               woken, overdue, the server closes
 *   PLACE_EMPTY ----------------> PLACE_WAITING ----------------> PLACE_WOKEN
 *        ^                           in its lot                    among the server's woken,
 *        |                                                         once the handler has returned
 *        +------------- its turn: the handler runs again ----------------+
 *
 * An exchange has the place while the handler runs, the connection while it is CONN_PARKED. Public
 * half: leat/http.h.
 */
#ifndef HTTP_LOT_H
#define HTTP_LOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"
#include "leat/http.h"

struct conn;
struct exchange;

enum {
    /* A wake may be for thousands, who all came to the loop at once: so many are answered, which
     * takes a core about half a millisecond, and then it is the others' turn. */
    LOT_RESUMED_A_TURN = 64,
};

enum place_state { PLACE_EMPTY, PLACE_WAITING, PLACE_WOKEN };

struct lot_place {
    struct list_node node;     /* in its lot, or in server->woken, or alone */
    struct leat_http_lot *lot; /* PLACE_WAITING */
    struct conn *conn;
    int64_t deadline_ns;
    int64_t received_ns; /* the request, the first time */
    enum place_state state : 8;
    bool was_parked; /* its request is run again */
    bool is_overdue;
    uint8_t peer_size; /* 0: nobody wants to know */
    uint32_t input_size;
    char bytes[]; /* the peer's address, the input */
};

static_assert(sizeof(struct lot_place) <= 56, "what thousands have is small");

/* Did the handler of this exchange park its request, and reply nothing since? */
bool lot_is_wanted(const struct exchange *exchange);
/* It has returned: the connection, which is CONN_PARKED now, takes the place over; who was woken
 * meanwhile lines up. What is left of the exchange may go. */
void lot_settle(struct conn *conn);
/* The request is in the connection's new exchange, as it was when its head had come. */
void lot_restore(struct conn *conn);
/* Its handler is to run again soon; it may have been told so before. */
void lot_place_wake(struct lot_place *place);
/* Gives up its place in the lot, if it has one. NULL is fine, here and below. */
void lot_place_leave(struct lot_place *place);
void lot_place_destroy(struct lot_place *place);

/* A server's half: its line of the woken, and the timer that calls them. */
void lot_server_init(struct leat_http_server *server);
void lot_server_fini(struct leat_http_server *server);

#endif
