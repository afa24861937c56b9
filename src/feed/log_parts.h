/* SPDX-License-Identifier: MIT */
/*
 * What the files of the log share: the header of a segment, segments, the log itself.
 *
 *     log.c           appending, rolling, the end, sync
 *     log_next.c      the next segment: made or recycled by a job before it is needed
 *     log_open.c      finding what an earlier process left; log_scan.c: believing it
 *     log_read.c      cursors
 *     log_segment.c   a segment's file, mapping, header, index
 *
 * Who touches what: a segment in `segments` belongs to the loop's thread, but for its records that
 * are closed, its `end_…`, its index and `holders`, which any thread may read while it holds it.
 * One in `next.segment` belongs to the job while `next.is_active`.
 */
#ifndef FEED_LOG_PARTS_H
#define FEED_LOG_PARTS_H

#include <errno.h>
#include <pthread.h>

#include "feed/log.h"
#include "loop/offload.h"

enum {
    FEED_LOG_VERSION = 1,
    FEED_LOG_SEGMENT_SIZE_MAX = 1 << 30,
    FEED_LOG_KEPT_MIN = 2,
    /* More segments than shall be kept, while readers hold the oldest ones; then the log waits. */
    FEED_LOG_HELD_MAX = 8,
    FEED_LOG_INDEX_STEP = 64 << 10, /* a place in the index each so many bytes */
    FEED_LOG_RETRY_MS = 250,        /* between two tries to make the next segment */
    FEED_LOG_SYNC_MAX = 8,          /* segments in one job of feed_log_sync */
    FEED_LOG_NAME_SIZE = 32,
};

#define FEED_LOG_MAGIC "leatmold"
/* Being made; it gets its name when it is whole. */
#define FEED_LOG_NEW_NAME "new.part"

enum { FEED_LOG_IS_DURABLE = 1, FEED_LOG_IS_ENDED = 2 };

/* The first page of a segment, little-endian. The upper part is written once in each of a file's
 * lives, and summed; below it are words that are stored in one piece, as the log goes on. */
struct feed_log_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t epoch; /* seeds the records' sums; another in each life */
    uint64_t number;
    uint64_t segment_size;
    int64_t created_ns;
    uint8_t session[MOLD_SESSION_SIZE];
    uint8_t unused[2];
    uint32_t sum; /* of all above */
    /* Of its first message, stored last when it is begun. 0: it is prepared, no more. */
    uint64_t first_sequence;
    uint64_t end_sequence;    /* behind its last message; 0: more may come */
    uint64_t synced_sequence; /* the log was on the disk up to here, exclusive, or further */
    uint64_t boot;            /* the host's boot in which it was last written; 0: unknown */
    uint64_t flags;
};
static_assert(offsetof(struct feed_log_header, sum) == 52, "the header has no gaps");
static_assert(offsetof(struct feed_log_header, first_sequence) == 56, "words can be stored whole");
static_assert(sizeof(struct feed_log_header) <= FEED_LOG_HEADER_SIZE, "it has its room");

struct feed_index_entry {
    uint64_t sequence, offset; /* of a record */
};

struct feed_segment {
    uint8_t *data;
    size_t size;
    uint64_t number;
    uint64_t name; /* the number in its file's name: another while it is recycled, no longer */
    uint64_t first_sequence;
    _Atomic uint64_t end_sequence; /* behind its last message; 0: it is the tail */
    _Atomic uint64_t end_offset;   /* behind its last record; 0: nobody knows */
    uint32_t epoch;
    bool is_trusted;          /* this process wrote or scanned all of it; else sums are checked */
    _Atomic unsigned holders; /* cursors, and a sync */
    _Atomic bool is_indexed_now; /* by the one reader who may extend the index */
    _Atomic uint32_t index_count;
    struct feed_index_entry index[]; /* one each FEED_LOG_INDEX_STEP, from the first record on */
};

/* The next segment, on its way. */
struct feed_log_next {
    struct offload_job job;
    struct timer retry;
    bool is_queued;               /* the job's `done` is still to come */
    struct feed_segment *segment; /* to be recycled, or made, by the job; ready afterwards */
    bool is_ready;
    /* Too many are there: their files go. */
    struct feed_segment *dropped[FEED_LOG_HELD_MAX];
    unsigned dropped_count;
    uint64_t number;
    int job_error; /* of the try that is under way, */
    int error;     /* and of the last one that is over */
    void (*ready)(void *user);
    void *user;
    /* The job and feed_log_close, which may be in another job. */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool is_active, is_closing;
};

struct feed_log_sync {
    struct offload_job job;
    struct feed_segment *segments[FEED_LOG_SYNC_MAX];
    unsigned count;
    uint64_t upto, target; /* of this job; of this call */
    uint64_t synced_sequence;
    int job_error;
    bool is_lost; /* what could not be written: `error` stays for ever */
    int error;
    struct task again;
    bool is_running;
    void (*done)(int error, void *user);
    void *user;
};

struct feed_log {
    struct leat_loop *loop;
    const struct backend_sys *sys;
    struct feed_log_tail tail;
    struct feed_segment *
        *segments; /* oldest first, numbers without a gap; the last is the tail's */
    size_t count, capacity;
    size_t offset; /* in the tail's: of the open record, or where the next one goes */
    size_t index_offset;
    uint64_t closed_sequence; /* behind the last closed message */
    size_t segment_size, packet_size, record_size_max;
    unsigned segments_kept;
    uint8_t session[MOLD_SESSION_SIZE];
    uint64_t boot;
    int directory_fd; /* -1: memory */
    bool is_durable, is_read_only, is_ended;
    struct feed_log_next next;
    struct feed_log_sync sync;
    struct task leave; /* on the loop, what is left of a log that was closed in a job */
    bool is_closed;
};

