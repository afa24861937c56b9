/* SPDX-License-Identifier: MIT */
/*
 * Live channels. A publisher's samples come once, and are cut into parts of about 200 ms, which
 * make up segments of about 2 s. A part is written once, into memory that all loops send from (a
 * memfd a segment), however many watch:
 *
 *     samples -> | gathered | -> part = [moof+mdat of video][moof+mdat of audio] -> segment (memfd)
 *                                        \__ "video" ____/  \__ "audio" ____/
 *                                        \_________ "muxed" _______________/
 *
 * Knows nothing of HTTP, nor of what publishers speak. A channel has one video and one audio track
 * at most. Its time line begins at 0 and goes on whatever happens; an *epoch* is a stretch of it
 * with one init segment and without a gap: a publisher that comes back, whose clock jumps or who
 * changes codecs begins a new one. Segments are numbered in a row for as long as the channel lives,
 * from a number that the clock gives: so none is used twice, whatever becomes of the process.
 *
 * Threads: a channel is shared by all loops under a lock of its own that is held for microseconds.
 * A publisher belongs to the loop of its fiber.
 */
#ifndef MEDIA_LIVE_H
#define MEDIA_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "wire/media_events.h"

enum {
    LIVE_NAME_SIZE = 64, /* with its zero; of letters, digits, '-', '_' and '.', not first */
    LIVE_PEER_SIZE = 64,
    LIVE_CHANNELS_MAX = 64,
    LIVE_PARTS_MAX = 256, /* of a segment */
    LIVE_PART_MS = 200,
    LIVE_SEGMENT_MS = 2000,
    LIVE_FIRST_MAX_MS = 10 * 1000, /* without a keyframe: then a segment ends all the same */
    LIVE_WINDOW_MS = 30 * 1000,
    LIVE_GRACE_MS = 30 * 1000,
    LIVE_SILENCE_MS = 5 * 1000,          /* then another publisher may take its place */
    LIVE_JUMP_MS = 3 * 1000,             /* a longer gap is a new epoch, a shorter one a gap */
    LIVE_EPOCHS_A_MINUTE = 20,           /* then the publisher is sent away */
    LIVE_PENDING_MAX = 96 * 1024 * 1024, /* bytes gathered, not yet in a part */
    LIVE_PENDING_SAMPLES_MAX = 32 * 1024,
    LIVE_PART_SAMPLES_MAX = 128,         /* of the track that leads */
    LIVE_MEMORY_MAX = 256 * 1024 * 1024, /* bytes of a channel's segments in memory */
    LIVE_SEGMENTS_MAX = 256,             /* of a channel in memory: who comes back all the time */
    LIVE_REASON_SIZE = MEDIA_REASON_SIZE,
};

enum live_stream { LIVE_MUXED, LIVE_VIDEO, LIVE_AUDIO, LIVE_STREAMS };
enum live_state {
    LIVE_STARTING, /* there is no whole segment yet: nothing to see */
    LIVE_ON,
    LIVE_STALLED, /* its publisher is silent, or gone and may come back */
    LIVE_ENDED,   /* and what there is can be seen for a while */
};

struct live_hub;
struct live_channel;
struct live_publisher;
struct live_segment;
struct live_store;

/* 0: the default. */
struct live_options {
    uint32_t part_ms, segment_ms;
    int64_t window_ms; /* that playlists show, in memory or in the store (live_store.h) */
    int64_t memory_ms; /* so much stays in memory even where there is a store */
    int64_t grace_ms;  /* for a publisher to come back */
};

/* Options are copied. */
int live_hub_create(const struct live_options *options, struct live_hub **ret_hub);
/* When no publisher and no watch are left. NULL is fine. */
void live_hub_destroy(struct live_hub *hub);
/* What time alone changes: channels that end, or go. About once a second, from any thread. */
void live_hub_tick(struct live_hub *hub);
/* The process is about to end, or another has taken over: publishers are sent away, to come again,
 * and what is stored may be taken up by another process. From any thread; they notice with what
 * they send next. */
void live_hub_leave(struct live_hub *hub);

/* ---- Publishing ------------------------------------------------------------------------------ */

/* Begins, or goes on with, the channel of this name. `peer` is for people. -EINVAL: no such name;
 * -EBUSY: somebody else publishes it; -LEAT_E_LIMIT: too many channels; -ESHUTDOWN: the hub was
 * left; -ENOMEM. In ret_reason (LIVE_REASON_SIZE bytes) a line for the publisher. */
int live_publish(struct live_hub *hub, const char *name, const char *peer,
                 struct live_publisher **ret_publisher, char *ret_reason);
/* As media_events: `user` is the publisher. An error ends its publishing, and live_publisher_reason
 * has a line that says why: -LEAT_E_LIMIT, -EOPNOTSUPP, -LEAT_E_MALFORMED, -ENOMEM; -ENOSPC: what
 * came could not be stored, for whatever reason; -ECANCELED: another has taken its place;
 * -ESHUTDOWN: the hub has been left. */
int live_publisher_track(unsigned index, const struct mp4_track *track, void *user);
int live_publisher_sample(unsigned index, const struct media_sample *sample, void *user);
const char *live_publisher_reason(const struct live_publisher *publisher);
/* Has it announced anything that can be seen or heard? */
bool live_publisher_has_tracks(const struct live_publisher *publisher);
/* `is_over`: the publisher has said so, and the channel ends. Else it may come back in time. What
 * was gathered becomes a last part. */
void live_publisher_end(struct live_publisher *publisher, bool is_over);

