/* SPDX-License-Identifier: MIT */
/*
 * Reading fragmented MP4 as it is pushed (ISO/IEC 14496-12, section 8.8; CMAF, ISO/IEC 23000-19):
 * an init segment, then fragments, for as long as the publisher likes. Bytes come in pieces of any
 * size; a fragment's samples are told when its mdat is whole, those of all its tracks in the order
 * of their decoding times. Sans I/O. What is kept is the moov or moof being read, and the mdat of
 * one fragment, all bounded. Nothing in it is believed.
 */
#ifndef WIRE_MP4_PUSH_H
#define WIRE_MP4_PUSH_H

#include "wire/media_events.h"

enum {
    MP4_PUSH_MOOV_MAX = 1024 * 1024,          /* bytes of a moov, or of a moof */
    MP4_PUSH_FRAGMENT_MAX = 64 * 1024 * 1024, /* bytes of an mdat */
    MP4_PUSH_SAMPLES_MAX = 16 * 1024,         /* of a fragment, of all its tracks */
};

struct mp4_push;

/* `events` is copied. -ENOMEM. */
int mp4_push_create(const struct media_events *events, struct mp4_push **ret_push);
void mp4_push_destroy(struct mp4_push *push); /* NULL is fine */

/* The next bytes. 0; -LEAT_E_MALFORMED, -LEAT_E_LIMIT, -EOPNOTSUPP (encrypted, no fragments: its
 * samples stand in moov) with the reason; -ENOMEM; or what an event returned. After an error only
 * mp4_push_destroy is left. A new moov in between is a new description: its tracks are told anew,
 * and keep their indexes by their track ids. styp, sidx, emsg, prft, free, skip, mfra and unknown
 * boxes of any size are skipped. */
int mp4_push_feed(struct mp4_push *push, struct leat_slice bytes);

/* Between two boxes, with all samples told: a body that ends here was whole. */
bool mp4_push_is_idle(const struct mp4_push *push);

/* One line for the publisher, such as "the fragment at byte 81234 claims 4294967295 samples". Empty
 * as long as there was no error. */
const char *mp4_push_reason(const struct mp4_push *push);

#endif