/* ---- log_segment.c --------------------------------------------------------------------------- */

static inline struct feed_log_header *feed_segment_header(const struct feed_segment *segment)
{
    return (struct feed_log_header *)(void *)segment->data;
}

/* A mapping's pages, all of them, now. May block. */
static inline int feed_log_touch(const struct backend_sys *sys, void *data, size_t size,
                                 bool is_writable)
{
    const int error = sys->prefault(sys, data, size, is_writable);
    return error == -EFAULT ? -EIO : error; /* what madvise(2) says of a page the disk keeps */
}

/* A word that others may read at any time: another thread, or whoever comes after a kill. */
static inline void feed_word_store(void *at, uint64_t value)
{
    atomic_store_explicit((_Atomic uint64_t *)at, htole64(value), memory_order_release);
}

static inline uint64_t feed_word_load(const void *at)
{
    return le64toh(atomic_load_explicit((const _Atomic uint64_t *)at, memory_order_acquire));
}

void feed_segment_name(uint64_t number, char ret_name[FEED_LOG_NAME_SIZE]);
/* Without a file or memory. NULL: no memory. */
struct feed_segment *feed_segment_alloc(size_t size);
/* Its file stays. NULL is fine. */
void feed_segment_free(const struct backend_sys *sys, struct feed_segment *segment);

/* May block. A new one, prepared: its file is on the disk and its pages in memory. */
int feed_segment_make(struct feed_log *log, const struct backend_sys *sys, uint64_t number,
                      struct feed_segment **ret_segment);
/* May block. Nobody holds it: another life begins, under another number. Can be called again when
 * it has failed. */
int feed_segment_recycle(struct feed_log *log, const struct backend_sys *sys,
                         struct feed_segment *segment, uint64_t number);
/* May block. Its file is removed for good, so that of several none goes before the one that goes
 * first; and it is freed. When that fails it is as it was. */
int feed_segment_drop(struct feed_log *log, const struct backend_sys *sys,
                      struct feed_segment *segment);
/* May block: fdatasync. When that itself fails, *ret_is_lost (NULL: nobody asks) becomes true: the
 * kernel forgets what it could not write, and a second call would find all well. */
int feed_segment_sync(struct feed_log *log, const struct backend_sys *sys,
                      const struct feed_segment *segment, bool *ret_is_lost);

bool feed_log_header_is_whole(const struct feed_log_header *header);

/* One reader at a time; `offset` is behind the last entry's by FEED_LOG_INDEX_STEP or more. */
void feed_segment_index(struct feed_segment *segment, uint64_t sequence, uint64_t offset);

/* ---- Records --------------------------------------------------------------------------------- */

enum feed_record_state {
    FEED_RECORD_NONE, /* nothing, or no room for one */
    FEED_RECORD_OPEN,
    FEED_RECORD_CLOSED,
    FEED_RECORD_BAD, /* nobody wrote that */
};

static inline size_t feed_record_size(size_t bytes)
{
    return (FEED_LOG_PREFIX_SIZE + MOLD_HEADER_SIZE + bytes + 7) & ~(size_t)7;
}

/* What its word says; an open one's packet still has no count. The sum is not looked at. */
enum feed_record_state feed_record_look(const struct feed_segment *segment, size_t offset,
                                        struct feed_record *ret_record);
/* A closed one's sum and messages are right. */
bool feed_record_is_whole(const struct feed_segment *segment, const struct feed_record *record);
/* Of `bytes` of messages. Never 0, which says that there is none. */
uint32_t feed_record_sum(uint32_t epoch, const uint8_t *data, size_t bytes);
/* Counted in its packet, summed, its word stored; before that, the word of the record to come is
 * emptied, so that nothing stale is ever behind what is closed. The offset behind it. */
size_t feed_record_close(struct feed_segment *segment, size_t offset, size_t bytes, uint16_t count);

/* ---- log.c, log_next.c, log_open.c, log_scan.c ----------------------------------------------- */

/* There is room for one more. 0 or -ENOMEM. */
int feed_log_grow(struct feed_log *log);
/* The segment, which is prepared, becomes the tail's. */
void feed_log_begin_segment(struct feed_log *log, struct feed_segment *segment, uint64_t sequence);

/* Of one that was not opened, after all. */
void feed_log_discard(struct feed_log *log);
/* On the loop, when it was closed: frees the rest, unless a job of it is still queued. */
void feed_log_leave(struct feed_log *log);

void feed_log_next_init(struct feed_log *log);
/* Sees to it that there will be a next segment. Called at will. */
void feed_log_next_want(struct feed_log *log);
/* 0 and the segment, or -errno as feed_log_begin returns it. */
int feed_log_next_take(struct feed_log *log, struct feed_segment **ret_segment);

/* Goes on to the first record that is not whole, closed and in sequence, indexing the others. What
 * is there. */
enum feed_record_state feed_segment_scan(struct feed_segment *segment,
                                         const uint8_t session[MOLD_SESSION_SIZE],
                                         size_t *ret_offset, uint64_t *ret_sequence);
/* What was committed to the open record at `offset` is whole. */
bool feed_record_open_is_whole(const struct feed_segment *segment, size_t offset,
                               const uint8_t session[MOLD_SESSION_SIZE], uint64_t sequence,
                               struct feed_record *ret_record);
/* Behind `offset` is a whole record of this life, with `sequence` or a later one. */
bool feed_segment_has_stray(const struct feed_segment *segment,
                            const uint8_t session[MOLD_SESSION_SIZE], size_t offset,
                            uint64_t sequence);

#endif
