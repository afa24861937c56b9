/* SPDX-License-Identifier: MIT */
/*
 * The pool of connections on real sockets, on both engines. The origin is a listening socket whose
 * kernel side of each connection the test accepts, writes to and closes by itself; several shelves
 * on one loop stand for several cores (tests/sim has them under seeds, test_conn_pool_threads.c has
 * threads).
 */
#include "../engines.h"

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "http/conn_pool.h"
#include "net/address.h"

enum { SIDES_MAX = 512, PATIENCE_MS = 10000, SOON_MS = 2000 };

/* ---- An origin, and a pool of connections to it ---------------------------------------------- */

struct origin {
    int fd;
    struct leat_address address;
    int sides[SIDES_MAX]; /* its ends, in the order they were opened; -1: closed */
    unsigned side_count;
    int dial_error; /* to be had instead of a connection */
    unsigned dials;
};

static void origin_open(struct origin *origin)
{
    *origin = (struct origin){0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    origin->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(origin->fd >= 0);
    assert_int_equal(bind(origin->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(origin->fd, SIDES_MAX), 0);
    assert_int_equal(getsockname(origin->fd, (struct sockaddr *)&address, &size), 0);
    memcpy(&origin->address.storage, &address, size);
    origin->address.size = size;
}

static void origin_close(struct origin *origin)
{
    for (unsigned index = 0; index < origin->side_count; index++)
        if (origin->sides[index] >= 0)
            close(origin->sides[index]);
    close(origin->fd);
}

static int origin_dial(void *user, int64_t deadline_ns)
{
    struct origin *origin = user;
    origin->dials++;
    if (origin->dial_error)
        return origin->dial_error;
    const int fd = stream_connect(&origin->address, NULL, deadline_ns);
    if (fd >= 0) {
        assert_true(origin->side_count < SIDES_MAX);
        origin->sides[origin->side_count++] = accept(origin->fd, NULL, NULL);
    }
    return fd;
}

/* A reset, a close, some bytes: what reaches the other end at once on loopback. */
static void origin_resets(struct origin *origin, unsigned index)
{
    const struct linger linger = {.l_onoff = 1};
    setsockopt(origin->sides[index], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(origin->sides[index]);
    origin->sides[index] = -1;
}

static void origin_closes(struct origin *origin, unsigned index)
{
    close(origin->sides[index]);
    origin->sides[index] = -1;
}

static void origin_speaks(struct origin *origin, unsigned index)
{
    assert_int_equal(write(origin->sides[index], "HTTP/1.1 408 ", 13), 13);
}

struct world {
    struct origin origin;
    struct conn_pool *pool;
    struct conn_pool_destination *destination;
    struct conn_pool_shelf *shelf, *other;
};

static void world_open(struct world *world, const struct conn_pool_options *pool_options,
                       struct conn_pool_destination_options options)
{
    origin_open(&world->origin);
    options.name = "origin";
    options.dial = origin_dial;
    options.user = &world->origin;
    assert_int_equal(conn_pool_create(pool_options, &world->pool), 0);
    assert_int_equal(conn_pool_add(world->pool, &options, &world->destination), 0);
    assert_string_equal(conn_pool_destination_name(world->destination), "origin");
    world->shelf = conn_pool_shelf_here(world->pool);
    assert_non_null(world->shelf);
    assert_ptr_equal(conn_pool_shelf_here(world->pool), world->shelf);
    assert_int_equal(conn_pool_shelf_create(world->pool, &world->other), 0);
}

static struct conn_pool *closed_later; /* when its loop is gone */

static void world_close(struct world *world)
{
    conn_pool_shelf_destroy(world->other);
    origin_close(&world->origin);
    closed_later = world->pool;
}

static struct conn_pool_counters counters_of(const struct world *world)
{
    struct conn_pool_counters counters;
    conn_pool_destination_counters(world->destination, &counters);
    return counters;
}

static int take_on(struct world *world, struct conn_pool_shelf *shelf,
                   struct pooled_conn **ret_conn)
{
    return conn_pool_take(shelf, world->destination, CONN_POOL_ANY, leat_after_ms(PATIENCE_MS),
                          ret_conn);
}

static struct pooled_conn *take(struct world *world)
{
    struct pooled_conn *conn;
    assert_int_equal(take_on(world, world->shelf, &conn), 0);
    return conn;
}

/* Both ends are each other's, and nothing else comes. */
static void speak(struct world *world, struct pooled_conn *conn, unsigned side)
{
    char text[8];
    assert_int_equal(leat_stream_write(&conn->stream, "ask", 3, leat_after_ms(PATIENCE_MS)), 0);
    assert_int_equal(read(world->origin.sides[side], text, sizeof text), 3);
    assert_int_equal(write(world->origin.sides[side], "answer", 6), 6);
    assert_int_equal(leat_stream_read(&conn->stream, text, sizeof text, leat_after_ms(PATIENCE_MS)),
                     6);
}

/* As leat_run, and the pool goes after the loop. */
static void run_pool_fiber(enum leat_engine engine, int (*main_fiber)(void *arg))
{
    run_main_fiber(engine, main_fiber);
    struct conn_pool_counters counters;
    conn_pool_counters_read(closed_later, &counters);
    assert_int_equal(counters.resting_now + counters.leased_now + counters.waiting_now, 0);
    conn_pool_destroy(closed_later);
}

#define POOL_TEST(name)                                                                            \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        run_pool_fiber(engine, name##_fiber);                                                      \
    }                                                                                              \
    ENGINE_TEST(name)

/* ---- One core -------------------------------------------------------------------------------- */

static int last_in_is_first_out_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){0});
    struct pooled_conn *first = take(&world), *second = take(&world);
    assert_int_equal(first->uses, 1);
    speak(&world, first, 0);
    speak(&world, second, 1);
    conn_pool_give(first, true);
    conn_pool_give(second, true);
    assert_ptr_equal(take(&world), second);
    assert_int_equal(second->uses, 2);
    assert_ptr_equal(take(&world), first);
    speak(&world, first, 0);
    speak(&world, second, 1);
    struct conn_pool_counters counters = counters_of(&world);
    assert_int_equal(counters.leased_now, 2);
    assert_int_equal(counters.leased_peak, 2);
    conn_pool_give(first, true);
    conn_pool_give(second, false);
    counters = counters_of(&world);
    assert_int_equal(counters.opened, 2);
    assert_int_equal(counters.reused, 2);
    assert_int_equal(counters.leased_now, 0);
    assert_int_equal(counters.resting_now, 1);
    char byte;
    assert_int_equal(read(world.origin.sides[1], &byte, 1), 0); /* it was closed */
    world_close(&world);
    return 0;
}
POOL_TEST(last_in_is_first_out)

