/* SPDX-License-Identifier: MIT */
/*
 * A world of the simulator for unit tests of the simulator itself: what it complains of is noted.
 */
#ifndef TESTS_LOOP_SIMULATED_H
#define TESTS_LOOP_SIMULATED_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "loop/loop.h"
#include "loop/sim.h"

/* A world, and what it complained of. */
struct world {
    struct sim_options options;
    struct sim_report report;
    struct leat_loop *loop;
    struct sim *sim;
    const struct backend_sys *sys;
    unsigned failures;
    char failure[512]; /* the last */
};

static inline void note_failure(const char *text, void *user)
{
    struct world *world = user;
    world->failures++;
    snprintf(world->failure, sizeof world->failure, "%s", text);
}

static inline void world_init(struct world *world, uint64_t seed, const struct sim_profile *profile)
{
    *world = (struct world){.options = {.seed = seed, .profile = profile}};
    world->options.failed = note_failure;
    world->options.user = world;
    world->options.report = &world->report;
    assert_int_equal(sim_loop_create(&world->options, &world->loop), 0);
    world->sim = sim_of(world->loop);
    world->sys = world->loop->sys;
}

static inline void world_fini(struct world *world)
{
    leat_loop_destroy(world->loop);
    world->loop = NULL;
}

/* The last complaint says `words`; it is forgiven. */
static inline void expect_failure(struct world *world, const char *words)
{
    assert_int_equal(world->failures, 1);
    if (!strstr(world->failure, words))
        fail_msg("'%s' is not in: %s", words, world->failure);
    world->failures = 0;
}

static inline void turns(struct world *world, int64_t duration_ms)
{
    const int64_t end_ns = sim_now_ns(world->sim) + duration_ms * LEAT_NS_PER_MS;
    while (sim_now_ns(world->sim) < end_ns)
        assert_int_equal(leat_loop_run_once(world->loop, end_ns), 0);
}

#endif
