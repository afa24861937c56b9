/* SPDX-License-Identifier: MIT */
/*
 * Sample entries for what comes from elsewhere than MP4: avc1 around an AVCDecoderConfiguration-
 * Record (ISO/IEC 14496-15, section 5.3.3), hvc1 around HEVC's (8.3.3), av01, mp4a around an
 * AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1). Sans I/O; nothing is allocated.
 */
#ifndef WIRE_MP4_ENTRY_H
#define WIRE_MP4_ENTRY_H

#include "base/cursor.h"
#include "wire/mp4.h"

/* Write one sample entry (a whole box) and describe it in `track`: handler, codec, width, height,
 * stsd (what was written), entry_count. What the record says of picture size and channels is taken
 * from it. 0; -LEAT_E_MALFORMED: it is no such record, or its parameter sets cannot be read;
 * -EOPNOTSUPP: a profile or form that is not ours (more than 2 reference chroma formats is fine;
 * AAC other than LC, HE, HEv2); -ENOBUFS never with MP4_STSD_MAX of room. */
int mp4_entry_avc(struct writer *writer, struct leat_slice avcc, struct mp4_track *track);
int mp4_entry_hevc(struct writer *writer, struct leat_slice hvcc, struct mp4_track *track);
int mp4_entry_aac(struct writer *writer, struct leat_slice asc, struct mp4_track *track);

/* The configuration records from parameter sets as byte streams carry them (each a NAL unit without
 * start code), for MPEG-TS. */
int mp4_avcc_write(struct writer *writer, struct leat_slice sps, struct leat_slice pps);
int mp4_hvcc_write(struct writer *writer, struct leat_slice vps, struct leat_slice sps,
                   struct leat_slice pps);

#endif
