/* SPDX-License-Identifier: MIT */
/*
 * See film.h.
 */
#include "media/film.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "media/cuts.h"
#include "media/film_parts.h"
#include "wire/mp4_writer.h"

/* ---- Reading --------------------------------------------------------------------------------- */

struct building {
    struct film *film;
    int error; /* of on_track, which cannot return one */
};

static bool on_track(unsigned index, const struct mp4_track *mp4, void *user)
{
    struct building *building = user;
    struct film *film = building->film;
    ASSERT(index == film->track_count && index < MP4_TRACKS_MAX);
    if (building->error)
        return false;
    struct track *grown = realloc(film->tracks, (index + (size_t)1) * sizeof *grown);
    if (!grown) {
        building->error = -ENOMEM;
        return false;
    }
    film->tracks = grown;
    building->error = track_init(&film->tracks[index], mp4);
    if (building->error)
        return false;
    film->track_count++;
    return film->tracks[index].facts.is_streamed;
}

static int on_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct building *building = user;
    struct track *track = &building->film->tracks[index];
    if (building->error)
        return building->error;
    if (sample->cto > INT32_MAX || sample->cto < INT32_MIN || sample->dts > INT64_MAX / 128)
        return -LEAT_E_MALFORMED;
    return samples_add(&track->samples, sample);
}

