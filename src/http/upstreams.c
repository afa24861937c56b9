/* SPDX-License-Identifier: MIT */
/*
 * A group's birth and end, what it is looked at for, and its retry budget. Choosing is
 * upstreams_choose.c's, active checks are upstreams_health.c's.
 */
#include "http/upstreams.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "http/upstreams_parts.h"
#include "wire/chars.h"

/* ---- Options --------------------------------------------------------------------------------- */

static void put_default(unsigned *value, unsigned preset)
{
    if (*value == 0)
        *value = preset;
}

static void put_default_ms(int64_t *value_ms, int64_t preset_ms)
{
    if (*value_ms == 0)
        *value_ms = preset_ms;
}

static void put_defaults(struct upstreams_options *options)
{
    put_default(&options->connections_max, 1024);
    put_default(&options->waiting_max, 1024);
    put_default_ms(&options->connect_timeout_ms, 3000);
    put_default_ms(&options->idle_timeout_ms, 30 * 1000);
    put_default(&options->failures_max, 5);
    put_default_ms(&options->open_ms, 1000);
    put_default_ms(&options->open_max_ms, 30 * 1000);
    put_default(&options->retry_percent, 20);
    put_default(&options->retries_per_s, 10);
    put_default_ms(&options->health_interval_ms, 5000);
    put_default_ms(&options->health_timeout_ms, 2000);
    put_default(&options->health_rise, 2);
    put_default(&options->health_fall, 3);
    if (options->retry_percent == UINT_MAX)
        options->retry_percent = 0;
    if (options->retries_per_s == UINT_MAX)
        options->retries_per_s = 0;
    if (options->open_max_ms < options->open_ms)
        options->open_max_ms = options->open_ms;
}

/* NULL, or what is wrong. */
static const char *check_options(const struct upstreams_options *options, unsigned count)
{
    static_assert(UPSTREAMS_MAX == 64, "as the text says");
    if (count == 0)
        return "no upstream is named";
    if (count > UPSTREAMS_MAX)
        return "a group has at most 64 upstreams";
    const struct leat_slice path = slice_from_text(options->health_path);
    if (path.data && (path.size == 0 || path.data[0] != '/' ||
                      chars_skip_target(path.data, path.data + path.size) != path.data + path.size))
        return "the path of health checks starts with '/' and has no blanks";
    if (path.size > UPSTREAMS_HEALTH_PATH_MAX)
        return "the path of health checks is too long";
    return NULL;
}

/* ---- Birth and end --------------------------------------------------------------------------- */

static bool is_named_twice(const struct upstreams *upstreams, unsigned index)
{
    for (unsigned other = 0; other < index; other++)
        if (strcmp(upstreams->members[other].url, upstreams->members[index].url) == 0)
            return true;
    return false;
}

static int add_destination(struct conn_pool *pool, struct member *member)
{
    const struct upstreams_options *options = &member->group->options;
    const struct conn_pool_destination_options destination = {
        .name = member->url,
        .dial = member_dial,
        .user = member,
        .connections_max = options->connections_max,
        .waiting_max = options->waiting_max,
        .idle_ns = options->idle_timeout_ms * LEAT_NS_PER_MS,
    };
    return conn_pool_add(pool, &destination, &member->shown.destination);
}

static int add_member(struct upstreams *upstreams, struct conn_pool *pool, const char *url,
                      const char **ret_reason)
{
    const unsigned index = upstreams->count;
    struct member *member = &upstreams->members[index];
    member->group = upstreams;
    member->shown.index = index;
    atomic_store(&upstreams->states[index], state_word(UPSTREAM_UP, 0));
    upstreams->count++; /* so that it is cleared away, however far it gets */
    int error = member_init(member, url, ret_reason);
    if (!error && is_named_twice(upstreams, index)) {
        *ret_reason = "an upstream is named twice";
        error = -EINVAL;
    }
    return error ? error : add_destination(pool, member);
}

static int init(struct upstreams *upstreams, const struct upstreams_options *options)
{
    static const struct leat_tuning default_tuning = LEAT_TUNING_DEFAULT;
    upstreams->options = *options;
    put_defaults(&upstreams->options);
    upstreams->tuning = options->tuning ? *options->tuning : default_tuning;
    upstreams->seed = options->seed ? options->seed : (uint64_t)leat_now_ns();
    if (options->health_path) {
        upstreams->health_path = strdup(options->health_path);
        if (!upstreams->health_path)
            return -ENOMEM;
    }
    /* They are the caller's. */
    upstreams->options.tuning = NULL;
    upstreams->options.health_path = NULL;
    return 0;
}

