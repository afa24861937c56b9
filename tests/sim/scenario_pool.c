/* SPDX-License-Identifier: MIT */
/*
 * The pool of connections: fibers of several cores (shelves on one loop) ask origins for numbers
 * over leased connections, and origins close, reset, speak unasked and fall silent when they like.
 * No connection is handed out with a byte unread, no limit is passed, nobody stays in line while
 * something is there for it, what rests too long ends, and the counters agree with what was seen.
 */
#include "fiber/fiber.h"
#include "http/conn_pool.h"
#include "leat/error.h"
#include "talker.h"

enum {
    ORIGINS_MAX = 3,
    CORES_MAX = 3,
    USERS_MAX = 8,
    GUESTS_MAX = 2048,
    PORT_FIRST = 1000,
    DIAL_MS = 60000,
    PERIOD_MS = 1000, /* of the pool's looking at what rests, at most */
};

/* ---- Origins --------------------------------------------------------------------------------- */

struct cafe;

struct origin {
    struct cafe *cafe;
    uint16_t port;
    struct conn_pool_destination *destination;
    struct conn_pool_destination_options options;
    /* Per cent: after an answer, some time later; and in place of an answer. */
    unsigned closes, resets, speaks, is_silent;
    uint64_t dialled, failed;      /* as its dial saw it */
    uint64_t leases, given, bad;   /* as its users saw it: bad was given back as not reusable */
    uint64_t refused, late, fresh; /* fresh: were asked for */
    unsigned leased, leased_peak, in_flight, in_flight_peak;
    int64_t wanting_since_ns; /* somebody waits although something is there; 0: no */
};

/* The origin's end of a connection. */
struct guest {
    struct origin *origin;
    struct sim_peer *peer; /* NULL: gone */
    char bytes[4];
    unsigned size;
    enum { STAYS, CLOSES, RESETS, SPEAKS } whim;
};

/* One core, and who works there. */
struct core {
    struct conn_pool_shelf *shelf;
    unsigned users;
};

struct cafe {
    struct sim_run *run;
    struct conn_pool *pool;
    unsigned connections_max, origin_count, core_count, dialling;
    struct origin origins[ORIGINS_MAX];
    struct core cores[CORES_MAX];
    struct guest guests[GUESTS_MAX];
    unsigned guest_count;
    bool is_over;
};

static void guest_goes(struct guest *guest, bool is_rude)
{
    if (is_rude)
        sim_peer_reset(guest->peer);
    else
        sim_peer_close(guest->peer);
    guest->peer = NULL;
}

static void guest_follows_whim(struct sim *sim, void *user)
{
    struct guest *guest = user;
    if (!guest->peer)
        return;
    if (guest->whim == SPEAKS)
        sim_peer_send(guest->peer, "?", 1);
    else
        guest_goes(guest, guest->whim == RESETS);
}

static void guest_sends_answer(struct guest *guest)
{
    for (size_t sent = 0; sent < sizeof guest->bytes;) {
        const ssize_t count =
            sim_peer_send(guest->peer, guest->bytes + sent, sizeof guest->bytes - sent);
        if (count <= 0)
            return; /* broken; so few bytes always find room */
        sent += (size_t)count;
    }
}

static void guest_answers(struct guest *guest)
{
    const struct origin *origin = guest->origin;
    struct sim_run *run = origin->cafe->run;
    guest->size = 0;
    if (draw_chance(run, origin->is_silent))
        return;
    for (unsigned index = 0; index < sizeof guest->bytes; index++)
        guest->bytes[index] ^= 0x5a;
    guest_sends_answer(guest);
    guest->whim = draw_chance(run, origin->closes)   ? CLOSES
                  : draw_chance(run, origin->resets) ? RESETS
                  : draw_chance(run, origin->speaks) ? SPEAKS
                                                     : STAYS;
    if (guest->whim == STAYS)
        return;
    if (draw_chance(run, 30))
        guest_follows_whim(run->sim, guest);
    else
        sim_at(run->sim, sim_now_ns(run->sim) + (int64_t)draw(run, 1, 60) * LEAT_NS_PER_MS,
               guest_follows_whim, guest);
}

