/* SPDX-License-Identifier: MIT */
/*
 * See live.h: what a publisher sends, put on the channel's time line.
 *
 * An epoch begins with a picture that can be decoded (or, without video, with any sound), once it
 * is known which tracks there are. All tracks are moved by the same time, so that what was together
 * stays together. The next epoch begins where the wall clock is by then, but never before the last
 * one's end, so that the time line keeps to the wall clock.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "media/live_log.h"

enum {
    STSD_ROOM = MP4_STSD_MAX,
    BYTES_AT_FIRST = 256 * 1024,
    SAMPLES_AT_FIRST = 64,
    SMALL_FALL_MS = 500,   /* a time that falls by less is put right, not believed */
    OTHER_TRACK_MS = 1000, /* that may be announced so much later than the first */
    INIT_MAX = 2 * MP4_STSD_MAX + 4096,
};
/* Of publishers' clocks, and of channels: with both no timescale makes times overflow. */
static const int64_t CLOCK_MAX_S = 3800LL * 1000 * 1000; /* 120 years */
static const int64_t LINE_MAX_S = 400LL * 1000 * 1000;   /* 12 years */
static_assert((3800LL + 400) * 1000 * 1000 < INT64_MAX / INT32_MAX, "the ticks of both fit");

int live_refuse(struct live_publisher *publisher, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(publisher->reason, sizeof publisher->reason, format, arguments);
    va_end(arguments);
    publisher->is_stopped = true;
    return error;
}

const char *live_publisher_reason(const struct live_publisher *publisher)
{
    return publisher->reason;
}

bool live_publisher_has_tracks(const struct live_publisher *publisher)
{
    return publisher->inputs[0].is_there || publisher->inputs[1].is_there;
}

/* ---- Tracks ---------------------------------------------------------------------------------- */

static bool is_same_track(const struct live_input *input, const struct mp4_track *track)
{
    const struct mp4_track *old = &input->mp4;
    return input->is_there && old->timescale == track->timescale &&
           old->stsd.size == track->stsd.size && old->entry_count == track->entry_count &&
           memcmp(old->stsd.data, track->stsd.data, track->stsd.size) == 0 &&
           old->width == track->width && old->height == track->height &&
           memcmp(old->matrix, track->matrix, sizeof track->matrix) == 0;
}

static int copy_track(struct live_publisher *publisher, struct live_input *input, unsigned index,
                      const struct mp4_track *track, uint32_t id)
{
    unsigned char *stsd = malloc(track->stsd.size);
    if (!stsd)
        return live_refuse(publisher, -ENOMEM, "there is no memory for it");
    memcpy(stsd, track->stsd.data, track->stsd.size);
    free(input->stsd);
    input->stsd = stsd;
    input->mp4 = *track;
    input->mp4.stsd = slice_of(stsd, track->stsd.size);
    input->mp4.id = id;
    input->mp4.edit_count = 0;
    input->index = index;
    input->is_there = true;
    return 0;
}

int live_publisher_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct live_publisher *publisher = user;
    const bool is_video = track->handler == MP4_FOURCC('v', 'i', 'd', 'e');
    struct live_input *input = &publisher->inputs[is_video ? 0 : 1];
    if (publisher->is_stopped)
        return -ECANCELED;
    if (!is_video && track->handler != MP4_FOURCC('s', 'o', 'u', 'n'))
        return 0;
    if (input->is_there && input->index != index)
        return 0; /* the first of each kind is what a channel has */
    if (track->codec.is_encrypted || track->codec.text[0] == '\0')
        return live_refuse(publisher, -EOPNOTSUPP,
                           "its %s (%c%c%c%c) is nothing that browsers play",
                           is_video ? "video" : "audio", track->codec.fourcc >> 24 & 0x7f,
                           track->codec.fourcc >> 16 & 0x7f, track->codec.fourcc >> 8 & 0x7f,
                           track->codec.fourcc & 0x7f);
    ASSERT(track->timescale > 0 && track->stsd.size <= STSD_ROOM);
    if (is_same_track(input, track))
        return 0;
    /* What came before it belongs to the old description. */
    const int error = publisher->epoch ? live_cut(publisher, true) : 0;
    if (error)
        return error;
    input->has_changed = true;
    input->count = 0;
    input->size = 0;
    return copy_track(publisher, input, index, track, is_video ? LIVE_VIDEO_ID : LIVE_AUDIO_ID);
}

