/* SPDX-License-Identifier: MIT */
/*
 * What `leat probe` finds out about a film: what its file says (probe_scan.c), how it will stream
 * (probe_plan.c), what would make that better (probe_advice.c); and its telling, for people and for
 * programs. A file that cannot be streamed has a reason, and as much of the rest as is known. The
 * film's library is asked, not imitated: what is told here is what the server does.
 */
#ifndef LEAT_PROBE_H
#define LEAT_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "media/film.h"

enum {
    PROBE_STREAMS_MAX = 1 + FILM_TRACKS_MAX, /* muxed, and each track by itself */
    PROBE_ADVICE_MAX = 8,
    PROBE_ADVICE_SIZE = 256,
    PROBE_NAME_SIZE = 24, /* of a stream, as in its URL */
};

/* Figures of many: of segments, of distances. */
struct probe_spread {
    uint64_t count;
    double least, most, sum;
};

void probe_spread_add(struct probe_spread *spread, double value);
double probe_spread_average(const struct probe_spread *spread); /* 0 when there are none */

/* A track as the file has it, streamed or not. */
struct probe_track {
    uint32_t id, handler, timescale;
    char language[4];
    struct mp4_codec codec;
    uint32_t width, height;                      /* as shown, in pixels */
    bool has_samples;                            /* they were looked at: it is video or audio */
    uint64_t sample_count, byte_count, duration; /* in ticks */
    double until_sync_s;        /* from the first sample to the first sync sample */
    struct probe_spread sync_s; /* from a sync sample to the next, and from the last to the end */
    struct probe_spread run_s;  /* pieces of the file that hold nothing else: chunks, mostly */
};

/* What has a playlist of its own. */
struct probe_stream {
    char name[PROBE_NAME_SIZE];
    struct probe_spread segment_s, ranges,
        slack_percent;     /* of segments sent by range, the last two */
    unsigned packed_count; /* segments whose samples are copied */
    uint64_t head_bytes, media_bytes, packed_bytes, slack_bytes;
};

struct probe {
    const char *path;
    uint64_t size;
    bool is_known; /* movie and tracks are */
    struct mp4_movie movie;
    unsigned track_count;
    struct probe_track tracks[MP4_TRACKS_MAX];
    struct film *film;             /* NULL: it cannot be streamed, */
    char reason[FILM_REASON_SIZE]; /* and why; one line */
    unsigned stream_count;
    struct probe_stream streams[PROBE_STREAMS_MAX];
    unsigned advice_count;
    char advice[PROBE_ADVICE_MAX][PROBE_ADVICE_SIZE];
};

/* Reads the file's index once more than the film does, for what that does not keep. Where it cannot
 * be read nothing is known. 0, or an error of the source's or of memory. */
int probe_scan(struct probe *probe, const struct mp4_source *source);

/* Plans all segments of all streams of probe->film. 0, -ENOMEM. */
int probe_plan(struct probe *probe);

void probe_advise(struct probe *probe);

/* 0, -ENOMEM. */
int probe_print_text(const struct probe *probe, FILE *out);
/* One object on a line. */
int probe_print_json(const struct probe *probe, FILE *out);

#endif
