/* SPDX-License-Identifier: MIT */
/*
 * See mpegts_es.h.
 */
#include "wire/mpegts_es.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "leat/error.h"
#include "wire/annexb.h"
#include "wire/mp4_entry.h"

enum {
    /* Pictures of which only the first has a time, before any distance was seen: 120 a second. One
     * guessed too short only stretches the last of them; too long, time would fall. */
    STEP_GUESSED = MPEGTS_CLOCK / 120,
    STEP_MAX = MPEGTS_CLOCK, /* further apart pictures are not: time has jumped */
    /* By so much may the times of PES packets differ from counted samples, in milliseconds. Muxers
     * round to 1/90,000 s, those that are fed from FLV to 1 ms, some jitter by more; but half the
     * shortest frame (1024 samples at 96 kHz, 10.7 ms) is a lost frame, and must not pass. */
    DRIFT_MAX_MS = 5,
};

int mpegts_fail(struct mpegts_teller *teller, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(teller->reason, sizeof(teller->reason), format, arguments);
    va_end(arguments);
    ASSERT(error < 0);
    return error;
}

static bool is_video(const struct mpegts_es *es)
{
    return es->codec != MPEGTS_AAC;
}

void mpegts_es_fini(struct mpegts_es *es)
{
    text_fini(&es->data);
    for (unsigned i = 0; i < 3; i++)
        text_fini(&es->video.sets[i]);
}

void mpegts_es_reset(struct mpegts_es *es, enum mpegts_codec codec)
{
    const int index = es->index;
    mpegts_es_fini(es);
    *es = (struct mpegts_es){.codec = codec, .index = index, .language = "und"};
    ASSERT(!es->video.time.is_known && !es->audio.is_described);
}

/* ---- Tracks ---------------------------------------------------------------------------------- */

/* Tells of a track whose entry is written: `result` is what writing it has come to. */
static int tell_track(struct mpegts_es *es, struct mpegts_teller *teller, struct mp4_track *track,
                      int result)
{
    if (result == -ENOBUFS)
        return mpegts_fail(teller, -LEAT_E_LIMIT, "its parameter sets are too large");
    if (result == -EOPNOTSUPP)
        return mpegts_fail(teller, result, "its %s is of a profile that cannot be passed on",
                           is_video(es) ? "video" : "AAC");
    if (result < 0)
        return mpegts_fail(teller, result, "its %s cannot be read",
                           is_video(es) ? "parameter sets" : "ADTS headers");
    if (es->index < 0 && teller->track_count == MP4_TRACKS_MAX)
        return mpegts_fail(teller, -LEAT_E_LIMIT, "it has had more than %d tracks", MP4_TRACKS_MAX);
    if (es->index < 0)
        es->index = (int)teller->track_count++;
    ASSERT(es->index < MP4_TRACKS_MAX && track->entry_count == 1);
    track->id = (uint32_t)es->index + 1;
    track->is_enabled = true;
    memcpy(track->language, es->language, sizeof(track->language));
    return teller->events.on_track((unsigned)es->index, track, teller->events.user);
}

static int tell_video(struct mpegts_es *es, struct mpegts_teller *teller)
{
    const struct text *const sets = es->video.sets;
    struct writer record = writer_over(teller->record, sizeof(teller->record));
    struct writer entry = writer_over(teller->entry, sizeof(teller->entry));
    struct mp4_track track = {.timescale = MPEGTS_CLOCK};
    const struct leat_slice vps = slice_of(sets[0].data, sets[0].size);
    const struct leat_slice sps = slice_of(sets[1].data, sets[1].size);
    const struct leat_slice pps = slice_of(sets[2].data, sets[2].size);
    int result;
    if (es->codec == MPEGTS_AVC) {
        result = mp4_avcc_write(&record, sps, pps);
        if (!result)
            result = mp4_entry_avc(&entry, writer_slice(&record), &track);
    } else {
        result = mp4_hvcc_write(&record, vps, sps, pps);
        if (!result)
            result = mp4_entry_hevc(&entry, writer_slice(&record), &track);
    }
    return tell_track(es, teller, &track, result);
}

