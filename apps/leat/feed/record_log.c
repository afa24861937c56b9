/* SPDX-License-Identifier: MIT */
/*
 * leat feed record --log: the messages of a stream, in sequence and without a gap, in a log as a
 * publisher has one. What came as a packet is a packet there, with the time the kernel had it.
 *
 *     a log is there: from behind its last message on, of its session alone
 *     there is none:  it is made with the first batch, when session and sequence are known
 *
 * A log has no gaps: messages that are lost end it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "record.h"
#include "source.h"

enum {
    REST_MS = 50,     /* for what had come when it was to end, and nobody had read yet */
    GRACE_MS = 60000, /* for a disk, even so */
};

/* ---- Opening and closing, in the pool -------------------------------------------------------- */

struct opening {
    struct leat_loop *loop;
    struct feed_log_options options;
    struct feed_log *log;
    char *reason; /* FEED_ERROR_SIZE */
};

static int open_now(void *arg)
{
    struct opening *opening = arg;
    return feed_log_open(opening->loop, &opening->options, &opening->log, opening->reason,
                         FEED_ERROR_SIZE);
}

static int open_log(struct opening *opening)
{
    int result;
    opening->loop = leat_loop_current();
    const int error = source_offload(open_now, opening, &result);
    return error ? error : result;
}

static int close_now(void *arg)
{
    feed_log_close(arg);
    return 0;
}

static void close_log(struct feed_log *log)
{
    int result;
    leat_shield_begin(LEAT_FOREVER);
    if (source_offload(close_now, log, &result) != 0)
        feed_log_close(log);
    leat_shield_end();
}

/* ---- The log that is there already ----------------------------------------------------------- */

/* The session of the first record. 0 or an error. */
static int read_session(struct feed_log *log, uint64_t first, uint64_t end,
                        uint8_t ret_session[MOLD_SESSION_SIZE])
{
    struct feed_log_cursor cursor;
    struct feed_record record;
    int result = feed_log_hold(log, first, &cursor);
    if (result)
        return result;
    result = feed_log_next(&cursor, end, &record);
    if (result == 1)
        memcpy(ret_session, record.packet, MOLD_SESSION_SIZE);
    feed_log_cursor_release(&cursor);
    return result == 1 ? 0 : -EBADMSG;
}

/* Where a recording goes on, if there is one: its session and the sequence behind its last message;
 * else 0. */
static uint64_t look_for_log(const char *path, char session[MOLD_SESSION_SIZE + 1],
                             bool *ret_is_ended)
{
    char reason[FEED_ERROR_SIZE];
    uint8_t raw[MOLD_SESSION_SIZE];
    struct opening opening = {
        .options = {.path = path, .packet_size = LEAT_FEED_PACKET_SIZE_MAX, .is_read_only = true},
        .reason = reason,
    };
    if (open_log(&opening) != 0)
        return 0;
    uint64_t first, last, next = 0;
    feed_log_range(opening.log, &first, &last);
    if (first <= last && read_session(opening.log, first, last + 1, raw) == 0) {
        mold_session_to_text(raw, session);
        *ret_is_ended = feed_log_is_ended(opening.log);
        next = last + 1;
    }
    close_log(opening.log);
    return next;
}

/* ---- Appending ------------------------------------------------------------------------------- */

/* A batch that was begun is written, though it was to end meanwhile. */
static void shield(const struct record *record)
{
    if (!record->log.is_resting)
        leat_shield_begin(leat_after_ms(GRACE_MS));
}

static void unshield(const struct record *record)
{
    if (!record->log.is_resting)
        leat_shield_end();
}

static int create_log(struct record *record, uint64_t sequence)
{
    struct leat_feed_subscriber_stats stats;
    leat_feed_subscriber_stats(record->log.subscriber, &stats);
    struct opening opening = {
        .options = {.path = record->log_path,
                    .segment_size = record->segment_size,
                    .packet_size = LEAT_FEED_PACKET_SIZE_MAX,
                    .first_sequence = sequence},
        .reason = record->log.reason,
    };
    int error = mold_session_from_text(stats.session, opening.options.session);
    if (error)
        snprintf(record->log.reason, FEED_ERROR_SIZE, "its session's name cannot be printed");
    shield(record);
    if (!error)
        error = open_log(&opening);
    unshield(record);
    if (error)
        return error;
    record->log.log = opening.log;
    record->log.first_sequence = sequence;
    return 0;
}

static void wake(void *fiber)
{
    fiber_wake(fiber);
}

/* Until the log's next segment is there, or another try has failed. */
static int await_segment(struct feed_log *log)
{
    struct fiber *const fiber = fiber_current();
    feed_log_on_ready(log, wake, fiber);
    const int error = fiber_park(LEAT_FOREVER, wake, fiber);
    feed_log_on_ready(log, NULL, NULL);
    return error;
}

