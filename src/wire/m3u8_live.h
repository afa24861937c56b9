/* SPDX-License-Identifier: MIT */
/*
 * Writing live media playlists of HTTP Live Streaming with low latency (draft-pantos-hls-
 * rfc8216bis-22): parts, blocking reload, preload hints, delta updates, reports. Sans I/O; memory
 * is the text's, whose `has_failed` says in the end whether there was enough.
 *
 * Names: segment N is "N.m4s", its part P "N.P.m4s", the init E "init-E.mp4".
 */
#ifndef WIRE_M3U8_LIVE_H
#define WIRE_M3U8_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/text.h"

/* EXT-X-PART (section 4.4.4.9). At most the part target, and, unless it is independent or the last
 * of its segment, at least 85 % of that. */
struct m3u8_live_part {
    uint32_t duration_us;
    bool is_independent; /* it has a picture that needs no other */
};

struct m3u8_live_segment {
    uint64_t number; /* its media sequence number: one more than the one before */
    /* EXTINF, of the video if there is any (section 3); rounded to seconds at most the target.
     * While it is being made: of its parts so far. */
    uint32_t duration_us;
    /* EXT-X-PROGRAM-DATE-TIME: unix time of its first picture. Each segment has it: it could not be
     * given to the next one when the first is removed (section 6.2.1). */
    int64_t wall_ms;
    bool is_discontinuity; /* EXT-X-DISCONTINUITY before it */
    uint64_t init;         /* which EXT-X-MAP; a tag where it changes */
    bool is_whole;         /* false: the one being made, the last */
    bool is_gap;           /* EXT-X-GAP (section 4.4.4.7): it was lost */
    /* As far as they are known, from the first on. Which are still listed is decided here: all of a
     * segment that begins within three target durations of the end (section 6.2.2). */
    const struct m3u8_live_part *parts;
    unsigned part_count;
};

/* EXT-X-RENDITION-REPORT (section 4.4.5.4) of another playlist of the channel. */
struct m3u8_live_report {
    const char *uri; /* relative to this playlist */
    /* The last segment that has a part, and its last part. */
    uint64_t last_msn;
    unsigned last_part;
};

/* What a channel's playlists say of themselves (targets, hold back, is_independent) may not change
 * while it lives, and is the same in all of them (sections 6.2.1, 6.2.4). */
struct m3u8_live {
    uint32_t target_s;          /* EXT-X-TARGETDURATION, 1 or more */
    uint32_t part_target_us;    /* PART-TARGET; 0: no low latency: no parts, no blocking */
    uint32_t part_hold_back_us; /* PART-HOLD-BACK, but at least three part targets are written */
    bool is_independent;        /* each segment begins with a picture that needs no other */
    bool is_sound;              /* of sound alone: each part is independent, whatever it says */
    bool is_ended;              /* EXT-X-ENDLIST: nothing is hinted any more */
    /* EXT-X-PRELOAD-HINT (section 6.2.6): the part that can be expected next is the first of the
     * next segment, though the last one is not whole yet. */
    bool hints_next_segment;
    uint64_t discontinuity_sequence; /* EXT-X-DISCONTINUITYs that went with removed segments */
    const struct m3u8_live_segment *segments; /* at least one; the first's number is the sequence */
    size_t segment_count;
    /* A delta update (section 6.2.5.1): so many of the first segments are skipped. 0: none. At most
     * what m3u8_live_skippable says. */
    size_t skipped;
    const struct m3u8_live_report *reports;
    size_t report_count;
};

void m3u8_live_write(struct text *text, const struct m3u8_live *playlist);

/* How many of the first segments a client that asked for _HLS_skip is spared: those that end
 * further back than CAN-SKIP-UNTIL, six target durations before the end. 0: all are sent, as when
 * the channel has ended. `skipped` is not looked at. */
size_t m3u8_live_skippable(const struct m3u8_live *playlist);

#endif
