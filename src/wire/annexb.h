/* SPDX-License-Identifier: MIT */
/*
 * Byte streams of AVC (ITU-T H.264, annex B) and HEVC (H.265, annex B): NAL units between start
 * codes, as MPEG-TS carries them; what each of them is for; and the same units as an MP4 holds
 * them, behind their lengths. Sans I/O, nothing is copied but by annexb_put.
 */
#ifndef WIRE_ANNEXB_H
#define WIRE_ANNEXB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "mem/text.h"

enum annexb_codec {
    ANNEXB_AVC,
    ANNEXB_HEVC,
};

enum annexb_kind {
    ANNEXB_OTHER,    /* SEI and the like: belongs to the access unit and stays in it */
    ANNEXB_PICTURE,  /* (part of) a coded picture */
    ANNEXB_SYNC,     /* the same, of one at which decoding may begin: IDR; any IRAP of HEVC */
    ANNEXB_RECOVERY, /* a recovery point SEI: from here on a decoder finds its way, too */
    ANNEXB_VPS,      /* parameter sets, in this order */
    ANNEXB_SPS,
    ANNEXB_PPS,
    ANNEXB_DELIMITER, /* a new access unit begins */
    ANNEXB_IDLE,      /* filler, ends of sequence and stream; layers above the base */
};

/* Takes the next NAL unit off the start of `*stream`, without its start code and the zeros behind
 * it; what stands before the first start code is passed over. False at the end. A unit has at least
 * one byte. */
bool annexb_next(struct leat_slice *stream, struct leat_slice *ret_nal);

enum annexb_kind annexb_kind_of(enum annexb_codec codec, struct leat_slice nal);

/* The number (id) of a parameter set, by which slices name it; 0 for sets of which a stream has but
 * one (VPS, and SPS of HEVC). -LEAT_E_MALFORMED when it has none. */
int annexb_set_id(enum annexb_codec codec, enum annexb_kind kind, struct leat_slice nal);

/* Appends it behind its length in four bytes (ISO/IEC 14496-15, section 5.3.2). */
void annexb_put(struct text *text, struct leat_slice nal);

#endif