int upstreams_create(struct conn_pool *pool, const char *const *urls, unsigned count,
                     const struct upstreams_options *options, struct upstreams **ret_upstreams,
                     const char **ret_reason)
{
    static const struct upstreams_options defaults;
    const char *unused;
    if (!options)
        options = &defaults;
    if (!ret_reason)
        ret_reason = &unused;
    const char *reason = check_options(options, count);
    if (reason) {
        *ret_reason = reason;
        return -EINVAL;
    }
    const size_t size = sizeof(struct upstreams) + count * sizeof(struct member);
    static_assert(sizeof(struct upstreams) % UPSTREAMS_LINE_SIZE == 0 &&
                      sizeof(struct member) % UPSTREAMS_LINE_SIZE == 0,
                  "as aligned_alloc wants it");
    struct upstreams *upstreams = aligned_alloc(UPSTREAMS_LINE_SIZE, size);
    if (!upstreams)
        return -ENOMEM;
    memset(upstreams, 0, size);
    int error = init(upstreams, options);
    for (unsigned index = 0; !error && index < count; index++)
        error = add_member(upstreams, pool, urls[index], ret_reason);
    if (error) {
        for (unsigned index = 0; index < upstreams->count; index++)
            if (upstreams->members[index].shown.destination)
                conn_pool_retire(upstreams->members[index].shown.destination);
        upstreams_destroy(upstreams);
        return error;
    }
    ASSERT(upstreams->count == count);
    *ret_upstreams = upstreams;
    return 0;
}

void upstreams_destroy(struct upstreams *upstreams)
{
    if (!upstreams)
        return;
    for (unsigned index = 0; index < upstreams->count; index++)
        member_fini(&upstreams->members[index]);
    free(upstreams->health_path);
    free(upstreams);
}

/* ---- The retry budget ------------------------------------------------------------------------ */

static uint32_t second_of(int64_t now_ns)
{
    return (uint32_t)(now_ns / LEAT_NS_PER_S);
}

/* A word may become the next second's between the look and the addition: one of the old second is
 * counted for the new one then. */
static void tally_add(struct tally *tally, uint32_t second)
{
    _Atomic uint64_t *slot = &tally->seconds[second % UPSTREAMS_BUDGET_SECONDS];
    uint64_t word = atomic_load_explicit(slot, memory_order_relaxed);
    while ((int32_t)(second - (uint32_t)(word >> 32)) > 0)
        if (atomic_compare_exchange_weak_explicit(slot, &word, (uint64_t)second << 32 | 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return;
    atomic_fetch_add_explicit(slot, 1, memory_order_relaxed);
}

/* Of the last seconds, the present one included. */
static uint64_t tally_sum(const struct tally *tally, uint32_t second)
{
    uint64_t sum = 0;
    for (unsigned index = 0; index < UPSTREAMS_BUDGET_SECONDS; index++) {
        const uint64_t word = atomic_load_explicit(&tally->seconds[index], memory_order_relaxed);
        if (second - (uint32_t)(word >> 32) < UPSTREAMS_BUDGET_SECONDS)
            sum += (uint32_t)word;
    }
    return sum;
}

void upstreams_note_request(struct upstreams *upstreams, int64_t now_ns)
{
    tally_add(&upstreams->requests, second_of(now_ns));
}

/* Threads that ask at the same moment may pass the limit by one each. */
bool upstreams_may_retry(struct upstreams *upstreams, int64_t now_ns)
{
    const struct upstreams_options *options = &upstreams->options;
    const uint32_t second = second_of(now_ns);
    const uint64_t limit = tally_sum(&upstreams->requests, second) * options->retry_percent / 100 +
                           (uint64_t)options->retries_per_s * UPSTREAMS_BUDGET_SECONDS;
    if (tally_sum(&upstreams->retries, second) >= limit)
        return false;
    tally_add(&upstreams->retries, second);
    return true;
}

/* ---- Looking --------------------------------------------------------------------------------- */

unsigned upstreams_count(const struct upstreams *upstreams)
{
    return upstreams->count;
}

void upstreams_view(const struct upstreams *upstreams, unsigned index,
                    struct upstreams_view *ret_view)
{
    ASSERT(index < upstreams->count);
    const struct member *member = &upstreams->members[index];
    *ret_view = (struct upstreams_view){
        .upstream = &member->shown,
        .state = state_of(atomic_load_explicit(&upstreams->states[index], memory_order_relaxed)),
        .in_flight = atomic_load_explicit(&member->in_flight, memory_order_relaxed),
        .requests = atomic_load_explicit(&member->requests, memory_order_relaxed),
        .failures = atomic_load_explicit(&member->failures, memory_order_relaxed),
        .opened_circuits = atomic_load_explicit(&member->opened, memory_order_relaxed),
        .latency_ns = atomic_load_explicit(&member->latency_ns, memory_order_relaxed),
    };
    conn_pool_destination_counters(member->shown.destination, &ret_view->connections);
}
