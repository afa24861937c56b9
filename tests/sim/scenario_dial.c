/* SPDX-License-Identifier: MIT */
/*
 * Connecting by name in a world whose /etc/hosts is all that knows names: many fibers that ask for
 * the same few, with deadlines, and are cancelled anywhere. Who connects has one of the name's
 * addresses; where nothing breaks and nothing lacks, everybody does who waited long enough; and
 * whoever leaves last leaves nothing behind.
 */
#include <stdio.h>

#include "fiber/fiber.h"
#include "leat/dial.h"
#include "leat/error.h"
#include "leat/listener.h"
#include "net/resolve.h"
#include "talker.h"

enum { DIALERS_MAX = 30, ROUNDS_MAX = 4, HASTY_ROUNDS_MAX = 30, DOOR_PORT = 80 };
enum { PATIENCE_MS = 30000 };

/* A job that has begun is waited for: so long /etc/hosts may take on the slowest disk. */
enum { DISK_MS = 300 };

/* What /etc/hosts has, and what dialing the name comes to when nothing goes wrong. */
struct host {
    const char *name;
    int outcome;
};

static const struct host hosts[] = {
    {"here", 0},
    {"HERE", 0},
    {"here.", 0},
    {"both", 0},      /* its IPv6 address lets one wait */
    {"alias", 0},     /* on a line of "both" */
    {"localhost", 0}, /* on no line at all */
    {"127.0.0.1", 0}, /* no name */
    {"closed", -ECONNREFUSED},
    {"last", -ECONNREFUSED}, /* its line has no end */
    {"commented", -LEAT_E_RESOLVER},
    {"her", -LEAT_E_RESOLVER},
    {"nobody", -LEAT_E_RESOLVER},
    {"no name", -LEAT_E_NO_HOST},
};

enum { HOSTS = sizeof hosts / sizeof *hosts };

static const char lines[] = "127.0.0.1\there  here.example\r\n"
                            "::1 both alias\n"
                            "127.0.0.1 both # commented\n"
                            "  \n"
                            "nonsense nobody\n"
                            "127.0.0.1 alias\n"
                            "10.0.0.9 closed\n"
                            "::9 last";

struct dialing {
    struct sim_run *run;
    struct leat_listener *v4, *v6; /* one that is quick, and one that is slow to accept */
    struct leat_scope scope;
    bool is_hasty; /* few people who want the same thing, and give up at once */
};

/* All of it, which may take several writes. Returns where it ends. */
static uint64_t write_text(struct sim_run *run, int fd, const char *text, size_t size,
                           uint64_t offset)
{
    while (size > 0) {
        const ssize_t count = run->sys->write(run->sys, fd, text, size, offset);
        CHECK(run, count > 0);
        text += count;
        size -= (size_t)count;
        offset += (uint64_t)count;
    }
    return offset;
}

/* Before the world's first turn files may be written by whom you like. Now and then there is much
 * to be read before the lines that count. */
static void write_hosts(struct sim_run *run)
{
    const struct backend_sys *sys = run->sys;
    int fd;
    (void)sys->make_directory(sys, -1, "etc");
    do
        fd = sys->open_write(sys, -1, "etc/hosts", true);
    while (fd == -EMFILE);
    CHECK(run, fd >= 0);
    char filler[100];
    uint64_t offset = 0;
    for (uint64_t left = draw_chance(run, 10) ? draw(run, 0, 3000) : 0; left > 0; left--) {
        const int size = snprintf(filler, sizeof filler, "10.0.0.%u host-%llu.example\n",
                                  (unsigned)(left % 256), (unsigned long long)left);
        offset = write_text(run, fd, filler, (size_t)size, offset);
    }
    (void)write_text(run, fd, lines, sizeof lines - 1, offset);
    sys->close(sys, fd);
}

static void check_failure(struct dialing *dialing, const struct host *host, int error,
                          int64_t deadline_ns)
{
    struct sim_run *run = dialing->run;
    if (error == -ETIMEDOUT && leat_now_ns() >= deadline_ns)
        CHECK(run,
              leat_now_ns() <= deadline_ns + deadline_slack_ns(run) + DISK_MS * LEAT_NS_PER_MS);
    else if (error == -ECANCELED)
        CHECK(run, leat_is_cancelled());
    else if (error != host->outcome)
        CHECK(run, may_break(run) || may_lack(run) || run->profile->read_error > 0 ||
                       run->profile->offload_full > 0);
}