/* ---- Looking --------------------------------------------------------------------------------- */

/* A reference; NULL: there is none of this name, or nothing to be seen in it yet. */
struct live_channel *live_find(struct live_hub *hub, const char *name);
void live_channel_ref(struct live_channel *channel);   /* from any thread, as is: */
void live_channel_unref(struct live_channel *channel); /* NULL is fine */
const char *live_channel_name(const struct live_channel *channel);
/* Of its segments, rounded; never changes once there is something to see. */
uint32_t live_target_s(const struct live_channel *channel);

struct live_track_info {
    bool is_there;
    struct mp4_codec codec;
    uint32_t timescale;
    char language[4];
    uint64_t bits_per_s; /* of late */
    uint32_t frame_rate_milli;
};

/* What `channels.json` and the dashboard say of one. */
struct live_info {
    char name[LIVE_NAME_SIZE], peer[LIVE_PEER_SIZE];
    enum live_state state;
    int64_t since_ms; /* unix time */
    int64_t
        latency_ms; /* of the last part, when it was there, behind when its first sample was due */
    uint64_t bits_per_s;
    uint64_t segments, parts, part_bytes; /* made since the beginning: each was written once */
    uint64_t memory, stored;              /* bytes now */
    unsigned epochs;
    unsigned watching; /* loops */
    struct live_track_info video, audio;
};
/* At most `count`; returns how many. */
unsigned live_list(struct live_hub *hub, struct live_info *ret_infos, unsigned count);

/* ---- Playlists ------------------------------------------------------------------------------- */

struct live_view_part {
    uint32_t duration_us;
    bool is_independent;
};
struct live_view_segment {
    uint64_t number;
    int64_t begin_us; /* on the channel's time line */
    uint32_t duration_us;
    unsigned epoch;
    /* The stretch it is in: its segment number n begins within half a segment of period_begin_us +
     * (n - period_first) x segment_us. Another begins with an epoch, and where that would fail. */
    uint64_t period_first;
    int64_t period_begin_us;
    bool is_whole, is_discontinuity; /* the time line or the init is another than before it */
    bool is_gap;                     /* it was lost, and never comes */
    unsigned first_part, part_count; /* of the view's; none where they are old */
};
struct live_view_epoch {
    uint64_t init; /* the number of the segment it came with */
    struct live_track_info video, audio;
};
/* All there is to say of a channel at a moment; one piece of memory, free() it. */
struct live_view {
    uint64_t version;
    enum live_state state;
    /* These never change. part_target_us is 0 where whole segments come at once: there is nothing
     * to be gained by parts then. */
    uint32_t target_s, part_target_us, segment_us;
    int64_t available_ms; /* unix time of the channel's 0 */
    int64_t window_ms;
    uint64_t discontinuity_sequence; /* discontinuities that are in front of what is listed */
    struct live_view_segment *segments;
    unsigned segment_count;
    bool next_begins_segment; /* the part that can be expected next does */
    struct live_view_part *parts;
    struct live_view_epoch *epochs; /* of these segments */
    unsigned epoch_count;
};
/* Grows with each part and each change of state. */
uint64_t live_version(struct live_channel *channel);
/* NULL: no memory. */
struct live_view *live_look(struct live_channel *channel);
/* How far it is: the last segment that has a part, and how many it has. */
struct live_edge {
    uint64_t number;
    unsigned part_count;
    bool is_whole;
    enum live_state state;
};
void live_edge(struct live_channel *channel, struct live_edge *ret_edge);

/* ---- Bytes ----------------------------------------------------------------------------------- */

struct live_range {
    uint64_t offset, size;
};
/* A piece of a segment's file. */
struct live_piece {
    struct live_segment *segment; /* held: live_segment_unref; NULL: it is in the store alone */
    int fd;
    uint64_t number;
    struct live_range ranges[LIVE_PARTS_MAX];
    unsigned range_count;
    bool is_whole; /* a part: it is the last, and nothing more comes behind it */
};
/* 0; -EAGAIN: not yet; -ENOENT: there is none, or no more, or there will be none. A part of a
 * channel that is behind the last one of its segment is -ENOENT once that is whole. */
int live_read_part(struct live_channel *channel, enum live_stream stream, uint64_t number,
                   unsigned part, struct live_piece *ret_piece);
/* A whole one. */
int live_read_segment(struct live_channel *channel, enum live_stream stream, uint64_t number,
                      struct live_piece *ret_piece);
/* The init segment; its size, or -ENOENT, -ENOBUFS. */
int live_read_init(struct live_channel *channel, enum live_stream stream, uint64_t init, void *data,
                   size_t capacity);
/* What a piece is of, as a file that can be sent on this loop; takes the piece's reference over.
 * Opens it where it is in the store alone, in the calling fiber. 0; -ENOENT: it has gone meanwhile;
 * -ENOMEM; errors of leat_file_open. */
struct leat_file;
int live_piece_open(struct live_channel *channel, struct live_piece *piece, int64_t deadline_ns,
                    struct leat_file **ret_file);
void live_segment_ref(struct live_segment *segment); /* from any thread */
void live_segment_unref(struct live_segment *segment);

/* ---- Watching -------------------------------------------------------------------------------- */

/* Told on its loop, soon after each change; several changes may be told as one. */
struct live_watch;
int live_watch_create(struct live_channel *channel, void (*on_change)(void *user), void *user,
                      struct live_watch **ret_watch);
/* On its loop; nothing is told any more. NULL is fine. */
void live_watch_destroy(struct live_watch *watch);

#endif
