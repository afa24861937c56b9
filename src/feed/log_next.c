/* SPDX-License-Identifier: MIT */
/*
 * See log_parts.h: the next segment of a log, so that appending never waits for a disk and touches
 * no page for the first time. One job makes it; what fails is tried again a while later, and who
 * waits for it is told of each try. feed_log_close may come while the job is queued (then it finds
 * nothing to do) or runs (then close waits for it); `done` is the loop's in both cases.
 */
#include <errno.h>
#include <string.h>

#include "feed/log_parts.h"

static void tell(struct feed_log_next *next)
{
    void (*ready)(void *user) = next->ready;
    next->ready = NULL;
    if (ready)
        ready(next->user);
}

/* ---- In the job ------------------------------------------------------------------------------ */

static int make_next(struct feed_log *log, const struct backend_sys *sys)
{
    struct feed_log_next *next = &log->next;
    int error = next->segment ? feed_segment_recycle(log, sys, next->segment, next->number)
                              : feed_segment_make(log, sys, next->number, &next->segment);
    /* Later ones than what was recycled: before it, numbers would have a gap. */
    while (!error && next->dropped_count > 0) {
        error = feed_segment_drop(log, sys, next->dropped[0]);
        if (!error)
            memmove(next->dropped, next->dropped + 1,
                    --next->dropped_count * sizeof next->dropped[0]);
    }
    return error;
}

static void run(struct offload_job *job, const struct backend_sys *sys)
{
    struct feed_log *log = CONTAINER_OF(job, struct feed_log, next.job);
    struct feed_log_next *next = &log->next;
    pthread_mutex_lock(&next->lock);
    next->is_active = !next->is_closing;
    const bool is_wanted = next->is_active;
    pthread_mutex_unlock(&next->lock);
    if (!is_wanted)
        return;
    next->job_error = make_next(log, sys);
    pthread_mutex_lock(&next->lock);
    next->is_active = false;
    pthread_cond_broadcast(&next->idle);
    pthread_mutex_unlock(&next->lock);
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static void retry_later(struct feed_log *log)
{
    loop_timer_start(log->loop, &log->next.retry,
                     log->loop->now_ns + FEED_LOG_RETRY_MS * LEAT_NS_PER_MS);
}

static void done(struct offload_job *job)
{
    struct feed_log *log = CONTAINER_OF(job, struct feed_log, next.job);
    struct feed_log_next *next = &log->next;
    pthread_mutex_lock(&next->lock);
    const bool is_closing = next->is_closing;
    pthread_mutex_unlock(&next->lock);
    next->is_queued = false;
    if (is_closing)
        return feed_log_leave(log);
    next->error = next->job_error;
    next->is_ready = next->error == 0;
    if (next->error)
        retry_later(log);
    tell(next);
}

/* A durable log keeps what is on the disk until there is something newer on it: after a power cut
 * nobody could say otherwise how far it went. */
static bool is_needed(const struct feed_log *log)
{
    return log->is_durable && log->directory_fd >= 0 &&
           log->segments[1]->first_sequence >= log->sync.synced_sequence;
}

/* The oldest, when there are more than shall be kept, and nobody reads it. */
static struct feed_segment *take_oldest(struct feed_log *log)
{
    ASSERT(log->count > 0);
    struct feed_segment *oldest = log->segments[0];
    if (log->segments_kept == 0 || log->count <= log->segments_kept || is_needed(log) ||
        atomic_load_explicit(&oldest->holders, memory_order_acquire) > 0)
        return NULL;
    memmove(log->segments, log->segments + 1, --log->count * sizeof log->segments[0]);
    return oldest;
}

/* What the job will work on. -EAGAIN: readers hold too many. */
static int choose(struct feed_log *log)
{
    struct feed_log_next *next = &log->next;
    const int error = feed_log_grow(log);
    if (error)
        return error;
    next->number = log->segments[log->count - 1]->number + 1;
    if (!next->segment)
        next->segment = take_oldest(log);
    while (next->segment && next->dropped_count < FEED_LOG_HELD_MAX) {
        struct feed_segment *oldest = take_oldest(log);
        if (!oldest)
            break;
        next->dropped[next->dropped_count++] = oldest;
    }
    const bool are_too_many = log->segments_kept > 0 && !next->segment &&
                              log->count >= log->segments_kept + FEED_LOG_HELD_MAX;
    return are_too_many ? -EAGAIN : 0;
}

static void start(struct feed_log *log)
{
    struct feed_log_next *next = &log->next;
    ASSERT(!next->is_queued && !next->is_ready);
    int error = choose(log);
    if (!error)
        error = offload_submit(log->loop, &next->job);
    if (error) {
        next->error = error;
        retry_later(log);
        return;
    }
    next->is_queued = true;
}

static void on_retry(struct timer *timer)
{
    struct feed_log *log = CONTAINER_OF(timer, struct feed_log, next.retry);
    struct feed_log_next *next = &log->next;
    pthread_mutex_lock(&next->lock); /* feed_log_close may be in a job */
    const bool is_closing = next->is_closing;
    if (!is_closing)
        start(log);
    pthread_mutex_unlock(&next->lock);
    if (!is_closing && !next->is_queued)
        tell(next);
}

void feed_log_next_init(struct feed_log *log)
{
    struct feed_log_next *next = &log->next;
    next->job.run = run;
    next->job.done = done;
    timer_init(&next->retry, on_retry);
    pthread_mutex_init(&next->lock, NULL);
    pthread_cond_init(&next->idle, NULL);
}

void feed_log_next_want(struct feed_log *log)
{
    const struct feed_log_next *next = &log->next;
    if (!next->is_ready && !next->is_queued && !next->retry.is_running)
        start(log);
}

int feed_log_next_take(struct feed_log *log, struct feed_segment **ret_segment)
{
    struct feed_log_next *next = &log->next;
    feed_log_next_want(log);
    if (!next->is_ready)
        return next->error ? next->error : -EAGAIN;
    *ret_segment = next->segment;
    next->segment = NULL;
    next->is_ready = false;
    return 0;
}

void feed_log_on_ready(struct feed_log *log, void (*ready)(void *user), void *user)
{
    log->next.ready = ready;
    log->next.user = user;
}
