/* SPDX-License-Identifier: MIT */
/*
 * The inside of upstreams, shared by upstreams*.c.
 *
 * A state is one word, changed as a whole by compare and exchange: what it is in the low two bits,
 * and an instant in the others.
 *
 *                    a run of failures                it is due, and a request probes
 *     UP since a ------------------------> OPEN until b ------------------> PROBING until c
 *      ^ ^                                  ^ ^                                |  |  |
 *      | |                                  | '--- nothing can be said: due ---'  |  |
 *      | |                                  '----- it failed: twice as long ------'  |
 *      | '------------------------------------------- it was answered ---------------'
 *      '---- health_rise good checks ---- DOWN <---- health_fall bad ones, from any state
 *
 * PROBING is due again at c, for who probes may be kept waiting. While nobody is up, who is OPEN is
 * probed long before b (upstreams_choose.c). Words are read by all cores for
 * each request and seldom written; they lie together, away from the counts that are.
 */
#ifndef HTTP_UPSTREAMS_PARTS_H
#define HTTP_UPSTREAMS_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/random.h"
#include "fiber/fiber.h"
#include "http/upstreams.h"
#include "leat/address.h"
#include "leat/clock.h"
#include "loop/timer.h"

enum {
    UPSTREAMS_LINE_SIZE = 64,     /* of the processors' caches */
    UPSTREAMS_BUDGET_SECONDS = 8, /* that the retry budget looks back */
    UPSTREAMS_STATE_MASK = 3,     /* of a word */
    UPSTREAMS_HEALTH_PATH_MAX = 2048,
};

/* ---- State ----------------------------------------------------------------------------------- */

static inline uint64_t state_word(enum upstream_state state, int64_t ns)
{
    static_assert(UPSTREAM_DOWN == (int)UPSTREAMS_STATE_MASK, "a state has two bits");
    ASSERT(ns >= 0);
    return ((uint64_t)ns & ~(uint64_t)UPSTREAMS_STATE_MASK) | state;
}

static inline enum upstream_state state_of(uint64_t word)
{
    return (enum upstream_state)(word & UPSTREAMS_STATE_MASK);
}

static inline int64_t state_ns(uint64_t word)
{
    return (int64_t)(word & ~(uint64_t)UPSTREAMS_STATE_MASK);
}

/* ---- One of them ----------------------------------------------------------------------------- */

/* The active check of an upstream; the watching loop's alone. */
struct check {
    struct timer timer;
    struct fiber *fiber; /* NULL: none is on its way */
    unsigned good, bad;  /* in a row */
};

struct member {
    struct upstream shown;
    struct upstreams *group;
    uint64_t hash; /* of its URL; the same in every process */
    char *url, *authority, *base, *host;
    struct leat_address address; /* size 0: `host` is a name */
    uint16_t port;
    struct check check;
    /* Written for each request. */
    _Alignas(UPSTREAMS_LINE_SIZE) _Atomic unsigned in_flight;
    _Atomic unsigned failures_in_a_row;
    _Atomic unsigned reopened; /* failed probes since the circuit was closed */
    _Atomic uint64_t requests, failures, opened;
    _Atomic int64_t latency_ns;
};

/* ---- All ------------------------------------------------------------------------------------- */

/* How many of something there were in each of the last seconds: a second in the upper half of a
 * word, its count in the lower. */
struct tally {
    _Alignas(UPSTREAMS_LINE_SIZE) _Atomic uint64_t seconds[UPSTREAMS_BUDGET_SECONDS];
};

struct upstreams {
    struct upstreams_options options; /* with the defaults put in */
    struct leat_tuning tuning;
    uint64_t seed;
    unsigned count;
    char *health_path;
    /* The watching loop's alone. */
    unsigned checks;                     /* on their way */
    bool is_watch_over;                  /* as soon as these have ended */
    _Atomic(struct leat_loop *) watcher; /* the loop that checks; NULL: none does */
    _Alignas(UPSTREAMS_LINE_SIZE) _Atomic uint64_t states[UPSTREAMS_MAX];
    struct tally requests, retries;
    _Alignas(UPSTREAMS_LINE_SIZE) _Atomic uint64_t draws;
    _Atomic unsigned waiting; /* fibers, in upstreams_await */
    struct member members[];
};

static inline struct member *member_of(const struct upstream *upstream)
{
    return CONTAINER_OF(upstream, struct member, shown);
}

static inline _Atomic uint64_t *member_state(struct member *member)
{
    ASSERT(member->shown.index < member->group->count);
    return &member->group->states[member->shown.index];
}

/* The word of who has come back at this instant. */
static inline uint64_t state_come_back(const struct upstreams *upstreams, int64_t now_ns)
{
    return state_word(UPSTREAM_UP, upstreams->options.slow_start_ms > 0 ? now_ns : 0);
}

/* What the URL says. 0; -EINVAL, and as a static text what is wrong with it; -ENOMEM. */
int member_init(struct member *member, const char *url, const char **ret_reason);
void member_fini(struct member *member);
/* In a fiber: a connected descriptor, or -errno. The dial of its destination; `user` is it. */
int member_dial(void *user, int64_t deadline_ns);

#endif
