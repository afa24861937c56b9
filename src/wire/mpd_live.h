/* SPDX-License-Identifier: MIT */
/*
 * Writing the Media Presentation Description of a live channel (ISO/IEC 23009-1, dynamic;
 * DASH-IF IOP, low latency modes): segments by number and nominal duration, each to be had while it
 * is being made (availabilityTimeOffset, availabilityTimeComplete), clocks by UTCTiming. One
 * Period an epoch. When the channel has ended: static. Sans I/O; memory is the text's.
 */
#ifndef WIRE_MPD_LIVE_H
#define WIRE_MPD_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/text.h"

struct mpd_live_track {
    const char *stream; /* the folder of its segments, "video" or "audio-1": its id, too */
    const char *codecs;
    uint64_t bits_per_s;
    uint32_t width, height; /* 0: audio */
    uint32_t frame_rate_milli;
    uint32_t sample_rate, channels; /* 0: video */
    uint32_t timescale;
    const char *language; /* BCP 47, NULL: not known */
};

/* A stretch without discontinuity. */
struct mpd_live_period {
    uint64_t init;         /* init-E.mp4 */
    int64_t begin_ms;      /* on the channel's time line; tfdt is on it, too */
    int64_t end_ms;        /* -1: it goes on */
    uint64_t first_number; /* of the segment that begins it */
    uint32_t segment_ms;   /* nominal: segment first + n begins near begin + n x this */
    const struct mpd_live_track *tracks;
    size_t track_count;
};

struct mpd_live {
    int64_t available_ms;  /* unix time of the channel's 0: availabilityStartTime */
    int64_t published_ms;  /* unix time, publishTime */
    int64_t depth_ms;      /* timeShiftBufferDepth */
    uint32_t part_ms;      /* availabilityTimeOffset is a segment less this */
    uint32_t latency_ms;   /* ServiceDescription: the target */
    const char *clock_uri; /* UTCTiming, http-iso */
    bool is_ended;
    const struct mpd_live_period *periods; /* at least one */
    size_t period_count;
};

void mpd_live_write(struct text *text, const struct mpd_live *mpd);

#endif
