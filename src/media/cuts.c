/* SPDX-License-Identifier: MIT */
/*
 * See cuts.h.
 */
#include "media/cuts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

/* Of one track in one segment: what a head of it may take, and 31 bits can point into. */
enum { SEGMENT_BYTES_MAX = 512 * 1024 * 1024 };

static int add_cut(struct cuts *cuts, const struct samples_mark *at, int64_t begin)
{
    if (cuts->count == cuts->capacity) {
        const uint32_t capacity = cuts->capacity ? cuts->capacity * 2 : 64;
        struct track_cut *list = realloc(cuts->list, capacity * sizeof *list);
        cuts->list = list ? list : cuts->list;
        uint64_t *bytes = realloc(cuts->bytes, capacity * sizeof *bytes);
        cuts->bytes = bytes ? bytes : cuts->bytes;
        if (!list || !bytes)
            return -ENOMEM;
        cuts->capacity = capacity;
    }
    cuts->bytes[cuts->count] = 0;
    cuts->list[cuts->count++] = (struct track_cut){*at, begin};
    return 0;
}

/* The multiple of 2 s that comes next, in ticks. */
static int64_t line_after(int64_t ticks, uint32_t timescale)
{
    const int64_t step = (int64_t)timescale * FILM_SEGMENT_MS / 1000;
    return (ticks / (step > 0 ? step : 1) + 1) * (step > 0 ? step : 1);
}

/* The measure itself, at its sync samples. A picture that begins up to half its duration before a
 * line is taken for the one upon it, so that rounded times shift no cut. */
static int cut_measure(struct cuts *cuts)
{
    const struct track *track = cuts->measure;
    uint32_t position; /* of the sample's token */
    const uint32_t timescale = track->mp4.timescale;
    struct samples_cursor cursor;
    struct mp4_sample sample;
    int64_t line = INT64_MIN, sync_at = INT64_MIN;
    samples_seek(&cursor, &track->samples, track->first);
    while (position = cursor.next.position,
           cursor.next.index < track->end && samples_next(&cursor, &sample)) {
        const int64_t shown = track_shown_at(track, &sample);
        if (shown < sync_at)
            cuts->is_independent = false;
        if (sample.is_sync && shown + sample.duration / 2 >= line) {
            const int64_t begin = cuts->count == 0 && shown < 0 ? 0 : shown;
            const struct samples_mark at = samples_mark_before(&cursor, position, &sample);
            if (add_cut(cuts, &at, begin) != 0)
                return -ENOMEM;
            if (cuts->count > 1)
                sync_at = shown;
            line = line_after(begin + sample.duration / 2, timescale);
        }
        cuts->bytes[cuts->count - 1] += sample.size;
    }
    cuts->end = cursor.next;
    return 0;
}

/* Players overlook a last segment that lasts next to nothing: it joins the one before. */
static bool is_crumb(int64_t ticks, uint32_t timescale)
{
    return ticks < (int64_t)timescale / 4;
}

int cuts_make(struct cuts *cuts, const struct track *measure, int64_t end, char *reason)
{
    const uint32_t timescale = measure->mp4.timescale;
    const int64_t longest = (int64_t)timescale * FILM_SEGMENT_MAX_MS / 1000;
    *cuts = (struct cuts){.measure = measure, .is_independent = true, .reason = reason};
    int error = cut_measure(cuts);
    if (error)
        return error;
    ASSERT(cuts->count > 0);
    const int64_t measure_end = track_end(measure);
    /* Other tracks may go on when the measure has ended. */
    int64_t line = measure_end;
    while (!error && end - line > (int64_t)timescale * FILM_SEGMENT_MS / 1000) {
        error = add_cut(cuts, &cuts->end, line);
        line = line_after(line, timescale);
    }
    const int64_t last_end = end > measure_end ? end : measure_end;
    if (!error && cuts->count > 1 &&
        is_crumb(last_end - cuts->list[cuts->count - 1].begin, timescale)) {
        cuts->count--;
        cuts->bytes[cuts->count - 1] += cuts->bytes[cuts->count];
    }
    /* For where the last one ends. */
    const int64_t last_begin = cuts->list[cuts->count - 1].begin;
    if (!error)
        error = add_cut(cuts, &cuts->end, last_end > last_begin ? last_end : last_begin);
    if (error)
        return error;
    cuts->count--;
    for (uint32_t index = 0; index < cuts->count; index++) {
        const int64_t lasts = cuts->list[index + 1].begin - cuts->list[index].begin;
        if (lasts <= longest)
            continue;
        snprintf(reason, FILM_REASON_SIZE,
                 "its keyframes are up to %.0f s apart, where %d s is the most a segment lasts",
                 (double)lasts / timescale, FILM_SEGMENT_MAX_MS / 1000);
        return -EOPNOTSUPP;
    }
    return 0;
}

void cuts_fini(struct cuts *cuts)
{
    free(cuts->list);
    free(cuts->bytes);
    *cuts = (struct cuts){0};
}

