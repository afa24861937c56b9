/* SPDX-License-Identifier: MIT */
/*
 * Reading films: the ISO base media file format (ISO/IEC 14496-12) and QuickTime, with the samples
 * described in moov, in movie fragments, or in both. Sans I/O: bytes are asked for through a source
 * and what they say is told in events; of media data no more is asked for than the few KiB behind a
 * box's header, and tables of any size go through windows of a few KiB. Nothing in a file is
 * believed: every count and offset is checked against the box it stands in, and every sample
 * against the file.
 */
#ifndef WIRE_MP4_H
#define WIRE_MP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leat/slice.h"

#define MP4_FOURCC(a, b, c, d)                                                                     \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum {
    MP4_TRACKS_MAX = 32,
    MP4_EDITS_MAX = 16,                 /* of a track */
    MP4_STSD_MAX = 64 * 1024,           /* bytes of sample entries, of a track */
    MP4_SAMPLES_MAX = 16 * 1024 * 1024, /* of a track: 74 hours at 60 a second */
    MP4_CODEC_SIZE = 64,                /* of a codec string, with its zero */
    MP4_REASON_SIZE = 160,
};

/* The bytes of a file. `read` fills all of `data`, or returns an error; it is never asked for bytes
 * behind `size`. */
struct mp4_source {
    int (*read)(void *user, uint64_t offset, void *data, size_t size);
    void *user;
    uint64_t size;
};

/* ISO/IEC 14496-12, section 8.6.6. */
struct mp4_edit {
    uint64_t duration;  /* in the movie's timescale; 0: to the end */
    int64_t media_time; /* in the track's timescale; -1: an empty edit */
    bool is_plain;      /* it is played at its own speed: media_rate is 1 */
};

/* What a sample entry says of its codec. */
struct mp4_codec {
    uint32_t fourcc;           /* of the entry, or of what is encrypted in it (frma) */
    char text[MP4_CODEC_SIZE]; /* RFC 6381, as in MSE's and HLS's codecs; "": not known */
    bool is_encrypted;         /* encv, enca, sinf */
    uint16_t width, height;    /* coded; 0: no video */
    uint16_t channels;         /* as the decoder's configuration says where it does; 0: no audio */
    uint32_t sample_rate;      /* hertz, likewise */
};

struct mp4_track {
    uint32_t id;              /* of tkhd; unique in the file, not 0 */
    uint32_t handler;         /* of hdlr: MP4_FOURCC('v','i','d','e'), 'soun', 'text', … */
    uint32_t timescale;       /* ticks a second, 1 … INT32_MAX */
    char language[4];         /* ISO 639-2/T, "und" when it says none */
    bool is_enabled;          /* flag track_enabled */
    uint32_t width, height;   /* 16.16, of tkhd: as shown */
    unsigned char matrix[36]; /* of tkhd, as it stands there */
    struct mp4_edit edits[MP4_EDITS_MAX];
    unsigned edit_count;
    struct leat_slice
        stsd; /* the sample entries, boxes one behind the other; borrowed for the call */
    unsigned entry_count;
    struct mp4_codec codec; /* of the first entry */
};

struct mp4_sample {
    uint64_t offset; /* in the file; offset + size is within it */
    uint64_t dts;    /* decoding time, in ticks; does not fall within a track */
    int64_t cto;     /* composition offset: dts + cto is when it is shown */
    uint32_t size, duration;
    unsigned entry; /* which of the sample entries, from 0 */
    bool is_sync;
};

struct mp4_events {
    /* A track, before its samples. `index` counts from 0. False: its samples are of no interest,
     * and its tables are not even read. */
    bool (*on_track)(unsigned index, const struct mp4_track *track, void *user);
    /* The samples of a track come in decoding order; those of different tracks in any order. 0, or
     * an error that ends the reading and is returned. */
    int (*on_sample)(unsigned index, const struct mp4_sample *sample, void *user);
    void *user;
};

/* What a file is beyond its tracks. */
struct mp4_movie {
    uint32_t timescale;
    unsigned track_count;
    bool is_fragmented; /* has movie fragments */
    bool is_quicktime;  /* its brand is "qt  ", or it has none */
    bool moov_is_first; /* stands before the first mdat: progressive download starts at once */
    uint64_t moov_size, mdat_size;
};

/* Why it cannot be read: one line for people, without a full stop, such as "its index (moov) is cut
 * off"; and where in the file. */
struct mp4_problem {
    char reason[MP4_REASON_SIZE];
    uint64_t offset;
};

/* Reads a whole file, once. 0; -LEAT_E_MALFORMED with the problem when it is damaged or is no such
 * file; -LEAT_E_LIMIT with the problem when it is larger than a limit above; an error of the
 * source's; -ENOMEM for the windows; or what on_sample returned, for which the problem is left as
 * it was. Encryption and unknown codecs are no errors: the track tells of them. May call events
 * before it fails. */
int mp4_read(const struct mp4_source *source, const struct mp4_events *events,
             struct mp4_movie *ret_movie, struct mp4_problem *ret_problem);

/* Looks into a sample entry (a whole box): for tests and for mp4_read. */
void mp4_codec_of(struct leat_slice entry, uint32_t handler, struct mp4_codec *ret_codec);

#endif
