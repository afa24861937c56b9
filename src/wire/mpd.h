/* SPDX-License-Identifier: MIT */
/*
 * Writing the Media Presentation Description of MPEG-DASH (ISO/IEC 23009-1) of a film: static, one
 * Period, the profile isoff-live with a SegmentTimeline each. Sans I/O; memory is the text's, whose
 * `has_failed` says in the end whether there was enough.
 *
 * Strings are zero-terminated; NULL leaves out what they would say. URIs are percent-encoded by the
 * caller. All is escaped for XML; what is no UTF-8 or no character of XML becomes U+FFFD.
 */
#ifndef WIRE_MPD_H
#define WIRE_MPD_H

#include <stddef.h>
#include <stdint.h>

#include "mem/text.h"

/* When segment `index` begins, in ticks; for index == count: where the last one ends. Does not
 * fall. Called before the writer returns. */
typedef int64_t (*mpd_begin_fn)(void *user, unsigned index);

/* SegmentTemplate (section 5.3.9.4), with a timeline. Segments without duration at the end and at
 * the beginning, as a track has them that is shorter than the others, are left out. */
struct mpd_segments {
    uint32_t timescale; /* ticks a second, not 0 */
    /* URL templates (section 5.3.9.4.4): "$Number$" in `media` stands for the index, which counts
     * from 0; any other '$' is written twice. */
    const char *initialization, *media;
    unsigned count;
    mpd_begin_fn begin;
    void *user;
};

struct mpd_representation {
    const char *id;      /* of its own within the film; no white space */
    uint64_t bits_per_s; /* @bandwidth: of its largest segment */
    const char *codecs;
    uint32_t width, height;              /* as shown; 0: no video */
    uint32_t frame_rate_milli;           /* pictures in 1,000 s; 0: no video, or not known */
    uint32_t sample_rate;                /* hertz; 0: no audio */
    unsigned channels;                   /* 0: no audio */
    const char *base_url;                /* of its URLs; of a whole file, such as WebVTT: its own */
    const struct mpd_segments *segments; /* NULL: the set's, or none */
};

enum mpd_content { MPD_VIDEO, MPD_AUDIO, MPD_TEXT };

/* Representations between which a player switches. */
struct mpd_set {
    enum mpd_content content;
    const char *mime_type;   /* "video/mp4", "audio/mp4", "text/vtt" */
    const char *language;    /* BCP 47; NULL or "": not known */
    const char *role;        /* of urn:mpeg:dash:role:2011: "main", "alternate", "subtitle" */
    const char *label;       /* for people */
    unsigned start_with_sap; /* 1: no segment needs another; 3: open GOPs; 0: not said */
    const struct mpd_segments *segments; /* of all its representations; NULL: each has its own */
    const struct mpd_representation *representations;
    size_t representation_count; /* 1 or more */
};

struct mpd {
    double duration_s;
    double min_buffer_s; /* what must be buffered to play on at `bits_per_s` */
    const struct mpd_set *sets;
    size_t set_count;
};

void mpd_write(struct text *text, const struct mpd *mpd);

#endif
