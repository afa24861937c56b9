/* SPDX-License-Identifier: MIT */
/*
 * See live.h: where parts and segments end, and their bytes.
 *
 * Parts are cut by the track that leads, the video where there is one: a part ends before the frame
 * that would make it longer than the limit, and before the keyframe that begins the next segment.
 * The other track's samples go with the part in whose time they begin. Its part waits for them, but
 * no longer than one more part takes: who is late goes with the next.
 *
 * Segments begin near the points of a grid, so that segment n of a period can be found by
 * multiplication (DASH's $Number$): at the first keyframe from a quarter of a segment before the
 * point on, at a quarter behind it at the latest, keyframe or not. The grid's width is the duration
 * of the channel's first segment, which ends at the first keyframe 2 s after its begin. A clock or
 * a keyframe distance that is a little off drifts away from it: then a new grid begins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "media/live_log.h"

enum {
    LIMIT_PERCENT = 105,          /* of the wanted part: five frames at 24 a second last 208 ms */
    SEGMENT_SLACK_US = 50 * 1000, /* by which the first segment may end early */
    AUDIO_SLACK_US = 30 * 1000,   /* a frame of AAC, rounded up */
    REST_MIN_US = 500,
    FRAME_GUESS_US = 40 * 1000, /* of the very last frame, when nothing tells */
};

/* ---- Where ----------------------------------------------------------------------------------- */

static int64_t us_of(const struct live_input *input, int64_t ticks)
{
    return live_us(ticks, input->mp4.timescale);
}

/* Of a frame that has none of its own, by the one before it. */
static int64_t guess_duration(const struct live_input *input, size_t index)
{
    if (index > 0 && input->samples[index].dts > input->samples[index - 1].dts)
        return input->samples[index].dts - input->samples[index - 1].dts;
    return live_ticks(FRAME_GUESS_US, input->mp4.timescale);
}

/* Where the first `count` samples end; INT64_MIN: nobody knows yet. */
static int64_t end_of(const struct live_input *input, size_t count)
{
    ASSERT(count > 0 && count <= input->count);
    const struct live_sample *last = &input->samples[count - 1];
    if (count < input->count)
        return input->samples[count].dts;
    return last->duration > 0 ? last->dts + last->duration : INT64_MIN;
}

static int64_t end_or_guess(const struct live_input *input, size_t count)
{
    const int64_t end = end_of(input, count);
    return end != INT64_MIN ? end
                            : input->samples[count - 1].dts + guess_duration(input, count - 1);
}

/* Where the grid wants the next segment to begin. */
static int64_t next_point_us(const struct live_publisher *publisher)
{
    return publisher->period_begin_us +
           ((int64_t)publisher->period_segments + 1) * publisher->channel->segment_us;
}

/* The keyframe behind this sample, where it is or where it can be expected. */
static int64_t next_sync(const struct live_input *lead, size_t index)
{
    enum { LOOK_AHEAD = 1024 };
    const size_t end = lead->count - index > LOOK_AHEAD ? index + LOOK_AHEAD : lead->count;
    for (size_t next = index + 1; next < end; next++)
        if (lead->samples[next].is_sync)
            return lead->samples[next].dts;
    return lead->last_sync + lead->sync_distance;
}

