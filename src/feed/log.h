/* SPDX-License-Identifier: MIT */
/*
 * The log of a session: all its packets, as they are sent, in files that are mapped. Appending is
 * writing to memory that the kernel keeps whatever becomes of the process; sending is reading the
 * same memory; so nothing is copied, and between the log and the wire there is no difference.
 *
 *     folder/00000001.mold, 00000002.mold, …     segments, all of one size, allocated as a whole
 *     segment:  header (4096 bytes), record, record, …
 *     record:   u64 word   i64 time_ns   packet (MoldUDP64's header, messages)   padding
 *                |                                                                       up to 8
 *                +- crc32c (0: still open) | bytes of messages << 32 | count << 48
 *
 * All integers but the packet's are little-endian; the header is in log_parts.h. The word is stored
 * last, in one piece: with it a message is there, without it it never was (kill -9 at any
 * instruction). A record that is closed has its checksum, of time and packet, sequence included,
 * seeded by a number that each life of a segment draws anew, so that neither what a recycled file
 * held before nor a page that a power cut took is ever taken for a record. Before it is closed, the
 * word behind it is emptied. The open one at the end has no sum: it is believed only when the host
 * has not been down since.
 *
 *     reserve, commit ... close         the loop's thread
 *     next segment: made, mapped, touched by a job, before it is needed
 *     read: any thread, what was closed before it was handed over, while it holds the segment
 */
#ifndef FEED_LOG_H
#define FEED_LOG_H

#include <endian.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "leat/slice.h"
#include "loop/loop.h"
#include "wire/moldudp64.h"

enum {
    FEED_LOG_SEGMENT_SIZE = 64 << 20,
    FEED_LOG_SEGMENT_SIZE_MIN = 1 << 18, /* three packets of the greatest size, and the header */
    FEED_LOG_HEADER_SIZE = 4096,
    FEED_LOG_PREFIX_SIZE = 16, /* of a record, before its packet */
};

struct feed_log;
struct feed_segment;

struct feed_log_options {
    const char *path; /* a folder, made when it is not there; NULL: memory, of no file */
    uint8_t session[MOLD_SESSION_SIZE];
    uint64_t first_sequence; /* of a new log's first message; 0: 1 */
    size_t segment_size;     /* 0: FEED_LOG_SEGMENT_SIZE; an existing log keeps its own */
    /* 0: all (memory: 2); else the oldest are used again once so many, 2 or more, hold messages.
     * One more is being made ready; and up to 8 more are made while readers hold the oldest. */
    unsigned segments_kept;
    size_t packet_size; /* the longest packet that will be written */
    /* Noted in the segments: what -ESTALE depends on. Without feed_log_sync now and then the log
     * waits: what was not synced is not recycled. */
    bool is_durable;
    bool is_read_only; /* of any session, nothing is locked or written: for replay */
};

/* The open record, for the inline half of appending. `at` is NULL while none is open. */
struct feed_log_tail {
    uint8_t *record;        /* its word */
    uint8_t *at, *end;      /* where the next message's length goes; the packet's end at most */
    uint32_t count;         /* messages in it */
    uint64_t next_sequence; /* of the next message */
};

/* Where a reader is; plain values. It holds its segment: feed_log_cursor_release. */
struct feed_log_cursor {
    struct feed_segment *segment;
    size_t offset;
};

struct feed_record {
    const uint8_t *packet; /* as it was sent: FEED_LOG_PREFIX_SIZE bytes into the record */
    uint32_t size;
    uint16_t count;
    uint64_t sequence;
    int64_t time_ns; /* the wall clock, at its first message */
};

/* May block: in an offload job, or before the loop runs. Finds the last whole message, and goes on
 * behind it. 0, or -errno and a line in ret_reason: -EAGAIN: another process has it; -EBADMSG:
 * another session's, or no log, or damaged before its end; -ESTALE: the host went down and it was
 * neither durable nor ended; -ENOSPC. */
int feed_log_open(struct leat_loop *loop, const struct feed_log_options *options,
                  struct feed_log **ret_log, char *ret_reason, size_t reason_size);
/* On the loop's thread, or in a job: it may block, and waits for a segment that is being made. All
 * cursors have been released, and no sync is under way. NULL is fine. */
void feed_log_close(struct feed_log *log);

/* ---- Appending (the loop's thread) ----------------------------------------------------------- */

struct feed_log_tail *feed_log_tail(struct feed_log *log);

