/* SPDX-License-Identifier: MIT */
/*
 * leat_run: a loop, its first fiber, and the end of both. The whole of most programs.
 */
#include <errno.h>

#include "base/assert.h"
#include "fiber/fiber.h"

struct run {
    int (*main_fiber)(void *arg);
    void *arg;
    struct leat_loop *loop;
    struct fiber *fiber;
    int result;
    bool has_ended;
};

static void run_main(void *arg)
{
    struct run *run = arg;
    run->result = run->main_fiber(run->arg);
}

static void main_ended(void *user)
{
    struct run *run = user;
    run->has_ended = true;
    leat_loop_stop(run->loop);
}

/* Turns the loop until the main fiber has returned. When the loop is stopped before (leat_loop_stop
 * in a signal handler), or nothing is left that could ever wake it, the fiber is cancelled and gets
 * the time it needs. */
static int run_loop(struct run *run)
{
    unsigned idle_runs = 0;
    while (!run->has_ended) {
        const uint64_t turns = run->loop->counters.turns;
        const int error = leat_loop_run(run->loop);
        if (error)
            return error;
        if (run->has_ended)
            break;
        fiber_cancel(run->fiber);
        /* Cancelled, and still nothing to come: a fiber waits for what cannot happen, within a
         * shield without end. (One run may be idle because it was stopped once more.) */
        idle_runs = run->loop->counters.turns == turns ? idle_runs + 1 : 0;
        ASSERT(idle_runs < 3);
    }
    return 0;
}

int leat_run(int (*main_fiber)(void *arg), void *arg, const struct leat_loop_options *options)
{
    static const struct leat_fiber_options fiber_options = {.name = "main"};
    struct run run = {.main_fiber = main_fiber, .arg = arg};
    ASSERT(main_fiber);
    int error = leat_loop_create(options, &run.loop);
    if (error)
        return error;
    loop_begin_work(run.loop); /* the watchdog sees what it does before it first waits, too */
    error = fiber_start(run.loop, &fiber_options, run_main, &run, main_ended, &run, &run.fiber);
    if (!error)
        error = run_loop(&run);
    /* A loop that cannot wait any more cannot end its fibers either: it is left as it is. */
    if (error && run.fiber && !run.has_ended)
        return error;
    /* What the main fiber has closed may still be ending (a server, a listener). */
    if (!error)
        error = leat_loop_run(run.loop);
    leat_loop_destroy(run.loop);
    return error ? error : run.result;
}
