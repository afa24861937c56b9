/* SPDX-License-Identifier: MIT */
/*
 * See log.h: cursors. A reader never meets what is being written: a record's word is stored last
 * and tells whether it is closed, and behind what is closed there is an empty word (log_parts.h).
 * Segments that an earlier process left are read with a check of each record's sum; who looks for
 * something in them leaves an index behind, one reader at a time.
 */
#include <errno.h>

#include "feed/log_parts.h"

void feed_log_range(const struct feed_log *log, uint64_t *ret_first, uint64_t *ret_last)
{
    ASSERT(log->count > 0);
    *ret_first = log->segments[0]->first_sequence;
    *ret_last = log->closed_sequence - 1;
}

/* ---- Which segment --------------------------------------------------------------------------- */

static void hold(struct feed_segment *segment, size_t offset, struct feed_log_cursor *ret_cursor)
{
    atomic_fetch_add_explicit(&segment->holders, 1, memory_order_relaxed);
    *ret_cursor = (struct feed_log_cursor){.segment = segment, .offset = offset};
}

int feed_log_hold(struct feed_log *log, uint64_t sequence, struct feed_log_cursor *ret_cursor)
{
    size_t begin = 0, end = log->count;
    if (sequence < log->segments[0]->first_sequence)
        return -ENOENT;
    while (end - begin > 1) {
        const size_t middle = begin + (end - begin) / 2;
        if (log->segments[middle]->first_sequence <= sequence)
            begin = middle;
        else
            end = middle;
    }
    hold(log->segments[begin], FEED_LOG_HEADER_SIZE, ret_cursor);
    return 0;
}

void feed_log_hold_end(struct feed_log *log, struct feed_log_cursor *ret_cursor)
{
    hold(log->segments[log->count - 1], log->offset, ret_cursor);
}

int feed_log_step(struct feed_log *log, struct feed_log_cursor *cursor)
{
    struct feed_segment *segment = cursor->segment;
    const uint64_t oldest = log->segments[0]->number;
    ASSERT(segment && segment->number >= oldest);
    const uint64_t index = segment->number - oldest + 1;
    if (index >= log->count)
        return -EAGAIN;
    hold(log->segments[index], FEED_LOG_HEADER_SIZE, cursor);
    atomic_fetch_sub_explicit(&segment->holders, 1, memory_order_release);
    return 0;
}

void feed_log_cursor_release(struct feed_log_cursor *cursor)
{
    if (cursor->segment)
        atomic_fetch_sub_explicit(&cursor->segment->holders, 1, memory_order_release);
    *cursor = (struct feed_log_cursor){0};
}

/* ---- Within it ------------------------------------------------------------------------------- */

int feed_log_next(struct feed_log_cursor *cursor, uint64_t closed_sequence,
                  struct feed_record *ret_record)
{
    struct feed_segment *segment = cursor->segment;
    struct feed_record record;
    ASSERT(segment);
    const uint64_t end_offset = atomic_load_explicit(&segment->end_offset, memory_order_acquire);
    if (cursor->offset == end_offset)
        return 2;
    const enum feed_record_state state = feed_record_look(segment, cursor->offset, &record);
    if (segment->is_trusted) {
        if (state != FEED_RECORD_CLOSED)
            return state == FEED_RECORD_BAD ? -EBADMSG : 0;
    } else if (state != FEED_RECORD_CLOSED || !feed_record_is_whole(segment, &record)) {
        return -EBADMSG;
    }
    if (record.sequence >= closed_sequence)
        return 0;
    cursor->offset += feed_record_size(record.size - MOLD_HEADER_SIZE);
    if (!segment->is_trusted &&
        record.sequence + record.count ==
            atomic_load_explicit(&segment->end_sequence, memory_order_relaxed))
        atomic_store_explicit(&segment->end_offset, cursor->offset, memory_order_release);
    *ret_record = record;
    return 1;
}

/* To the last place in the index at or before `sequence`, if that is further on. */
static void skip(struct feed_log_cursor *cursor, uint64_t sequence)
{
    const struct feed_segment *segment = cursor->segment;
    uint32_t begin = 0;
    uint32_t end = atomic_load_explicit(&segment->index_count, memory_order_acquire);
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (segment->index[middle].sequence <= sequence)
            begin = middle + 1;
        else
            end = middle;
    }
    if (begin > 0 && segment->index[begin - 1].offset > cursor->offset)
        cursor->offset = segment->index[begin - 1].offset;
}

/* Behind the last place in the index: this one becomes the next. */
static void leave_index(struct feed_segment *segment, uint64_t sequence, size_t offset)
{
    const uint32_t count = atomic_load_explicit(&segment->index_count, memory_order_relaxed);
    const size_t next =
        count > 0 ? segment->index[count - 1].offset + FEED_LOG_INDEX_STEP : FEED_LOG_HEADER_SIZE;
    if (offset >= next && offset < next + FEED_LOG_INDEX_STEP)
        feed_segment_index(segment, sequence, offset);
}

int feed_log_find(struct feed_log_cursor *cursor, uint64_t sequence, uint64_t closed_sequence,
                  struct feed_record *ret_record)
{
    struct feed_segment *segment = cursor->segment;
    ASSERT(segment && closed_sequence > 0);
    skip(cursor, sequence < closed_sequence ? sequence : closed_sequence - 1);
    const bool is_indexing =
        !segment->is_trusted &&
        !atomic_exchange_explicit(&segment->is_indexed_now, true, memory_order_acquire);
    int found;
    do {
        const size_t offset = cursor->offset;
        found = feed_log_next(cursor, closed_sequence, ret_record);
        if (found == 1 && is_indexing)
            leave_index(segment, ret_record->sequence, offset);
    } while (found == 1 && ret_record->sequence + ret_record->count <= sequence);
    if (is_indexing)
        atomic_store_explicit(&segment->is_indexed_now, false, memory_order_release);
    return found;
}