static int what_the_origin_has_ended_is_not_handed_out_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){0});
    struct pooled_conn *conns[4];
    for (unsigned index = 0; index < 4; index++)
        conns[index] = take(&world);
    for (unsigned index = 0; index < 4; index++)
        conn_pool_give(conns[index], true);
    origin_closes(&world.origin, 1);
    origin_speaks(&world.origin, 2);
    origin_resets(&world.origin, 3);
    struct pooled_conn *conn = take(&world);
    assert_int_equal(conn->uses, 2);
    speak(&world, conn, 0); /* the only one that was left alone */
    struct conn_pool_counters counters = counters_of(&world);
    assert_int_equal(counters.stale, 3);
    assert_int_equal(counters.opened, 4);
    assert_int_equal(counters.resting_now, 0);
    conn_pool_give(conn, true);
    origin_closes(&world.origin, 0);
    conn = take(&world);
    assert_int_equal(conn->uses, 1);
    speak(&world, conn, 4);
    conn_pool_give(conn, true);
    world_close(&world);
    return 0;
}
POOL_TEST(what_the_origin_has_ended_is_not_handed_out)

/* An origin that has restarted leaves many: nobody who wants one connection closes them all. */
static int an_origin_restarts_fiber(void *arg)
{
    enum { MANY = 400, LOOKS = 128 };
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){0});
    static struct pooled_conn *conns[MANY];
    for (unsigned index = 0; index < MANY; index++)
        conns[index] = take(&world);
    for (unsigned index = 0; index < MANY; index++) {
        conn_pool_give(conns[index], true);
        origin_closes(&world.origin, index);
    }
    struct pooled_conn *conn = take(&world);
    assert_int_equal(conn->uses, 1);
    assert_int_equal(counters_of(&world).stale, LOOKS);
    conn_pool_give(conn, true);
    for (int waited_ms = 0; counters_of(&world).stale < MANY; waited_ms += 10) {
        assert_true(waited_ms < 2 * SOON_MS);
        assert_int_equal(leat_sleep_ms(10), 0);
    }
    assert_int_equal(counters_of(&world).resting_now, 1);
    assert_int_equal(counters_of(&world).opened, MANY + 1);
    world_close(&world);
    return 0;
}
POOL_TEST(an_origin_restarts)