static int tell_audio(struct mpegts_es *es, struct mpegts_teller *teller)
{
    unsigned char config[ADTS_CONFIG_SIZE];
    struct writer entry = writer_over(teller->entry, sizeof(teller->entry));
    struct mp4_track track = {.timescale = es->audio.header.sample_rate};
    adts_config(&es->audio.header, config);
    const int result = mp4_entry_aac(&entry, slice_of(config, sizeof(config)), &track);
    return tell_track(es, teller, &track, result);
}

static int tell_sample(const struct mpegts_es *es, struct mpegts_teller *teller,
                       const struct media_sample *sample)
{
    ASSERT(es->index >= 0 && sample->data.size > 0);
    if (sample->data.size > MEDIA_SAMPLE_MAX)
        return mpegts_fail(teller, -LEAT_E_LIMIT, "an access unit of %zu bytes is more than %d",
                           sample->data.size, MEDIA_SAMPLE_MAX);
    return teller->events.on_sample((unsigned)es->index, sample, teller->events.user);
}

/* ---- Video ----------------------------------------------------------------------------------- */

/* An access unit as it is put together in teller->sample. */
struct unit {
    struct mpegts_time time;
    bool has_picture, is_sync;
};

static enum annexb_codec annexb_of(const struct mpegts_es *es)
{
    ASSERT(is_video(es));
    return es->codec == MPEGTS_AVC ? ANNEXB_AVC : ANNEXB_HEVC;
}

/* Keeps a parameter set for the description. 1; 0 when it has a number of its own and belongs into
 * the sample; or an error. */
static int take_set(struct mpegts_es *es, struct mpegts_teller *teller, enum annexb_kind kind,
                    struct leat_slice nal)
{
    struct text *const set = &es->video.sets[kind - ANNEXB_VPS];
    const enum annexb_codec codec = annexb_of(es);
    if (nal.size > MPEGTS_PARAMETER_SET_MAX)
        return mpegts_fail(teller, -LEAT_E_LIMIT, "a parameter set of %zu bytes is more than %d",
                           nal.size, MPEGTS_PARAMETER_SET_MAX);
    const struct leat_slice known = slice_of(set->data, set->size);
    if (known.size > 0 && annexb_set_id(codec, kind, known) != annexb_set_id(codec, kind, nal))
        return 0;
    if (slice_equal(known, nal))
        return 1;
    set->size = 0;
    text_add(set, nal);
    es->video.is_described = false;
    return set->has_failed ? -ENOMEM : 1;
}

static bool has_sets(const struct mpegts_es *es)
{
    const struct text *const sets = es->video.sets;
    return sets[1].size > 0 && sets[2].size > 0 && (es->codec == MPEGTS_AVC || sets[0].size > 0);
}

/* An access unit without a picture is none; without parameter sets nobody can make use of it. */
static int tell_unit(struct mpegts_es *es, struct mpegts_teller *teller, const struct unit *unit)
{
    struct mpegts_video *const video = &es->video;
    if (teller->sample.has_failed)
        return -ENOMEM;
    if (!unit->has_picture || !has_sets(es))
        return 0;
    if (!video->is_described) {
        const int error = tell_video(es, teller);
        if (error)
            return error;
        video->is_described = true;
    }
    const struct media_sample sample = {
        .dts = unit->time.dts,
        .cto = unit->time.cto,
        .is_sync = unit->is_sync,
        .data = slice_of(teller->sample.data, teller->sample.size),
    };
    return tell_sample(es, teller, &sample);
}

/* One more NAL unit of the access unit. */
static int add_nal(struct mpegts_es *es, struct mpegts_teller *teller, struct unit *unit,
                   enum annexb_kind kind, struct leat_slice nal)
{
    int taken = 0;
    switch (kind) {
    case ANNEXB_DELIMITER:
    case ANNEXB_IDLE: return 0;
    case ANNEXB_VPS:
    case ANNEXB_SPS:
    case ANNEXB_PPS: taken = take_set(es, teller, kind, nal); break;
    case ANNEXB_SYNC:
    case ANNEXB_RECOVERY: unit->is_sync = true; break;
    case ANNEXB_PICTURE:
    case ANNEXB_OTHER: break;
    }
    unit->has_picture |= kind == ANNEXB_SYNC || kind == ANNEXB_PICTURE;
    if (taken == 0)
        annexb_put(&teller->sample, nal);
    return taken < 0 ? taken : 0;
}

