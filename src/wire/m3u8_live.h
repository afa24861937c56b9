/* SPDX-License-Identifier: MIT */
/*
 * Writing live media playlists of HTTP Live Streaming with low latency (draft-pantos-hls-
 * rfc8216bis, version 10): parts, blocking reload, preload hints, delta updates, reports.
 * Sans I/O; memory is the text's, whose `has_failed` says in the end whether there was enough.
 */
#ifndef WIRE_M3U8_LIVE_H
#define WIRE_M3U8_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/text.h"

/* EXT-X-PART (section 4.4.4.9). Its URI is made of the segment's number and its own. */
struct m3u8_live_part {
    uint32_t duration_us;
    bool is_independent;
};

struct m3u8_live_segment {
    uint64_t number; /* its media sequence number: one more than the one before */
    uint32_t duration_us;
    int64_t wall_ms;       /* EXT-X-PROGRAM-DATE-TIME: unix time of its first picture */
    bool is_discontinuity; /* EXT-X-DISCONTINUITY before it */
    unsigned init;         /* which EXT-X-MAP; a tag where it changes */
    bool is_whole;         /* false: the one being made, the last; it has parts alone */
    const struct m3u8_live_part *parts; /* none where they are not listed any more */
    unsigned part_count;
};

/* EXT-X-RENDITION-REPORT (section 4.4.5.4) of another playlist of the channel. */
struct m3u8_live_report {
    const char *uri;
    uint64_t last_msn;
    unsigned last_part;
};

struct m3u8_live {
    uint32_t target_s;       /* EXT-X-TARGETDURATION; never changes in a channel's life */
    uint32_t part_target_us; /* PART-TARGET; 0: no low latency, and no parts */
    uint64_t discontinuity_sequence;
    const struct m3u8_live_segment *segments; /* at least one; the first's number is the sequence */
    size_t segment_count;
    bool is_independent; /* each whole segment begins with a picture that needs no other */
    bool is_ended;       /* EXT-X-ENDLIST: no hint, no blocking */
    /* A delta update (section 6.2.5.1): so many of the first segments are skipped. 0: none. Only
     * what lies further back than CAN-SKIP-UNTIL, 6 target durations from the end, may be. */
    size_t skipped;
    const struct m3u8_live_report *reports;
    size_t report_count;
    /* Names: segment N is "N.m4s", its part P "N.P.m4s", the init E "init-E.mp4". */
};

void m3u8_live_write(struct text *text, const struct m3u8_live *playlist);

/* How many of the first segments a client that asked for _HLS_skip may be spared; 0: none. */
size_t m3u8_live_skippable(const struct m3u8_live *playlist);

#endif