/* ---- What is gathered ------------------------------------------------------------------------ */

static int grow(struct live_publisher *publisher, struct live_input *input, size_t size)
{
    if (input->count == input->capacity) {
        const size_t capacity = input->capacity ? 2 * input->capacity : SAMPLES_AT_FIRST;
        void *samples = realloc(input->samples, capacity * sizeof *input->samples);
        if (!samples)
            return live_refuse(publisher, -ENOMEM, "there is no memory for its samples");
        input->samples = samples;
        input->capacity = capacity;
    }
    if (input->bytes_capacity - input->size >= size)
        return 0;
    size_t capacity = input->bytes_capacity ? input->bytes_capacity : BYTES_AT_FIRST;
    while (capacity - input->size < size)
        capacity *= 2;
    void *bytes = realloc(input->bytes, capacity);
    if (!bytes)
        return live_refuse(publisher, -ENOMEM, "there is no memory for its samples");
    input->bytes = bytes;
    input->bytes_capacity = capacity;
    return 0;
}

static int gather(struct live_publisher *publisher, struct live_input *input, int64_t dts,
                  const struct media_sample *sample)
{
    const size_t gathered = publisher->inputs[0].size + publisher->inputs[1].size;
    if (gathered + sample->data.size > LIVE_PENDING_MAX)
        return live_refuse(publisher, -LEAT_E_LIMIT,
                           "%d MiB have come and there is still no picture to begin with",
                           LIVE_PENDING_MAX >> 20);
    if (publisher->inputs[0].count + publisher->inputs[1].count >= LIVE_PENDING_SAMPLES_MAX)
        return live_refuse(publisher, -LEAT_E_LIMIT,
                           "%d samples have come that make no part: no picture, or no time passes",
                           LIVE_PENDING_SAMPLES_MAX);
    const int error = grow(publisher, input, sample->data.size);
    if (error)
        return error;
    input->samples[input->count++] = (struct live_sample){.dts = dts,
                                                          .cto = sample->cto,
                                                          .duration = sample->duration,
                                                          .size = (uint32_t)sample->data.size,
                                                          .is_sync = sample->is_sync};
    if (sample->is_sync) {
        input->sync_distance = dts - input->last_sync;
        input->last_sync = dts;
    }
    if (sample->data.size > 0)
        memcpy(input->bytes + input->size, sample->data.data, sample->data.size);
    input->size += sample->data.size;
    return 0;
}

static void drop_gathered(struct live_input *input)
{
    input->count = 0;
    input->size = 0;
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

static int write_init(struct live_publisher *publisher, struct live_epoch *epoch,
                      enum live_stream stream)
{
    struct mp4_init_track tracks[2];
    unsigned count = 0;
    for (unsigned kind = 0; kind < 2; kind++) {
        const bool is_wanted = stream == LIVE_MUXED || (stream == LIVE_VIDEO) == (kind == 0);
        if (publisher->inputs[kind].is_there && is_wanted)
            tracks[count++] = (struct mp4_init_track){.track = &publisher->inputs[kind].mp4};
    }
    if (count == 0)
        return 0;
    unsigned char *data = malloc(INIT_MAX);
    if (!data)
        return -ENOMEM;
    struct writer writer = writer_over(data, INIT_MAX);
    mp4_write_init(&writer, tracks, count);
    ASSERT(!writer.failed);
    unsigned char *fitted = realloc(data, writer.size);
    epoch->inits[stream].data = fitted ? fitted : data;
    epoch->inits[stream].size = writer.size;
    return 0;
}

static void describe(struct live_track_info *info, const struct live_input *input)
{
    info->is_there = input->is_there;
    info->codec = input->mp4.codec;
    info->timescale = input->mp4.timescale;
    memcpy(info->language, input->mp4.language, sizeof info->language);
}

static struct live_epoch *make_epoch(struct live_publisher *publisher)
{
    struct live_epoch *epoch = calloc(1, sizeof *epoch);
    if (!epoch)
        return NULL;
    list_init(&epoch->node);
    epoch->segments = 1; /* the publisher's */
    for (unsigned kind = 0; kind < 2; kind++)
        describe(&epoch->tracks[kind], &publisher->inputs[kind]);
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++)
        if (write_init(publisher, epoch, (enum live_stream)stream) != 0) {
            live_epoch_drop(epoch);
            return NULL;
        }
    return epoch;
}

