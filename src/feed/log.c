/* SPDX-License-Identifier: MIT */
/*
 * See log.h: appending, rolling from one segment into the next, the end, sync, and closing. All of
 * it on the loop's thread, but for the job of sync, and feed_log_close where that is done in one.
 */
#include "feed/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "feed/log_parts.h"

static struct feed_segment *tail_segment(const struct feed_log *log)
{
    ASSERT(log->count > 0);
    return log->segments[log->count - 1];
}

/* ---- Appending ------------------------------------------------------------------------------- */

struct feed_log_tail *feed_log_tail(struct feed_log *log)
{
    return &log->tail;
}

int feed_log_grow(struct feed_log *log)
{
    if (log->count < log->capacity)
        return 0;
    const size_t capacity = log->capacity ? 2 * log->capacity : 16;
    struct feed_segment **segments = realloc(log->segments, capacity * sizeof segments[0]);
    if (!segments)
        return -ENOMEM;
    log->segments = segments;
    log->capacity = capacity;
    return 0;
}

void feed_log_begin_segment(struct feed_log *log, struct feed_segment *segment, uint64_t sequence)
{
    ASSERT(log->count < log->capacity && segment->first_sequence == 0 && sequence > 0);
    ASSERT(log->count == 0 || segment->number == tail_segment(log)->number + 1);
    feed_word_store(&feed_segment_header(segment)->first_sequence, sequence);
    segment->first_sequence = sequence;
    log->segments[log->count++] = segment;
    log->offset = log->index_offset = FEED_LOG_HEADER_SIZE;
}

/* The tail's segment has had its last record. First it is said where it ends, then that another has
 * begun: who finds the one without the other knows where to go on. */
static int roll(struct feed_log *log)
{
    struct feed_segment *next, *old = tail_segment(log);
    const int error = feed_log_next_take(log, &next);
    if (error)
        return error;
    const uint64_t sequence = log->tail.next_sequence;
    const size_t end = log->offset;
    feed_word_store(&feed_segment_header(old)->end_sequence, sequence);
    feed_log_begin_segment(log, next, sequence);
    atomic_store_explicit(&old->end_sequence, sequence, memory_order_relaxed);
    atomic_store_explicit(&old->end_offset, end, memory_order_release);
    return 0;
}

int feed_log_begin(struct feed_log *log, int64_t wall_ns)
{
    struct feed_log_tail *tail = &log->tail;
    ASSERT(!tail->at && !log->is_ended && !log->is_read_only);
    if (log->segment_size - log->offset < log->record_size_max) {
        const int error = roll(log);
        if (error)
            return error;
    } else if (log->offset > log->segment_size / 2) {
        feed_log_next_want(log);
    }
    uint8_t *const record = tail_segment(log)->data + log->offset;
    uint8_t *const packet = record + FEED_LOG_PREFIX_SIZE;
    const uint64_t time_ns = htole64((uint64_t)wall_ns);
    DEBUG_ASSERT(feed_word_load(record) == 0);
    memcpy(record + sizeof(uint64_t), &time_ns, sizeof time_ns);
    mold_write_header(packet, log->session, tail->next_sequence, 0);
    tail->record = record;
    tail->at = packet + MOLD_HEADER_SIZE;
    tail->end = packet + log->packet_size;
    tail->count = 0;
    return 0;
}

void feed_log_finish_record(struct feed_log *log)
{
    struct feed_log_tail *tail = &log->tail;
    if (!tail->at || tail->count == 0)
        return;
    struct feed_segment *segment = tail_segment(log);
    const uint8_t *const messages = tail->record + FEED_LOG_PREFIX_SIZE + MOLD_HEADER_SIZE;
    ASSERT(tail->at <= tail->end && tail->count <= MOLD_COUNT_MAX);
    const size_t offset = log->offset;
    log->offset =
        feed_record_close(segment, offset, (size_t)(tail->at - messages), (uint16_t)tail->count);
    if (offset >= log->index_offset) {
        feed_segment_index(segment, log->closed_sequence, offset);
        log->index_offset = offset + FEED_LOG_INDEX_STEP;
    }
    log->closed_sequence = tail->next_sequence;
    tail->record = tail->at = tail->end = NULL;
}

void feed_log_end(struct feed_log *log)
{
    struct feed_log_header *header = feed_segment_header(tail_segment(log));
    ASSERT(!log->is_read_only);
    feed_log_finish_record(log);
    log->tail.record = log->tail.at = log->tail.end = NULL;
    log->is_ended = true;
    feed_word_store(&header->end_sequence, log->closed_sequence);
    feed_word_store(&header->flags, feed_word_load(&header->flags) | FEED_LOG_IS_ENDED);
}

bool feed_log_is_ended(const struct feed_log *log)
{
    return log->is_ended;
}

/* ---- Sync ------------------------------------------------------------------------------------ */