static void on_guest(struct sim_peer *peer, void *user)
{
    struct guest *guest = user;
    while (guest->peer) {
        const ssize_t count = sim_peer_recv(guest->peer, guest->bytes + guest->size,
                                            sizeof guest->bytes - guest->size);
        if (count == -EAGAIN)
            return;
        if (count <= 0) {
            guest_goes(guest, false);
            return;
        }
        guest->size += (unsigned)count;
        if (guest->size == sizeof guest->bytes)
            guest_answers(guest);
    }
}

static void on_connection(struct sim_peer *peer, void *user)
{
    struct origin *origin = user;
    struct cafe *cafe = origin->cafe;
    CHECK(cafe->run, cafe->guest_count < GUESTS_MAX);
    struct guest *guest = &cafe->guests[cafe->guest_count++];
    *guest = (struct guest){.origin = origin, .peer = peer};
    sim_peer_set_event(peer, on_guest, guest);
}

static int dial(void *user, int64_t deadline_ns)
{
    struct origin *origin = user;
    const struct leat_address address = local_address(origin->port);
    origin->cafe->dialling++;
    const int fd = stream_connect(&address, NULL, deadline_ns);
    origin->cafe->dialling--;
    origin->dialled += fd >= 0;
    origin->failed += fd < 0 && fd != -ECANCELED;
    return fd;
}

/* ---- What must hold at any time -------------------------------------------------------------- */

/* `resting`: of all origins; in a full pool their places would do. */
static void check_origin(struct cafe *cafe, struct origin *origin, bool is_pool_full,
                         uint64_t resting)
{
    struct sim_run *run = cafe->run;
    const struct conn_pool_destination_options *options = &origin->options;
    struct conn_pool_counters counters;
    conn_pool_destination_counters(origin->destination, &counters);
    const uint64_t open = counters.leased_now + counters.resting_now;
    CHECK(run, options->connections_max == 0 || open <= options->connections_max);
    CHECK(run, counters.leased_now >= origin->leased);
    CHECK(run, counters.leased_peak >= origin->leased_peak);
    CHECK(run, counters.leased_peak >= counters.leased_now);
    CHECK(run, counters.opened == origin->dialled && counters.failed == origin->failed);
    CHECK(run, counters.refused == origin->refused);
    CHECK(run, counters.late <= origin->late);
    /* Each that was opened is there, or was closed for a reason. */
    CHECK(run, counters.opened <= open + counters.evicted + counters.stale + origin->bad);

    const bool is_full = options->connections_max > 0 && open >= options->connections_max;
    const bool is_wanting =
        counters.waiting_now > 0 &&
        (counters.resting_now > 0 || (!is_full && (!is_pool_full || resting > 0)));
    const int64_t now_ns = leat_now_ns();
    if (!is_wanting)
        origin->wanting_since_ns = 0;
    else if (origin->wanting_since_ns == 0)
        origin->wanting_since_ns = now_ns;
    else
        CHECK(run,
              now_ns <= origin->wanting_since_ns + 5 * LEAT_NS_PER_MS + deadline_slack_ns(run));
}

static void check_cafe(struct cafe *cafe)
{
    struct sim_run *run = cafe->run;
    struct conn_pool_counters counters;
    conn_pool_counters_read(cafe->pool, &counters);
    const uint64_t open = counters.leased_now + counters.resting_now;
    CHECK(run, cafe->connections_max == 0 || open <= cafe->connections_max);
    /* Only a dial may have none yet. */
    CHECK(run, sim_open_count(run->sim) <= open);
    CHECK(run, cafe->dialling > 0 || counters.leased_now == 0 ||
                   sim_open_count(run->sim) + USERS_MAX >= open);
    for (unsigned index = 0; index < cafe->origin_count; index++)
        check_origin(cafe, &cafe->origins[index],
                     cafe->connections_max > 0 && open >= cafe->connections_max,
                     counters.resting_now);
}

static void watch_cafe(void *arg)
{
    struct cafe *cafe = arg;
    while (!cafe->is_over) {
        check_cafe(cafe);
        if (leat_sleep_ms(2))
            return;
    }
}

