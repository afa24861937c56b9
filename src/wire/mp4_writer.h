/* SPDX-License-Identifier: MIT */
/*
 * Writing what streams are made of (ISO/IEC 14496-12): an init segment, and the head of a media
 * segment, which is a movie fragment and the header of the mdat that follows it. Sans I/O; nothing
 * is allocated.
 */
#ifndef WIRE_MP4_WRITER_H
#define WIRE_MP4_WRITER_H

#include "base/cursor.h"
#include "wire/mp4.h"

struct mp4_init_track {
    const struct mp4_track *track; /* its edits are not looked at, for there is one at most: */
    int64_t media_time; /* the presentation begins here in the media; 0: without an edit list */
};

/* ftyp and moov. Sample entries of QuickTime become those of ISO/IEC 14496-12. Without room for it
 * the writer has failed. */
void mp4_write_init(struct writer *writer, const struct mp4_init_track *tracks, unsigned count);

struct mp4_fragment_sample {
    uint64_t position; /* in the body of the mdat */
    uint32_t size, duration;
    int32_t cto;
    bool is_sync;
};

/* What the samples of a track have in common, and so need not say each: mp4_fragment_measure's. */
struct mp4_fragment_shape {
    bool has_durations, has_ctos;
    uint32_t runs, sync_runs; /* these begin with a sync sample that must say so */
};

struct mp4_fragment_track {
    uint32_t id;
    uint64_t dts;     /* of its first sample, or of where it would be: ticks */
    bool is_all_sync; /* in the whole film */
    const struct mp4_fragment_sample *samples;
    uint32_t count; /* 0: the track is silent here */
    struct mp4_fragment_shape shape;
};

/* moof, and the header of an mdat with a body of `body_size` bytes. */
struct mp4_fragment {
    uint32_t sequence_number;
    struct mp4_fragment_track tracks[2];
    unsigned track_count;
    uint64_t body_size;
    size_t head_size; /* mp4_fragment_measure's */
};

/* Finds out how large the head is. */
void mp4_fragment_measure(struct mp4_fragment *fragment);
/* Writes the head, of one that was measured. It and the body together must be below 2^31 bytes. */
void mp4_write_fragment(struct writer *writer, const struct mp4_fragment *fragment);

#endif
