/* SPDX-License-Identifier: MIT */
/*
 * A film: an MP4 as it lies on the disk, seen as segments that can be sent without being made. A
 * segment is a freshly written head (moof and the header of an mdat) and ranges of the film's own
 * file. A film is built once from the file's index, without a look at its media, and never changes
 * then; it is shared between threads by counting references. It knows nothing of HTTP, and holds no
 * descriptor: who has one sends the ranges.
 *
 * Times: `timescale` ticks of a track; the presentation begins at 0 with the first picture or sound
 * that is to be seen or heard. Segments are cut where pictures can be decoded anew, at the first
 * such place in each 2 s; where there is no video, each 2 s.
 */
#ifndef MEDIA_FILM_H
#define MEDIA_FILM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/slice.h"
#include "wire/mp4.h"

enum {
    FILM_TRACKS_MAX = 16, /* that can be streamed; more are left out */
    FILM_RANGES_MAX = 8,  /* of a segment */
    FILM_SEGMENT_MS = 2000,
    FILM_SEGMENT_MAX_MS = 60 * 1000, /* between two places to cut: beyond it there is no stream */
    FILM_SEGMENT_SAMPLES_MAX = 16 * 1024, /* of all its tracks */
    FILM_GAP_MAX = 32 * 1024, /* bytes between two ranges that are sent rather than jumped over */
    FILM_PACKED_MAX = 512 * 1024, /* bytes of a segment that is packed: larger ones are not */
    FILM_REASON_SIZE = 200,
};

struct film;

enum film_kind { FILM_VIDEO, FILM_AUDIO, FILM_OTHER };

/* A track of the file, in its order. */
struct film_track {
    enum film_kind kind;
    uint32_t id;
    struct mp4_codec codec;
    uint32_t timescale;
    char language[4];
    uint32_t width, height; /* as shown, in pixels */
    int rotation;           /* degrees clockwise: 0, 90, 180, 270 */
    uint64_t sample_count, byte_count;
    uint64_t duration;           /* in ticks, of what is presented */
    uint32_t sync_count;         /* samples that can be decoded without others */
    uint32_t frame_rate_milli;   /* pictures in 1,000 s; 0: no video */
    uint64_t average_bits_per_s; /* of the elementary stream, */
    uint64_t peak_bits_per_s;    /* and of its largest segment */
    bool is_streamed;
    const char *why_not; /* a text for people, NULL when it is streamed */
};

/* What is sent together: one track, or the video and one audio track muxed. */
struct film_stream {
    unsigned tracks[2]; /* indexes of tracks; when two, video first */
    unsigned track_count;
};

/* Reads the index of a file through `source`; blocks as the source does. 0 and a film with one
 * reference; an error of the source's; -ENOMEM; -LEAT_E_MALFORMED, -LEAT_E_LIMIT or -EOPNOTSUPP and
 * one line in ret_reason (FILM_REASON_SIZE bytes) when it cannot be streamed. */
int film_build(const struct mp4_source *source, struct film **ret_film, char *ret_reason);
/* From any thread. */
void film_ref(struct film *film);
void film_unref(struct film *film); /* NULL is fine */

/* Bytes of memory it holds. */
size_t film_memory(const struct film *film);
const struct mp4_movie *film_movie(const struct film *film);
unsigned film_track_count(const struct film *film);
const struct film_track *film_track(const struct film *film, unsigned index);
/* The first video that is streamed; -1: there is none. */
int film_video(const struct film *film);
double film_duration_s(const struct film *film);
/* No segment's pictures need another's. False: some have leading pictures that do (open GOP), which
 * play well in a row and are skipped after a seek. */
bool film_is_independent(const struct film *film);

/* ---- Segments -------------------------------------------------------------------------------- */

/* Of the film. */
unsigned film_segment_count(const struct film *film);
/* Of the stream: less those behind its end, when it is shorter than the film. */
unsigned film_stream_segment_count(const struct film *film, const struct film_stream *stream);
/* When segment `index` of a track begins, in the track's ticks from the beginning of the
 * presentation; for index == count: where it ends. Does not fall. Where a track is silent, before
 * its begin or behind its end, its segments are empty, and begin where they end. */
int64_t film_segment_begin(const struct film *film, unsigned track, unsigned index);
/* The same of a stream, in ticks of its first track, for timelines that know durations alone: they
 * count from 0, so that the first segment with samples lasts from there. What is muxed is cut as
 * the film is, and ends with the longer of the two. */
int64_t film_stream_begin(const struct film *film, const struct film_stream *stream,
                          unsigned index);

/* Writes ftyp and moov into `capacity` bytes and returns their size; -ENOBUFS, never with
 * FILM_INIT_SIZE_MAX. */
int film_write_init(const struct film *film, const struct film_stream *stream, void *data,
                    size_t capacity);
enum { FILM_INIT_SIZE_MAX = 2 * MP4_STSD_MAX + 4096 };

struct film_range {
    uint64_t offset, size; /* in the file */
};

struct film_segment {
    void *head; /* of `alloc` */
    size_t head_size;
    struct film_range ranges[FILM_RANGES_MAX]; /* in the order in which they follow the head */
    unsigned range_count;
    /* Where ranges would be too many or too wasteful: the runs of samples, to be read and put one
     * behind the other (of `alloc`); then range_count is 0. */
    struct film_range *runs;
    unsigned run_count;
    uint64_t body_size;   /* bytes of the ranges, or of the runs */
    uint64_t media_size;  /* bytes of these that are samples: the rest is slack */
    unsigned exact_count; /* ranges it would take without slack */
    double duration_s;
};

typedef void *(*film_alloc_fn)(void *user, size_t size);

/* Plans segment `index` and writes its head. Cheap: a few microseconds. Memory is taken from
 * `alloc` and never freed here. 0; -ENOENT: there is no such segment; -ENOMEM. */
int film_segment(const struct film *film, const struct film_stream *stream, unsigned index,
                 film_alloc_fn alloc, void *user, struct film_segment *ret_segment);

/* The bytes of the file between which the segment's samples lie: for reading ahead. */
int film_segment_extent(const struct film *film, const struct film_stream *stream, unsigned index,
                        struct film_range *ret_extent);

#endif
