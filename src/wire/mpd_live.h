/* SPDX-License-Identifier: MIT */
/*
 * Writing the Media Presentation Description of a live channel (ISO/IEC 23009-1, dynamic;
 * DASH-IF IOP, low latency modes): segments by number and nominal duration, each to be had while it
 * is being made (availabilityTimeOffset, availabilityTimeComplete), clocks by UTCTiming. When the
 * channel has ended: static. Sans I/O; memory is the text's.
 *
 * Names: a track's init is "STREAM/init-E.mp4", its segment N "STREAM/N.m4s". Strings are
 * zero-terminated; NULL leaves out what they would say. All is escaped for XML.
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
    uint32_t sample_rate;
    unsigned channels;    /* 0: not known, or video */
    const char *language; /* BCP 47, NULL: not known */
};

/* A stretch of one init, without a gap, in which segments come at an even pace: segment first + n
 * begins within half a segment of begin + n x segment_us (section 7.2.1). Where they have drifted
 * further, another Period begins, which is continuous. */
struct mpd_live_period {
    unsigned id;           /* of its own in the channel's life */
    uint64_t init;         /* init-E.mp4 */
    bool is_continuous;    /* with the one before it: the same init, and no gap */
    int64_t begin_us;      /* on the channel's time line; tfdt is on it, too */
    int64_t end_us;        /* -1: it goes on */
    uint64_t first_number; /* of the segment that begins it */
    uint64_t last_number;  /* of the one that ends it; not looked at while it goes on */
    uint32_t segment_us;   /* nominal */
    const struct mpd_live_track *tracks; /* at least one */
    size_t track_count;
};

struct mpd_live {
    int64_t available_ms;  /* unix time of the channel's 0: availabilityStartTime; never changes */
    int64_t published_ms;  /* unix time of the last part: publishTime */
    uint64_t depth_ms;     /* timeShiftBufferDepth */
    uint32_t part_us;      /* a segment can be asked for once it has so much */
    uint32_t latency_ms;   /* ServiceDescription: the target */
    const char *clock_uri; /* UTCTiming, http-iso */
    bool is_independent;   /* each segment begins with a picture that needs no other */
    bool is_ended;         /* then the first period begins with the first segment still there, */
                           /* and none goes on */
    const struct mpd_live_period *periods; /* at least one */
    size_t period_count;
};

void mpd_live_write(struct text *text, const struct mpd_live *mpd);

#endif