static void dial(void *arg)
{
    struct dialing *dialing = arg;
    struct sim_run *run = dialing->run;
    const bool is_hasty = dialing->is_hasty;
    for (uint64_t rounds = draw(run, 1, is_hasty ? HASTY_ROUNDS_MAX : ROUNDS_MAX); rounds > 0;
         rounds--) {
        const struct host *host = &hosts[is_hasty ? 0 : draw(run, 0, HOSTS - 1)];
        const uint64_t patience_ms = is_hasty ? 2 : draw_chance(run, 30) ? 30 : PATIENCE_MS;
        const int64_t deadline_ns =
            leat_now_ns() + (int64_t)draw(run, 0, patience_ms * 1000) * LEAT_NS_PER_US;
        struct leat_stream *stream;
        struct leat_address peer;
        const int error = leat_dial(host->name, DOOR_PORT, NULL, deadline_ns, &stream);
        if (error) {
            check_failure(dialing, host, error, deadline_ns);
        } else {
            CHECK(run, host->outcome == 0);
            if (leat_stream_peer(stream, &peer) == 0)
                CHECK(run, leat_address_equal(&peer, leat_listener_address(dialing->v4)) ||
                               leat_address_equal(&peer, leat_listener_address(dialing->v6)));
            leat_stream_close(stream);
        }
        const uint64_t pause_ms = is_hasty ? 1 : draw_chance(run, 20) ? 7000 : 20;
        if (leat_sleep_until(leat_now_ns() +
                             (int64_t)draw(run, 0, pause_ms * 1000) * LEAT_NS_PER_US) != 0)
            return;
    }
}

static void accept_all(struct dialing *dialing, struct leat_listener *listener, uint64_t pause_ms)
{
    struct leat_stream *stream;
    int error;
    while ((error = leat_accept(listener, LEAT_FOREVER, &stream)) == 0) {
        leat_stream_close(stream);
        if (pause_ms > 0 && leat_sleep_ms((int64_t)draw(dialing->run, 0, pause_ms)) != 0)
            return;
    }
    CHECK(dialing->run, error == -LEAT_E_CLOSED || error == -ECANCELED);
}

static void accept_v4(void *arg)
{
    struct dialing *dialing = arg;
    accept_all(dialing, dialing->v4, 0);
}

static void accept_v6(void *arg)
{
    struct dialing *dialing = arg;
    accept_all(dialing, dialing->v6, 600);
}

static void dial_main(void *arg)
{
    struct dialing *dialing = arg;
    struct sim_run *run = dialing->run;
    struct leat_scope dialers;
    struct resolve_counters counters;
    leat_scope_init(&dialers);
    leat_scope_init(&dialing->scope);
    CHECK(run, leat_spawn(&dialing->scope, accept_v4, dialing, NULL) == 0);
    CHECK(run, leat_spawn(&dialing->scope, accept_v6, dialing, NULL) == 0);
    for (uint64_t count = draw(run, 1, dialing->is_hasty ? 2 : DIALERS_MAX); count > 0; count--) {
        CHECK(run, leat_spawn(&dialers, dial, dialing, NULL) == 0);
        if (draw_chance(run, 30))
            CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 5)) == 0);
    }
    if (draw_chance(run, 50)) {
        CHECK(run,
              leat_sleep_until(leat_now_ns() + (int64_t)draw(run, 0, 50000) * LEAT_NS_PER_US) == 0);
        leat_scope_cancel(&dialers);
    }
    CHECK(run, leat_scope_join(&dialers, LEAT_FOREVER) == 0);
    leat_scope_fini(&dialers);
    /* Whoever left last has seen to it. */
    CHECK(run, run->loop->jobs == 0);
    resolve_counters_read(run->loop, &counters);
    CHECK(run, counters.queries == 0 && counters.names <= HOSTS);
    CHECK(run, counters.kept + counters.shared <= counters.asked);
    leat_scope_cancel(&dialing->scope);
    CHECK(run, leat_scope_join(&dialing->scope, LEAT_FOREVER) == 0);
    leat_listener_close(dialing->v4);
    leat_listener_close(dialing->v6);
    leat_scope_fini(&dialing->scope);
}

static struct leat_listener *listen_at_v6(struct sim_run *run)
{
    const struct leat_listen_options options = {.backlog = 1};
    struct leat_address address;
    struct leat_listener *listener;
    int error;
    CHECK(run, leat_address_parse("[::1]:80", &address, NULL) == 0);
    do
        error = leat_listen(&address, &options, &listener);
    while (error == -EMFILE);
    CHECK(run, error == 0);
    return listener;
}

static void run_dial(struct sim_run *run)
{
    struct dialing dialing = {.run = run};
    write_hosts(run);
    dialing.is_hasty = draw_chance(run, 30);
    dialing.v4 = listen_at(run, DOOR_PORT, 128);
    dialing.v6 = listen_at_v6(run);
    run_fiber(run, dial_main, &dialing);
    CHECK(run, sim_open_count(run->sim) == 0);
}

const struct scenario scenario_dial = {"dial", "connecting by names of /etc/hosts", run_dial};
