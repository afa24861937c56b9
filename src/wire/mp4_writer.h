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

struct mp4_fragment_track {
    uint32_t id;
    uint64_t dts;     /* of its first sample, or of where it would be: ticks */
    bool is_all_sync; /* in the whole film */
    const struct mp4_fragment_sample *samples;
    uint32_t count; /* 0: the track is silent here */
};

/* moof, and the header of an mdat with a body of `body_size` bytes, together mp4_fragment_size
 * bytes. That and all positions together must be below 2^31. */
size_t mp4_fragment_size(const struct mp4_fragment_track *tracks, unsigned count);
void mp4_write_fragment(struct writer *writer, uint32_t sequence_number,
                        const struct mp4_fragment_track *tracks, unsigned count,
                        uint64_t body_size);

#endif
