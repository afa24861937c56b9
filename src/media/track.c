/* SPDX-License-Identifier: MIT */
/*
 * See track.h.
 */
#include "media/track.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* How far from a track's ends its samples may be shown in another order than they are decoded. */
enum { REORDER_MAX = 64 };

/* Times are below it, so that sums of a few of them fit: 2,900 years of microseconds. */
#define TICKS_MAX ((int64_t)1 << 56)

/* ---- Ticks ----------------------------------------------------------------------------------- */

int64_t ticks_down(int64_t ticks, uint32_t from, uint32_t to)
{
    const __int128 product = (__int128)ticks * to;
    const __int128 quotient = product / from;
    return (int64_t)(quotient - (product % from < 0));
}

int64_t ticks_up(int64_t ticks, uint32_t from, uint32_t to)
{
    return -ticks_down(-ticks, from, to);
}

int64_t ticks_near(int64_t ticks, uint32_t from, uint32_t to)
{
    const __int128 doubled = (__int128)ticks * to * 2 + from;
    const __int128 quotient = doubled / ((__int128)from * 2);
    return (int64_t)(quotient - (doubled % ((__int128)from * 2) < 0));
}

/* ---- Facts ----------------------------------------------------------------------------------- */

/* Of the four that mirror nothing (section 8.3.2.3: a, b, c, d in 16.16); others are none. */
static int rotation_of(const unsigned char matrix[36])
{
    static const struct {
        int32_t a, b, c, d;
        int degrees;
    } known[] = {{0, 1, -1, 0, 90}, {-1, 0, 0, -1, 180}, {0, -1, 1, 0, 270}};
    int32_t parts[4];
    static const unsigned at[4] = {0, 4, 12, 16};
    for (unsigned index = 0; index < 4; index++) {
        uint32_t part;
        memcpy(&part, matrix + at[index], sizeof part);
        parts[index] = (int32_t)be32toh(part) >> 16;
    }
    for (unsigned index = 0; index < sizeof known / sizeof *known; index++)
        if (parts[0] == known[index].a && parts[1] == known[index].b &&
            parts[2] == known[index].c && parts[3] == known[index].d)
            return known[index].degrees;
    return 0;
}

static enum film_kind kind_of(const struct mp4_track *mp4)
{
    switch (mp4->handler) {
    case MP4_FOURCC('v', 'i', 'd', 'e'): return FILM_VIDEO;
    case MP4_FOURCC('s', 'o', 'u', 'n'): return FILM_AUDIO;
    default: return FILM_OTHER;
    }
}

/* NULL: nothing that the track's head tells. */
static const char *head_trouble(const struct track *track)
{
    if (track->facts.kind == FILM_OTHER)
        return "it is neither video nor audio";
    if (track->mp4.codec.is_encrypted)
        return "it is encrypted";
    if (!track->mp4.codec.text[0])
        return "browsers play no such codec";
    if (track->mp4.entry_count != 1)
        return "it has several sample descriptions";
    return NULL;
}

int track_init(struct track *track, const struct mp4_track *mp4)
{
    char *stsd = malloc(mp4->stsd.size + 1);
    if (!stsd)
        return -ENOMEM;
    if (mp4->stsd.size > 0)
        memcpy(stsd, mp4->stsd.data, mp4->stsd.size);
    *track = (struct track){.mp4 = *mp4};
    track->mp4.stsd.data = stsd;
    struct film_track *facts = &track->facts;
    *facts = (struct film_track){.kind = kind_of(mp4),
                                 .id = mp4->id,
                                 .codec = mp4->codec,
                                 .timescale = mp4->timescale,
                                 .rotation = rotation_of(mp4->matrix)};
    memcpy(facts->language, mp4->language, sizeof facts->language);
    facts->width = mp4->width >> 16 ? mp4->width >> 16 : mp4->codec.width;
    facts->height = mp4->height >> 16 ? mp4->height >> 16 : mp4->codec.height;
    if (facts->kind != FILM_VIDEO)
        facts->width = facts->height = 0;
    facts->why_not = head_trouble(track);
    facts->is_streamed = !facts->why_not;
    samples_init(&track->samples, facts->kind == FILM_VIDEO);
    return 0;
}

void track_fini(struct track *track)
{
    free((char *)track->mp4.stsd.data);
    samples_fini(&track->samples);
    free(track->cuts);
    *track = (struct track){0};
}

static bool refuse(struct track *track, const char *why_not)
{
    track->facts.is_streamed = false;
    track->facts.why_not = why_not;
    return false;
}

/* ---- Edit lists ------------------------------------------------------------------------------ */