/* From one access unit to the next, where only the first one's time is known. */
static int64_t step_of(const struct mpegts_video *video)
{
    if (!video->has_last)
        return STEP_GUESSED;
    const int64_t step = (video->time.dts - video->last_dts) / (int64_t)video->last_count;
    return step > 0 && step <= STEP_MAX ? step : STEP_GUESSED;
}

/* What came since the last PES packet with a time is whole. */
static int tell_units(struct mpegts_es *es, struct mpegts_teller *teller)
{
    struct mpegts_video *const video = &es->video;
    const int64_t step = step_of(video);
    struct leat_slice stream = slice_of(es->data.data, es->data.size), nal;
    struct unit unit = {.time = video->time};
    unsigned count = 1;
    int error = 0;
    teller->sample.size = 0;
    while (!error && annexb_next(&stream, &nal)) {
        const enum annexb_kind kind = annexb_kind_of(annexb_of(es), nal);
        if (kind == ANNEXB_DELIMITER && unit.has_picture) {
            error = tell_unit(es, teller, &unit);
            unit = (struct unit){.time = unit.time};
            unit.time.dts += step;
            teller->sample.size = 0;
            count++;
        }
        if (!error)
            error = add_nal(es, teller, &unit, kind, nal);
    }
    video->has_last = true;
    video->last_dts = video->time.dts;
    video->last_count = count;
    return error ? error : tell_unit(es, teller, &unit);
}

static int finish_video(struct mpegts_es *es, struct mpegts_teller *teller)
{
    const int error = es->video.time.is_known ? tell_units(es, teller) : 0;
    es->video.time.is_known = false;
    es->data.size = 0;
    return error;
}

/* ---- Audio ----------------------------------------------------------------------------------- */

/* To samples, to the nearest; in two steps, for the product may be beyond 64 bits. */
static int64_t in_samples(int64_t time, uint32_t rate)
{
    const int64_t seconds = time / MPEGTS_CLOCK, rest = time % MPEGTS_CLOCK;
    return seconds * rate + (rest * rate + MPEGTS_CLOCK / 2) / MPEGTS_CLOCK;
}

/* Sets the clock by a PES packet's time, unless what was counted is as good. */
static void set_time(struct mpegts_audio *audio)
{
    const uint32_t rate = audio->header.sample_rate;
    const int64_t told = in_samples(audio->time.dts + audio->time.cto, rate);
    const int64_t drift = told - audio->next_dts;
    const int64_t drift_max = (int64_t)rate * DRIFT_MAX_MS / 1000;
    ASSERT(audio->time.is_known && rate > 0);
    if (!audio->has_next || drift > drift_max || drift < -drift_max)
        audio->next_dts = told;
    audio->has_next = audio->is_timed = true;
    audio->time.is_known = false;
}

static int describe_audio(struct mpegts_es *es, struct mpegts_teller *teller,
                          const struct adts *header)
{
    struct mpegts_audio *const audio = &es->audio;
    if (header->channel_config == 0)
        return mpegts_fail(teller, -EOPNOTSUPP,
                           "its AAC describes its channels by a program config element");
    if (audio->is_described && audio->header.sample_rate != header->sample_rate)
        audio->has_next = audio->is_timed = false;
    audio->header = *header;
    audio->is_described = true;
    return tell_audio(es, teller);
}

