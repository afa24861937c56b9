/* SPDX-License-Identifier: MIT */
/*
 * The elementary streams of a transport stream: what comes out of PES packets becomes access units,
 * and these become samples as MP4 has them. Private to wire/mpegts*.c, which says where PES packets
 * begin, when they are shown, and when something of them was lost.
 *
 * Video. A PES packet with a time begins an access unit; one without goes on with what was before
 * it, so an access unit is known to be whole when the next begins. Access unit delimiters split
 * several in one PES packet: the first has its time, those behind it have the times of pictures
 * that follow each other at the distance last seen, and are shown like the first. Parameter sets go
 * into the track's description, and stay out of the samples; only those of further numbers (ids)
 * are left where they are, for the description has room for one of a kind. Delimiters, filler and
 * ends of sequences are dropped. Decoding may begin at IDR pictures and at recovery points, in HEVC
 * at IRAP pictures.
 *
 * Audio. A stream of ADTS frames, which may lie across PES packets. A PES packet's time is that of
 * the first frame that begins in it; from there frames are counted.
 */
#ifndef WIRE_MPEGTS_ES_H
#define WIRE_MPEGTS_ES_H

#include "mem/text.h"
#include "wire/adts.h"
#include "wire/media_events.h"

enum {
    MPEGTS_CLOCK = 90 * 1000,        /* ticks a second of PTS and DTS */
    MPEGTS_PARAMETER_SET_MAX = 4096, /* bytes of one; those of real streams have some 50 */
    MPEGTS_RECORD_MAX = 4 * MPEGTS_PARAMETER_SET_MAX,
};

enum mpegts_codec {
    MPEGTS_AVC,
    MPEGTS_HEVC,
    MPEGTS_AAC,
};

/* What all streams of a parser share: whom is told, and memory to do it with. */
struct mpegts_teller {
    struct media_events events;
    unsigned track_count;
    struct text sample;
    char reason[MEDIA_REASON_SIZE];
    unsigned char record[MPEGTS_RECORD_MAX];
    unsigned char entry[MP4_STSD_MAX];
};

/* When the first access unit that begins in a PES packet is decoded, and shown: in MPEGTS_CLOCK. */
struct mpegts_time {
    bool is_known;
    int64_t dts;
    int32_t cto;
};

struct mpegts_video {
    struct mpegts_time time; /* of what is in `data`; not known: nothing is */
    struct text sets[3];     /* VPS, SPS, PPS */
    bool is_described;       /* the sets are those that were told of */
    bool has_last;
    int64_t last_dts;
    unsigned last_count; /* access units since last_dts */
};

struct mpegts_audio {
    struct adts header; /* of the frames told of */
    bool is_described;
    bool is_in_step;         /* what stands first in `data` follows a frame */
    struct mpegts_time time; /* not yet used: of the first frame from time_offset in `data` on */
    size_t time_offset;
    bool is_timed;    /* next_dts is when the next frame is decoded; else it is only near */
    int64_t next_dts; /* in samples */
    bool has_next;
};

struct mpegts_es {
    enum mpegts_codec codec;
    int index; /* of the track; -1: not told yet */
    char language[4];
    struct text data; /* not told yet */
    struct mpegts_video video;
    struct mpegts_audio audio;
};

/* -LEAT_E_MALFORMED and the like, with the reason. */
__attribute__((cold, format(printf, 3, 4))) int mpegts_fail(struct mpegts_teller *teller, int error,
                                                            const char *format, ...);

void mpegts_es_fini(struct mpegts_es *es);
/* It begins, or is another one from now on, of the same track. */
void mpegts_es_reset(struct mpegts_es *es, enum mpegts_codec codec);

/* All of these return 0, or an error that ends the parsing. */
int mpegts_es_begin(struct mpegts_es *es, struct mpegts_teller *teller, struct mpegts_time time);
int mpegts_es_add(struct mpegts_es *es, struct mpegts_teller *teller, struct leat_slice bytes);
/* Nothing that comes belongs to what came: what is whole is told. */
int mpegts_es_finish(struct mpegts_es *es, struct mpegts_teller *teller);
/* The same, but something of what came last is missing. */
void mpegts_es_drop(struct mpegts_es *es);

#endif
