/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls made of what completes later: operations and offload jobs. Both live on the
 * waiting fiber's stack, so the fiber never goes on before they have ended, whatever interrupts it.
 */
#include <errno.h>

#include "base/assert.h"
#include "fiber/scheduler.h"
#include "loop/offload.h"

struct await {
    struct fiber *fiber;
    int32_t result;
    bool is_done;
};

int fiber_interruption(int64_t deadline_ns)
{
    ASSERT(fiber_running());
    return fiber_reason(fiber_running(), deadline_ns);
}

void fiber_op_done(struct op *op, const struct completion *completion)
{
    ASSERT(!completion->more);
    struct await *await = op->waiter;
    await->result = completion->result;
    await->is_done = true;
    fiber_wake(await->fiber);
}

static void cancel_op(void *user)
{
    loop_cancel(loop_current, user);
}

int32_t fiber_await(struct op *op, int64_t deadline_ns)
{
    ASSERT(op->done == fiber_op_done);
    struct await await = {.fiber = fiber_running()};
    ASSERT(await.fiber);
    int reason = fiber_reason(await.fiber, deadline_ns);
    if (reason)
        return reason;
    op->waiter = &await;
    loop_submit(loop_current, op);
    reason = fiber_park(deadline_ns, cancel_op, op);
    ASSERT(await.is_done);
    op->waiter = NULL;
    return reason && await.result < 0 ? reason : await.result;
}

/* ---- Offload --------------------------------------------------------------------------------- */

struct offloaded {
    struct offload_job job;
    struct fiber *fiber;
    void (*fn)(void *arg, const struct backend_sys *sys);
    void *arg;
    bool is_done;
};

static void run_job(struct offload_job *job, const struct backend_sys *sys)
{
    const struct offloaded *offloaded = CONTAINER_OF(job, struct offloaded, job);
    offloaded->fn(offloaded->arg, sys);
}

static void job_done(struct offload_job *job)
{
    struct offloaded *offloaded = CONTAINER_OF(job, struct offloaded, job);
    offloaded->is_done = true;
    fiber_wake(offloaded->fiber);
}

static void cancel_job(void *user)
{
    offload_cancel(user);
}

int fiber_offload(void (*fn)(void *arg, const struct backend_sys *sys), void *arg,
                  int64_t deadline_ns)
{
    struct offloaded offloaded = {
        .job = {.run = run_job, .done = job_done},
        .fiber = fiber_running(),
        .fn = fn,
        .arg = arg,
    };
    ASSERT(offloaded.fiber && fn);
    int reason = fiber_reason(offloaded.fiber, deadline_ns);
    if (reason)
        return reason;
    const int error = offload_submit(loop_current, &offloaded.job);
    if (error)
        return error;
    reason = fiber_park(deadline_ns, cancel_job, &offloaded.job);
    ASSERT(offloaded.is_done);
    ASSERT(reason || !offloaded.job.cancelled);
    return offloaded.job.cancelled ? reason : 0;
}

struct user_job {
    int (*fn)(void *arg);
    void *arg;
    int result;
};

static void run_user_job(void *arg, const struct backend_sys *sys)
{
    struct user_job *job = arg;
    job->result = job->fn(job->arg);
}

int leat_offload(int (*fn)(void *arg), void *arg, int64_t deadline_ns, int *ret_result)
{
    struct user_job job = {.fn = fn, .arg = arg};
    const int error = fiber_offload(run_user_job, &job, deadline_ns);
    if (error)
        return error;
    *ret_result = job.result;
    return 0;
}