static int fresh_means_new_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){.connections_max = 2});
    conn_pool_give(take(&world), true);
    struct pooled_conn *conn, *second, *third;
    const int64_t deadline_ns = leat_after_ms(PATIENCE_MS);
    assert_int_equal(
        conn_pool_take(world.shelf, world.destination, CONN_POOL_FRESH, deadline_ns, &conn), 0);
    assert_int_equal(conn->uses, 1);
    assert_int_equal(counters_of(&world).resting_now, 1);
    /* At the limit the one at rest goes. */
    assert_int_equal(
        conn_pool_take(world.shelf, world.destination, CONN_POOL_FRESH, deadline_ns, &second), 0);
    assert_int_equal(second->uses, 1);
    assert_int_equal(counters_of(&world).evicted, 1);
    /* Of another core's, too. */
    conn_pool_give(second, true);
    assert_int_equal(
        conn_pool_take(world.other, world.destination, CONN_POOL_FRESH, deadline_ns, &third), 0);
    assert_int_equal(third->uses, 1);
    assert_int_equal(counters_of(&world).evicted, 2);
    assert_int_equal(counters_of(&world).opened, 4);
    conn_pool_give(conn, true);
    conn_pool_give(third, true);
    world_close(&world);
    return 0;
}
POOL_TEST(fresh_means_new)

static int dials_that_fail_leave_their_place_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){.connections_max = 1});
    struct pooled_conn *conn = NULL;
    world.origin.dial_error = -ECONNREFUSED;
    for (int round = 0; round < 3; round++)
        assert_int_equal(take_on(&world, world.shelf, &conn), -ECONNREFUSED);
    assert_null(conn);
    world.origin.dial_error = 0;
    conn = take(&world);
    const struct conn_pool_counters counters = counters_of(&world);
    assert_int_equal(counters.failed, 3);
    assert_int_equal(counters.opened, 1);
    assert_int_equal(counters.leased_now, 1);
    conn_pool_give(conn, true);
    world_close(&world);
    return 0;
}
POOL_TEST(dials_that_fail_leave_their_place)

static int old_and_used_ones_end_fiber(void *arg)
{
    struct world world;
    world_open(
        &world, NULL,
        (struct conn_pool_destination_options){.uses_max = 2, .age_ns = 60 * LEAT_NS_PER_MS});
    conn_pool_give(take(&world), true);
    assert_int_equal(counters_of(&world).resting_now, 1);
    conn_pool_give(take(&world), true);
    assert_int_equal(counters_of(&world).resting_now, 0); /* used twice */
    assert_int_equal(counters_of(&world).evicted, 1);
    struct pooled_conn *conn = take(&world);
    assert_int_equal(leat_sleep_ms(70), 0);
    conn_pool_give(conn, true);
    assert_int_equal(counters_of(&world).resting_now, 0); /* too old when it came back */
    conn_pool_give(take(&world), true);
    for (int waited_ms = 0; counters_of(&world).resting_now > 0; waited_ms += 10) {
        assert_true(waited_ms < SOON_MS);
        assert_int_equal(leat_sleep_ms(10), 0);
    }
    assert_int_equal(counters_of(&world).evicted, 3); /* too old while at rest */
    world_close(&world);
    return 0;
}
POOL_TEST(old_and_used_ones_end)

/* Nobody asks for them: a timer ends those that rest too long, and those that their origin has
 * closed, before that. */