/* Which init it is: that of the epoch before, when it is the same. */
static uint64_t number_init(const struct live_channel *channel, const struct live_epoch *epoch)
{
    if (!list_is_empty(&channel->epochs)) {
        const struct live_epoch *last =
            CONTAINER_OF(channel->epochs.previous, struct live_epoch, node);
        const unsigned char *data = last->inits[LIVE_MUXED].data;
        if (last->inits[LIVE_MUXED].size == epoch->inits[LIVE_MUXED].size &&
            memcmp(data, epoch->inits[LIVE_MUXED].data, epoch->inits[LIVE_MUXED].size) == 0)
            return last->init;
    }
    return channel->next_number;
}

/* Where on the time line an epoch begins. With the lock held. */
static int64_t place_epoch(const struct live_channel *channel)
{
    const int64_t since_us =
        channel->available_ms ? (live_wall_ms() - channel->available_ms) * 1000 : 0;
    return since_us > channel->end_us ? since_us : channel->end_us;
}

static bool is_restless(struct live_publisher *publisher)
{
    const int64_t now_ns = leat_now_ns();
    int64_t *slot = &publisher->epoch_begins[publisher->epoch_begin_count++ % LIVE_EPOCHS_A_MINUTE];
    const bool is =
        publisher->epoch_begin_count > LIVE_EPOCHS_A_MINUTE && now_ns - *slot < 60 * LEAT_NS_PER_S;
    *slot = now_ns;
    return is;
}

/* Begins one at the time `origin_us` of the publisher's clock. */
static int begin_epoch(struct live_publisher *publisher, int64_t origin_us)
{
    struct live_channel *channel = publisher->channel;
    if (is_restless(publisher))
        return live_refuse(publisher, -LEAT_E_MALFORMED,
                           "its clock has jumped %d times within a minute", LIVE_EPOCHS_A_MINUTE);
    struct live_epoch *epoch = make_epoch(publisher);
    if (!epoch)
        return live_refuse(publisher, -ENOMEM, "there is no memory for it");
    pthread_mutex_lock(&channel->lock);
    epoch->begin_us = place_epoch(channel);
    if (epoch->begin_us > LINE_MAX_S * 1000000) {
        pthread_mutex_unlock(&channel->lock);
        live_epoch_drop(epoch);
        return live_refuse(publisher, -LEAT_E_LIMIT, "the channel's time has come to its end");
    }
    epoch->first_number = channel->next_number;
    epoch->init = number_init(channel, epoch);
    channel->epochs_made++;
    list_push_back(&channel->epochs, &epoch->node);
    pthread_mutex_unlock(&channel->lock);
    publisher->epoch = epoch;
    publisher->period_segments = 0;
    publisher->period_begin_us = epoch->begin_us;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct live_input *input = &publisher->inputs[kind];
        if (!input->is_there)
            continue;
        const uint32_t timescale = input->mp4.timescale;
        const int64_t begin = live_ticks_from(epoch->begin_us, timescale);
        input->shift = begin - live_ticks(origin_us, timescale);
        input->has_changed = false;
        input->looked_us = INT64_MIN / 2;
        input->next_dts = INT64_MIN;
        input->cut_dts = begin;
    }
    return 0;
}

/* What has come of it is cut, and the next keyframe begins another. */
static int end_epoch(struct live_publisher *publisher)
{
    struct live_channel *channel = publisher->channel;
    const int error = live_cut(publisher, true);
    if (error)
        return error;
    live_seal(publisher, false);
    pthread_mutex_lock(&channel->lock);
    live_epoch_drop(publisher->epoch);
    pthread_mutex_unlock(&channel->lock);
    publisher->epoch = NULL;
    for (unsigned kind = 0; kind < 2; kind++) {
        drop_gathered(&publisher->inputs[kind]);
        publisher->inputs[kind].has_last = false;
    }
    return 0;
}

/* ---- Before an epoch ------------------------------------------------------------------------- */

/* Samples are gathered by the publisher's clock until there is something to begin with. */
static void move_to_epoch(struct live_input *input, int64_t origin_us)
{
    size_t dropped = 0, bytes = 0;
    const int64_t origin = live_ticks(origin_us, input->mp4.timescale);
    while (dropped < input->count && input->samples[dropped].dts < origin)
        bytes += input->samples[dropped++].size;
    memmove(input->samples, input->samples + dropped,
            (input->count - dropped) * sizeof *input->samples);
    if (input->size > bytes)
        memmove(input->bytes, input->bytes + bytes, input->size - bytes);
    input->count -= dropped;
    input->size -= bytes;
    for (size_t index = 0; index < input->count; index++) {
        input->samples[index].dts += input->shift;
        input->next_dts = input->samples[index].dts + input->samples[index].duration;
    }
}

