/* SPDX-License-Identifier: MIT */
/*
 * What a scenario of the simulator is made of. A scenario gets a world, starts what it wants to
 * happen in it, turns the loop until that is over, and checks what came of it; the harness destroys
 * the world afterwards, which checks that nothing was left behind. A failure prints what is wrong
 * and aborts: sim_main.c runs seeds in child processes and says how to replay the one that died.
 *
 * Everything random comes from run->random or from the world: a seed must replay exactly.
 */
#ifndef TESTS_SIM_HARNESS_H
#define TESTS_SIM_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/random.h"
#include "loop/loop.h"
#include "loop/sim.h"

struct sim_run {
    uint64_t seed;
    struct random random; /* the scenario's own; the world has another */
    const struct sim_profile *profile;
    struct leat_loop *loop;
    struct sim *sim;
    const struct backend_sys *sys;
};

struct scenario {
    const char *name, *what;
    void (*run)(struct sim_run *run);
};

extern const struct scenario *const scenarios[]; /* ends with NULL; scenarios.c */

#define CHECK(run, condition)                                                                      \
    ((condition) ? (void)0 : check_failed((run), #condition, __FILE__, __LINE__))

__attribute__((noreturn, cold)) void check_failed(const struct sim_run *run, const char *condition,
                                                  const char *file, int line);

/* Turns the loop until nothing is left to do in it. */
void turn_until_idle(struct sim_run *run);

/* Runs main_fiber(arg) as the world's first fiber, till it has returned and the loop is idle. A
 * loop that is idle before the fiber has returned is a failure: somebody was not woken. */
void run_fiber(struct sim_run *run, void (*main_fiber)(void *arg), void *arg);

/* A deadline was kept: `at_ns` is not before it, and not later than turns of this world come. */
void check_deadline(const struct sim_run *run, int64_t deadline_ns, int64_t at_ns);
int64_t deadline_slack_ns(const struct sim_run *run);

/* May connections be cut in this world, and may calls fail for want of something? */
static inline bool may_break(const struct sim_run *run)
{
    return run->profile->reset > 0;
}

static inline bool may_lack(const struct sim_run *run)
{
    return run->profile->submit_error > 0 || run->profile->accept_error > 0;
}

/* low .. high, both included. */
static inline uint64_t draw(struct sim_run *run, uint64_t low, uint64_t high)
{
    return random_between(&run->random, low, high);
}

static inline bool draw_chance(struct sim_run *run, unsigned per_cent)
{
    return random_chance(&run->random, per_cent * 10000);
}

#endif