/* Begins a record, with its packet's header (count 0 for now). 0; -EAGAIN: the next segment is
 * being made (feed_log_on_ready), or readers hold all old ones; -ENOSPC, -EIO and the like: it
 * could not be made. That is tried again, a few times a second, and returned until it succeeds. */
int feed_log_begin(struct feed_log *log, int64_t wall_ns);
/* Called on the loop, once, when feed_log_begin should be tried again: the next segment is there,
 * or another try has failed. NULL: nobody waits. */
void feed_log_on_ready(struct feed_log *log, void (*ready)(void *user), void *user);

/* The tail has a record open with room for 2 + size bytes: the message is there already, from
 * at + 2 on. Makes it part of the log. Its sequence. */
static inline uint64_t feed_log_commit(struct feed_log_tail *tail, size_t size)
{
    DEBUG_ASSERT(tail->at && size > 0 && size + 2 <= (size_t)(tail->end - tail->at));
    tail->at[0] = (uint8_t)(size >> 8);
    tail->at[1] = (uint8_t)size;
    tail->at += 2 + size;
    tail->count++;
    const uint64_t bytes =
        (uint64_t)(tail->at - tail->record) - FEED_LOG_PREFIX_SIZE - MOLD_HEADER_SIZE;
    atomic_store_explicit((_Atomic uint64_t *)(void *)tail->record,
                          htole64(bytes << 32 | (uint64_t)tail->count << 48), memory_order_release);
    return tail->next_sequence++;
}

/* Messages that were copied to `at` with their lengths, `size` bytes in all, checked: as above, at
 * once. The sequence of the first. */
static inline uint64_t feed_log_commit_blocks(struct feed_log_tail *tail, size_t size,
                                              unsigned count)
{
    DEBUG_ASSERT(tail->at && count > 0 && size <= (size_t)(tail->end - tail->at));
    tail->at += size;
    tail->count += count;
    const uint64_t bytes =
        (uint64_t)(tail->at - tail->record) - FEED_LOG_PREFIX_SIZE - MOLD_HEADER_SIZE;
    atomic_store_explicit((_Atomic uint64_t *)(void *)tail->record,
                          htole64(bytes << 32 | (uint64_t)tail->count << 48), memory_order_release);
    const uint64_t first = tail->next_sequence;
    tail->next_sequence += count;
    return first;
}

/* The open record, if it has messages: counted in its packet, summed, and visible to cursors. */
void feed_log_finish_record(struct feed_log *log);

/* Nothing more will be written: a restart finds the session ended (feed_log_is_ended). */
void feed_log_end(struct feed_log *log);
bool feed_log_is_ended(const struct feed_log *log);

/* What was closed before the call is on the disk when `done` is called on the loop, with 0 or
 * -errno; one at a time. Memory: within the call. What could not be written is lost: from then on
 * the same error is returned, and `done` is not called; other errors (-EMFILE) may pass. */
int feed_log_sync(struct feed_log *log, void (*done)(int error, void *user), void *user);

/* ---- Reading --------------------------------------------------------------------------------- */

/* The first and the last closed message in the log; first > last: it is empty. */
void feed_log_range(const struct feed_log *log, uint64_t *ret_first, uint64_t *ret_last);

/* On the loop's thread: holds the segment that has `sequence` or, when it was not written yet, the
 * tail's, from its begin. -ENOENT: it was recycled. Then, in any thread: feed_log_find. */
int feed_log_hold(struct feed_log *log, uint64_t sequence, struct feed_log_cursor *ret_cursor);
/* To the end of what is closed; nothing is read. */
void feed_log_hold_end(struct feed_log *log, struct feed_log_cursor *ret_cursor);

/* The cursor's record, and the cursor behind it. 1; 0: it is at `closed_sequence`, the first that
 * the caller does not know to be closed, or nothing is there; 2: the segment ends here
 * (feed_log_step); -EBADMSG: the file is damaged here (what this process wrote is not looked at
 * again). May fault pages in: not on a loop, for what is old. */
int feed_log_next(struct feed_log_cursor *cursor, uint64_t closed_sequence,
                  struct feed_record *ret_record);
/* On, within the segment, to the record that has `sequence`: results as above. A few microseconds;
 * the first time in a segment that an earlier process left, some milliseconds. */
int feed_log_find(struct feed_log_cursor *cursor, uint64_t sequence, uint64_t closed_sequence,
                  struct feed_record *ret_record);
/* On the loop's thread, at a segment's end: into the next one. 0; -EAGAIN: there is none yet. */
int feed_log_step(struct feed_log *log, struct feed_log_cursor *cursor);
void feed_log_cursor_release(struct feed_log_cursor *cursor);

#endif
