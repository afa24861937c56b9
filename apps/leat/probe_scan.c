/* SPDX-License-Identifier: MIT */
/*
 * See probe.h: what the file says of its tracks. Every sample is looked at and none is kept, so the
 * memory it takes does not depend on the film.
 */
#include "probe.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"

/* Where a track has got to. */
struct position {
    uint64_t begin, run_begin, sync_begin; /* decoding times, in ticks */
    uint64_t end, next_offset; /* of the last sample: when it is over, and what follows it */
    bool has_sync;
};

struct scan {
    struct probe *probe;
    struct position positions[MP4_TRACKS_MAX];
};

void probe_spread_add(struct probe_spread *spread, double value)
{
    if (spread->count == 0 || value < spread->least)
        spread->least = value;
    if (spread->count == 0 || value > spread->most)
        spread->most = value;
    spread->sum += value;
    spread->count++;
}

double probe_spread_average(const struct probe_spread *spread)
{
    return spread->count > 0 ? spread->sum / (double)spread->count : 0;
}

static bool on_track(unsigned index, const struct mp4_track *mp4, void *user)
{
    struct scan *scan = user;
    ASSERT(index < MP4_TRACKS_MAX && mp4->timescale > 0);
    struct probe_track *track = &scan->probe->tracks[index];
    *track = (struct probe_track){
        .id = mp4->id,
        .handler = mp4->handler,
        .timescale = mp4->timescale,
        .codec = mp4->codec,
        .width = mp4->width >> 16 ? mp4->width >> 16 : mp4->codec.width,
        .height = mp4->height >> 16 ? mp4->height >> 16 : mp4->codec.height,
        .has_samples = mp4->handler == MP4_FOURCC('v', 'i', 'd', 'e') ||
                       mp4->handler == MP4_FOURCC('s', 'o', 'u', 'n'),
    };
    memcpy(track->language, mp4->language, sizeof track->language);
    scan->probe->track_count = index + 1;
    return track->has_samples;
}

static double seconds(const struct probe_track *track, uint64_t from, uint64_t to)
{
    return to > from ? (double)(to - from) / track->timescale : 0;
}

static int on_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct scan *scan = user;
    ASSERT(index < scan->probe->track_count);
    struct probe_track *track = &scan->probe->tracks[index];
    struct position *position = &scan->positions[index];
    const bool is_first = track->sample_count == 0;
    if (is_first)
        *position = (struct position){.begin = sample->dts, .run_begin = sample->dts};
    if (!is_first && sample->offset != position->next_offset) {
        probe_spread_add(&track->run_s, seconds(track, position->run_begin, sample->dts));
        position->run_begin = sample->dts;
    }
    if (sample->is_sync) {
        if (position->has_sync)
            probe_spread_add(&track->sync_s, seconds(track, position->sync_begin, sample->dts));
        else
            track->until_sync_s = seconds(track, position->begin, sample->dts);
        position->sync_begin = sample->dts;
        position->has_sync = true;
    }
    position->next_offset = sample->offset + sample->size;
    position->end = sample->dts + sample->duration;
    track->sample_count++;
    track->byte_count += sample->size;
    track->duration += sample->duration;
    return 0;
}

/* What was open when the samples ended. */
static void finish(struct probe_track *track, const struct position *position)
{
    if (track->sample_count == 0)
        return;
    probe_spread_add(&track->run_s, seconds(track, position->run_begin, position->end));
    if (position->has_sync)
        probe_spread_add(&track->sync_s, seconds(track, position->sync_begin, position->end));
}

int probe_scan(struct probe *probe, const struct mp4_source *source)
{
    struct scan scan = {.probe = probe};
    const struct mp4_events events = {on_track, on_sample, &scan};
    struct mp4_problem problem;
    const int error = mp4_read(source, &events, &probe->movie, &problem);
    probe->is_known = error == 0;
    if (error == -LEAT_E_MALFORMED || error == -LEAT_E_LIMIT)
        return 0; /* the film says why */
    if (error)
        return error;
    for (unsigned index = 0; index < probe->track_count; index++)
        finish(&probe->tracks[index], &scan.positions[index]);
    return 0;
}
