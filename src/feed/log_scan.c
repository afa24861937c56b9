/* SPDX-License-Identifier: MIT */
/*
 * See log_parts.h: how far a segment that was found is to be believed. A record counts when it is
 * whole, of this life and session, and follows the one before it.
 */
#include <string.h>

#include "feed/log_parts.h"

static bool is_expected(const struct feed_record *record, const uint8_t *session, uint64_t sequence)
{
    return record->sequence == sequence && record->count <= MOLD_SEQUENCE_END - sequence &&
           memcmp(record->packet, session, MOLD_SESSION_SIZE) == 0;
}

enum feed_record_state feed_segment_scan(struct feed_segment *segment,
                                         const uint8_t session[MOLD_SESSION_SIZE],
                                         size_t *ret_offset, uint64_t *ret_sequence)
{
    size_t offset = FEED_LOG_HEADER_SIZE, index_offset = offset;
    uint64_t sequence = segment->first_sequence;
    struct feed_record record;
    enum feed_record_state state;
    ASSERT(atomic_load_explicit(&segment->index_count, memory_order_relaxed) == 0);
    while ((state = feed_record_look(segment, offset, &record)) == FEED_RECORD_CLOSED) {
        if (!is_expected(&record, session, sequence) || !feed_record_is_whole(segment, &record)) {
            state = FEED_RECORD_BAD;
            break;
        }
        if (offset >= index_offset) {
            feed_segment_index(segment, sequence, offset);
            index_offset = offset + FEED_LOG_INDEX_STEP;
        }
        offset += feed_record_size(record.size - MOLD_HEADER_SIZE);
        sequence += record.count;
    }
    *ret_offset = offset;
    *ret_sequence = sequence;
    return state;
}

bool feed_record_open_is_whole(const struct feed_segment *segment, size_t offset,
                               const uint8_t session[MOLD_SESSION_SIZE], uint64_t sequence,
                               struct feed_record *ret_record)
{
    struct feed_record record;
    size_t size;
    if (feed_record_look(segment, offset, &record) != FEED_RECORD_OPEN ||
        !is_expected(&record, session, sequence))
        return false;
    const struct leat_slice blocks =
        slice_of(record.packet + MOLD_HEADER_SIZE, record.size - MOLD_HEADER_SIZE);
    if (mold_blocks_check(blocks, record.count, &size) != record.count || size != blocks.size)
        return false;
    *ret_record = record;
    return true;
}

bool feed_segment_has_stray(const struct feed_segment *segment,
                            const uint8_t session[MOLD_SESSION_SIZE], size_t offset,
                            uint64_t sequence)
{
    struct feed_record record;
    for (; offset + feed_record_size(0) <= segment->size; offset += 8)
        if (memcmp(segment->data + offset + FEED_LOG_PREFIX_SIZE, session, MOLD_SESSION_SIZE) ==
                0 &&
            feed_record_look(segment, offset, &record) == FEED_RECORD_CLOSED &&
            record.sequence >= sequence && feed_record_is_whole(segment, &record))
            return true;
    return false;
}
