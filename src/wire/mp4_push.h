/* SPDX-License-Identifier: MIT */
/*
 * Reading fragmented MP4 as it is pushed (ISO/IEC 14496-12, section 8.8; CMAF, ISO/IEC 23000-19):
 * an init segment, then fragments, for as long as the publisher likes. Bytes come in pieces of any
 * size; a fragment's samples are told when its mdat is whole, those of all its tracks in the order
 * of their decoding times. Sans I/O. What is kept is the moov or moof being read, and the mdat of
 * one fragment, both bounded and no larger than what has come. Nothing in it is believed.
 *
 * Times: an edit list is applied, for who comes next knows of none. By the empty edits at its
 * beginning, less the media time of the edit behind them, is every decoding time of the track
 * moved, so that dts + cto is when a sample is presented, on one line for all tracks. The first
 * decoding times may so be negative: AAC's priming, pictures before which others are shown. Times
 * are told as they come; that they fall from one fragment to the next is no error here.
 */
#ifndef WIRE_MP4_PUSH_H
#define WIRE_MP4_PUSH_H

#include "wire/media_events.h"

enum {
    MP4_PUSH_INDEX_MAX = 1024 * 1024,         /* bytes of a moov, or of a moof */
    MP4_PUSH_FRAGMENT_MAX = 64 * 1024 * 1024, /* bytes of an mdat */
    MP4_PUSH_SAMPLES_MAX = 16 * 1024,         /* of a fragment, of all its tracks */
};

struct mp4_push;

/* `events` is copied. -ENOMEM. */
int mp4_push_create(const struct media_events *events, struct mp4_push **ret_push);
void mp4_push_destroy(struct mp4_push *push); /* NULL is fine */

/* The next bytes. 0; -LEAT_E_MALFORMED or -LEAT_E_LIMIT with the reason; -EOPNOTSUPP with the
 * reason: encrypted, samples that stand in the moov, another sample entry than a track's first, a
 * box without an end; -ENOMEM; or what an event returned. After an error only mp4_push_destroy is
 * left. A new moov in between is a new description: its tracks are told anew, and keep their
 * indexes by their track ids. styp, sidx, emsg, prft, free, skip, mfra, an mdat that belongs to no
 * fragment, and unknown boxes of any size are skipped. */
int mp4_push_feed(struct mp4_push *push, struct leat_slice bytes);

/* Between two boxes, with all samples told: a body that ends here was whole. */
bool mp4_push_is_idle(const struct mp4_push *push);

/* What follows is another file of the same stream, as the segments behind an init segment are:
 * places in it count from its own beginning. Of the one before, which may have been cut off, what
 * was not whole is forgotten. */
void mp4_push_next_file(struct mp4_push *push);

/* One line for the publisher, such as "a run of track 1 claims 4294967295 samples, and has room for
 * 3, at byte 81234". Empty as long as there was no error, and where an event returned it. */
const char *mp4_push_reason(const struct mp4_push *push);

#endif