static void run_sync(struct offload_job *job, const struct backend_sys *sys)
{
    struct feed_log *log = CONTAINER_OF(job, struct feed_log, sync.job);
    struct feed_log_sync *sync = &log->sync;
    sync->job_error = 0;
    for (unsigned i = 0; !sync->job_error && i < sync->count; i++)
        sync->job_error = feed_segment_sync(log, sys, sync->segments[i], &sync->is_lost);
}

static void submit_again(struct task *task);

/* The pool may be full: then again in the loop's next turn. */
static void submit_job(struct feed_log *log)
{
    struct feed_log_sync *sync = &log->sync;
    sync->again.run = submit_again;
    if (offload_submit(log->loop, &sync->job))
        loop_defer(log->loop, &sync->again);
}

static void submit_again(struct task *task)
{
    submit_job(CONTAINER_OF(task, struct feed_log, sync.again));
}

/* The segments that hold something between what is on the disk and `target`, or the first of them;
 * they are not recycled meanwhile. */
static void start_sync(struct feed_log *log)
{
    struct feed_log_sync *sync = &log->sync;
    size_t first = log->count - 1;
    while (first > 0 && log->segments[first]->first_sequence >= sync->synced_sequence)
        first--;
    for (sync->count = 0; sync->count < FEED_LOG_SYNC_MAX && first < log->count; first++) {
        struct feed_segment *segment = log->segments[first];
        atomic_fetch_add_explicit(&segment->holders, 1, memory_order_relaxed);
        sync->segments[sync->count++] = segment;
    }
    const uint64_t end =
        atomic_load_explicit(&sync->segments[sync->count - 1]->end_sequence, memory_order_relaxed);
    sync->upto = first < log->count ? end : sync->target;
    ASSERT(sync->upto > 0);
    submit_job(log);
}

static void end_sync(struct feed_log *log, int error)
{
    struct feed_log_sync *sync = &log->sync;
    sync->is_running = false;
    sync->done(error, sync->user);
}

static void sync_done(struct offload_job *job)
{
    struct feed_log *log = CONTAINER_OF(job, struct feed_log, sync.job);
    struct feed_log_sync *sync = &log->sync;
    for (unsigned i = 0; i < sync->count; i++)
        atomic_fetch_sub_explicit(&sync->segments[i]->holders, 1, memory_order_release);
    if (sync->job_error) {
        sync->error = sync->is_lost ? sync->job_error : 0;
        return end_sync(log, sync->job_error);
    }
    sync->synced_sequence = sync->upto;
    feed_word_store(&feed_segment_header(tail_segment(log))->synced_sequence, sync->upto);
    if (sync->upto < sync->target)
        start_sync(log);
    else
        end_sync(log, 0);
}

int feed_log_sync(struct feed_log *log, void (*done)(int error, void *user), void *user)
{
    struct feed_log_sync *sync = &log->sync;
    ASSERT(!sync->is_running && !log->is_read_only && done);
    if (sync->error)
        return sync->error;
    sync->done = done;
    sync->user = user;
    sync->target = log->closed_sequence;
    sync->job.run = run_sync;
    sync->job.done = sync_done;
    if (log->directory_fd < 0) {
        done(0, user);
        return 0;
    }
    sync->is_running = true;
    start_sync(log);
    return 0;
}

/* ---- Its end --------------------------------------------------------------------------------- */

static void give_back(struct feed_log *log)
{
    const struct backend_sys *sys = log->sys;
    for (size_t i = 0; i < log->count; i++)
        feed_segment_free(sys, log->segments[i]);
    feed_segment_free(sys, log->next.segment);
    for (unsigned i = 0; i < log->next.dropped_count; i++)
        feed_segment_free(sys, log->next.dropped[i]);
    free(log->segments);
    if (log->directory_fd >= 0)
        sys->close(sys, log->directory_fd);
}

static void free_log(struct feed_log *log)
{
    pthread_mutex_destroy(&log->next.lock);
    pthread_cond_destroy(&log->next.idle);
    free(log);
}

void feed_log_discard(struct feed_log *log)
{
    give_back(log);
    free_log(log);
}

void feed_log_leave(struct feed_log *log)
{
    if (log->next.is_queued || !log->is_closed)
        return;
    loop_timer_stop(log->loop, &log->next.retry);
    free_log(log);
}

static void leave(struct task *task)
{
    struct feed_log *log = CONTAINER_OF(task, struct feed_log, leave);
    log->is_closed = true;
    feed_log_leave(log);
}

static void wait_for_job(struct feed_log_next *next)
{
    pthread_mutex_lock(&next->lock);
    next->is_closing = true;
    while (next->is_active)
        pthread_cond_wait(&next->idle, &next->lock);
    pthread_mutex_unlock(&next->lock);
}

void feed_log_close(struct feed_log *log)
{
    if (!log)
        return;
    ASSERT(!log->sync.is_running);
    wait_for_job(&log->next);
    give_back(log);
    log->leave.run = leave;
    if (loop_current == log->loop)
        leave(&log->leave);
    else
        loop_post(log->loop, &log->leave);
}