static int try_begin(struct live_publisher *publisher)
{
    struct live_input *lead = live_lead(publisher);
    struct live_input *other = &publisher->inputs[lead == &publisher->inputs[0] ? 1 : 0];
    if (lead->count == 0)
        return 0;
    const int64_t first_us = live_us(lead->samples[0].dts, lead->mp4.timescale);
    const int64_t wait_us = OTHER_TRACK_MS * 1000;
    if (!other->is_there && lead->heard_us - first_us < wait_us)
        return 0;
    const int error = begin_epoch(publisher, first_us);
    if (error)
        return error;
    for (unsigned kind = 0; kind < 2; kind++)
        if (publisher->inputs[kind].count > 0)
            move_to_epoch(&publisher->inputs[kind], first_us);
    return live_cut(publisher, false);
}

static int sample_before_epoch(struct live_publisher *publisher, struct live_input *input,
                               const struct media_sample *sample)
{
    const bool is_video = input == &publisher->inputs[0];
    if (is_video && input->count == 0 && !sample->is_sync)
        return 0; /* nothing can be seen of it */
    /* A time that jumps before there is an epoch: what was gathered is of no use. */
    if (input->has_last) {
        const int64_t step_us = live_us(sample->dts - input->last_dts, input->mp4.timescale);
        if (step_us <= 0 || step_us > LIVE_JUMP_MS * 1000)
            drop_gathered(input);
        if (is_video && input->count == 0 && !sample->is_sync)
            return 0;
    }
    input->last_dts = sample->dts;
    input->has_last = true;
    const int error = gather(publisher, input, sample->dts, sample);
    return error ? error : try_begin(publisher);
}

/* ---- Within one ------------------------------------------------------------------------------ */

static bool has_jumped(const struct live_publisher *publisher, const struct live_input *input,
                       int64_t dts)
{
    const uint32_t timescale = input->mp4.timescale;
    if (input->next_dts != INT64_MIN) {
        const int64_t step_us = live_us(dts - input->next_dts, timescale);
        return step_us > LIVE_JUMP_MS * 1000 || step_us < -SMALL_FALL_MS * 1000;
    }
    const struct live_input *lead = &publisher->inputs[input == &publisher->inputs[0] ? 1 : 0];
    if (!lead->is_there || lead->next_dts == INT64_MIN)
        return false;
    const int64_t off_us = live_us(dts, timescale) - live_us(lead->next_dts, lead->mp4.timescale);
    return off_us > 2 * LIVE_JUMP_MS * 1000 || off_us < -2 * LIVE_JUMP_MS * 1000;
}

/* Its time on the channel's line. What is beyond its ends has jumped there. */
static int64_t place_sample(const struct live_input *input, const struct media_sample *sample)
{
    const int64_t most = LINE_MAX_S * input->mp4.timescale;
    const __int128 dts = (__int128)sample->dts + input->shift;
    return dts > most ? most : dts < -most ? -most : (int64_t)dts;
}

/* Is it time to see whether there is a part? Not with each of a thousand samples a millisecond. */
static bool is_time_to_look(struct live_publisher *publisher, struct live_input *input, int64_t dts)
{
    enum { STEP_US = 1000, SAMPLES = 64 };
    const int64_t at_us = live_us(dts, input->mp4.timescale);
    if (++publisher->unlooked < SAMPLES && at_us - input->looked_us < STEP_US)
        return false;
    publisher->unlooked = 0;
    input->looked_us = at_us;
    return true;
}

static int sample_in_epoch(struct live_publisher *publisher, struct live_input *input,
                           const struct media_sample *sample)
{
    struct media_sample placed = *sample;
    int64_t dts = place_sample(input, sample);
    if (input->next_dts == INT64_MIN &&
        dts < live_ticks_from(publisher->epoch->begin_us, input->mp4.timescale))
        return 0; /* sound of before the first picture */
    /* It is shown when it was to be shown; only decoded later. */
    if (input->next_dts != INT64_MIN && dts < input->next_dts) {
        const int64_t late = input->next_dts - dts;
        dts = input->next_dts;
        placed.cto = sample->cto - late > INT32_MIN ? (int32_t)(sample->cto - late) : INT32_MIN;
    }
    input->next_dts = dts + (sample->duration > 0 ? sample->duration : 1);
    const int error = gather(publisher, input, dts, &placed);
    if (error || !is_time_to_look(publisher, input, dts))
        return error;
    return live_cut(publisher, false);
}

