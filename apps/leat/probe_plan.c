/* SPDX-License-Identifier: MIT */
/*
 * See probe.h: how a film will stream. Each segment of each stream is planned as the server would
 * plan it, and its head is thrown away again.
 */
#include "probe.h"

#include <errno.h>

#include "base/assert.h"
#include "mem/arena.h"

static void *allocate(void *user, size_t size)
{
    return arena_alloc(user, size);
}

static void count_segment(struct probe_stream *found, const struct film_segment *segment)
{
    ASSERT(segment->body_size >= segment->media_size);
    probe_spread_add(&found->segment_s, segment->duration_s);
    found->head_bytes += segment->head_size;
    found->media_bytes += segment->media_size;
    if (segment->range_count == 0 && segment->run_count > 0) {
        found->packed_count++;
        found->packed_bytes += segment->body_size;
        return;
    }
    const uint64_t slack = segment->body_size - segment->media_size;
    found->slack_bytes += slack;
    probe_spread_add(&found->ranges, segment->range_count);
    probe_spread_add(&found->slack_percent,
                     segment->media_size > 0 ? 100.0 * (double)slack / (double)segment->media_size
                                             : 0);
}

static int plan_stream(struct probe *probe, const struct film_stream *stream, struct arena *arena)
{
    ASSERT(probe->stream_count < PROBE_STREAMS_MAX);
    struct probe_stream *found = &probe->streams[probe->stream_count++];
    const unsigned count = film_stream_segment_count(probe->film, stream);
    for (unsigned index = 0; index < count; index++) {
        struct film_segment segment;
        const int error = film_segment(probe->film, stream, index, allocate, arena, &segment);
        if (error)
            return error;
        count_segment(found, &segment);
        arena_reset(arena);
    }
    return 0;
}

/* The streams that the film's playlists name: "muxed" where one audio track goes with the video,
 * and each track by itself. */
static int plan_streams(struct probe *probe, struct arena *arena)
{
    const int video = film_video(probe->film);
    unsigned audios[FILM_TRACKS_MAX], audio_count = 0;
    int error = 0;
    for (unsigned index = 0; index < film_track_count(probe->film); index++) {
        const struct film_track *track = film_track(probe->film, index);
        if (!track->is_streamed || track->kind != FILM_AUDIO)
            continue;
        ASSERT(audio_count < FILM_TRACKS_MAX);
        audios[audio_count++] = index;
    }
    if (video >= 0 && audio_count == 1) {
        const struct film_stream muxed = {{(unsigned)video, audios[0]}, 2};
        snprintf(probe->streams[probe->stream_count].name, PROBE_NAME_SIZE, "muxed");
        error = plan_stream(probe, &muxed, arena);
    }
    if (!error && video >= 0) {
        const struct film_stream alone = {{(unsigned)video}, 1};
        snprintf(probe->streams[probe->stream_count].name, PROBE_NAME_SIZE, "video");
        error = plan_stream(probe, &alone, arena);
    }
    for (unsigned index = 0; !error && index < audio_count; index++) {
        const struct film_stream alone = {{audios[index]}, 1};
        snprintf(probe->streams[probe->stream_count].name, PROBE_NAME_SIZE, "audio-%u", index + 1);
        error = plan_stream(probe, &alone, arena);
    }
    return error;
}

int probe_plan(struct probe *probe)
{
    ASSERT(probe->film != NULL && probe->stream_count == 0);
    struct arena arena;
    arena_init(&arena, NULL);
    const int error = plan_streams(probe, &arena);
    arena_fini(&arena);
    return error;
}
