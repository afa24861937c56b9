/* SPDX-License-Identifier: MIT */
/*
 * Reading an MPEG transport stream as it is pushed (ISO/IEC 13818-1), such as the segments that
 * ffmpeg's HLS muxer sends: one program, of it AVC, HEVC and AAC in ADTS. Access units become
 * samples as MP4 has them, with timescales of 90,000 for video and the sample rate for AAC. Sans
 * I/O, bounded; nothing in it is believed. PTS and DTS are unfolded beyond their 33 bits.
 */
#ifndef WIRE_MPEGTS_H
#define WIRE_MPEGTS_H

#include "wire/media_events.h"

struct mpegts;

int mpegts_create(const struct media_events *events, struct mpegts **ret_ts); /* -ENOMEM */
void mpegts_destroy(struct mpegts *ts);                                       /* NULL is fine */

/* The next bytes. 0; -LEAT_E_MALFORMED (no sync byte where one must be), -LEAT_E_LIMIT, -EOPNOTSUPP
 * (scrambled) with the reason; -ENOMEM; or what an event returned. Streams of other types are left
 * out. A lost packet (continuity counter) drops the access unit it was in. */
int mpegts_feed(struct mpegts *ts, struct leat_slice bytes);
/* A segment has ended: its last access units are whole, and told. The next may follow, and begins
 * with its tables. */
int mpegts_flush(struct mpegts *ts);

const char *mpegts_reason(const struct mpegts *ts);

#endif