/* Does the next segment begin with this sample of the lead? */
static bool begins_segment(const struct live_publisher *publisher, const struct live_input *lead,
                           size_t index)
{
    const struct live_channel *channel = publisher->channel;
    const struct live_sample *sample = &lead->samples[index];
    const int64_t begin = publisher->record ? publisher->segment_begin : lead->samples[0].dts;
    const int64_t lasts_us = us_of(lead, sample->dts - begin);
    const int64_t width_us = channel->segment_us;
    if (lasts_us <= 0)
        return false;
    if (width_us == 0) {
        const int64_t wanted_us = (int64_t)channel->hub->options.segment_ms * 1000;
        return lasts_us >= LIVE_FIRST_MAX_MS * 1000 ||
               (sample->is_sync && lasts_us >= wanted_us - SEGMENT_SLACK_US);
    }
    const int64_t point_us = next_point_us(publisher);
    const int64_t at_us = us_of(lead, sample->dts);
    /* Rounded to whole seconds none may be longer than the target duration. */
    const int64_t most_us = (int64_t)channel->target_s * 1000000 + 499 * 1000;
    const int64_t next_us = us_of(lead, end_or_guess(lead, index + 1) - begin);
    if (next_us > most_us)
        return true;
    if (at_us >= point_us + width_us / 4) { /* late is soon enough for an expected keyframe */
        const int64_t expected_us = us_of(lead, next_sync(lead, index) - begin);
        if (expected_us <= lasts_us || expected_us > most_us)
            return true;
    }
    if (!sample->is_sync || lasts_us < width_us / 4)
        return false;
    /* Early, where the one after it would be too late. */
    const bool is_best = lasts_us >= width_us - width_us / 10 &&
                         us_of(lead, next_sync(lead, index)) >= point_us + width_us / 4;
    return at_us >= point_us - width_us / 4 || is_best;
}

/* Will the next segment begin where the last part has ended? A sample that is there tells; else
 * where the next keyframe can be expected. */
static bool will_begin_segment(const struct live_publisher *publisher,
                               const struct live_input *lead, int64_t end)
{
    const int64_t earliest_us =
        next_point_us(publisher) - (int64_t)publisher->channel->segment_us / 4;
    if (lead->count > 0)
        return begins_segment(publisher, lead, 0);
    const int64_t off_us = us_of(lead, lead->last_sync + lead->sync_distance - end);
    return us_of(lead, end) >= earliest_us && off_us <= publisher->frame_us / 2 &&
           -off_us <= publisher->frame_us / 2;
}

static int64_t part_limit_us(const struct live_channel *channel)
{
    return channel->part_target_us > 0
               ? channel->part_target_us
               : (int64_t)channel->hub->options.part_ms * 10 * LIMIT_PERCENT;
}

/* How many samples of the lead the next part has; 0: that cannot be told yet. */
static size_t find_part(const struct live_publisher *publisher, const struct live_input *lead,
                        bool is_last, bool *ret_ends_segment)
{
    const int64_t limit_us = part_limit_us(publisher->channel);
    const int64_t begin = lead->samples[0].dts;
    *ret_ends_segment = false;
    for (size_t count = 1; count <= lead->count; count++) {
        if (count < lead->count && begins_segment(publisher, lead, count)) {
            *ret_ends_segment = true;
            return count;
        }
        const int64_t end = end_of(lead, count);
        if (end == INT64_MIN)
            break;
        if (count == LIVE_PART_SAMPLES_MAX)
            return count;
        const int64_t next = count < lead->count ? end_or_guess(lead, count + 1) - end
                                                 : guess_duration(lead, count - 1);
        if (us_of(lead, end - begin + next) > limit_us)
            return count;
    }
    return is_last ? lead->count : 0;
}

/* Has the other track come as far as a part that ends at `end_us` with `count` samples of the lead,
 * or is it too late for it? */
static bool is_other_ready(const struct live_publisher *publisher, const struct live_input *lead,
                           const struct live_input *other, size_t count, int64_t end_us)
{
    if (!other->is_there || other == lead || lead->count - count >= LIVE_PART_SAMPLES_MAX)
        return true;
    const int64_t come_us = us_of(lead, end_or_guess(lead, lead->count));
    if (come_us - end_us >= part_limit_us(publisher->channel))
        return true;
    return other->count > 0 &&
           us_of(other, end_or_guess(other, other->count)) >= end_us - AUDIO_SLACK_US;
}

