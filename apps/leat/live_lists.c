/* SPDX-License-Identifier: MIT */
/*
 * What live channels say of themselves: channels.json, the multivariant playlist, media playlists
 * (draft-pantos-hls-rfc8216bis), the MPD, and the clock.
 *
 * A media playlist is asked for by every viewer after every part, so its text is made once a worker
 * and change. Who asks for what is not there yet (_HLS_msn, _HLS_part: section 6.2.5.2) waits
 * without a stack.
 */
#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "leat/clock.h"
#include "leat/form.h"
#include "site_live.h"
#include "wire/date.h"
#include "wire/m3u8.h"
#include "wire/m3u8_live.h"
#include "wire/mpd_live.h"

enum {
    LATENCY_PARTS = 5,    /* behind the end: what players are told to keep to */
    LATENCY_SEGMENTS = 2, /* where there are no parts */
    PARTS_AHEAD = 16,     /* a client may be so far ahead of what it knows, by its count of parts */
};

static const char m3u8_type[] = "application/vnd.apple.mpegurl";

static void reply_text(struct live_request *wanted, const char *media_type, const struct text *text,
                       const char *cache_control)
{
    if (text->has_failed) {
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    (void)leat_http_add_field(wanted->response, "Cache-Control", cache_control);
    (void)leat_http_reply(wanted->response, 200, media_type, text->data, text->size);
}

/* ---- Codecs ---------------------------------------------------------------------------------- */

enum { CODECS_SIZE = 2 * MP4_CODEC_SIZE + 1 };

static const char *codecs_of(const struct live_track_info *video,
                             const struct live_track_info *audio, char ret_codecs[CODECS_SIZE])
{
    snprintf(ret_codecs, CODECS_SIZE, "%s%s%s", video->is_there ? video->codec.text : "",
             video->is_there && audio->is_there ? "," : "",
             audio->is_there ? audio->codec.text : "");
    return ret_codecs;
}

/* ---- channels.json --------------------------------------------------------------------------- */

static json_t *json_of(const struct live_info *info)
{
    static const char *const states[] = {"starting", "live", "stalled", "ended"};
    char codecs[CODECS_SIZE];
    return json_pack("{s:s, s:s, s:I, s:i, s:i, s:s, s:b, s:I}", "name", info->name, "state",
                     states[info->state], "since_ms", (json_int_t)info->since_ms, "width",
                     info->video.codec.width, "height", info->video.codec.height, "codecs",
                     codecs_of(&info->video, &info->audio, codecs), "has_video",
                     info->video.is_there, "latency_ms", (json_int_t)info->latency_ms);
}

void live_reply_channels(struct live_request *wanted)
{
    struct live_info *infos = calloc(LIVE_CHANNELS_MAX, sizeof *infos);
    json_t *list = json_array();
    const unsigned count = infos ? live_list(wanted->live->hub, infos, LIVE_CHANNELS_MAX) : 0;
    for (unsigned index = 0; index < count; index++)
        if (infos[index].state != LIVE_STARTING)
            (void)json_array_append_new(list, json_of(&infos[index]));
    free(infos);
    (void)leat_http_add_field(wanted->response, "Cache-Control", "no-store");
    (void)leat_http_reply_json(wanted->response, 200, json_pack("{s:o}", "channels", list));
}

/* ---- The clock ------------------------------------------------------------------------------- */

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void live_reply_time(struct live_request *wanted)
{
    char now[DATE_ISO_SIZE];
    date_format_iso(wall_ms(), now);
    (void)leat_http_add_field(wanted->response, "Cache-Control", "no-store");
    (void)leat_http_reply(wanted->response, 200, "text/plain", now, sizeof now);
}

/* ---- The multivariant playlist --------------------------------------------------------------- */

void live_reply_master(struct live_request *wanted)
{
    struct live_view *view = live_look(wanted->channel);
    struct text text = {0};
    if (!view || view->epoch_count == 0) {
        free(view);
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    const struct live_view_epoch *epoch = &view->epochs[view->epoch_count - 1];
    const struct live_track_info *video = &epoch->video, *audio = &epoch->audio;
    char codecs[CODECS_SIZE];
    const uint64_t bits_per_s = video->bits_per_s + audio->bits_per_s;
    struct m3u8_variant variants[2] = {{.uri = "muxed/index.m3u8",
                                        .peak_bits_per_s = bits_per_s + bits_per_s / 8,
                                        .average_bits_per_s = bits_per_s,
                                        .codecs = codecs_of(video, audio, codecs),
                                        .width = video->codec.width,
                                        .height = video->codec.height,
                                        .frame_rate_milli = video->frame_rate_milli}};
    unsigned count = 1;
    if (video->is_there && audio->is_there) /* for those whose network has room for no more */
        variants[count++] =
            (struct m3u8_variant){.uri = "audio-1/index.m3u8",
                                  .peak_bits_per_s = audio->bits_per_s + audio->bits_per_s / 8,
                                  .average_bits_per_s = audio->bits_per_s,
                                  .codecs = audio->codec.text};
    const struct m3u8_multivariant playlist = {.variants = variants, .variant_count = count};
    m3u8_write_multivariant(&text, &playlist);
    reply_text(wanted, m3u8_type, &text, "no-cache");
    text_fini(&text);
    free(view);
}

/* ---- Media playlists ------------------------------------------------------------------------- */

static bool has_stream(const struct live_view *view, enum live_stream stream)
{
    const struct live_view_epoch *epoch = &view->epochs[view->epoch_count - 1];
    return stream == LIVE_MUXED ||
           (stream == LIVE_VIDEO ? epoch->video.is_there : epoch->audio.is_there);
}

/* The other playlists of the channel that a master playlist names. */
static size_t report_others(const struct live_view *view, enum live_stream stream,
                            struct m3u8_live_report ret_reports[LIVE_STREAMS])
{
    const struct live_view_segment *last = &view->segments[view->segment_count - 1];
    const struct live_view_epoch *epoch = &view->epochs[view->epoch_count - 1];
    static const char *const uris[LIVE_STREAMS] = {"../muxed/index.m3u8", NULL,
                                                   "../audio-1/index.m3u8"};
    size_t count = 0;
    for (unsigned other = 0; other < LIVE_STREAMS; other++)
        if (other != stream && uris[other] && epoch->video.is_there && epoch->audio.is_there)
            ret_reports[count++] = (struct m3u8_live_report){
                uris[other], last->number, last->part_count > 0 ? last->part_count - 1 : 0};
    return count;
}

static void write_index(struct text *text, const struct live_view *view, enum live_stream stream,
                        bool is_delta)
{
    static_assert(sizeof(struct m3u8_live_part) == sizeof(struct live_view_part) &&
                      offsetof(struct m3u8_live_part, is_independent) ==
                          offsetof(struct live_view_part, is_independent),
                  "the one is the other");
    struct m3u8_live_report reports[LIVE_STREAMS];
    struct m3u8_live_segment *segments = calloc(view->segment_count, sizeof *segments);
    if (!segments) {
        text->has_failed = true;
        return;
    }
    for (unsigned index = 0; index < view->segment_count; index++) {
        const struct live_view_segment *segment = &view->segments[index];
        segments[index] =
            (struct m3u8_live_segment){.number = segment->number,
                                       .duration_us = segment->duration_us,
                                       .wall_ms = view->available_ms + segment->begin_us / 1000,
                                       .is_discontinuity = segment->is_discontinuity,
                                       .init = view->epochs[segment->epoch].init,
                                       .is_whole = segment->is_whole,
                                       .is_gap = segment->is_gap,
                                       .parts = (const void *)&view->parts[segment->first_part],
                                       .part_count = segment->part_count};
    }
    struct m3u8_live playlist = {.target_s = view->target_s,
                                 .part_target_us = view->part_target_us,
                                 .part_hold_back_us = LATENCY_PARTS * view->part_target_us,
                                 .is_sound = stream == LIVE_AUDIO,
                                 .is_ended = view->state == LIVE_ENDED,
                                 .hints_next_segment = view->next_begins_segment,
                                 .discontinuity_sequence = view->discontinuity_sequence,
                                 .segments = segments,
                                 .segment_count = view->segment_count,
                                 .reports = reports,
                                 .report_count = report_others(view, stream, reports)};
    playlist.skipped = is_delta ? m3u8_live_skippable(&playlist) : 0;
    m3u8_live_write(text, &playlist);
    free(segments);
}

/* What _HLS_msn and _HLS_part say. */
struct reload {
    bool has_number, has_part, is_delta;
    uint64_t number, part;
};

static bool read_number(const char *text, uint64_t *ret_number)
{
    const size_t size = strlen(text);
    if (size == 0 || size > 15 || strspn(text, "0123456789") != size)
        return false;
    *ret_number = strtoull(text, NULL, 10);
    return true;
}

/* False: it is no such request. */
static bool read_reload(const struct live_request *wanted, struct reload *ret_reload)
{
    const char *number = leat_http_query_value(wanted->request, "_HLS_msn");
    const char *part = leat_http_query_value(wanted->request, "_HLS_part");
    const char *skip = leat_http_query_value(wanted->request, "_HLS_skip");
    *ret_reload =
        (struct reload){.has_number = number,
                        .has_part = part,
                        .is_delta = skip && (strcmp(skip, "YES") == 0 || strcmp(skip, "v2") == 0)};
    return (!part || number) && (!number || read_number(number, &ret_reload->number)) &&
           (!part || read_number(part, &ret_reload->part));
}

/* Does the playlist have what is asked for? A part behind the last one of a whole segment is the
 * first of the next. */
static bool is_there(const struct reload *reload, const struct live_edge *edge)
{
    if (!reload->has_number || edge->state == LIVE_ENDED || edge->number > reload->number + 1)
        return true;
    if (edge->number < reload->number)
        return false;
    if (!reload->has_part)
        return edge->number > reload->number || edge->is_whole;
    return edge->number > reload->number || reload->part < edge->part_count;
}

/* As far beyond the end as no client has reason to ask (section 6.2.5.2). */
static bool is_too_far(const struct reload *reload, const struct live_edge *edge)
{
    const uint64_t next = edge->number + (edge->is_whole ? 1 : 0);
    if (!reload->has_number || edge->state == LIVE_ENDED)
        return false;
    return reload->number > edge->number + 2 ||
           (reload->has_part && reload->number >= next &&
            reload->part >
                (reload->number == next && !edge->is_whole ? edge->part_count : 0) + PARTS_AHEAD);
}

static void reply_index(struct live_request *wanted, struct live_desk *desk, bool is_delta,
                        const char *cache_control)
{
    struct live_desk_text here = {0};
    struct live_desk_text *cached = desk ? &desk->texts[wanted->url.stream][is_delta] : &here;
    const uint64_t version = live_version(wanted->channel);
    if (cached->version != version) {
        struct live_view *view = live_look(wanted->channel);
        text_fini(&cached->text);
        *cached = (struct live_desk_text){0};
        if (view && view->segment_count > 0 && !has_stream(view, wanted->url.stream)) {
            free(view);
            (void)leat_http_reply_error(wanted->response, 404);
            return;
        }
        if (view && view->segment_count > 0) {
            write_index(&cached->text, view, wanted->url.stream, is_delta);
            cached->version = cached->text.has_failed ? 0 : view->version;
        } else {
            cached->text.has_failed = true;
        }
        free(view);
    }
    reply_text(wanted, m3u8_type, &cached->text, cache_control);
    text_fini(&here.text);
}

void live_reply_index(struct live_request *wanted)
{
    struct reload reload;
    struct live_edge edge;
    char cache_control[32] = "no-cache";
    live_edge(wanted->channel, &edge);
    if (!read_reload(wanted, &reload) || is_too_far(&reload, &edge)) {
        live_reply_line(wanted, 400, "_HLS_msn and _HLS_part: no such part is near");
        return;
    }
    struct live_desk *desk = edge.state == LIVE_ENDED ? NULL : live_desk_of(wanted->channel);
    live_edge(wanted->channel, &edge); /* something may have changed before it watched */
    if (!is_there(&reload, &edge)) {
        if (desk && live_park(wanted, desk->playlists, live_patience_ms(wanted->channel)))
            return;
        (void)leat_http_add_field(wanted->response, "Cache-Control", "no-store");
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    if (reload.has_number) /* the same for all who ask so (section 6.2.5.2) */
        snprintf(cache_control, sizeof cache_control, "max-age=%u",
                 6 * live_target_s(wanted->channel));
    reply_index(wanted, desk, reload.is_delta, cache_control);
}

/* ---- The MPD --------------------------------------------------------------------------------- */

enum { MPD_PERIODS_MAX = 256 };

static struct mpd_live_track track_of(const struct live_track_info *info, enum live_stream stream)
{
    return (struct mpd_live_track){.stream = live_stream_name(stream),
                                   .codecs = info->codec.text,
                                   .bits_per_s = info->bits_per_s,
                                   .width = info->codec.width,
                                   .height = info->codec.height,
                                   .frame_rate_milli = info->frame_rate_milli,
                                   .sample_rate = info->codec.sample_rate,
                                   .channels = info->codec.channels};
}

struct mpd_parts {
    struct mpd_live_period periods[MPD_PERIODS_MAX];
    struct mpd_live_track tracks[MPD_PERIODS_MAX][2];
};

static size_t fill_tracks(const struct live_view_epoch *epoch, struct mpd_live_track *tracks)
{
    size_t count = 0;
    if (epoch->video.is_there)
        tracks[count++] = track_of(&epoch->video, LIVE_VIDEO);
    if (epoch->audio.is_there)
        tracks[count++] = track_of(&epoch->audio, LIVE_AUDIO);
    return count;
}

/* One for each stretch of segments of a period; where there are too many, of the newest. */
static size_t fill_periods(const struct live_view *view, struct mpd_parts *parts)
{
    const struct live_view_segment *const segments = view->segments;
    struct mpd_live_period *period = NULL;
    size_t count = 0;
    unsigned first = view->segment_count;
    for (unsigned periods = 0; first > 0; first--) {
        const bool is_another = first == view->segment_count ||
                                segments[first - 1].period_first != segments[first].period_first;
        if (is_another && ++periods > MPD_PERIODS_MAX)
            break;
    }
    for (unsigned index = first; index < view->segment_count; index++) {
        const struct live_view_segment *segment = &segments[index];
        if (segment->is_gap && period)
            continue; /* of the period before it, which ends with what there is */
        const bool is_continuous = index > first && segments[index - 1].epoch == segment->epoch;
        if (index == first || segments[index - 1].period_first != segment->period_first) {
            const struct live_view_epoch *epoch = &view->epochs[segment->epoch];
            if (period && is_continuous)
                period->end_us = segment->begin_us;
            period = &parts->periods[count];
            *period = (struct mpd_live_period){.id = (unsigned)segment->period_first,
                                               .init = epoch->init,
                                               .is_continuous = is_continuous,
                                               .begin_us = segment->period_begin_us,
                                               .first_number = segment->period_first,
                                               .segment_us = view->segment_us,
                                               .tracks = parts->tracks[count]};
            period->track_count = fill_tracks(epoch, parts->tracks[count++]);
        }
        period->last_number = segment->number;
        period->end_us = segment->begin_us + segment->duration_us;
    }
    if (period && view->state != LIVE_ENDED) {
        period->end_us = -1;
    } else if (period) { /* what has gone from its begin is not to be asked for any more */
        parts->periods[0].begin_us = segments[first].begin_us;
        parts->periods[0].first_number = segments[first].number;
    }
    return count;
}

static void write_manifest(const struct live_view *view, struct text *text)
{
    struct mpd_parts *parts = malloc(sizeof *parts);
    const struct live_view_segment *last = &view->segments[view->segment_count - 1];
    const bool has_parts = view->part_target_us > 0;
    const uint32_t latency_us =
        has_parts ? LATENCY_PARTS * view->part_target_us : LATENCY_SEGMENTS * view->segment_us;
    if (!parts) {
        text->has_failed = true;
        return;
    }
    const struct mpd_live mpd = {.available_ms = view->available_ms,
                                 .published_ms = view->available_ms +
                                                 (last->begin_us + last->duration_us) / 1000,
                                 .depth_ms = (uint64_t)view->window_ms,
                                 .part_us = has_parts ? view->part_target_us : view->segment_us,
                                 .latency_ms = latency_us / 1000,
                                 .clock_uri = "time",
                                 .is_ended = view->state == LIVE_ENDED,
                                 .periods = parts->periods,
                                 .period_count = fill_periods(view, parts)};
    mpd_live_write(text, &mpd);
    free(parts);
}

void live_reply_manifest(struct live_request *wanted)
{
    struct live_view *view = live_look(wanted->channel);
    struct text text = {0};
    if (view && view->segment_count > 0)
        write_manifest(view, &text);
    else
        text.has_failed = true;
    reply_text(wanted, "application/dash+xml", &text, "no-cache");
    text_fini(&text);
    free(view);
}