static int the_idle_are_looked_at_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL,
               (struct conn_pool_destination_options){.idle_ns = 400 * LEAT_NS_PER_MS});
    struct pooled_conn *conns[6];
    for (unsigned index = 0; index < 6; index++)
        conns[index] = take(&world);
    const int64_t begun_ns = leat_now_ns();
    for (unsigned index = 0; index < 6; index++)
        conn_pool_give(conns[index], true);
    origin_closes(&world.origin, 0);
    origin_closes(&world.origin, 3);
    while (counters_of(&world).stale < 2) {
        assert_true(leat_now_ns() < begun_ns + 390 * LEAT_NS_PER_MS);
        assert_int_equal(leat_sleep_ms(5), 0);
    }
    assert_int_equal(counters_of(&world).resting_now, 4);
    while (counters_of(&world).resting_now > 0) {
        assert_true(leat_now_ns() < begun_ns + (400 + SOON_MS) * LEAT_NS_PER_MS);
        assert_int_equal(leat_sleep_ms(5), 0);
    }
    assert_true(leat_now_ns() >= begun_ns + 400 * LEAT_NS_PER_MS);
    assert_int_equal(counters_of(&world).evicted, 4);
    world_close(&world);
    return 0;
}
POOL_TEST(the_idle_are_looked_at)

static int ahead_of_need_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){.ahead = 3});
    const int64_t deadline_ns = leat_after_ms(PATIENCE_MS);
    assert_int_equal(conn_pool_open_ahead(world.shelf, world.destination, deadline_ns), 0);
    assert_int_equal(conn_pool_open_ahead(world.other, world.destination, deadline_ns), 0);
    struct conn_pool_counters counters = counters_of(&world);
    assert_int_equal(counters.resting_now, 3);
    assert_int_equal(counters.opened, 3);
    struct pooled_conn *conn = take(&world);
    assert_int_equal(conn->uses, 2); /* it has rested, and may be stale */
    assert_int_equal(conn_pool_open_ahead(world.shelf, world.destination, deadline_ns), 0);
    assert_int_equal(counters_of(&world).opened, 4);
    world.origin.dial_error = -ECONNREFUSED;
    struct pooled_conn *second = take(&world);
    assert_int_equal(conn_pool_open_ahead(world.shelf, world.destination, deadline_ns),
                     -ECONNREFUSED);
    conn_pool_give(conn, true);
    conn_pool_give(second, true);
    world_close(&world);
    return 0;
}
POOL_TEST(ahead_of_need)

static int the_retired_end_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL,
               (struct conn_pool_destination_options){.idle_ns = 200 * LEAT_NS_PER_MS});
    struct pooled_conn *leased = take(&world);
    conn_pool_give(take(&world), true);
    conn_pool_retire(world.destination);
    for (int waited_ms = 0; counters_of(&world).resting_now > 0; waited_ms += 5) {
        assert_true(waited_ms < SOON_MS);
        assert_int_equal(leat_sleep_ms(5), 0);
    }
    conn_pool_give(leased, true);
    assert_int_equal(counters_of(&world).resting_now, 0);
    assert_int_equal(counters_of(&world).evicted, 2);
    world_close(&world);
    return 0;
}
POOL_TEST(the_retired_end)

/* ---- Cores ----------------------------------------------------------------------------------- */

/* What rests on one core's shelf serves another, before a new one is opened. */
static int cores_share_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){0});
    struct pooled_conn *first = take(&world), *second = take(&world), *conn;
    speak(&world, first, 0);
    conn_pool_give(first, true);
    conn_pool_give(second, true);
    for (unsigned index = 0; index < 2; index++) {
        assert_int_equal(take_on(&world, world.other, &conn), 0);
        assert_ptr_equal(conn,
                         index == 0 ? first : second); /* what rested longest is the surplus */
        assert_ptr_equal(conn->shelf, world.other);
        speak(&world, conn, index);
    }
    assert_int_equal(counters_of(&world).opened, 2);
    assert_int_equal(counters_of(&world).moved, 2);
    assert_int_equal(take_on(&world, world.other, &conn), 0);
    assert_int_equal(conn->uses, 1);
    speak(&world, conn, 2);
    conn_pool_give(first, true);
    conn_pool_give(second, true);
    conn_pool_give(conn, true);
    /* And back, from a shelf that goes. */
    conn_pool_shelf_destroy(world.other);
    struct pooled_conn *conns[3];
    for (unsigned index = 0; index < 3; index++) {
        conns[index] = take(&world);
        assert_true(conns[index]->uses > 1);
    }
    assert_int_equal(counters_of(&world).opened, 3);
    assert_int_equal(counters_of(&world).leased_peak, 3);
    for (unsigned index = 0; index < 3; index++)
        conn_pool_give(conns[index], true);
    assert_int_equal(conn_pool_shelf_create(world.pool, &world.other), 0);
    world_close(&world);
    return 0;
}
POOL_TEST(cores_share)