static size_t count_before(const struct live_input *input, int64_t end_us)
{
    size_t count = 0;
    while (count < input->count && us_of(input, input->samples[count].dts) < end_us)
        count++;
    return count;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* They stay in front of what is left until it is moved there, once for all parts. */
static void take_away(struct live_input *input, size_t count, size_t size)
{
    ASSERT(count <= input->count && size <= input->size);
    if (count == 0)
        return;
    input->samples += count;
    input->samples_taken += count;
    input->count -= count;
    input->bytes += size;
    input->bytes_taken += size;
    input->size -= size;
}

static void close_up(struct live_input *input)
{
    if (input->samples_taken == 0)
        return;
    memmove(input->samples - input->samples_taken, input->samples,
            input->count * sizeof *input->samples);
    input->samples -= input->samples_taken;
    if (input->size > 0 && input->bytes_taken > 0)
        memmove(input->bytes - input->bytes_taken, input->bytes, input->size);
    if (input->bytes)
        input->bytes -= input->bytes_taken;
    input->samples_taken = input->bytes_taken = 0;
}

/* Its size in bytes; its end is cut_dts of the input. */
static size_t describe_samples(struct live_input *input, size_t count,
                               struct mp4_fragment_sample *ret_samples)
{
    size_t size = 0;
    for (size_t index = 0; index < count; index++) {
        const struct live_sample *sample = &input->samples[index];
        const int64_t end = end_or_guess(input, index + 1);
        ASSERT(end >= sample->dts);
        ret_samples[index] = (struct mp4_fragment_sample){.position = size,
                                                          .size = sample->size,
                                                          .duration = (uint32_t)(end - sample->dts),
                                                          .cto = sample->cto,
                                                          .is_sync = sample->is_sync};
        size += sample->size;
        input->cut_dts = end;
    }
    return size;
}

/* Writes the fragment of one track to the segment's file, and takes its samples away. The file is
 * memory: no disk is waited for. */
static int write_fragment(struct live_publisher *publisher, unsigned kind, size_t count,
                          const struct live_segment *segment, uint64_t offset, uint32_t *ret_size)
{
    struct live_input *input = &publisher->inputs[kind];
    const int64_t begin = count > 0 ? input->samples[0].dts : input->cut_dts;
    struct mp4_fragment_sample *samples = malloc((count + 1) * sizeof *samples);
    unsigned char *head = NULL;
    int error = -ENOMEM;
    if (!samples)
        goto out;
    const size_t size = describe_samples(input, count, samples);
    struct mp4_fragment fragment = {
        .sequence_number = ++publisher->sequence,
        .tracks = {{.id = input->mp4.id,
                    .dts = (uint64_t)begin,
                    .is_all_sync = kind == 1,
                    .samples = samples,
                    .count = (uint32_t)count}},
        .track_count = 1,
        .body_size = size,
    };
    ASSERT(begin >= 0);
    mp4_fragment_measure(&fragment);
    head = malloc(fragment.head_size);
    if (!head)
        goto out;
    struct writer writer = writer_over(head, fragment.head_size);
    mp4_write_fragment(&writer, &fragment);
    ASSERT(!writer.failed);
    error = live_write_all(segment->sys, segment->fd, head, fragment.head_size, offset);
    if (!error)
        error = live_write_all(segment->sys, segment->fd, input->bytes, size,
                               offset + fragment.head_size);
    *ret_size = (uint32_t)(fragment.head_size + size);
    publisher->segment_bytes[kind] += size;
    take_away(input, count, size);
out:
    free(samples);
    free(head);
    return error;
}

/* ---- Segments -------------------------------------------------------------------------------- */

static struct live_segment *make_segment(void)
{
    const struct backend_sys *sys = loop_current->sys;
    struct live_segment *segment = malloc(sizeof *segment);
    if (!segment)
        return NULL;
    atomic_init(&segment->references, 1);
    segment->sys = sys;
    segment->fd = sys->create(sys, "leat-live");
    if (segment->fd < 0) {
        free(segment);
        return NULL;
    }
    return segment;
}

/* Of which period the segment is: of another one, when it begins far from where the grid has it. */
static void keep_to_grid(struct live_publisher *publisher, struct live_record *record,
                         bool is_first)
{
    const struct live_channel *channel = publisher->channel;
    const int64_t width_us = channel->segment_us;
    const int64_t point_us =
        publisher->period_begin_us + (int64_t)publisher->period_segments * width_us;
    const int64_t off_us = record->begin_us - point_us;
    if (is_first || off_us > width_us * 2 / 5 || -off_us > width_us * 2 / 5) {
        publisher->period_segments = 0;
        publisher->period_begin_us = record->begin_us;
        publisher->period_first = channel->next_number;
    }
    record->period_first = publisher->period_first;
    record->period_begin_us = publisher->period_begin_us;
}

static int begin_segment(struct live_publisher *publisher, int64_t begin)
{
    struct live_channel *channel = publisher->channel;
    const struct live_input *lead = live_lead(publisher);
    struct live_record *record = calloc(1, sizeof *record);
    struct live_part *parts = calloc(LIVE_PARTS_AT_FIRST, sizeof *parts);
    struct live_segment *segment = record && parts ? make_segment() : NULL;
    if (!segment) {
        free(record);
        free(parts);
        return live_refuse(publisher, -ENOMEM, "there is no memory for another segment");
    }
    list_init(&record->node);
    record->epoch = publisher->epoch;
    record->segment = segment;
    /* Ticks may be coarser than what came before. */
    const int64_t begin_us = us_of(lead, begin);
    record->begin_us = begin_us > channel->end_us ? begin_us : channel->end_us;
    record->parts = parts;
    record->part_capacity = LIVE_PARTS_AT_FIRST;
    publisher->segment_begin = begin;
    publisher->segment_frames = 0;
    publisher->segment_bytes[0] = publisher->segment_bytes[1] = 0;
    pthread_mutex_lock(&channel->lock);
    struct live_record *before = live_last_record(channel);
    if (before && !before->is_whole) /* of one whose place was taken */
        before->is_whole = true;
    const bool is_first = publisher->epoch->segments++ == 1; /* that is the publisher's own */
    if (is_first)
        publisher->epoch->first_number = channel->next_number;
    record->is_discontinuity = is_first && before;
    keep_to_grid(publisher, record, is_first);
    pthread_mutex_unlock(&channel->lock);
    publisher->record = record; /* the channel's, once it has a part */
    return 0;
}

/* The distance of keyframes, that is: by the last frame's duration where that says nearly the same,
 * for ffmpeg's first frame of all may last longer by what audio begins earlier. */
static uint32_t width_of(const struct live_publisher *publisher, const struct live_record *first)
{
    const int64_t counted_us = publisher->frame_us * publisher->segment_frames;
    const int64_t off_us = counted_us - first->duration_us;
    const int64_t most_us = first->duration_us / 20;
    return off_us <= most_us && -off_us <= most_us ? (uint32_t)counted_us : first->duration_us;
}

/* Whole segments come at once, as when ffmpeg pushes HLS: parts would be told of ten at a time, and
 * then none for as long as a player bears to wait. */
static bool is_bursty(const struct live_publisher *publisher, const struct live_record *first)
{
    return first->part_count > 1 &&
           (live_wall_ms() - publisher->first_part_ms) * 1000 < first->duration_us / 2;
}

static uint32_t part_target_of(const struct live_publisher *publisher)
{
    const uint32_t wanted_us = publisher->channel->hub->options.part_ms * 1000;
    const uint32_t longest_us = publisher->longest_part_us;
    const uint32_t target_us = longest_us > wanted_us / 2 ? longest_us : wanted_us;
    return (target_us + 999) / 1000 * 1000; /* as it is written */
}

/* What the first segment says of all that follow. With the lock held. */
static void settle(const struct live_publisher *publisher, const struct live_record *first,
                   bool in_time)
{
    struct live_channel *channel = publisher->channel;
    const uint32_t wanted_us = channel->hub->options.segment_ms * 1000;
    channel->segment_us =
        in_time || first->duration_us > wanted_us ? width_of(publisher, first) : wanted_us;
    channel->target_s = (channel->segment_us + 500000) / 1000000;
    if (channel->target_s == 0)
        channel->target_s = 1;
    channel->available_ms = channel->zero_ms;
    channel->part_target_us = part_target_of(publisher);
    if (is_bursty(publisher, first)) {
        channel->part_target_us = 0;
        channel->available_ms = live_wall_ms() - channel->end_us / 1000;
    }
    ASSERT(channel->available_ms > 0);
}

static void rate(struct live_track_info *info, uint64_t bytes, uint32_t duration_us)
{
    const uint64_t bits_per_s = duration_us > 0 ? bytes * 8 * 1000000 / duration_us : 0;
    if (bits_per_s > info->bits_per_s)
        info->bits_per_s = bits_per_s;
}

void live_seal(struct live_publisher *publisher, bool in_time)
{
    struct live_channel *channel = publisher->channel;
    struct live_record *record = publisher->record;
    if (!record)
        return;
    ASSERT(record->part_count > 0);
    pthread_mutex_lock(&channel->lock);
    record->is_whole = true;
    channel->next_begins_segment = true;
    channel->segments_made++;
    for (unsigned kind = 0; kind < 2; kind++)
        rate(&record->epoch->tracks[kind], publisher->segment_bytes[kind], record->duration_us);
    if (record->duration_us > 0 && publisher->inputs[0].is_there)
        record->epoch->tracks[0].frame_rate_milli =
            (uint32_t)(publisher->segment_frames * UINT64_C(1000000000) / record->duration_us);
    if (channel->available_ms == 0)
        settle(publisher, record, in_time);
    live_log_segment(channel->log, record);
    live_trim(channel);
    live_changed(channel);
    pthread_mutex_unlock(&channel->lock);
    publisher->record = NULL;
    publisher->period_segments++;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static void abandon_segment(struct live_publisher *publisher)
{
    struct live_record *record = publisher->record;
    if (record->part_count > 0)
        return; /* it is the channel's, and ends with what it has */
    pthread_mutex_lock(&publisher->channel->lock);
    live_record_free(record);
    pthread_mutex_unlock(&publisher->channel->lock);
    publisher->record = NULL;
}

/* With the lock held; there is room for it. */
static void add_part(struct live_publisher *publisher, const struct live_part *part, int64_t end_us)
{
    struct live_channel *channel = publisher->channel;
    struct live_record *record = publisher->record;
    const uint64_t size = (uint64_t)part->sizes[0] + part->sizes[1];
    const int64_t early_ms = live_wall_ms() - end_us / 1000;
    if (record->part_count == 0) {
        channel->held++;
        publisher->first_part_ms = live_wall_ms();
        live_fill_gap(channel, channel->next_number, record->begin_us);
        record->number = channel->next_number++;
        list_push_back(&channel->records, &record->node);
    }
    record->parts[record->part_count++] = *part;
    record->size += size;
    record->duration_us += part->duration_us; /* of samples: a gap between parts is none of it */
    channel->end_us = end_us;
    channel->memory += size;
    channel->parts_made++;
    channel->part_bytes += size;
    if (channel->available_ms == 0 && early_ms > channel->zero_ms)
        channel->zero_ms = early_ms;
    channel->latency_ms =
        early_ms - (channel->available_ms ? channel->available_ms : channel->zero_ms);
    live_log_part(channel->log, record);
    live_changed(channel);
}

static int make_room(struct live_publisher *publisher)
{
    struct live_channel *channel = publisher->channel;
    struct live_record *record = publisher->record;
    if (record->part_count < record->part_capacity)
        return 0;
    const unsigned capacity = 2 * record->part_capacity;
    pthread_mutex_lock(&channel->lock);
    struct live_part *parts = realloc(record->parts, capacity * sizeof *parts);
    if (parts) {
        record->parts = parts;
        record->part_capacity = capacity;
    }
    pthread_mutex_unlock(&channel->lock);
    return parts ? 0 : live_refuse(publisher, -ENOMEM, "there is no memory for another part");
}

/* Where what the other track has beyond the lead's last sample ends, in the lead's ticks; what is
 * longer than a part is no rest. */
static int64_t rest_end(const struct live_publisher *publisher, const struct live_input *lead)
{
    const struct live_input *other = &publisher->inputs[lead == &publisher->inputs[0] ? 1 : 0];
    const int64_t most_us = us_of(lead, lead->cut_dts) + part_limit_us(publisher->channel);
    const int64_t end_us = us_of(other, end_or_guess(other, other->count));
    const int64_t end = live_ticks(end_us < most_us ? end_us : most_us, lead->mp4.timescale);
    /* Sound that only came late takes no time of its own; a part does. */
    const int64_t least = lead->cut_dts + live_ticks(REST_MIN_US, lead->mp4.timescale);
    return end > least ? end : least;
}

/* Of `count` samples of the lead; 0: of the other track's rest alone, at the end. */
static int make_part(struct live_publisher *publisher, size_t count, bool is_last)
{
    struct live_channel *channel = publisher->channel;
    struct live_input *lead = live_lead(publisher);
    const int64_t begin = count > 0 ? lead->samples[0].dts : lead->cut_dts;
    const int64_t end = count > 0 ? end_or_guess(lead, count) : rest_end(publisher, lead);
    const int64_t begin_us = us_of(lead, begin), end_us = us_of(lead, end);
    int error = publisher->record ? make_room(publisher) : begin_segment(publisher, begin);
    if (error)
        return error;
    const struct live_record *record = publisher->record;
    struct live_part part = {.offset = record->size,
                             .duration_us = (uint32_t)(end_us - begin_us),
                             .is_independent = count > 0 && lead->samples[0].is_sync};
    const uint64_t offset = record->size;
    publisher->segment_frames += (unsigned)count;
    if (count > 0)
        publisher->frame_us = us_of(lead, end - lead->samples[count - 1].dts);
    for (unsigned kind = 0; kind < 2 && !error; kind++) {
        struct live_input *input = &publisher->inputs[kind];
        if (!input->is_there)
            continue;
        const size_t wanted = input == lead          ? count
                              : is_last && count > 0 ? input->count
                                                     : count_before(input, end_us);
        error = write_fragment(publisher, kind, wanted, record->segment, offset + part.sizes[0],
                               &part.sizes[kind]);
    }
    if (error) {
        abandon_segment(publisher);
        return live_refuse(publisher, error, "a part could not be kept: %s",
                           leat_error_text(error));
    }
    if (part.duration_us > publisher->longest_part_us)
        publisher->longest_part_us = part.duration_us;
    const bool next_begins_segment = will_begin_segment(publisher, lead, end);
    pthread_mutex_lock(&channel->lock);
    channel->next_begins_segment = next_begins_segment;
    add_part(publisher, &part, end_us);
    pthread_mutex_unlock(&channel->lock);
    return 0;
}

static int make_parts(struct live_publisher *publisher, bool is_last)
{
    struct live_input *lead = live_lead(publisher);
    struct live_input *other = &publisher->inputs[lead == &publisher->inputs[0] ? 1 : 0];
    ASSERT(publisher->epoch != NULL);
    while (lead->count > 0) {
        bool ends_segment;
        if (publisher->record && begins_segment(publisher, lead, 0))
            live_seal(publisher, true);
        const size_t count = find_part(publisher, lead, is_last, &ends_segment);
        if (count == 0)
            return 0;
        const int64_t end_us = us_of(lead, end_or_guess(lead, count));
        if (!is_last && !is_other_ready(publisher, lead, other, count, end_us))
            return 0;
        const int error = make_part(publisher, count, is_last && count == lead->count);
        if (error)
            return error;
        if (ends_segment || publisher->record->part_count == LIVE_PARTS_MAX)
            live_seal(publisher, ends_segment);
    }
    return is_last && other->count > 0 ? make_part(publisher, 0, true) : 0;
}

int live_cut(struct live_publisher *publisher, bool is_last)
{
    const int error = make_parts(publisher, is_last);
    close_up(&publisher->inputs[0]);
    close_up(&publisher->inputs[1]);
    return error;
}
