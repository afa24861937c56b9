/* SPDX-License-Identifier: MIT */
/*
 * The index of a file (moov) without its tables: what the movie and its tracks are, and where the
 * tables of the samples stand. Private to wire/mp4*.c.
 */
#ifndef WIRE_MP4_HEADER_H
#define WIRE_MP4_HEADER_H

#include "wire/mp4_reader.h"

/* The boxes of a stbl (ISO/IEC 14496-12, sections 8.5 to 8.7) that are read. */
#define MP4_TABLES(X)                                                                              \
    X(STSD, 's', 't', 's', 'd')                                                                    \
    X(STTS, 's', 't', 't', 's')                                                                    \
    X(CTTS, 'c', 't', 't', 's')                                                                    \
    X(STSZ, 's', 't', 's', 'z')                                                                    \
    X(STZ2, 's', 't', 'z', '2')                                                                    \
    X(STSC, 's', 't', 's', 'c')                                                                    \
    X(STCO, 's', 't', 'c', 'o')                                                                    \
    X(CO64, 'c', 'o', '6', '4')                                                                    \
    X(STSS, 's', 't', 's', 's')

enum mp4_table_kind {
#define X(name, ...) MP4_##name,
    MP4_TABLES(X)
#undef X
        MP4_TABLE_KINDS
};

/* What fragments take where they say nothing (trex, section 8.8.3). */
struct mp4_defaults {
    uint32_t entry, duration, size, flags;
};

struct mp4_trak {
    struct mp4_track track;
    struct mp4_box tables[MP4_TABLE_KINDS]; /* type 0: there is none */
    struct mp4_defaults defaults;
    uint64_t offset;   /* of the box */
    bool is_elsewhere; /* its media is in another file */
    unsigned index;    /* as it was told of */
    bool is_wanted;    /* on_track said so */
    /* What was told so far. */
    uint64_t sample_count, last_dts, next_dts;
};

struct mp4_moov {
    uint32_t timescale;
    bool has_fragments; /* it has an mvex: its tracks may be without samples */
    unsigned trak_count;
    struct mp4_trak traks[MP4_TRACKS_MAX];
    unsigned char stsd[MP4_STSD_MAX]; /* of one track at a time */
};

/* Tracks that are neither video nor audio and are damaged are left out. */
int mp4_read_moov(struct mp4_reader *reader, const struct mp4_box *box, struct mp4_moov *ret_moov);

/* Tells of every track, with its sample entries. */
int mp4_tell_tracks(struct mp4_reader *reader, struct mp4_moov *moov);

#endif
