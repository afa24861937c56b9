/* SPDX-License-Identifier: MIT */
/*
 * Reading what is in the audio and video tags of FLV, which is what RTMP carries (Adobe, "Video
 * File Format Specification 10.1", annex E.4; "Enhanced RTMP" v1 and v2 of the Veovera Software
 * Organization): AVC, HEVC and AAC, as samples of two tracks. Sans I/O; nothing in it is believed.
 *
 * Tracks are told in the order in which they appear, and again when their configuration changes.
 * Of several tracks in a message (v2) that with the id 0 counts. Video has 90,000 ticks a second,
 * audio its (core) sample rate.
 */
#ifndef WIRE_FLV_H
#define WIRE_FLV_H

#include "wire/media_events.h"

enum {
    FLV_CONFIG_MAX = 16 * 1024, /* bytes of a decoder's configuration */
    FLV_HEADER_MAX = 64 * 1024, /* bytes before a sample, of its tag: what v2 allows of extensions,
                                   and of which nobody needs more than a few */
    FLV_AUDIO_DRIFT_MS = 50,    /* see flv_audio */
};

struct flv;

/* `events` is copied. -ENOMEM. */
int flv_create(const struct media_events *events, struct flv **ret_flv);
void flv_destroy(struct flv *flv); /* NULL is fine */

/* The next message, video or audio, of the time `time_ms`, which may have wrapped or jumped: a
 * signed number of any size up to 2^40. 0; -LEAT_E_MALFORMED, -LEAT_E_LIMIT, -EOPNOTSUPP (another
 * codec) with the reason; or what an event returned. After an error only flv_destroy is left.
 *
 * Sound is as long as it is: times are counted in its samples, from the first message on, for whole
 * milliseconds would make it jitter. The messages' times are followed only when they are more than
 * FLV_AUDIO_DRIFT_MS away: sound was lost, or the publisher's clocks drift apart. */
int flv_video(struct flv *flv, int64_t time_ms, struct leat_slice body);
int flv_audio(struct flv *flv, int64_t time_ms, struct leat_slice body);

/* One line for the publisher, such as "its sound is MP3, not AAC". Empty as long as there was no
 * error of ours. */
const char *flv_reason(const struct flv *flv);

#endif