/* ---- Users ----------------------------------------------------------------------------------- */

struct user {
    struct cafe *cafe;
    struct core *core;
    unsigned rounds;
};

/* Some time soon, when others have something to do, too: things that meet are of interest. */
static int64_t soon(struct sim_run *run, unsigned most_ms)
{
    const int64_t grid_ns = 4 * LEAT_NS_PER_MS;
    const int64_t steps = (int64_t)draw(run, 0, most_ms / 4);
    return (leat_now_ns() / grid_ns + 1 + steps) * grid_ns;
}

/* Was the question answered? */
static bool ask(struct sim_run *run, struct pooled_conn *conn)
{
    char question[4], answer[4];
    for (unsigned index = 0; index < sizeof question; index++)
        question[index] = (char)draw(run, 0, 255);
    const int64_t deadline_ns = leat_after_ms((int64_t)draw(run, 50, 400));
    if (leat_stream_write(&conn->stream, question, sizeof question, deadline_ns) ||
        leat_stream_read_exactly(&conn->stream, answer, sizeof answer, deadline_ns))
        return false;
    for (unsigned index = 0; index < sizeof answer; index++)
        if (answer[index] != (question[index] ^ 0x5a)) {
            CHECK(run, answer[0] == '?'); /* it was on its way when we asked */
            return false;
        }
    return true;
}

static void use(struct cafe *cafe, struct origin *origin, struct pooled_conn *conn)
{
    struct sim_run *run = cafe->run;
    char byte;
    if (conn->uses > 1)
        CHECK(run, run->sys->recv(run->sys, conn->stream.fd, &byte, 1, true) == -EAGAIN);
    CHECK(run, origin->options.uses_max == 0 || conn->uses <= origin->options.uses_max);
    CHECK(run, origin->options.age_ns == 0 || conn->uses == 1 ||
                   leat_now_ns() < conn->opened_ns + origin->options.age_ns);
    origin->leases++;
    if (++origin->leased > origin->leased_peak)
        origin->leased_peak = origin->leased;
    bool is_reusable = true;
    for (uint64_t questions = draw(run, 1, 3); is_reusable && questions > 0; questions--)
        is_reusable = ask(run, conn);
    if (draw_chance(run, 20))
        leat_sleep_until(soon(run, 30));
    if (draw_chance(run, 5))
        is_reusable = false;
    origin->leased--;
    origin->given++;
    origin->bad += !is_reusable;
    conn_pool_give(conn, is_reusable);
}

static void visit(struct user *user, struct origin *origin)
{
    struct cafe *cafe = user->cafe;
    struct sim_run *run = cafe->run;
    const int64_t deadline_ns = draw_chance(run, 20) ? soon(run, 60) : LEAT_FOREVER;
    const bool is_fresh = draw_chance(run, 10);
    struct pooled_conn *conn = NULL;
    origin->fresh += is_fresh;
    if (++origin->in_flight > origin->in_flight_peak)
        origin->in_flight_peak = origin->in_flight;
    const int error =
        conn_pool_take(user->core->shelf, origin->destination,
                       is_fresh ? CONN_POOL_FRESH : CONN_POOL_ANY, deadline_ns, &conn);
    if (!error) {
        CHECK(run, conn && (!is_fresh || conn->uses == 1));
        use(cafe, origin, conn);
    } else {
        CHECK(run, !conn);
        CHECK(run, error == -ETIMEDOUT || error == -LEAT_E_LIMIT || error == -ECANCELED ||
                       may_break(run) || may_lack(run));
        origin->refused += error == -LEAT_E_LIMIT;
        origin->late += error == -ETIMEDOUT;
        if (error == -ETIMEDOUT && deadline_ns != LEAT_FOREVER)
            check_deadline(run, deadline_ns, leat_now_ns());
    }
    origin->in_flight--;
}

