/* SPDX-License-Identifier: MIT */
/*
 * A track of a film: its samples, when they are shown, and which of them each segment has. Only for
 * this folder.
 *
 * A sample is shown at dts + cto + shift - media_time, in ticks from the begin of the presentation.
 * What the file's edit list and its first times say is folded into the two: `shift` is added to
 * what fragments carry as decoding time, which is never negative then; `media_time`, not negative
 * either, is the one edit of the init segment. Players that know of no edit lists are late by it.
 */
#ifndef MEDIA_TRACK_H
#define MEDIA_TRACK_H

#include "media/film.h"
#include "media/samples.h"

struct track_cut {
    struct samples_mark at; /* its first sample */
    int64_t begin;          /* in ticks of the presentation */
};

struct track {
    struct mp4_track mp4; /* stsd is our own */
    struct film_track facts;
    struct samples samples;
    uint32_t first, end; /* samples that are sent: [first, end) */
    /* What the file says, in ticks: shown from `delay` on is what lies in [media_begin, media_end)
     * of the media. Without an edit list that is all, at its own times. */
    bool has_edit;
    int64_t delay, media_begin, media_end;
    int64_t shift, media_time;
    struct track_cut *cuts; /* of each segment, and one behind the last; NULL: not streamed */
};

/* Copies what on_track tells. -ENOMEM. */
int track_init(struct track *track, const struct mp4_track *mp4);
void track_fini(struct track *track);

/* ---- In this order, once all samples are there ----------------------------------------------- */

/* What its edit list and its first and last samples make of it: first, end, has_edit and what
 * follows there. False: it is not to be streamed; facts.why_not tells. */
bool track_survey(struct track *track, uint32_t movie_timescale);
/* When its presentation would begin, in ticks; the earliest of all tracks' is `origin`. */
int64_t track_begin(const struct track *track);
/* Begins the presentation at `origin` / `origin_timescale` seconds. */
void track_place(struct track *track, int64_t origin, uint32_t origin_timescale);

/* Where the presentation of what is sent ends, in ticks. */
int64_t track_end(const struct track *track);

static inline int64_t track_shown_at(const struct track *track, const struct mp4_sample *sample)
{
    return (int64_t)sample->dts + sample->cto + track->shift - track->media_time;
}

/* From ticks of one timescale to another's, rounded down, to the nearest, or up. */
int64_t ticks_down(int64_t ticks, uint32_t from, uint32_t to);
int64_t ticks_near(int64_t ticks, uint32_t from, uint32_t to);
int64_t ticks_up(int64_t ticks, uint32_t from, uint32_t to);

#endif
