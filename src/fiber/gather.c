/* SPDX-License-Identifier: MIT */
/*
 * A batch of calls in parallel: a scope, and as many workers as may run at once, each of which
 * takes the next call until none is left. All of it lies on the caller's stack, which outlives the
 * scope.
 */
#include <errno.h>

#include "base/assert.h"
#include "fiber/scheduler.h"

struct gather {
    struct leat_scope scope;
    struct leat_call *calls;
    size_t next, count; /* calls begun, and to be begun */
    enum leat_gather_policy on_error;
    int interrupted;   /* why the caller stopped waiting, or 0 */
    int first_failure; /* 0: none so far */
};

static void fail(struct gather *gather, int error)
{
    ASSERT(error < 0);
    if (gather->first_failure == 0)
        /* What failed because we cancelled it failed for our reason. */
        gather->first_failure = gather->interrupted ? gather->interrupted : error;
    if (gather->on_error == LEAT_GATHER_CANCEL)
        leat_scope_cancel(&gather->scope);
}

static void work(void *arg)
{
    struct gather *gather = arg;
    while (gather->next < gather->count) {
        struct leat_call *call = &gather->calls[gather->next++];
        if (!leat_is_cancelled())
            call->result = call->fn(call->arg);
        if (call->result < 0)
            fail(gather, call->result);
    }
}

int leat_gather(struct leat_call *calls, size_t count, const struct leat_gather_options *options)
{
    static const struct leat_gather_options defaults;
    static const struct leat_fiber_options fiber_options = {.name = "gather"};
    if (!options)
        options = &defaults;
    const int64_t deadline_ns = options->deadline_ns ? options->deadline_ns : LEAT_FOREVER;
    const size_t parallel_max = options->parallel_max;
    const size_t worker_count = parallel_max && parallel_max < count ? parallel_max : count;
    const struct fiber *caller = fiber_running();
    ASSERT(caller && (calls || count == 0));

    for (size_t i = 0; i < count; i++)
        calls[i].result = -ECANCELED;
    const int reason = fiber_reason(caller, deadline_ns);
    if (reason)
        return reason;

    struct gather gather = {.calls = calls, .count = count, .on_error = options->on_error};
    leat_scope_init(&gather.scope);
    for (size_t i = 0; i < worker_count; i++) {
        const int error = leat_spawn(&gather.scope, work, &gather, &fiber_options);
        if (error) {
            calls[i].result = error;
            gather.count = i; /* what has no worker of its own is not begun */
            fail(&gather, error);
            break;
        }
    }
    gather.interrupted = leat_scope_join(&gather.scope, deadline_ns);
    leat_scope_fini(&gather.scope);
    return gather.first_failure;
}
