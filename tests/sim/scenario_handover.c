/* SPDX-License-Identifier: MIT */
/*
 * The binary is replaced, again and again: a new server inherits the listening socket, the old one
 * closes and drains. Here both run on one loop, which to their clients makes no difference. Nobody
 * is refused, nothing that was begun is lost, nothing is done twice; who was told that this was the
 * last response, or was idle for too long, comes back and gets the rest from whoever is there then.
 */
#include "leat/fiber.h"
#include "leat/listener.h"
#include "office.h"
#include "talker.h"

enum { REPLACEMENTS_MAX = 4, GRACE_MS = 120 * 1000, IDLE_MIN_MS = 500 };

/* Another server takes over; returns it, and its listener. */
static struct leat_http_server *take_over(struct office *office, struct leat_listener **listener)
{
    struct sim_run *run = office->run;
    struct leat_listen_options options = {.backlog = 64};
    options.inherited_fd = sim_share(run->sim, leat_listener_fd(*listener));
    CHECK(run, options.inherited_fd > 0);
    CHECK(run, leat_listen(NULL, &options, listener) == 0);
    CHECK(run, leat_address_port(leat_listener_address(*listener)) ==
                   leat_address_port(&office->address));
    struct leat_http_server *server = office_open(office);
    CHECK(run, leat_http_server_add(server, *listener) == 0);
    return server;
}

static void handover_main(void *arg)
{
    struct office *office = arg;
    struct sim_run *run = office->run;
    struct leat_listener *listener = listen_anywhere(run, 64);
    office->address = *leat_listener_address(listener);
    office->address.v4.sin_addr = local_address(0).v4.sin_addr;
    struct leat_http_server *server = office_open(office);
    CHECK(run, leat_http_server_add(server, listener) == 0);
    office_invite(office, (unsigned)draw(run, 2, OFFICE_CALLERS_MAX), 300);
    for (uint64_t count = draw(run, 1, REPLACEMENTS_MAX); count > 0; count--) {
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 120)) == 0);
        struct leat_http_server *successor = take_over(office, &listener);
        /* Both take what comes, for a while. */
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 20)) == 0);
        office_close(office, server, (int64_t)draw(run, IDLE_MIN_MS, 2000), GRACE_MS);
        server = successor;
    }
    while (!office_is_empty(office))
        CHECK(run, leat_sleep_ms(20) == 0);
    office_close(office, server, 0, GRACE_MS);
}

static void check_callers(const struct office *office)
{
    struct sim_run *run = office->run;
    if (may_break(run) || may_lack(run) || sim_read_errors(run->sim) > 0)
        return;
    for (unsigned index = 0; index < office->caller_count; index++) {
        const struct caller *caller = &office->callers[index];
        if (caller->answered < caller->count && caller->errands[caller->answered].handled > 0)
            continue; /* it asked on without reading, and was reset: caller.c looks at that */
        CHECK(run, caller->answered == caller->count);
        CHECK(run, caller->errands[caller->count - 1].is_whole);
    }
}

static void run_handover(struct sim_run *run)
{
    struct office *office = calloc(1, sizeof *office);
    CHECK(run, office != NULL);
    office_init(office, run, true);
    office->has_successor = true;
    run_fiber(run, handover_main, office);
    check_callers(office);
    office_check_counters(office);
    office_check_records(office);
    sim_allow_blocking(run->sim, true);
    office_fini(office);
    CHECK(run, sim_open_count(run->sim) == 0);
    free(office);
}

const struct scenario scenario_handover = {
    "handover", "servers that replace one another on one listening socket", run_handover};
