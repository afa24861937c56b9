/* SPDX-License-Identifier: MIT */
/*
 * Requests with bodies, and responses written piece by piece, in every way clients and handlers can
 * do them; limits of every kind; and a server that drains in the middle of it or after all have
 * gone. What callers must see is said in caller.c, what handlers must in clerk.c; here: that the
 * server ends when it should, and leaves nothing behind.
 */
#include "leat/fiber.h"
#include "leat/listener.h"
#include "office.h"
#include "talker.h"

struct upload {
    struct office office;
    struct leat_http_server *server;
    int64_t over_ns; /* by then the server must have gone */
};

static void upload_main(void *arg)
{
    struct upload *upload = arg;
    struct office *office = &upload->office;
    struct sim_run *run = office->run;
    struct leat_listener *listener = listen_anywhere(run, 64);
    office->address = *leat_listener_address(listener);
    office->address.v4.sin_addr.s_addr = local_address(0).v4.sin_addr.s_addr;
    upload->server = office_open(office);
    CHECK(run, leat_http_server_add(upload->server, listener) == 0);
    office_invite(office, (unsigned)draw(run, 1, OFFICE_CALLERS_MAX),
                  draw_chance(run, 20) ? 3000 : 100);
    const int64_t close_ns = draw_chance(run, 50)
                                 ? leat_now_ns() + (int64_t)draw(run, 0, 1500000) * LEAT_NS_PER_US
                                 : LEAT_FOREVER;
    while (!office_is_empty(office) && leat_now_ns() < close_ns)
        CHECK(run, leat_sleep_ms(20) == 0);
    /* Enough time for all that is under way, or not. */
    const int64_t grace_ms = (int64_t)draw(run, 0, draw_chance(run, 50) ? 60000 : 2000);
    const int64_t idle_ms = (int64_t)draw(run, 0, 2500);
    office_close(office, upload->server, idle_ms, grace_ms);
    upload->over_ns = office->grace_ns + 500 * LEAT_NS_PER_MS;
}

static void run_upload(struct sim_run *run)
{
    struct upload *upload = calloc(1, sizeof *upload);
    CHECK(run, upload != NULL);
    office_init(&upload->office, run, false);
    run_fiber(run, upload_main, upload);
    CHECK(run, sim_now_ns(run->sim) <= upload->over_ns + 3 * sim_lateness_ns(run->sim));
    office_check_counters(&upload->office);
    office_check_records(&upload->office);
    sim_allow_blocking(run->sim, true);
    office_fini(&upload->office);
    CHECK(run, sim_open_count(run->sim) == 0);
    free(upload);
}

const struct scenario scenario_upload = {
    "upload", "bodies both ways, handlers of every kind, a server that drains", run_upload};