/* Bit rates, from the bytes of one segment. Short ones, as the last may be, say little. */
static void note_segment(struct film_track *facts, uint64_t bytes, int64_t ticks)
{
    const int64_t least = (int64_t)facts->timescale * FILM_SEGMENT_MS / 2000;
    if (ticks < least)
        ticks = least > 0 ? least : 1;
    const uint64_t rate = bytes * 8 * facts->timescale / (uint64_t)ticks;
    static_assert((uint64_t)SEGMENT_BYTES_MAX * 8 <= UINT64_MAX / INT32_MAX, "that fits");
    if (rate > facts->peak_bits_per_s)
        facts->peak_bits_per_s = rate;
}

/* Where in the track's own ticks segment `index` begins. */
static int64_t begin_of(const struct cuts *cuts, const struct track *track, uint32_t index)
{
    return ticks_up(cuts->list[index].begin, cuts->measure->mp4.timescale, track->mp4.timescale);
}

/* A segment of a track: does it keep within the bounds? */
static int check_segment(const struct cuts *cuts, uint32_t samples, uint64_t bytes)
{
    if (samples <= FILM_SEGMENT_SAMPLES_MAX / 2 && bytes <= SEGMENT_BYTES_MAX)
        return 0;
    snprintf(cuts->reason, FILM_REASON_SIZE,
             "one of its segments would have more than %d samples or %d MiB",
             FILM_SEGMENT_SAMPLES_MAX / 2, SEGMENT_BYTES_MAX >> 20);
    return -EOPNOTSUPP;
}

/* The measure's own: they are known. */
static int copy_measure(const struct cuts *cuts, struct track *track, uint64_t *ret_bytes)
{
    const int64_t end = track_end(track);
    int error = 0;
    for (uint32_t index = 0; index <= cuts->count; index++) {
        struct track_cut *cut = &track->cuts[index];
        *cut = cuts->list[index];
        if (cut->begin > end || cut->at.index == track->end)
            cut->begin = end;
    }
    for (uint32_t index = 0; !error && index < cuts->count; index++) {
        const struct track_cut *cut = &track->cuts[index];
        error = check_segment(cuts, cut[1].at.index - cut[0].at.index, cuts->bytes[index]);
        note_segment(&track->facts, cuts->bytes[index], cut[1].begin - cut[0].begin);
        *ret_bytes += cuts->bytes[index];
    }
    return error;
}

/* Another's: what is shown from the measure's cut on. */
static int assign_samples(const struct cuts *cuts, struct track *track, uint64_t *ret_bytes)
{
    const int64_t end = track_end(track);
    struct samples_cursor cursor;
    uint32_t position; /* of the sample's token */
    struct mp4_sample sample;
    uint64_t bytes = 0; /* since the last cut */
    int64_t line = INT64_MIN;
    uint32_t next = 0; /* the segment that the next sample may begin */
    int error = 0;
    samples_seek(&cursor, &track->samples, track->first);
    while (position = cursor.next.position,
           !error && cursor.next.index < track->end && samples_next(&cursor, &sample)) {
        const int64_t shown = track_shown_at(track, &sample);
        while (!error && next < cuts->count && shown >= line) {
            const struct samples_mark at = samples_mark_before(&cursor, position, &sample);
            if (bytes > 0) {
                error = check_segment(cuts, at.index - track->cuts[next - 1].at.index, bytes);
                note_segment(&track->facts, bytes, shown - track->cuts[next - 1].begin);
            }
            track->cuts[next++] = (struct track_cut){at, shown > 0 ? shown : 0};
            line = next < cuts->count ? begin_of(cuts, track, next) : INT64_MAX;
            *ret_bytes += bytes;
            bytes = 0;
        }
        bytes += sample.size;
    }
    ASSERT(next > 0);
    if (!error)
        error = check_segment(cuts, track->end - track->cuts[next - 1].at.index, bytes);
    note_segment(&track->facts, bytes, end - track->cuts[next - 1].begin);
    *ret_bytes += bytes;
    if (next > 1 && is_crumb(end - track->cuts[next - 1].begin, track->mp4.timescale))
        next--;
    for (; next <= cuts->count; next++)
        track->cuts[next] = (struct track_cut){cursor.next, end};
    return error;
}

int cuts_apply(const struct cuts *cuts, struct track *track)
{
    uint64_t bytes = 0;
    track->cuts = malloc((cuts->count + (size_t)1) * sizeof *track->cuts);
    if (!track->cuts)
        return -ENOMEM;
    const int error = track == cuts->measure ? copy_measure(cuts, track, &bytes)
                                             : assign_samples(cuts, track, &bytes);
    if (error)
        return error;
    /* None begins behind its end, however odd the times of the last samples are. */
    for (uint32_t index = cuts->count; index-- > 0;)
        if (track->cuts[index].begin > track->cuts[index + 1].begin)
            track->cuts[index].begin = track->cuts[index + 1].begin;
    const int64_t lasts = track->cuts[cuts->count].begin - track->cuts[0].begin;
    track->facts.duration = lasts > 0 ? (uint64_t)lasts : 1;
    track->facts.average_bits_per_s =
        (uint64_t)((__int128)bytes * 8 * track->mp4.timescale / track->facts.duration);
    return 0;
}
