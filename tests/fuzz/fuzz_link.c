/* SPDX-License-Identifier: MIT */
/*
 * An answer as a client hears it, in a simulated world. The origin's bytes may come in any pieces,
 * and the client may read them by link_read in pieces of any size, or as a proxy does, what lies in
 * the buffer first and what comes plainly from the stream itself: it is the same answer, to the
 * byte and to the error, and nothing is left of it. A connection that is to be used again had a
 * whole answer.
 *
 * The first byte of the input is what was asked (HEAD, an upgrade) and the size of the client's
 * pieces; the second how many of the following say where to cut, each as the distance from the cut
 * before; the rest is what the origin says before it ends the connection.
 */
#include <errno.h>

#include "fuzz.h"
#include "http/conn_pool.h"
#include "http/link.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "leat/loop.h"
#include "loop/sim.h"
#include "mem/text.h"

enum { CUTS_MAX = 24, PIECE_MAX = 4096, STEP_MS = 2, WAIT_S = 60 };

enum way { BY_READING, BY_PASSING };

/* What is asked, and how the answer comes. */
struct plan {
    struct leat_slice bytes;
    const uint8_t *cuts;
    size_t cut_count;
    bool asks_head, asks_upgrade;
    size_t piece; /* of the client's reads */
    enum way way;
};

/* What the client made of it. */
struct outcome {
    int head, end; /* results, of the head and of the last read */
    int status;
    struct text body, trailer;
    bool is_reusable;
};

struct life {
    const struct plan *plan;
    struct outcome *outcome;
    struct leat_address address;
    struct conn_pool *pool;
    struct sim_peer *peer;
    struct leat_slice left; /* to be said */
    size_t cut;
    bool has_begun, is_over;
};

/* ---- The origin ------------------------------------------------------------------------------ */

/* Says the next piece, and comes again. */
static void say(struct sim *sim, void *user)
{
    struct life *life = user;
    const struct plan *plan = life->plan;
    size_t size = life->left.size;
    if (life->is_over)
        return;
    if (life->cut < plan->cut_count && plan->cuts[life->cut] < size)
        size = plan->cuts[life->cut];
    const ssize_t sent = size > 0 ? sim_peer_send(life->peer, life->left.data, size) : 0;
    if (sent < 0 && sent != -EAGAIN)
        return; /* the client has gone */
    if (sent >= 0) {
        life->left = slice_after(life->left, (size_t)sent);
        life->cut += (size_t)sent == size;
    }
    if (life->left.size > 0)
        sim_at(sim, sim_now_ns(sim) + STEP_MS * LEAT_NS_PER_MS, say, life);
    else
        sim_peer_shutdown(life->peer);
}

static void on_event(struct sim_peer *peer, void *user)
{
    struct life *life = user;
    char request[256];
    life->peer = peer;
    if (life->has_begun || sim_peer_recv(peer, request, sizeof request) <= 0)
        return;
    life->has_begun = true;
    struct sim *sim = sim_of(leat_loop_current());
    sim_at(sim, sim_now_ns(sim) + LEAT_NS_PER_MS, say, life);
}

/* ---- The client ------------------------------------------------------------------------------ */

static int dial(void *user, int64_t deadline_ns)
{
    const struct life *life = user;
    return stream_connect(&life->address, NULL, deadline_ns);
}

static ssize_t read_piece(struct link *link, const struct plan *plan, struct text *body,
                          int64_t deadline_ns)
{
    char *room = text_reserve(body, PIECE_MAX);
    ASSERT(room != NULL);
    const ssize_t size = link_read(link, room, plan->piece, deadline_ns);
    if (size > 0)
        body->size += (size_t)size;
    return size;
}

/* As a proxy: what is buffered, then what is plain, then into the buffer. */
static ssize_t pass_piece(struct link *link, const struct plan *plan, struct text *body,
                          int64_t deadline_ns)
{
    const struct leat_slice buffered = link_take_buffered(link);
    if (buffered.size > 0) {
        text_add(body, buffered);
        return (ssize_t)buffered.size;
    }
    if (link->begin < link->end || !body_is_open(&link->body))
        return link->body.state == BODY_BROKEN ? link->body.error : 0;
    link_give_buffer(link);
    const uint64_t plain = link_plain_left(link);
    if (plain == 0)
        return link_fill(link, deadline_ns);
    char *room = text_reserve(body, PIECE_MAX);
    ASSERT(room != NULL);
    const ssize_t size = leat_stream_read(
        &link->conn->stream, room, plain < plan->piece ? (size_t)plain : plan->piece, deadline_ns);
    if (size == 0)
        return link_end_of_stream(link);
    if (size > 0) {
        body->size += (size_t)size;
        link_took_plain(link, (uint64_t)size);
    }
    return size;
}

