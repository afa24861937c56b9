/* SPDX-License-Identifier: MIT */
/*
 * See headroom.h. Others on the core show in the two clocks: a piece that took longer than it
 * computed was put aside meanwhile. One piece says little (it may fit between two turns of the
 * scheduler's, which are milliseconds), so pieces are added up, by their time. What is old fades
 * with time, not with pieces: a core that was so busy that nothing was coded any more must be tried
 * again.
 *
 * Others in the loop show in how busy its thread is: a newcomer gets what they leave, but never
 * less than his share.
 */
#include "codec/headroom.h"

#include "base/assert.h"
#include "leat/clock.h"
#include "loop/backend.h"

static const double MEMORY_NS = 0.5e9;   /* what is older counts less than a third */
static const double PRIOR_NS = 1e6;      /* undisturbed work that is assumed to begin with */
static const double CONTENTION_MAX = 50; /* more is the clock that was set, or a stopped process */
static const double SLOWDOWN_MAX = 50;

void headroom_init(struct headroom *headroom)
{
    *headroom = (struct headroom){0};
}

void headroom_begin(const struct backend_sys *sys, struct headroom_watch *ret_watch)
{
    ret_watch->wall_ns = sys->wall_ns(sys);
    ret_watch->cpu_ns = sys->thread_cpu_ns(sys);
}

/* What is left after that time: 1 / (1 + x) in place of e^-x, for it has no surprises. */
static double fade(double age_ns)
{
    return age_ns <= 0 ? 1 : 1 / (1 + age_ns / MEMORY_NS);
}

int64_t headroom_end(struct headroom *headroom, const struct backend_sys *sys,
                     const struct headroom_watch *watch)
{
    const int64_t wall_ns = sys->wall_ns(sys), cpu_ns = sys->thread_cpu_ns(sys);
    const double piece_ns = (double)(cpu_ns - watch->cpu_ns);
    double took_ns = (double)(wall_ns - watch->wall_ns);
    ASSERT(piece_ns >= 0);
    if (took_ns < piece_ns)
        took_ns = piece_ns; /* the clocks differ a little, and the wall clock may be set back */
    if (took_ns > piece_ns * CONTENTION_MAX)
        took_ns = piece_ns * CONTENTION_MAX;
    const double since_ns = headroom->last_ns ? (double)(wall_ns - headroom->last_ns) : 0;
    const double left = fade(since_ns);
    headroom->wall_ns = headroom->wall_ns * left + took_ns;
    headroom->cpu_ns = headroom->cpu_ns * left + piece_ns;
    if (since_ns > 0) {
        headroom->thread_ns =
            headroom->thread_ns * left + (double)(cpu_ns - headroom->thread_last_ns);
        headroom->age_ns = headroom->age_ns * left + since_ns;
    }
    headroom->last_ns = wall_ns;
    headroom->thread_last_ns = cpu_ns;
    return cpu_ns - watch->cpu_ns;
}

double headroom_slowdown(const struct headroom *headroom, const struct backend_sys *sys,
                         unsigned active)
{
    const double age_ns = headroom->last_ns ? (double)(sys->wall_ns(sys) - headroom->last_ns) : 0;
    const double left = fade(age_ns);
    const double contention =
        (headroom->wall_ns * left + PRIOR_NS) / (headroom->cpu_ns * left + PRIOR_NS);
    const double idle_ns = age_ns > 0 ? age_ns : 0;
    const double busy =
        headroom->thread_ns * left * contention / (headroom->age_ns * left + idle_ns + PRIOR_NS);
    const double share = 1.0 / (1 + active);
    const double free_share = 1 - busy > share ? 1 - busy : share;
    const double slowdown = contention / free_share;
    ASSERT(contention >= 1 && free_share > 0);
    return slowdown < SLOWDOWN_MAX ? slowdown : SLOWDOWN_MAX;
}
