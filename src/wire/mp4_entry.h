/* SPDX-License-Identifier: MIT */
/*
 * Sample entries for what comes from elsewhere than MP4: avc1 around an AVCDecoderConfiguration-
 * Record (ISO/IEC 14496-15, section 5.3.3), hvc1 around HEVC's (8.3.3), mp4a around an
 * AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1). Sans I/O; nothing is allocated.
 */
#ifndef WIRE_MP4_ENTRY_H
#define WIRE_MP4_ENTRY_H

#include "base/cursor.h"
#include "wire/mp4.h"

enum {
    MP4_RECORD_MAX = MP4_STSD_MAX - 256, /* bytes of a record, so that the entry has room */
};

/* Write one sample entry (a whole box) and describe it in `track`: handler, codec, width and height
 * as shown, matrix, stsd (what was written: it lies in the writer's memory), entry_count; the rest
 * of it is left as it was. Picture size and channels are those that the record tells of. 0;
 * -LEAT_E_MALFORMED: it is no such record, or its parameter sets cannot be read; -EOPNOTSUPP: a
 * form that is not ours (AAC other than LC, HE and HEv2, or with its channels in a program config
 * element); -LEAT_E_LIMIT: larger than MP4_RECORD_MAX; -ENOBUFS, never with MP4_STSD_MAX of room.
 * After an error neither has changed, but that a writer without room has failed. */
int mp4_entry_avc(struct writer *writer, struct leat_slice avcc, struct mp4_track *track);
int mp4_entry_hevc(struct writer *writer, struct leat_slice hvcc, struct mp4_track *track);
int mp4_entry_aac(struct writer *writer, struct leat_slice asc, struct mp4_track *track);

/* The configuration records from parameter sets as byte streams carry them (each a NAL unit without
 * start code), for MPEG-TS. Samples go with it whose NAL units have lengths of 4 bytes. 0;
 * -LEAT_E_MALFORMED: one of them is none, or cannot be read; -ENOBUFS. */
int mp4_avcc_write(struct writer *writer, struct leat_slice sps, struct leat_slice pps);
int mp4_hvcc_write(struct writer *writer, struct leat_slice vps, struct leat_slice sps,
                   struct leat_slice pps);

#endif