/* May it go on? */
static int hear(struct live_publisher *publisher)
{
    struct live_channel *channel = publisher->channel;
    pthread_mutex_lock(&channel->lock);
    const bool is_ours = channel->publisher == publisher;
    const int error = channel->log ? channel->log->error : 0;
    if (is_ours)
        channel->heard_ns = leat_now_ns();
    pthread_mutex_unlock(&channel->lock);
    if (!is_ours)
        return live_refuse(publisher, -ECANCELED, "another publisher has taken its place");
    if (channel->hub->is_left)
        return live_refuse(publisher, -ESHUTDOWN, "this server is about to end, come again");
    if (error)
        return live_refuse(publisher, -ENOSPC, "it cannot be kept, %s: %s",
                           channel->log->store->label, leat_error_text(error));
    return 0;
}

/* Is it far beyond what any clock says, and what arithmetic bears? */
static int check_sample(struct live_publisher *publisher, const struct live_input *input,
                        const struct media_sample *sample)
{
    const int64_t most = CLOCK_MAX_S * input->mp4.timescale;
    if (sample->data.size > MEDIA_SAMPLE_MAX)
        return live_refuse(publisher, -LEAT_E_LIMIT, "a sample has %zu bytes, %d are taken",
                           sample->data.size, MEDIA_SAMPLE_MAX);
    if (sample->dts > most || sample->dts < -most)
        return live_refuse(publisher, -LEAT_E_MALFORMED, "a sample's time is none");
    return 0;
}

int live_publisher_sample(unsigned index, const struct media_sample *told, void *user)
{
    struct live_publisher *publisher = user;
    struct live_input *input = NULL;
    struct media_sample heard = *told;
    const struct media_sample *const sample = &heard;
    for (unsigned kind = 0; kind < 2; kind++)
        if (publisher->inputs[kind].is_there && publisher->inputs[kind].index == index)
            input = &publisher->inputs[kind];
    if (publisher->is_stopped)
        return -ECANCELED;
    if (!input)
        return 0;
    int error = check_sample(publisher, input, sample);
    if (!error)
        error = hear(publisher);
    if (error)
        return error;
    if (heard.duration / input->mp4.timescale >= LIVE_FIRST_MAX_MS / 1000)
        heard.duration = 0; /* a gap, or a lie: it lasts until the next one */
    input->heard_us = live_us(sample->dts, input->mp4.timescale);
    if (publisher->epoch) {
        const bool is_new = publisher->inputs[0].has_changed || publisher->inputs[1].has_changed ||
                            has_jumped(publisher, input, place_sample(input, sample));
        if (!is_new)
            return sample_in_epoch(publisher, input, sample);
        error = end_epoch(publisher);
        if (error)
            return error;
    }
    return sample_before_epoch(publisher, input, sample);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void free_publisher(struct live_publisher *publisher)
{
    for (unsigned kind = 0; kind < 2; kind++) {
        free(publisher->inputs[kind].stsd);
        free(publisher->inputs[kind].samples);
        free(publisher->inputs[kind].bytes);
    }
    live_channel_unref(publisher->channel);
    free(publisher);
}

void live_publisher_end(struct live_publisher *publisher, bool is_over)
{
    struct live_channel *channel = publisher->channel;
    pthread_mutex_lock(&channel->lock);
    const bool is_ours = channel->publisher == publisher;
    pthread_mutex_unlock(&channel->lock);
    if (publisher->epoch && is_ours)
        (void)end_epoch(publisher);
    pthread_mutex_lock(&channel->lock);
    if (publisher->epoch) /* it could not be ended */
        live_epoch_drop(publisher->epoch);
    if (channel->publisher == publisher) {
        channel->publisher = NULL;
        channel->gone_ns = leat_now_ns();
        channel->is_over = is_over;
        live_log_left(channel->log);
        if (channel->hub->is_left)
            live_log_release(channel->log);
        live_changed(channel);
    }
    pthread_mutex_unlock(&channel->lock);
    free_publisher(publisher);
}