/* Empty edits, then one piece of the media: an edit list may say it in several that join. */
static bool read_edits(struct track *track, uint32_t movie_timescale)
{
    const struct mp4_track *mp4 = &track->mp4;
    bool has_piece = false;
    track->media_end = INT64_MAX;
    for (unsigned index = 0; index < mp4->edit_count; index++) {
        const struct mp4_edit *edit = &mp4->edits[index];
        if (edit->duration >= (uint64_t)TICKS_MAX || edit->media_time >= TICKS_MAX)
            return refuse(track, "its edit list is damaged");
        const int64_t duration =
            ticks_near((int64_t)edit->duration, movie_timescale, mp4->timescale);
        if (edit->media_time < 0) {
            if (!has_piece)
                track->delay += duration;
            continue; /* behind the end: nothing */
        }
        if (!edit->is_plain)
            return refuse(track, "its edit list changes its speed");
        /* Movie timescales are coarse: a millisecond's worth of ticks is no seam. */
        const int64_t seam = edit->media_time - track->media_end;
        if (has_piece && llabs(seam) > 1 + mp4->timescale / 500)
            return refuse(track, "its edit list puts it together of several pieces");
        if (!has_piece)
            track->media_begin = edit->media_time;
        has_piece = true;
        track->media_end = duration > 0 ? edit->media_time + duration : INT64_MAX;
    }
    if (track->delay >= TICKS_MAX)
        return refuse(track, "its edit list is damaged");
    if (!has_piece) /* nothing but empty edits: as if it had none */
        track->delay = 0;
    track->has_edit = has_piece;
    return true;
}

/* ---- The ends -------------------------------------------------------------------------------- */

/* The earliest moment at which one of the first samples is shown, in the media's time. */
static int64_t first_shown(const struct track *track)
{
    struct samples_cursor cursor;
    struct mp4_sample sample;
    int64_t earliest = INT64_MAX;
    samples_seek(&cursor, &track->samples, track->first);
    for (unsigned seen = 0; seen < REORDER_MAX && samples_next(&cursor, &sample); seen++)
        if ((int64_t)sample.dts + sample.cto < earliest)
            earliest = (int64_t)sample.dts + sample.cto;
    return earliest;
}

/* Drops the last samples that are shown behind the edit's end; others may need one before them. */
static void drop_end(struct track *track)
{
    struct samples_cursor cursor;
    struct mp4_sample sample;
    /* Mostly there are a few of them at most; each look goes further back. */
    for (uint32_t back = REORDER_MAX;; back *= 4) {
        const uint32_t begin = track->end - track->first > back ? track->end - back : track->first;
        uint32_t kept = begin;
        samples_seek(&cursor, &track->samples, begin);
        while (cursor.next.index < track->end && samples_next(&cursor, &sample))
            if ((int64_t)sample.dts + sample.cto < track->media_end)
                kept = cursor.next.index;
        if (kept > begin || begin == track->first || back > UINT32_MAX / 4) {
            track->end = kept;
            return;
        }
    }
}

/* When the last of what is sent has been shown, in the media's time. */
static int64_t last_shown(const struct track *track)
{
    struct samples_cursor cursor;
    struct mp4_sample sample;
    int64_t latest = INT64_MIN;
    const uint32_t count = track->end - track->first;
    samples_seek(&cursor, &track->samples,
                 track->end - (count < REORDER_MAX ? count : REORDER_MAX));
    while (cursor.next.index < track->end && samples_next(&cursor, &sample))
        if ((int64_t)sample.dts + sample.cto + sample.duration > latest)
            latest = (int64_t)sample.dts + sample.cto + sample.duration;
    return latest;
}

bool track_survey(struct track *track, uint32_t movie_timescale)
{
    const struct samples *samples = &track->samples;
    track->facts.sample_count = samples->count;
    track->facts.byte_count = samples->byte_count;
    track->facts.sync_count = samples->syncs ? samples->sync_count : samples->count;
    if (samples->count == 0)
        return refuse(track, "it has no samples");
    if (track->facts.sync_count == 0)
        return refuse(track, "it has no sync samples: nowhere can decoding begin");
    if (!read_edits(track, movie_timescale))
        return false;
    /* What comes before the first sync sample can never be decoded. */
    track->first = samples->syncs ? samples->syncs[0] : 0;
    track->end = samples->count;
    if (track->media_end != INT64_MAX)
        drop_end(track);
    if (track->end == track->first || (track->has_edit && last_shown(track) <= track->media_begin))
        return refuse(track, "its edit list shows nothing of it");
    if (samples_time(samples, track->end) == samples_time(samples, track->first))
        return refuse(track, "it lasts no time");
    return true;
}

int64_t track_begin(const struct track *track)
{
    const int64_t late = first_shown(track) - track->media_begin;
    return track->has_edit && late < 0 ? track->delay : track->delay + late;
}

void track_place(struct track *track, int64_t origin, uint32_t origin_timescale)
{
    const int64_t first_dts = (int64_t)samples_time(&track->samples, track->first);
    const int64_t wanted = track->delay - track->media_begin -
                           ticks_near(origin, origin_timescale, track->mp4.timescale);
    track->shift = wanted > -first_dts ? wanted : -first_dts;
    track->media_time = track->shift - wanted;
    ASSERT(track->media_time >= 0 && first_dts + track->shift >= 0);
}

int64_t track_end(const struct track *track)
{
    const int64_t last = last_shown(track);
    return (last < track->media_end ? last : track->media_end) + track->shift - track->media_time;
}
