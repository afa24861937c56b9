/* SPDX-License-Identifier: MIT */
/*
 * What the tests of upstreams share: a group of them at a time that is the test's, and attempts.
 * Nothing is connected.
 */
#ifndef TESTS_UNIT_HTTP_UPSTREAMS_GROUP_H
#define TESTS_UNIT_HTTP_UPSTREAMS_GROUP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "http/upstreams.h"
#include "leat/clock.h"

/* ---- A group --------------------------------------------------------------------------------- */

enum { BEGIN_S = 1000, NAMES_MAX = 64 };

struct group {
    struct conn_pool *pool;
    struct upstreams *upstreams;
    int64_t now_ns;
};

static inline void group_open(struct group *group, unsigned count, struct upstreams_options options)
{
    char texts[NAMES_MAX][64];
    const char *urls[NAMES_MAX], *reason = NULL;
    *group = (struct group){.now_ns = BEGIN_S * LEAT_NS_PER_S};
    for (unsigned index = 0; index < count; index++) {
        snprintf(texts[index], sizeof texts[index], "http://10.0.0.%u:9000", index + 1);
        urls[index] = texts[index];
    }
    if (options.seed == 0)
        options.seed = 1;
    assert_int_equal(conn_pool_create(NULL, &group->pool), 0);
    assert_int_equal(
        upstreams_create(group->pool, urls, count, &options, &group->upstreams, &reason), 0);
    assert_null(reason);
    assert_int_equal(upstreams_count(group->upstreams), count);
}

static inline void group_close(struct group *group)
{
    upstreams_destroy(group->upstreams);
    conn_pool_destroy(group->pool);
}

static inline void pass_ms(struct group *group, int64_t ms)
{
    group->now_ns += ms * LEAT_NS_PER_MS;
}

static inline struct upstreams_view view_of(const struct group *group, unsigned index)
{
    struct upstreams_view view;
    upstreams_view(group->upstreams, index, &view);
    assert_int_equal(view.upstream->index, index);
    return view;
}

static inline enum upstream_state state_at(const struct group *group, unsigned index)
{
    return view_of(group, index).state;
}

/* ---- Attempts -------------------------------------------------------------------------------- */

static const struct upstreams_attempt repeatable = {.is_repeatable = true};

/* The index of who was chosen; -1: nobody may be asked. */
static inline int choose(struct group *group, struct upstreams_attempt *attempt)
{
    int64_t retry_after_ms = -1;
    const struct upstream *upstream =
        upstreams_choose(group->upstreams, attempt, group->now_ns, &retry_after_ms);
    assert_ptr_equal(upstream, attempt->upstream);
    assert_true(upstream ? retry_after_ms == -1 : retry_after_ms > 0);
    return upstream ? (int)upstream->index : -1;
}

static inline int64_t nobody_for_ms(struct group *group)
{
    struct upstreams_attempt attempt = repeatable;
    int64_t retry_after_ms = -1;
    assert_null(upstreams_choose(group->upstreams, &attempt, group->now_ns, &retry_after_ms));
    return retry_after_ms;
}

static inline void tell(struct group *group, struct upstreams_attempt *attempt,
                        enum upstream_outcome outcome)
{
    upstreams_tell(group->upstreams, attempt, outcome, group->now_ns);
}

static inline void end(struct group *group, struct upstreams_attempt *attempt)
{
    upstreams_end(group->upstreams, attempt);
    assert_null(attempt->upstream);
}

static inline void finish(struct group *group, struct upstreams_attempt *attempt,
                          enum upstream_outcome outcome)
{
    tell(group, attempt, outcome);
    end(group, attempt);
}

/* A whole request; who was asked. */
static inline int request(struct group *group, enum upstream_outcome outcome)
{
    struct upstreams_attempt attempt = repeatable;
    const int index = choose(group, &attempt);
    assert_true(index >= 0);
    finish(group, &attempt, outcome);
    return index;
}

static inline int request_by_key(struct group *group, uint64_t key)
{
    struct upstreams_attempt attempt = {.is_repeatable = true, .key = random_mix(key)};
    const int index = choose(group, &attempt);
    assert_true(index >= 0);
    finish(group, &attempt, UPSTREAM_ANSWERED);
    return index;
}

/* Fails whatever goes to `index`, and answers the rest, until its circuit is open. */
static inline void break_one(struct group *group, unsigned index)
{
    for (unsigned count = 0; state_at(group, index) == UPSTREAM_UP; count++) {
        struct upstreams_attempt attempt = repeatable;
        assert_true(count < 10000);
        const int chosen = choose(group, &attempt);
        finish(group, &attempt, chosen == (int)index ? UPSTREAM_FAILED : UPSTREAM_ANSWERED);
    }
    assert_int_equal(state_at(group, index), UPSTREAM_OPEN);
}

#endif