static void run_user(void *arg)
{
    struct user *user = arg;
    struct cafe *cafe = user->cafe;
    struct sim_run *run = cafe->run;
    for (unsigned round = 0; round < user->rounds && !leat_is_cancelled(); round++) {
        /* The first is the favourite. */
        const unsigned index =
            draw_chance(run, 50) ? 0 : (unsigned)draw(run, 0, cafe->origin_count - 1);
        struct origin *origin = &cafe->origins[index];
        if (origin->options.ahead > 0 && draw_chance(run, 5))
            conn_pool_open_ahead(user->core->shelf, origin->destination, leat_after_ms(DIAL_MS));
        visit(user, origin);
        if (draw_chance(run, 60))
            leat_sleep_ms((int64_t)draw(run, 0, draw_chance(run, 3) ? 3000 : 20));
    }
    /* A core whose work is done goes, and what rests there serves the others. */
    struct core *core = user->core;
    if (--core->users == 0 && draw_chance(run, 70)) {
        conn_pool_shelf_destroy(core->shelf);
        core->shelf = NULL;
    }
}

/* ---- The day --------------------------------------------------------------------------------- */

static void open_origin(struct cafe *cafe, unsigned index)
{
    struct sim_run *run = cafe->run;
    struct origin *origin = &cafe->origins[index];
    const bool is_kind = draw_chance(run, 30);
    *origin = (struct origin){
        .cafe = cafe,
        .port = (uint16_t)(PORT_FIRST + index),
        .closes = is_kind ? 0 : (unsigned)draw(run, 0, 20),
        .resets = is_kind ? 0 : (unsigned)draw(run, 0, 10),
        .speaks = is_kind ? 0 : (unsigned)draw(run, 0, 10),
        .is_silent = is_kind ? 0 : (unsigned)draw(run, 0, 3),
        .options =
            {
                .name = "origin",
                .dial = dial,
                .connections_max = draw_chance(run, 60) ? (unsigned)draw(run, 1, 4) : 0,
                .waiting_max = draw_chance(run, 30) ? (unsigned)draw(run, 1, 3) : 0,
                .uses_max = draw_chance(run, 20) ? (unsigned)draw(run, 1, 5) : 0,
                .idle_ns = draw_chance(run, 50) ? (int64_t)draw(run, 20, 2000) * LEAT_NS_PER_MS : 0,
                .age_ns = draw_chance(run, 20) ? (int64_t)draw(run, 50, 2000) * LEAT_NS_PER_MS : 0,
                .ahead = draw_chance(run, 20) ? (unsigned)draw(run, 1, 3) : 0,
            },
    };
    origin->options.user = origin;
    const struct leat_address address = local_address(origin->port);
    CHECK(run, sim_peer_listen(run->sim, &address.base, address.size, on_connection, origin) == 0);
    CHECK(run, conn_pool_add(cafe->pool, &origin->options, &origin->destination) == 0);
}

static bool is_one_more_strange(const struct origin *origin)
{
    const struct conn_pool_destination_options *options = &origin->options;
    return origin->closes + origin->resets + origin->speaks + origin->is_silent +
                   options->uses_max + options->ahead >
               0 ||
           options->age_ns > 0 || options->idle_ns > 0;
}

/* When the work is done: what rests goes by itself, in its time. */
static void wait_for_the_idle(struct cafe *cafe)
{
    struct sim_run *run = cafe->run;
    int64_t idle_ns = 0;
    for (unsigned index = 0; index < cafe->origin_count; index++) {
        struct origin *origin = &cafe->origins[index];
        const int64_t own_ns =
            origin->options.idle_ns ? origin->options.idle_ns : 60 * LEAT_NS_PER_S;
        idle_ns = own_ns > idle_ns ? own_ns : idle_ns;
        if (draw_chance(run, 50))
            conn_pool_retire(origin->destination);
    }
    const int64_t until_ns =
        leat_now_ns() + idle_ns + 3 * PERIOD_MS * LEAT_NS_PER_MS + deadline_slack_ns(run);
    CHECK(run, leat_sleep_until(until_ns) == 0);
    struct conn_pool_counters counters;
    conn_pool_counters_read(cafe->pool, &counters);
    CHECK(run, counters.resting_now == 0);
}