/* The frame at `offset`, which is there as a whole. */
static int tell_frame(struct mpegts_es *es, struct mpegts_teller *teller, size_t offset,
                      const struct adts *header)
{
    struct mpegts_audio *const audio = &es->audio;
    if (header->block_count > 1)
        return mpegts_fail(teller, -EOPNOTSUPP, "its AAC has %u blocks in an ADTS frame",
                           header->block_count);
    if (!audio->is_described || !adts_is_alike(&audio->header, header)) {
        const int error = describe_audio(es, teller, header);
        if (error)
            return error;
    }
    if (audio->time.is_known && offset >= audio->time_offset)
        set_time(audio);
    if (!audio->is_timed)
        return 0;
    const struct media_sample sample = {
        .dts = audio->next_dts,
        .duration = ADTS_FRAME_SAMPLES,
        .is_sync = true,
        .data = slice_of(es->data.data + offset + header->header_size,
                         header->frame_size - header->header_size),
    };
    audio->next_dts += ADTS_FRAME_SAMPLES;
    return tell_sample(es, teller, &sample);
}

/* Is a frame at `offset`? One that follows another is taken at its word, and so is one where a PES
 * packet begins, of the kind that is known; what else looks like one must be followed by another of
 * its kind. Positive, and all of it is there; 0: more is needed to know; negative: no. */
static int find_frame(const struct mpegts_es *es, size_t offset, struct adts *ret_header)
{
    const struct mpegts_audio *const audio = &es->audio;
    const struct leat_slice bytes = slice_of(es->data.data + offset, es->data.size - offset);
    struct adts next;
    int result = adts_read(bytes, ret_header);
    if (result <= 0)
        return result;
    if (bytes.size < ret_header->frame_size)
        return 0;
    const bool is_first = audio->time.is_known && offset == audio->time_offset;
    const bool is_known = !audio->is_described || adts_is_alike(&audio->header, ret_header);
    if (audio->is_in_step || (is_first && is_known))
        return 1;
    result = adts_read(slice_after(bytes, ret_header->frame_size), &next);
    return result > 0 && !adts_is_alike(ret_header, &next) ? -1 : result;
}

static int tell_frames(struct mpegts_es *es, struct mpegts_teller *teller)
{
    struct mpegts_audio *const audio = &es->audio;
    size_t offset = 0;
    int error = 0, found = 1;
    while (!error && offset < es->data.size) {
        struct adts header;
        found = find_frame(es, offset, &header);
        if (found == 0)
            break;
        audio->is_in_step = found > 0;
        if (found > 0)
            error = tell_frame(es, teller, offset, &header);
        offset += found > 0 ? header.frame_size : 1;
    }
    ASSERT(offset <= es->data.size);
    es->data.size -= offset;
    memmove(es->data.data, es->data.data + offset, es->data.size);
    audio->time_offset -= audio->time_offset < offset ? audio->time_offset : offset;
    return error;
}

/* ---- PES packets ----------------------------------------------------------------------------- */

int mpegts_es_begin(struct mpegts_es *es, struct mpegts_teller *teller, struct mpegts_time time)
{
    if (!time.is_known)
        return 0;
    if (!is_video(es)) {
        es->audio.time = time;
        es->audio.time_offset = es->data.size;
        return 0;
    }
    const int error = finish_video(es, teller);
    es->video.time = time;
    return error;
}

int mpegts_es_add(struct mpegts_es *es, struct mpegts_teller *teller, struct leat_slice bytes)
{
    if (bytes.size == 0 || (is_video(es) && !es->video.time.is_known))
        return 0;
    if (bytes.size > MEDIA_SAMPLE_MAX - es->data.size)
        return mpegts_fail(teller, -LEAT_E_LIMIT, "an access unit has more than %d bytes",
                           MEDIA_SAMPLE_MAX);
    text_add(&es->data, bytes);
    if (es->data.has_failed)
        return -ENOMEM;
    return is_video(es) ? 0 : tell_frames(es, teller);
}

int mpegts_es_finish(struct mpegts_es *es, struct mpegts_teller *teller)
{
    const int error = is_video(es) ? finish_video(es, teller) : 0;
    mpegts_es_drop(es);
    return error;
}

void mpegts_es_drop(struct mpegts_es *es)
{
    es->data.size = 0;
    es->video.time.is_known = false;
    es->audio.time.is_known = false;
    es->audio.is_in_step = es->audio.is_timed = false;
}
