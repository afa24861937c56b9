/* SPDX-License-Identifier: MIT */
/*
 * Relays: fibers in the middle of pairs of talkers, both ways, by splice or (without pipes) by
 * copying. What arrives is what was sent, from its start; all of it, and then the end, where nobody
 * vanished and nothing broke.
 */
#include "fiber/fiber.h"
#include "leat/error.h"
#include "leat/relay.h"
#include "talker.h"

enum { LINKS_MAX = 5, PORT_FIRST = 1000, CONNECT_TIMEOUT_MS = 60000 };

struct link {
    struct sim_run *run;
    uint16_t port;
    struct talker sides[2];
    struct leat_stream *streams[2];
    bool is_disturbed; /* given up, or never connected */
};

/* One way of a link. */
struct way {
    struct link *link;
    unsigned from;
    int64_t deadline_ns, moved;
};

static int relay_way(void *arg)
{
    struct way *way = arg;
    struct link *link = way->link;
    struct sim_run *run = link->run;
    way->moved = leat_relay(link->streams[way->from], link->streams[!way->from], way->deadline_ns);
    if (way->moved == -ETIMEDOUT && leat_now_ns() >= way->deadline_ns)
        check_deadline(run, way->deadline_ns, leat_now_ns());
    return way->moved < 0 ? (int)way->moved : 0;
}

static bool connect_side(struct link *link, unsigned side)
{
    struct sim_run *run = link->run;
    const struct leat_address address = local_address((uint16_t)(link->port + side));
    int error;
    unsigned attempts = 0;
    do
        error =
            leat_connect(&address, NULL, leat_after_ms(CONNECT_TIMEOUT_MS), &link->streams[side]);
    while (error == -EMFILE && ++attempts < 20);
    CHECK(run, !error || error == -ECANCELED || may_break(run) || may_lack(run));
    return error == 0;
}

static void check_link(struct link *link, const struct way *ways, int result)
{
    struct sim_run *run = link->run;
    bool is_kind = !may_break(run) && !may_lack(run) && !link->is_disturbed;
    for (unsigned side = 0; side < 2; side++)
        is_kind &= !link->sides[side].has_vanished;
    if (is_kind)
        CHECK(run, result == 0);
    for (unsigned from = 0; from < 2; from++) {
        const struct talker *receiver = &link->sides[!from];
        if (ways[from].moved >= 0)
            CHECK(run, receiver->received <= (uint64_t)ways[from].moved &&
                           (uint64_t)ways[from].moved <= receiver->in_total);
        if (is_kind)
            CHECK(run, (uint64_t)ways[from].moved == receiver->in_total);
    }
}

static void run_link(void *arg)
{
    struct link *link = arg;
    struct sim_run *run = link->run;
    link->is_disturbed = true;
    if (draw_chance(run, 50) && leat_sleep_ms((int64_t)draw(run, 0, 100)) != 0)
        return;
    const bool has_left = connect_side(link, 0);
    const bool has_right = has_left && connect_side(link, 1);
    if (has_right) {
        const bool gives_up = draw_chance(run, 10);
        const int64_t deadline_ns =
            gives_up ? leat_after_ms((int64_t)draw(run, 0, 100)) : LEAT_FOREVER;
        struct way ways[2] = {{.link = link, .from = 0, .deadline_ns = deadline_ns},
                              {.link = link, .from = 1, .deadline_ns = deadline_ns}};
        struct leat_call calls[2] = {{.fn = relay_way, .arg = &ways[0]},
                                     {.fn = relay_way, .arg = &ways[1]}};
        const struct leat_gather_options options = {
            .on_error = draw_chance(run, 50) ? LEAT_GATHER_WAIT : LEAT_GATHER_CANCEL};
        ways[0].moved = ways[1].moved = -ECANCELED;
        const int result = leat_gather(calls, 2, &options);
        link->is_disturbed = gives_up || leat_is_cancelled();
        check_link(link, ways, result);
        leat_stream_close(link->streams[1]);
    }
    if (has_left)
        leat_stream_close(link->streams[0]);
}

static void start_link(struct sim_run *run, struct link *link, unsigned number)
{
    *link = (struct link){.run = run, .port = (uint16_t)(PORT_FIRST + 2 * number)};
    for (unsigned side = 0; side < 2; side++) {
        talker_draw(&link->sides[side], run);
        link->sides[side].out_content = 2 * number + side;
        link->sides[side].in_content = 2 * number + !side;
    }
    for (unsigned side = 0; side < 2; side++) {
        const struct leat_address address = local_address((uint16_t)(link->port + side));
        link->sides[side].in_total = link->sides[!side].out_total;
        talker_listen(&link->sides[side], &address);
    }
    /* Where the end is sure to come, one side may wait for it. */
    if (!may_break(run) && !may_lack(run) && link->sides[0].vanish_at == 0)
        link->sides[1].has_last_word = draw_chance(run, 50);
}

struct relays {
    struct sim_run *run;
    unsigned count;
    struct link links[LINKS_MAX];
};

static bool is_link_over(const struct link *link)
{
    for (unsigned side = 0; side < 2; side++)
        if (link->sides[side].peer)
            return false;
    return true;
}

static void relay_main(void *arg)
{
    struct relays *relays = arg;
    struct sim_run *run = relays->run;
    struct leat_scope scope;
    leat_scope_init(&scope);
    const bool in_turn = draw_chance(run, 30); /* then pipes are used again */
    for (unsigned index = 0; index < relays->count; index++) {
        CHECK(run, leat_spawn(&scope, run_link, &relays->links[index], NULL) == 0);
        if (in_turn)
            CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    }
    if (draw_chance(run, 10)) {
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 100)) == 0);
        leat_scope_cancel(&scope);
    }
    CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    leat_scope_fini(&scope);
    /* The talkers' last words: every one of them is told that it is over. */
    for (unsigned index = 0; index < relays->count; index++)
        while (!is_link_over(&relays->links[index]))
            CHECK(run, leat_sleep_ms(5) == 0);
}

static void run_relay(struct sim_run *run)
{
    struct relays relays = {.run = run, .count = (unsigned)draw(run, 1, LINKS_MAX)};
    for (unsigned index = 0; index < relays.count; index++)
        start_link(run, &relays.links[index], index);
    run_fiber(run, relay_main, &relays);
    const bool is_kind = !may_break(run) && !may_lack(run);
    for (unsigned index = 0; index < relays.count; index++) {
        const struct link *link = &relays.links[index];
        const bool is_disturbed =
            link->is_disturbed || link->sides[0].has_vanished || link->sides[1].has_vanished;
        for (unsigned side = 0; side < 2; side++)
            CHECK(run, !is_kind || is_disturbed || talker_is_complete(&link->sides[side]));
    }
}

const struct scenario scenario_relay = {"relay", "bytes relayed both ways between talkers",
                                        run_relay};
