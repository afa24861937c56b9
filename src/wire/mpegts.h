/* SPDX-License-Identifier: MIT */
/*
 * Reading an MPEG transport stream as it is pushed (ISO/IEC 13818-1), such as the segments that
 * ffmpeg's HLS muxer sends: its first program, of it AVC, HEVC and AAC in ADTS. Access units become
 * samples as MP4 has them, with timescales of 90,000 for video and the sample rate for AAC. Sans
 * I/O, bounded; nothing in it is believed.
 *
 * PTS and DTS are unfolded beyond their 33 bits, all streams on one line; else times are told as
 * they are, and they jump where the stream's do. A picture is known to be whole when the next one
 * begins, or when its segment ends. is_sync are IDR pictures and those behind a recovery point SEI,
 * in HEVC all IRAP pictures. wire/mpegts_es.h says what becomes of streams that are made otherwise
 * than usual: several pictures in a PES packet, frames across them, changing parameter sets.
 */
#ifndef WIRE_MPEGTS_H
#define WIRE_MPEGTS_H

#include "wire/media_events.h"

enum {
    MPEGTS_PACKET_SIZE = 188,
    MPEGTS_STREAMS_MAX = 4, /* of a program; further ones are left out */
};

struct mpegts;

/* `events` is copied. -ENOMEM. */
int mpegts_create(const struct media_events *events, struct mpegts **ret_ts);
void mpegts_destroy(struct mpegts *ts); /* NULL is fine */

/* The next bytes. 0; -LEAT_E_MALFORMED (no sync byte where one must be, parameter sets that cannot
 * be read), -LEAT_E_LIMIT, -EOPNOTSUPP (scrambled; AAC that MP4 players do not take) with the
 * reason; -ENOMEM; or what an event returned. After an error only mpegts_destroy is left. Streams
 * of other types are left out. Tables with a wrong checksum are passed over. A lost packet
 * (continuity counter, or marked as damaged) drops the access unit it was in. */
int mpegts_feed(struct mpegts *ts, struct leat_slice bytes);

/* A segment has ended: its last access units are whole, and told; what is cut off is dropped. The
 * next may follow, and begins with its tables. Returns what mpegts_feed does. */
int mpegts_flush(struct mpegts *ts);

/* One line for the publisher, such as "byte 376 is 0x3c where a packet must begin (0x47)". Empty as
 * long as there was no error, and for those of memory and of events. */
const char *mpegts_reason(const struct mpegts *ts);

#endif