/* ---- Waiting --------------------------------------------------------------------------------- */

struct waiter {
    struct world *world;
    struct conn_pool_shelf *shelf;
    int64_t timeout_ms;
    unsigned *turns, turn; /* in which order they were served */
    int result;
    struct pooled_conn *conn;
};

static void wait_for_one(void *arg)
{
    struct waiter *waiter = arg;
    waiter->result = conn_pool_take(
        waiter->shelf, waiter->world->destination, CONN_POOL_ANY,
        waiter->timeout_ms ? leat_after_ms(waiter->timeout_ms) : LEAT_FOREVER, &waiter->conn);
    waiter->turn = ++*waiter->turns;
}

enum { WAITERS = 4 };

static int waiters_are_served_in_turn_fiber(void *arg)
{
    struct world world;
    world_open(
        &world, NULL,
        (struct conn_pool_destination_options){.connections_max = 1, .waiting_max = WAITERS});
    struct pooled_conn *conn = take(&world), *none = NULL;
    struct waiter waiters[WAITERS];
    unsigned turns = 0;
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (unsigned index = 0; index < WAITERS; index++) {
        waiters[index] = (struct waiter){.world = &world,
                                         .shelf = index % 2 ? world.other : world.shelf,
                                         .timeout_ms = index == 1 ? 20 : 0,
                                         .turns = &turns};
        assert_int_equal(leat_spawn(&scope, wait_for_one, &waiters[index], NULL), 0);
        assert_int_equal(leat_yield(), 0);
    }
    assert_int_equal(counters_of(&world).waiting_now, WAITERS);
    assert_int_equal(take_on(&world, world.shelf, &none), -LEAT_E_LIMIT);
    assert_int_equal(leat_sleep_ms(40), 0);
    assert_int_equal(waiters[1].result, -ETIMEDOUT);
    assert_int_equal(counters_of(&world).waiting_now, WAITERS - 1);
    conn_pool_give(conn, true); /* the connection */
    assert_int_equal(leat_sleep_ms(5), 0);
    assert_ptr_equal(waiters[0].conn, conn);
    conn_pool_give(conn, false); /* its place */
    assert_int_equal(leat_sleep_ms(20), 0);
    assert_int_equal(waiters[2].result, 0);
    assert_int_equal(waiters[2].conn->uses, 1);
    conn_pool_give(waiters[2].conn, true);
    assert_int_equal(leat_scope_join(&scope, leat_after_ms(PATIENCE_MS)), 0);
    leat_scope_fini(&scope);
    assert_int_equal(waiters[3].turn, 4);
    conn_pool_give(waiters[3].conn, true);
    const struct conn_pool_counters counters = counters_of(&world);
    assert_int_equal(counters.waited, WAITERS);
    assert_int_equal(counters.late, 1);
    assert_int_equal(counters.refused, 1);
    assert_int_equal(counters.opened, 2);
    assert_int_equal(counters.leased_peak, 1);
    world_close(&world);
    return 0;
}
POOL_TEST(waiters_are_served_in_turn)