static void check_in_the_end(struct cafe *cafe)
{
    struct sim_run *run = cafe->run;
    for (unsigned index = 0; index < cafe->origin_count; index++) {
        const struct origin *origin = &cafe->origins[index];
        struct conn_pool_counters counters;
        conn_pool_destination_counters(origin->destination, &counters);
        CHECK(run, origin->leased == 0 && counters.leased_now == 0 && counters.waiting_now == 0);
        CHECK(run, origin->given == origin->leases);
        CHECK(run, counters.opened + counters.reused >= origin->leases);
        CHECK(run, counters.reused <= origin->leases);
        CHECK(run,
              origin->options.ahead > 0 || counters.opened + counters.reused == origin->leases);
        const uint64_t closed = counters.evicted + counters.stale + origin->bad;
        CHECK(run, counters.opened >= counters.evicted + counters.stale + counters.resting_now);
        CHECK(run, counters.opened <= closed + counters.resting_now);
        /* What never ended was never opened in vain, on however many cores. */
        if (!is_one_more_strange(origin) && !may_break(run) && !may_lack(run))
            CHECK(run, counters.opened <=
                           origin->in_flight_peak + origin->bad + counters.evicted + origin->fresh);
    }
}

static void cafe_main(void *arg)
{
    struct cafe *cafe = arg;
    struct sim_run *run = cafe->run;
    struct user users[USERS_MAX];
    const unsigned count = (unsigned)draw(run, 1, USERS_MAX);
    struct leat_scope watchers, scope;
    leat_scope_init(&watchers);
    leat_scope_init(&scope);
    CHECK(run, leat_spawn(&watchers, watch_cafe, cafe, NULL) == 0);
    for (unsigned index = 0; index < count; index++) {
        /* Most are on the first core. */
        const uint64_t place = draw_chance(run, 50) ? 0 : draw(run, 0, cafe->core_count - 1);
        users[index] = (struct user){cafe, &cafe->cores[place], (unsigned)draw(run, 1, 15)};
        users[index].core->users++;
    }
    for (unsigned index = 0; index < count; index++)
        CHECK(run, leat_spawn(&scope, run_user, &users[index], NULL) == 0);
    if (draw_chance(run, 15)) {
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 200)) == 0);
        leat_scope_cancel(&scope);
    }
    CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    leat_scope_fini(&scope);
    check_cafe(cafe);
    cafe->is_over = true;
    leat_scope_fini(&watchers);
    check_in_the_end(cafe);
    if (draw_chance(run, 30))
        wait_for_the_idle(cafe);
    for (unsigned index = 0; index < cafe->core_count; index++)
        conn_pool_shelf_destroy(cafe->cores[index].shelf);
    check_in_the_end(cafe);
    CHECK(run, sim_open_count(run->sim) == 0);
}

static void run_pool(struct sim_run *run)
{
    struct cafe *cafe = calloc(1, sizeof *cafe);
    CHECK(run, cafe != NULL);
    cafe->run = run;
    cafe->connections_max = draw_chance(run, 30) ? (unsigned)draw(run, 1, 6) : 0;
    cafe->origin_count = (unsigned)draw(run, 1, ORIGINS_MAX);
    cafe->core_count = (unsigned)draw(run, 1, CORES_MAX);
    const struct conn_pool_options options = {.connections_max = cafe->connections_max};
    CHECK(run, conn_pool_create(&options, &cafe->pool) == 0);
    for (unsigned index = 0; index < cafe->origin_count; index++)
        open_origin(cafe, index);
    for (unsigned index = 0; index < cafe->core_count; index++)
        CHECK(run, conn_pool_shelf_create(cafe->pool, &cafe->cores[index].shelf) == 0);
    run_fiber(run, cafe_main, cafe);
    turn_until_idle(run);
    for (unsigned index = 0; index < cafe->guest_count; index++)
        if (cafe->guests[index].peer)
            guest_goes(&cafe->guests[index], false);
    conn_pool_destroy(cafe->pool);
    free(cafe);
}

const struct scenario scenario_pool = {"pool", "connections used again by several cores", run_pool};