static int begin_record(const struct record *record, int64_t time_ns)
{
    struct feed_log *log = record->log.log;
    int error = feed_log_begin(log, time_ns);
    if (error != -EAGAIN)
        return error;
    shield(record);
    do
        error = await_segment(log);
    while (!error && (error = feed_log_begin(log, time_ns)) == -EAGAIN);
    unshield(record);
    return error;
}

static int append(struct record *record, const struct leat_feed_batch *batch)
{
    int error = record->log.log ? 0 : create_log(record, batch->sequence);
    if (error)
        return error;
    struct feed_log *log = record->log.log;
    struct feed_log_tail *tail = feed_log_tail(log);
    if (tail->next_sequence != batch->sequence) {
        snprintf(record->log.reason, FEED_ERROR_SIZE,
                 "'%s' goes on with message %lu, and %lu came: record to another folder",
                 record->log_path, (unsigned long)tail->next_sequence,
                 (unsigned long)batch->sequence);
        return -EBADMSG;
    }
    error = begin_record(record, batch->received_ns);
    if (error)
        return error;
    ASSERT(batch->blocks.size <= (size_t)(tail->end - tail->at));
    memcpy(tail->at, batch->blocks.data, batch->blocks.size);
    feed_log_commit_blocks(tail, batch->blocks.size, batch->count);
    feed_log_finish_record(log);
    if (record->log.first_sequence == 0)
        record->log.first_sequence = batch->sequence;
    return 0;
}

static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    struct record *record = user;
    const int error = append(record, batch);
    record->log.has_failed |= error != 0;
    return error;
}

static int on_lost(uint64_t first, uint64_t last, void *user)
{
    struct record *record = user;
    record->log.lost_first = first;
    record->log.lost_last = last;
    return -ENODATA;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int record_log_open(struct record *record)
{
    const struct feed_flags *flags = &record->flags;
    char session[MOLD_SESSION_SIZE + 1], reason[FEED_ERROR_SIZE];
    bool is_ended = false;
    const uint64_t next = look_for_log(record->log_path, session, &is_ended);
    if (is_ended) {
        record_tell("'%s' has all of the session %s, which has ended", record->log_path, session);
        return -EINVAL;
    }
    if (next > 0 && flags->session && strcmp(flags->session, session) != 0) {
        record_tell("'%s' has the session %s: record another one to another folder",
                    record->log_path, session);
        return -EINVAL;
    }
    struct leat_feed_subscriber_options options = {
        .lines = {flags->group, flags->group_b},
        .request = record->request,
        .source = flags->source,
        .session = next > 0 ? session : flags->session,
        .from = next > 0 ? next : record->from,
        .mode = flags->is_spinning ? LEAT_FEED_SPIN : LEAT_FEED_ECONOMICAL,
        .packet_size_max = LEAT_FEED_PACKET_SIZE_MAX,
        .window_packets = 256, /* of that size each */
        .socket = flags->socket,
        .on_batch = on_batch,
        .on_lost = on_lost,
        .user = record,
    };
    const int error =
        leat_feed_subscriber_open(&options, &record->log.subscriber, reason, sizeof reason);
    if (error)
        record_tell("%s", reason);
    return error;
}

void record_log_run(void *arg)
{
    struct record *record = arg;
    int result = leat_feed_subscriber_run(record->log.subscriber, record->deadline_ns);
    if ((result == -ECANCELED || result == -ETIMEDOUT) && !record->log.has_failed) {
        leat_shield_begin(leat_after_ms(GRACE_MS));
        record->log.is_resting = true;
        result = leat_feed_subscriber_run(record->log.subscriber, leat_after_ms(REST_MS));
        leat_shield_end();
    }
    record->log.result = result;
    if (record->log.result == 0 && record->log.log)
        feed_log_end(record->log.log);
    leat_scope_cancel(record->running); /* the session is over, or its log: --pcap ends with it */
}

struct sync {
    struct fiber *fiber;
    bool is_done;
    int error;
};

static void on_synced(int error, void *user)
{
    struct sync *sync = user;
    sync->is_done = true;
    sync->error = error;
    if (sync->fiber)
        fiber_wake(sync->fiber);
}

int record_log_close(struct record *record)
{
    leat_feed_subscriber_close(record->log.subscriber);
    if (!record->log.log)
        return 0;
    struct sync sync = {.fiber = fiber_current()};
    const int error = feed_log_sync(record->log.log, on_synced, &sync);
    while (!error && !sync.is_done)
        fiber_park_sealed();
    close_log(record->log.log);
    return error ? error : sync.error;
}
