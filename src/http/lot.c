/* SPDX-License-Identifier: MIT */
/*
 * See lot.h. Waking is moving places from a lot to the line of their server, and runs no handler:
 * so who parks again is not met twice, and a lot may be woken from anywhere on its loop. A timer
 * that is always due calls the line, a number each turn: a task would run again in the same turn.
 */
#include "http/lot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/conn.h"
#include "http/server.h"

struct leat_http_lot {
    struct leat_loop *loop;
    struct list_node places; /* first come, first */
    unsigned count;
};

/* ---- Places ---------------------------------------------------------------------------------- */

/* What came behind the head stays with it, for what comes later is kept by the intake. */
static struct lot_place *place_create(struct exchange *exchange)
{
    const bool has_peer = exchange->conn->server->options.on_done != NULL;
    const size_t peer_size = has_peer ? exchange->peer.size : 0;
    const size_t input_size = exchange->input_end - exchange->input_begin;
    struct lot_place *place = malloc(sizeof *place + peer_size + input_size);
    static_assert(sizeof exchange->peer.storage <= UINT8_MAX, "an address has a small size");
    ASSERT(peer_size <= sizeof exchange->peer.storage);
    if (!place)
        return NULL;
    *place = (struct lot_place){
        .conn = exchange->conn,
        .received_ns = exchange->request.received_ns,
        .peer_size = (uint8_t)peer_size,
        .input_size = (uint32_t)input_size,
    };
    list_init(&place->node);
    memcpy(place->bytes, &exchange->peer.storage, peer_size);
    memcpy(place->bytes + peer_size, exchange->input + exchange->input_begin, input_size);
    return place;
}

void lot_place_leave(struct lot_place *place)
{
    if (!place)
        return;
    ASSERT((place->state == PLACE_WAITING) == (place->lot != NULL));
    if (place->lot)
        place->lot->count--;
    list_remove(&place->node);
    place->lot = NULL;
    place->state = PLACE_EMPTY;
}

void lot_place_destroy(struct lot_place *place)
{
    lot_place_leave(place);
    free(place);
}

static void line_up(struct lot_place *place)
{
    struct leat_http_server *server = place->conn->server;
    ASSERT(place->state == PLACE_WOKEN && place->conn->state == CONN_PARKED);
    list_push_back(&server->woken, &place->node);
    if (!server->waking.is_running)
        loop_timer_start(server->loop, &server->waking, 0);
}

void lot_place_wake(struct lot_place *place)
{
    if (place->state != PLACE_WAITING)
        return;
    lot_place_leave(place);
    place->state = PLACE_WOKEN;
    if (place->conn->state == CONN_PARKED)
        line_up(place);
}

/* ---- From an exchange to the connection, and back -------------------------------------------- */

bool lot_is_wanted(const struct exchange *exchange)
{
    const struct lot_place *place = exchange->place;
    return place && place->state != PLACE_EMPTY && exchange->response.status == 0 &&
           exchange->response.kind == RESPONSE_WHOLE && !exchange->is_late;
}

void lot_settle(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    ASSERT(lot_is_wanted(exchange) && exchange->has_request);
    ASSERT(conn->state == CONN_PARKED && exchange->sender.sent == exchange->sent_before);
    conn->place = exchange->place;
    exchange->place = NULL;
    exchange->has_request = false; /* it is not over */
    if (conn->server->is_closing)
        lot_place_wake(conn->place);
    else if (conn->place->state == PLACE_WOKEN)
        line_up(conn->place);
}

void lot_restore(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    struct lot_place *place = conn->place;
    struct leat_http_request *request = &exchange->request;
    const char *const input = place->bytes + place->peer_size;
    ASSERT(conn->state == CONN_PARKED && place->conn == conn && !exchange->has_request);
    ASSERT(exchange->input_begin == 0 && exchange->input_end == 0);
    lot_place_leave(place);
    place->was_parked = true;
    place->is_overdue = conn->server->is_closing || place->deadline_ns <= conn->stream.loop->now_ns;
    memcpy(exchange->input, input, place->input_size);
    exchange->input_end = place->input_size;
    const int size = http1_parse_request(slice_of(exchange->input, exchange->input_end), 0,
                                         &conn->server->limits, &request->head);
    ASSERT(size > 0); /* as the first time */
    exchange->rest = (size_t)size;
    exchange->has_request = true;
    request->received_ns = place->received_ns;
    memcpy(&exchange->peer.storage, place->bytes, place->peer_size);
    exchange->peer.size = place->peer_size;
    exchange->place = place;
    conn->acknowledged = 0; /* it shares its room with the place */
}

