/* SPDX-License-Identifier: MIT */
/*
 * See probe.h: what programs read, described in leat-probe(1). What is not known is null. A value
 * for which there was no memory makes json_pack fail, and with it all that it would have been in.
 */
#include "probe.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "leat/version.h"
#include "text.h"

enum { REAL_DIGITS = 15 };

/* Text of a file may be anything; that of JSON is UTF-8. */
static json_t *text_of(const char *bytes)
{
    struct text text = {0};
    text_add_utf8(&text, slice_from_text(bytes));
    json_t *json = text.has_failed ? NULL : json_stringn(text.size > 0 ? text.data : "", text.size);
    text_fini(&text);
    return json;
}

static json_t *count_of(uint64_t count)
{
    return json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count);
}

/* To a thousandth, and so without digits that mean nothing. */
static json_t *number_of(double number)
{
    return isfinite(number) ? json_real(round(number * 1e3) / 1e3) : json_null();
}

static json_t *spread_of(const struct probe_spread *spread)
{
    if (spread->count == 0)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "count", count_of(spread->count), "min",
                     number_of(spread->least), "average", number_of(probe_spread_average(spread)),
                     "max", number_of(spread->most));
}

static json_t *container_of(const struct probe *probe)
{
    const struct mp4_movie *movie = &probe->movie;
    return json_pack("{s:s, s:b, s:b, s:o, s:o}", "kind", movie->is_quicktime ? "quicktime" : "mp4",
                     "fragmented", movie->is_fragmented, "moov_first", movie->moov_is_first,
                     "moov_bytes", count_of(movie->moov_size), "mdat_bytes",
                     count_of(movie->mdat_size));
}

static json_t *fourcc_of(uint32_t fourcc)
{
    char bytes[5] = {0};
    for (unsigned index = 0; index < 4; index++)
        bytes[index] = (char)(fourcc >> (24 - 8 * index));
    return fourcc ? text_of(bytes) : json_null();
}

/* What all tracks have; the rest is added by kind. */
static json_t *track_of(const struct probe *probe, unsigned index)
{
    const struct probe_track *track = &probe->tracks[index];
    const struct film_track *facts = probe->film ? film_track(probe->film, index) : NULL;
    const bool is_video = track->handler == MP4_FOURCC('v', 'i', 'd', 'e');
    const bool is_audio = track->handler == MP4_FOURCC('s', 'o', 'u', 'n');
    const bool is_streamed = facts && facts->is_streamed;
    const char *why_not = facts && !facts->is_streamed ? facts->why_not : NULL;
    return json_pack(
        "{s:I, s:s, s:o, s:o, s:o, s:b, s:o, s:b, s:o,"
        " s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "id", (json_int_t)track->id, "kind",
        is_video   ? "video"
        : is_audio ? "audio"
                   : "other",
        "handler", fourcc_of(track->handler), "fourcc", fourcc_of(track->codec.fourcc), "codec",
        track->codec.text[0] ? text_of(track->codec.text) : json_null(), "encrypted",
        track->codec.is_encrypted, "language", text_of(track->language), "streamed", is_streamed,
        "why_not", why_not ? text_of(why_not) : json_null(), "samples",
        track->has_samples ? count_of(track->sample_count) : json_null(), "bytes",
        track->has_samples ? count_of(track->byte_count) : json_null(), "duration_s",
        is_streamed ? number_of((double)facts->duration / facts->timescale) : json_null(),
        "average_bits_per_s", is_streamed ? count_of(facts->average_bits_per_s) : json_null(),
        "peak_bits_per_s", is_streamed ? count_of(facts->peak_bits_per_s) : json_null(), "chunk_s",
        spread_of(&track->run_s), "width", is_video ? count_of(track->width) : json_null(),
        "height", is_video ? count_of(track->height) : json_null(), "rotation",
        is_video && facts ? json_integer(facts->rotation) : json_null(), "pictures_per_s",
        is_video && is_streamed ? number_of(facts->frame_rate_milli / 1e3) : json_null(),
        "keyframe_s", is_video ? spread_of(&track->sync_s) : json_null(), "channels",
        is_audio ? count_of(track->codec.channels) : json_null(), "sample_rate",
        is_audio ? count_of(track->codec.sample_rate) : json_null());
}

static json_t *stream_of(const struct probe_stream *stream)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o}", "name", stream->name,
                     "segment_s", spread_of(&stream->segment_s), "ranges",
                     spread_of(&stream->ranges), "slack_percent", spread_of(&stream->slack_percent),
                     "packed_segments", (int)stream->packed_count, "head_bytes",
                     count_of(stream->head_bytes), "media_bytes", count_of(stream->media_bytes),
                     "slack_bytes", count_of(stream->slack_bytes), "packed_bytes",
                     count_of(stream->packed_bytes));
}

/* Takes the value over; one that is NULL makes the array fail, and become NULL. */
static json_t *append(json_t *array, json_t *value)
{
    if (array && json_array_append_new(array, value) == 0)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *film_of(const struct probe *probe)
{
    const bool is_known = probe->is_known;
    const struct film *film = probe->film;
    json_t *tracks = json_array(), *streams = json_array(), *advice = json_array();
    for (unsigned index = 0; is_known && index < probe->track_count; index++)
        tracks = append(tracks, track_of(probe, index));
    for (unsigned index = 0; index < probe->stream_count; index++)
        streams = append(streams, stream_of(&probe->streams[index]));
    for (unsigned index = 0; index < probe->advice_count; index++)
        advice = append(advice, text_of(probe->advice[index]));
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "format", "leat probe 1", "leat", leat_version(), "file", text_of(probe->path),
                     "bytes", count_of(probe->size), "streamable", film != NULL, "reason",
                     film ? json_null() : text_of(probe->reason), "container",
                     is_known ? container_of(probe) : json_null(), "duration_s",
                     film ? number_of(film_duration_s(film)) : json_null(), "independent",
                     film ? json_boolean(film_is_independent(film)) : json_null(), "segments",
                     film ? count_of(film_segment_count(film)) : json_null(), "index_bytes",
                     film ? count_of(film_memory(film)) : json_null(), "tracks", tracks, "streams",
                     streams, "advice", advice);
}

int probe_print_json(const struct probe *probe, FILE *out)
{
    json_t *json = film_of(probe);
    char *line = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    json_decref(json);
    if (!line)
        return -ENOMEM;
    fprintf(out, "%s\n", line);
    free(line);
    return 0;
}