static int read_file(struct film *film, const struct mp4_source *source, char *reason)
{
    struct building building = {.film = film};
    const struct mp4_events events = {on_track, on_sample, &building};
    struct mp4_problem problem = {.reason = "its times make no sense"};
    int error = mp4_read(source, &events, &film->movie, &problem);
    if (building.error)
        error = building.error;
    for (unsigned index = 0; !error && index < film->track_count; index++)
        error = samples_finish(&film->tracks[index].samples);
    if (error == -LEAT_E_MALFORMED || error == -LEAT_E_LIMIT)
        snprintf(reason, FILM_REASON_SIZE, "%s", problem.reason);
    return error;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* The first track of this kind; streamed, or any. -1: none. */
static int find_track(const struct film *film, enum film_kind kind, bool is_streamed)
{
    for (unsigned index = 0; index < film->track_count; index++) {
        const struct film_track *facts = &film->tracks[index].facts;
        if (facts->kind == kind && (facts->is_streamed || !is_streamed))
            return (int)index;
    }
    return -1;
}

static void leave_out(struct track *track, const char *why_not)
{
    track->facts.is_streamed = false;
    track->facts.why_not = why_not;
}

/* One video, and FILM_TRACKS_MAX in all. */
static void leave_out_surplus(struct film *film)
{
    unsigned streamed = 0;
    for (unsigned index = 0; index < film->track_count; index++) {
        struct track *track = &film->tracks[index];
        if (!track->facts.is_streamed)
            continue;
        if (track->facts.kind == FILM_VIDEO && (int)index != film->video)
            leave_out(track, "another video is streamed");
        else if (++streamed > FILM_TRACKS_MAX)
            leave_out(track, "the film has too many tracks");
    }
}

static int refuse(char *reason, const struct track *track)
{
    const struct mp4_codec *codec = &track->facts.codec;
    char fourcc[5] = {0};
    for (unsigned index = 0; index < 4; index++) {
        const char c = (char)(codec->fourcc >> (24 - 8 * index));
        fourcc[index] = c > ' ' && c <= '~' ? c : '?';
    }
    snprintf(reason, FILM_REASON_SIZE, "its %s (%s): %s",
             track->facts.kind == FILM_VIDEO ? "video" : "audio",
             codec->text[0] ? codec->text : fourcc, track->facts.why_not);
    return -EOPNOTSUPP;
}

/* What is to be streamed; a film whose pictures cannot be is none. */
static int choose_tracks(struct film *film, char *reason)
{
    for (unsigned index = 0; index < film->track_count; index++) {
        struct track *track = &film->tracks[index];
        if (track->facts.kind != FILM_OTHER && track->mp4.codec.is_encrypted)
            return refuse(reason, track);
        if (track->facts.is_streamed)
            (void)track_survey(track, film->movie.timescale);
    }
    const int any_video = find_track(film, FILM_VIDEO, false);
    const int any_audio = find_track(film, FILM_AUDIO, false);
    film->video = find_track(film, FILM_VIDEO, true);
    film->measure = film->video >= 0 ? film->video : find_track(film, FILM_AUDIO, true);
    if (any_video >= 0 && film->video < 0)
        return refuse(reason, &film->tracks[any_video]);
    if (film->measure < 0 && any_audio >= 0)
        return refuse(reason, &film->tracks[any_audio]);
    if (film->measure < 0) {
        snprintf(reason, FILM_REASON_SIZE, "it has neither video nor audio");
        return -EOPNOTSUPP;
    }
    leave_out_surplus(film);
    return 0;
}

/* ---- Placing and cutting --------------------------------------------------------------------- */

/* The presentation begins with the track that begins first. */
static void place_tracks(struct film *film)
{
    const struct track *first = NULL;
    for (unsigned index = 0; index < film->track_count; index++) {
        const struct track *track = &film->tracks[index];
        if (track->facts.is_streamed &&
            (!first || (__int128)track_begin(track) * first->mp4.timescale <
                           (__int128)track_begin(first) * track->mp4.timescale))
            first = track;
    }
    ASSERT(first != NULL);
    const int64_t origin = track_begin(first);
    const uint32_t timescale = first->mp4.timescale;
    for (unsigned index = 0; index < film->track_count; index++)
        if (film->tracks[index].facts.is_streamed)
            track_place(&film->tracks[index], origin, timescale);
}

static uint32_t frame_rate_milli(const struct track *track)
{
    const __int128 count = track->end - track->first;
    if (track->facts.kind != FILM_VIDEO)
        return 0;
    return (uint32_t)((count * 1000 * track->mp4.timescale + track->facts.duration / 2) /
                      track->facts.duration);
}

/* Of all tracks together. */
static int keep_begins(struct film *film, const struct cuts *cuts)
{
    film->begins = malloc((cuts->count + (size_t)1) * sizeof *film->begins);
    for (uint32_t index = 0; film->begins && index <= cuts->count; index++)
        film->begins[index] = index > 0 ? cuts->list[index].begin : 0;
    return film->begins ? 0 : -ENOMEM;
}

static int cut_tracks(struct film *film, char *reason)
{
    const struct track *measure = &film->tracks[film->measure];
    const uint32_t timescale = measure->mp4.timescale;
    struct cuts cuts;
    int64_t end = 0; /* of all, in the measure's ticks */
    for (unsigned index = 0; index < film->track_count; index++) {
        const struct track *track = &film->tracks[index];
        if (!track->facts.is_streamed)
            continue;
        const int64_t its_end = ticks_near(track_end(track), track->mp4.timescale, timescale);
        end = its_end > end ? its_end : end;
    }
    int error = cuts_make(&cuts, measure, end, reason);
    for (unsigned index = 0; !error && index < film->track_count; index++) {
        struct track *track = &film->tracks[index];
        if (!track->facts.is_streamed)
            continue;
        error = cuts_apply(&cuts, track);
        samples_drop_marks(&track->samples); /* cuts have their own */
        if (!error)
            track->facts.frame_rate_milli = frame_rate_milli(track);
    }
    film->segment_count = cuts.count;
    film->is_independent = cuts.is_independent;
    film->duration_s = (double)end / timescale;
    if (!error)
        error = keep_begins(film, &cuts);
    cuts_fini(&cuts);
    return error;
}

int film_build(const struct mp4_source *source, struct film **ret_film, char *ret_reason)
{
    struct film *film = calloc(1, sizeof *film);
    if (!film)
        return -ENOMEM;
    atomic_init(&film->references, 1);
    ret_reason[0] = '\0';
    int error = read_file(film, source, ret_reason);
    if (!error)
        error = choose_tracks(film, ret_reason);
    if (!error) {
        place_tracks(film);
        error = cut_tracks(film, ret_reason);
    }
    if (error) {
        film_unref(film);
        return error;
    }
    *ret_film = film;
    return 0;
}

void film_ref(struct film *film)
{
    const unsigned before = atomic_fetch_add_explicit(&film->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void film_unref(struct film *film)
{
    if (!film || atomic_fetch_sub_explicit(&film->references, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned index = 0; index < film->track_count; index++)
        track_fini(&film->tracks[index]);
    free(film->tracks);
    free(film->begins);
    free(film);
}

/* ---- Looking --------------------------------------------------------------------------------- */

size_t film_memory(const struct film *film)
{
    size_t size = sizeof *film + film->track_count * sizeof *film->tracks +
                  (film->segment_count + (size_t)1) * sizeof *film->begins;
    for (unsigned index = 0; index < film->track_count; index++) {
        const struct track *track = &film->tracks[index];
        size += track->mp4.stsd.size + samples_memory(&track->samples);
        size += track->cuts ? (film->segment_count + (size_t)1) * sizeof *track->cuts : 0;
    }
    return size;
}

const struct mp4_movie *film_movie(const struct film *film)
{
    return &film->movie;
}

unsigned film_track_count(const struct film *film)
{
    return film->track_count;
}

const struct film_track *film_track(const struct film *film, unsigned index)
{
    ASSERT(index < film->track_count);
    return &film->tracks[index].facts;
}

int film_video(const struct film *film)
{
    return film->video;
}

double film_duration_s(const struct film *film)
{
    return film->duration_s;
}

bool film_is_independent(const struct film *film)
{
    return film->is_independent;
}

unsigned film_segment_count(const struct film *film)
{
    return film->segment_count;
}

unsigned film_stream_segment_count(const struct film *film, const struct film_stream *stream)
{
    unsigned count = 0;
    for (unsigned index = 0; index < stream->track_count; index++) {
        const struct track *track = &film->tracks[stream->tracks[index]];
        unsigned its_count = film->segment_count;
        while (its_count > 0 && track->cuts[its_count - 1].at.index == track->end)
            its_count--;
        count = its_count > count ? its_count : count;
    }
    return count;
}

int64_t film_segment_begin(const struct film *film, unsigned track, unsigned index)
{
    ASSERT(track < film->track_count && film->tracks[track].cuts && index <= film->segment_count);
    return film->tracks[track].cuts[index].begin;
}

int64_t film_stream_begin(const struct film *film, const struct film_stream *stream, unsigned index)
{
    ASSERT(stream->track_count > 0 && index <= film->segment_count);
    if (stream->track_count == 1) {
        const struct track *track = &film->tracks[stream->tracks[0]];
        return track->cuts[index].at.index == track->first ? 0 : track->cuts[index].begin;
    }
    ASSERT((int)stream->tracks[0] == film->measure);
    return film->begins[index];
}

int film_write_init(const struct film *film, const struct film_stream *stream, void *data,
                    size_t capacity)
{
    struct mp4_init_track tracks[2];
    struct writer writer = writer_over(data, capacity);
    ASSERT(stream->track_count > 0 && stream->track_count <= 2);
    for (unsigned index = 0; index < stream->track_count; index++) {
        const struct track *track = &film->tracks[stream->tracks[index]];
        ASSERT(track->facts.is_streamed);
        tracks[index] = (struct mp4_init_track){&track->mp4, track->media_time};
    }
    mp4_write_init(&writer, tracks, stream->track_count);
    return writer.failed ? -ENOBUFS : (int)writer.size;
}