/* ---- The line of a server -------------------------------------------------------------------- */

static void on_turn(struct timer *timer)
{
    struct leat_http_server *server = CONTAINER_OF(timer, struct leat_http_server, waking);
    for (unsigned count = 0; count < LOT_RESUMED_A_TURN; count++) {
        if (list_is_empty(&server->woken))
            return;
        struct list_node *node = list_take_front(&server->woken);
        const bool is_last = list_is_empty(&server->woken);
        conn_resume(CONTAINER_OF(node, struct lot_place, node)->conn);
        if (is_last) /* a server that closes may have gone with it; who came since has set it */
            return;
    }
    if (!server->waking.is_running)
        loop_timer_start(server->loop, &server->waking, 0);
}

void lot_server_init(struct leat_http_server *server)
{
    list_init(&server->woken);
    timer_init(&server->waking, on_turn);
}

void lot_server_fini(struct leat_http_server *server)
{
    ASSERT(list_is_empty(&server->woken));
    loop_timer_stop(server->loop, &server->waking);
}

/* ---- Lots ------------------------------------------------------------------------------------ */

int leat_http_lot_create(struct leat_http_lot **ret_lot)
{
    ASSERT(loop_current != NULL);
    struct leat_http_lot *lot = malloc(sizeof *lot);
    if (!lot)
        return -ENOMEM;
    *lot = (struct leat_http_lot){.loop = loop_current};
    list_init(&lot->places);
    *ret_lot = lot;
    return 0;
}

void leat_http_lot_destroy(struct leat_http_lot *lot)
{
    if (!lot)
        return;
    leat_http_lot_wake(lot);
    free(lot);
}

unsigned leat_http_lot_wake(struct leat_http_lot *lot)
{
    const unsigned count = lot->count;
    ASSERT(lot->loop == loop_current);
    while (!list_is_empty(&lot->places))
        lot_place_wake(CONTAINER_OF(lot->places.next, struct lot_place, node));
    ASSERT(lot->count == 0);
    return count;
}

unsigned leat_http_lot_count(const struct leat_http_lot *lot)
{
    return lot->count;
}

/* ---- The handler's calls --------------------------------------------------------------------- */

int leat_http_park(struct leat_http_request *request, struct leat_http_response *response,
                   struct leat_http_lot *lot, int64_t deadline_ns)
{
    struct exchange *exchange = exchange_of_request(request);
    ASSERT(exchange_of_response(response) == exchange && exchange->has_request);
    ASSERT(lot->loop == loop_current && deadline_ns != LEAT_FOREVER);
    if (leat_http_body_size(request) != 0 || response->status != 0 ||
        response->kind != RESPONSE_WHOLE)
        return -EBUSY;
    if (exchange->conn->server->is_closing)
        return -ESHUTDOWN;
    if (!exchange->place)
        exchange->place = place_create(exchange);
    struct lot_place *place = exchange->place;
    if (!place)
        return -ENOMEM;
    lot_place_leave(place); /* it may be in another */
    place->lot = lot;
    place->deadline_ns = deadline_ns;
    place->state = PLACE_WAITING;
    list_push_back(&lot->places, &place->node);
    lot->count++;
    return 0;
}

bool leat_http_was_parked(const struct leat_http_request *request)
{
    const struct lot_place *place = exchange_of_request(request)->place;
    return place && place->was_parked;
}

bool leat_http_is_overdue(const struct leat_http_request *request)
{
    const struct lot_place *place = exchange_of_request(request)->place;
    return place && place->is_overdue;
}

int64_t leat_http_received_ns(const struct leat_http_request *request)
{
    return request->received_ns;
}
