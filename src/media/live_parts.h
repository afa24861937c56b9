/* SPDX-License-Identifier: MIT */
/*
 * What the files of live channels share. Private to media/live*.c.
 *
 *     live.c            the hub, its channels, who watches them
 *     live_publisher.c  samples in: tracks, times, epochs
 *     live_cut.c        where parts and segments end; their bytes
 *     live_view.c       what readers see
 *
 * and live_log.h says which write it down.
 *
 * A channel's fields are guarded by its lock, those of a publisher belong to its loop. The lock of
 * the hub is taken before that of a channel.
 */
#ifndef MEDIA_LIVE_PARTS_H
#define MEDIA_LIVE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "media/live.h"
#include "wire/mp4_writer.h"

enum { LIVE_VIDEO_ID = 1, LIVE_AUDIO_ID = 2, LIVE_PARTS_AT_FIRST = 16 };

/* Bytes of a part: those of its video, then those of its audio. */
struct live_part {
    uint64_t offset;
    uint32_t sizes[2]; /* [0] video, [1] audio; 0 without such a track */
    uint32_t duration_us;
    bool is_independent;
};

struct live_epoch {
    struct list_node node; /* of the channel, the oldest first */
    unsigned segments;     /* that are of it; with the publisher's own */
    uint64_t init;
    int64_t begin_us;
    uint64_t first_number;
    struct live_track_info tracks[2]; /* by video, audio */
    struct {
        unsigned char *data;
        size_t size;
    } inits[LIVE_STREAMS];
};

/* The bytes of a segment. Shared by reference counts; what is there never changes. */
struct live_segment {
    _Atomic unsigned references;
    const struct backend_sys *sys;
    int fd;
};

/* What a channel knows of one. */
struct live_record {
    struct list_node node; /* of the channel, the oldest first */
    struct live_epoch *epoch;
    struct live_segment *segment; /* NULL: its bytes are in the store alone */
    uint64_t number, size;
    int64_t begin_us;
    uint64_t period_first; /* see live_view_segment */
    int64_t period_begin_us;
    uint32_t duration_us;
    bool is_whole, is_stored, is_discontinuity;
    bool is_gap;       /* its bytes are nowhere any more: it keeps the numbers in a row */
    bool is_unwritten; /* and will be: the store could not take it */
    unsigned part_count, part_capacity;
    struct live_part *parts;
};

static inline struct live_record *live_record_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct live_record, node);
}

struct live_log;

struct live_channel {
    _Atomic unsigned references;
    struct live_hub *hub;
    struct list_node node; /* of the hub; the hub holds a reference */
    char name[LIVE_NAME_SIZE];
    pthread_mutex_t lock;

    char peer[LIVE_PEER_SIZE];
    struct live_publisher *publisher; /* NULL: it has gone; */
    int64_t gone_ns;                  /* then, by the loops' clock */
    int64_t heard_ns;                 /* its last sample */
    bool is_over;                     /* it has said so, or its grace is over */
    uint64_t version;

    struct list_node records, epochs;
    uint64_t next_number;
    uint64_t first_listed; /* the first segment of playlists; those before are kept for a while */
    uint64_t discontinuities_gone; /* of those before first_listed */
    uint64_t memory, stored;       /* bytes */
    unsigned held;                 /* segments in memory: each has a descriptor */
    uint64_t segments_made, parts_made, part_bytes;
    unsigned epochs_made;
    bool next_begins_segment;

    /* Known once the first segment is whole; before that available_ms is 0. */
    uint32_t target_s, part_target_us, segment_us;
    int64_t available_ms;
    int64_t zero_ms;    /* until then: the latest that the channel's 0 may have been, unix time */
    int64_t latency_ms; /* of the last part, behind the time line */
    int64_t created_ms; /* unix time */
    int64_t end_us;     /* of what there is */

    struct list_node watches;
    struct live_log *log; /* NULL: there is no store */
};

struct live_hub {
    pthread_mutex_t lock;
    _Atomic bool is_left;
    struct live_store *store; /* NULL: memory alone */
    struct live_options options;
    struct list_node channels;
    unsigned channel_count;
};

/* ---- live.c ---------------------------------------------------------------------------------- */

int64_t live_wall_ms(void);
/* With the lock held, after a change: who watches will be told. */
void live_changed(struct live_channel *channel);
/* With the lock held. */
enum live_state live_state_of(const struct live_channel *channel, int64_t now_ns);
struct live_record *live_last_record(const struct live_channel *channel);
void live_record_free(struct live_record *record);
/* Lets old segments go. With the lock held. */
void live_trim(struct live_channel *channel);
/* The numbers between the last segment and `number`, which begins at `until_us`, were lost. With
 * the lock held. */