/* What a cancelled fiber was called to have goes to the next. */
static int the_cancelled_pass_it_on_fiber(void *arg)
{
    struct world world;
    world_open(&world, NULL, (struct conn_pool_destination_options){.connections_max = 1});
    for (int is_reusable = 0; is_reusable < 2; is_reusable++) {
        struct pooled_conn *conn = take(&world);
        struct waiter waiters[2];
        unsigned turns = 0;
        struct leat_scope scopes[2];
        for (unsigned index = 0; index < 2; index++) {
            leat_scope_init(&scopes[index]);
            waiters[index] =
                (struct waiter){.world = &world, .shelf = world.other, .turns = &turns};
            assert_int_equal(leat_spawn(&scopes[index], wait_for_one, &waiters[index], NULL), 0);
            assert_int_equal(leat_yield(), 0);
        }
        conn_pool_give(conn, is_reusable);
        leat_scope_cancel(&scopes[0]);
        for (unsigned index = 0; index < 2; index++) {
            assert_int_equal(leat_scope_join(&scopes[index], leat_after_ms(PATIENCE_MS)), 0);
            leat_scope_fini(&scopes[index]);
        }
        assert_int_equal(waiters[0].result, -ECANCELED);
        assert_int_equal(waiters[1].result, 0);
        conn_pool_give(waiters[1].conn, true);
        assert_int_equal(counters_of(&world).leased_now, 0);
    }
    world_close(&world);
    return 0;
}
POOL_TEST(the_cancelled_pass_it_on)

/* The pool's own limit: what rests of one destination makes way for another, on whatever core. */
static int the_pool_is_one_room_fiber(void *arg)
{
    struct world world;
    const struct conn_pool_options pool_options = {.connections_max = 2};
    world_open(&world, &pool_options, (struct conn_pool_destination_options){0});
    struct conn_pool_destination *second;
    const struct conn_pool_destination_options options = {
        .name = "second", .dial = origin_dial, .user = &world.origin};
    assert_int_equal(conn_pool_add(world.pool, &options, &second), 0);
    struct pooled_conn *a = take(&world), *b = take(&world), *c, *d;
    const int64_t deadline_ns = leat_after_ms(PATIENCE_MS);
    assert_int_equal(conn_pool_take(world.shelf, second, CONN_POOL_ANY, leat_after_ms(10), &c),
                     -ETIMEDOUT);
    conn_pool_give(a, true);
    assert_int_equal(conn_pool_take(world.shelf, second, CONN_POOL_ANY, deadline_ns, &c), 0);
    conn_pool_give(b, true);
    assert_int_equal(conn_pool_take(world.other, second, CONN_POOL_ANY, deadline_ns, &d), 0);
    assert_int_equal(counters_of(&world).evicted, 2);
    assert_int_equal(counters_of(&world).leased_now + counters_of(&world).resting_now, 0);
    struct conn_pool_counters all;
    conn_pool_counters_read(world.pool, &all);
    assert_int_equal(all.leased_now, 2);
    assert_int_equal(all.opened, 4);
    /* Who waits is called when one of the others is given back. */
    struct waiter waiter = {.world = &world, .shelf = world.shelf, .turns = &(unsigned){0}};
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, wait_for_one, &waiter, NULL), 0);
    assert_int_equal(leat_yield(), 0);
    conn_pool_give(c, true);
    assert_int_equal(leat_scope_join(&scope, leat_after_ms(PATIENCE_MS)), 0);
    leat_scope_fini(&scope);
    assert_int_equal(waiter.result, 0);
    conn_pool_give(waiter.conn, true);
    conn_pool_give(d, true);
    world_close(&world);
    return 0;
}
POOL_TEST(the_pool_is_one_room)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_in_is_first_out),
        cmocka_unit_test(test_what_the_origin_has_ended_is_not_handed_out),
        cmocka_unit_test(test_an_origin_restarts),
        cmocka_unit_test(test_fresh_means_new),
        cmocka_unit_test(test_dials_that_fail_leave_their_place),
        cmocka_unit_test(test_old_and_used_ones_end),
        cmocka_unit_test(test_the_idle_are_looked_at),
        cmocka_unit_test(test_ahead_of_need),
        cmocka_unit_test(test_the_retired_end),
        cmocka_unit_test(test_cores_share),
        cmocka_unit_test(test_waiters_are_served_in_turn),
        cmocka_unit_test(test_the_cancelled_pass_it_on),
        cmocka_unit_test(test_the_pool_is_one_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