static void hear(struct life *life, struct link *link, int64_t deadline_ns)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    const struct plan *plan = life->plan;
    struct outcome *outcome = life->outcome;
    const struct leat_vector vector = {.data = request, .size = sizeof request - 1};
    outcome->head = link_ask(link, &vector, 1, deadline_ns);
    while (outcome->head == 0 && !link->has_head)
        outcome->head = link_await_head(link, deadline_ns);
    if (outcome->head != 0)
        return;
    outcome->status = link->head.status;
    if (outcome->status == 101)
        return;
    ssize_t size;
    do
        size = plan->way == BY_READING ? read_piece(link, plan, &outcome->body, deadline_ns)
                                       : pass_piece(link, plan, &outcome->body, deadline_ns);
    while (size > 0);
    outcome->end = (int)size;
    ASSERT(size < 0 || link->body.state == BODY_DONE);
    ASSERT(link->body.received == outcome->body.size);
    if (size == 0)
        text_add(&outcome->trailer, slice_of(link->body.trailer, link->body.trailer_size));
}

static void ask(void *arg)
{
    struct life *life = arg;
    const int64_t deadline_ns = leat_now_ns() + WAIT_S * LEAT_NS_PER_S;
    const struct conn_pool_destination_options options = {.name = "h", .dial = dial, .user = life};
    struct conn_pool_destination *destination;
    struct conn_pool_counters counters;
    struct pooled_conn *conn;
    struct link link;
    ASSERT(conn_pool_add(life->pool, &options, &destination) == 0);
    ASSERT(conn_pool_take(conn_pool_shelf_here(life->pool), destination, CONN_POOL_ANY, deadline_ns,
                          &conn) == 0);
    ASSERT(link_open(&link, conn) == 0);
    link.asks_head = life->plan->asks_head;
    link.asks_upgrade = life->plan->asks_upgrade;
    hear(life, &link, deadline_ns);
    link_close(&link);
    conn_pool_destination_counters(destination, &counters);
    life->outcome->is_reusable = counters.resting_now > 0;
    ASSERT(counters.leased_now == 0);
    life->is_over = true;
    conn_pool_retire(destination);
}

static void live(const struct plan *plan, struct outcome *outcome)
{
    const struct sim_options world = {.seed = 1};
    struct life life = {.plan = plan, .outcome = outcome, .left = plan->bytes};
    struct leat_loop *loop;
    struct leat_scope scope;
    *outcome = (struct outcome){0};
    ASSERT(sim_loop_create(&world, &loop) == 0);
    ASSERT(leat_address_parse("127.0.0.1:80", &life.address, NULL) == 0);
    ASSERT(conn_pool_create(NULL, &life.pool) == 0);
    ASSERT(sim_peer_listen(sim_of(loop), &life.address.base, life.address.size, on_event, &life) ==
           0);
    leat_scope_init(&scope);
    ASSERT(leat_spawn(&scope, ask, &life, NULL) == 0);
    while (!life.is_over || leat_scope_count(&scope) > 0)
        ASSERT(leat_loop_run_once(loop, sim_now_ns(sim_of(loop)) + LEAT_NS_PER_S) == 0);
    leat_scope_fini(&scope);
    sim_allow_blocking(sim_of(loop), true);
    leat_loop_destroy(loop);
    conn_pool_destroy(life.pool);
    ASSERT(!outcome->is_reusable || (outcome->head == 0 && outcome->end == 0));
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    ASSERT(a->head == b->head && a->end == b->end && a->status == b->status);
    ASSERT(slice_equal(slice_of(a->body.data, a->body.size), slice_of(b->body.data, b->body.size)));
    ASSERT(slice_equal(slice_of(a->trailer.data, a->trailer.size),
                       slice_of(b->trailer.data, b->trailer.size)));
}

static void outcome_fini(struct outcome *outcome)
{
    text_fini(&outcome->body);
    text_fini(&outcome->trailer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t cut_count = size > 1 ? data[1] % (CUTS_MAX + 1) : 0;
    if (size < 3 + cut_count)
        return 0;
    struct plan plan = {
        .bytes = slice_of(data + 2 + cut_count, size - 2 - cut_count),
        .asks_head = data[0] & 1,
        .asks_upgrade = data[0] & 2,
        .piece = PIECE_MAX,
    };
    struct outcome whole, other;
    live(&plan, &whole);
    for (unsigned i = 0; i < 3; i++) {
        plan.cuts = i > 0 ? data + 2 : NULL;
        plan.cut_count = i > 0 ? cut_count : 0;
        plan.way = i == 1 ? BY_READING : BY_PASSING;
        plan.piece = 1 + (data[0] >> 2);
        live(&plan, &other);
        check_same(&whole, &other);
        outcome_fini(&other);
    }
    outcome_fini(&whole);
    return 0;
}
