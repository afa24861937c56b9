/* SPDX-License-Identifier: MIT */
/*
 * What everything that is pushed live comes to, whatever it came in (fragmented MP4, MPEG-TS, FLV):
 * tracks, and their samples. A parser is handed bytes as they come, in pieces of any size, and
 * tells of these as soon as they are whole.
 */
#ifndef WIRE_MEDIA_EVENTS_H
#define WIRE_MEDIA_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/slice.h"
#include "wire/mp4.h"

enum {
    MEDIA_SAMPLE_MAX = 8 * 1024 * 1024, /* bytes; larger ones are -LEAT_E_LIMIT */
    MEDIA_REASON_SIZE = 160,
};

struct media_sample {
    int64_t dts;       /* decoding time, in the track's ticks; as the format has it: may jump */
    int32_t cto;       /* dts + cto is when it is shown */
    uint32_t duration; /* in ticks; 0: not known, it lasts until the next one */
    bool is_sync;
    struct leat_slice data; /* as it stands in an MP4: NAL units behind their lengths, raw AAC */
};

/* Both return 0, or an error that ends the parsing and is returned. All is borrowed for the time of
 * the call. */
struct media_events {
    /* A track, before its samples; or its new description, from the next sample on. `index` counts
     * from 0, below MP4_TRACKS_MAX, and does not change its meaning. Of `track` these count: id,
     * handler, timescale, language, width, height, matrix, stsd, entry_count, codec. */
    int (*on_track)(unsigned index, const struct mp4_track *track, void *user);
    /* Those of a track come in decoding order; different tracks are interleaved by time as well as
     * the format lets the parser see it. */
    int (*on_sample)(unsigned index, const struct media_sample *sample, void *user);
    void *user;
};

#endif