void live_fill_gap(struct live_channel *channel, uint64_t number, int64_t until_us);
bool live_is_name(const char *name);
/* For a hub that does not have it yet; the reference is the caller's. NULL: no memory. */
struct live_channel *live_channel_make(struct live_hub *hub, const char *name, int64_t now_ms);
/* The hub takes the reference, or drops it where there is such a channel or no room. */
void live_hub_adopt(struct live_hub *hub, struct live_channel *channel);
void live_epoch_drop(struct live_epoch *epoch); /* one of its segments */

/* ---- live_publisher.c, live_cut.c ------------------------------------------------------------ */

struct live_sample {
    int64_t dts; /* on the channel's time line, in ticks */
    int32_t cto;
    uint32_t duration; /* 0: not known yet */
    uint32_t size;
    bool is_sync;
};

/* A track of the publisher's, and what has come of it and is in no part yet. */
struct live_input {
    bool is_there;
    unsigned index; /* the publisher's */
    struct mp4_track mp4;
    unsigned char *stsd;
    bool has_changed;      /* since the epoch began */
    int64_t shift;         /* of this epoch: added to the publisher's dts */
    int64_t last_dts;      /* as published, */
    bool has_last;         /* and whether there was one in this epoch */
    int64_t next_dts;      /* on the channel's time line: where the next one is due, */
    int64_t cut_dts;       /* and the end of what parts have of it */
    int64_t heard_us;      /* the time of the newest one, on the publisher's clock */
    int64_t last_sync;     /* the newest that needs no other, on the channel's time line, */
    int64_t sync_distance; /* and how far that was from the one before; in ticks */
    int64_t looked_us;     /* when it was last tried to cut a part, by this track's time */
    struct live_sample *samples;
    size_t count, capacity;
    unsigned char *bytes;
    size_t size, bytes_capacity;
    size_t samples_taken, bytes_taken; /* while parts are made: in front of those */
};

struct live_publisher {
    struct live_channel *channel; /* a reference */
    struct live_input inputs[2];  /* video, audio */
    struct live_epoch *epoch;     /* NULL: the next begins with the next keyframe */
    struct live_record *record;   /* the segment in work; NULL: none */
    uint64_t period_segments;     /* whole ones of the period, which began at: */
    int64_t period_begin_us;
    uint64_t period_first;
    int64_t epoch_begins[LIVE_EPOCHS_A_MINUTE]; /* by the loops' clock, a ring */
    unsigned epoch_begin_count;
    uint32_t sequence;
    int64_t segment_begin;     /* in ticks of the lead */
    unsigned segment_frames;   /* of the lead */
    unsigned unlooked;         /* samples, since it was last tried to cut a part */
    int64_t frame_us;          /* the last one's duration */
    uint64_t segment_bytes[2]; /* of samples, by video, audio */
    uint32_t longest_part_us;
    int64_t first_part_ms; /* unix time, when the segment's first part was there */
    bool is_stopped;       /* another has its place, or it was sent away */
    char reason[LIVE_REASON_SIZE];
};

/* The track that parts are cut by. */
static inline struct live_input *live_lead(struct live_publisher *publisher)
{
    return &publisher->inputs[publisher->inputs[0].is_there ? 0 : 1];
}

__attribute__((cold, format(printf, 3, 4))) int live_refuse(struct live_publisher *publisher,
                                                            int error, const char *format, ...);

/* Makes parts of what has come, as far as it goes; with `is_last` of all of it. */
int live_cut(struct live_publisher *publisher, bool is_last);
/* The segment in work, if there is one, is whole; `in_time`: because the next one is due. */
void live_seal(struct live_publisher *publisher, bool in_time);

/* Rounded down, also below zero: nothing is late because its time was converted. */
static inline int64_t live_scale(int64_t time, uint32_t from, uint32_t to)
{
    const __int128 product = (__int128)time * to;
    return (int64_t)(product / from - (product % from < 0));
}

static inline int64_t live_us(int64_t ticks, uint32_t timescale)
{
    return live_scale(ticks, timescale, 1000000);
}

static inline int64_t live_ticks(int64_t us, uint32_t timescale)
{
    return live_scale(us, 1000000, timescale);
}

/* The first tick that is not before it. */
static inline int64_t live_ticks_from(int64_t us, uint32_t timescale)
{
    return -live_ticks(-us, timescale);
}

#endif
