/* SPDX-License-Identifier: MIT */
/*
 * See live.h: what readers see of a channel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "media/live_log.h"
#include "net/file.h"

enum { TARGETS_WITH_PARTS = 3 }; /* from the end: rfc8216bis, section 4.4.4.9 */

/* ---- Which channels -------------------------------------------------------------------------- */

static void tell_of(struct live_channel *channel, struct live_info *info)
{
    pthread_mutex_lock(&channel->lock);
    *info = (struct live_info){
        .state = live_state_of(channel, leat_now_ns()),
        .since_ms = channel->created_ms,
        .latency_ms = channel->latency_ms,
        .segments = channel->segments_made,
        .parts = channel->parts_made,
        .part_bytes = channel->part_bytes,
        .memory = channel->memory,
        .stored = channel->stored,
        .epochs = channel->epochs_made,
    };
    memcpy(info->name, channel->name, sizeof info->name);
    memcpy(info->peer, channel->peer, sizeof info->peer);
    LIST_FOR_EACH (node, &channel->watches)
        info->watching++;
    if (!list_is_empty(&channel->epochs)) {
        const struct live_epoch *epoch =
            CONTAINER_OF(channel->epochs.previous, struct live_epoch, node);
        info->video = epoch->tracks[0];
        info->audio = epoch->tracks[1];
        info->bits_per_s = info->video.bits_per_s + info->audio.bits_per_s;
    }
    pthread_mutex_unlock(&channel->lock);
}

unsigned live_list(struct live_hub *hub, struct live_info *ret_infos, unsigned count)
{
    unsigned found = 0;
    pthread_mutex_lock(&hub->lock);
    LIST_FOR_EACH (node, &hub->channels) {
        if (found == count)
            break;
        tell_of(CONTAINER_OF(node, struct live_channel, node), &ret_infos[found++]);
    }
    pthread_mutex_unlock(&hub->lock);
    return found;
}

uint32_t live_target_s(const struct live_channel *channel)
{
    ASSERT(channel->target_s > 0); /* live_find has looked under the lock */
    return channel->target_s;
}

uint64_t live_version(struct live_channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    const uint64_t version = channel->version;
    pthread_mutex_unlock(&channel->lock);
    return version;
}

void live_edge(struct live_channel *channel, struct live_edge *ret_edge)
{
    pthread_mutex_lock(&channel->lock);
    const struct live_record *last = live_last_record(channel);
    *ret_edge = (struct live_edge){.number = last ? last->number : channel->next_number,
                                   .part_count = last ? last->part_count : 0,
                                   .is_whole = last && last->is_whole,
                                   .state = live_state_of(channel, leat_now_ns())};
    pthread_mutex_unlock(&channel->lock);
}

/* ---- Views ----------------------------------------------------------------------------------- */

static bool shows_parts(const struct live_channel *channel, const struct live_record *record)
{
    const int64_t behind_us = channel->end_us - record->begin_us - record->duration_us;
    return behind_us < (int64_t)TARGETS_WITH_PARTS * channel->target_s * 1000000;
}

struct counts {
    unsigned segments, parts, epochs;
};

static struct counts count(const struct live_channel *channel)
{
    struct counts counts = {0};
    const struct live_epoch *epoch = NULL;
    LIST_FOR_EACH (node, &channel->records) {
        const struct live_record *record = live_record_of(node);
        if (record->number < channel->first_listed)
            continue;
        counts.segments++;
        counts.parts += shows_parts(channel, record) ? record->part_count : 0;
        counts.epochs += record->epoch != epoch;
        epoch = record->epoch;
    }
    return counts;
}

static struct live_view *allocate(const struct counts *counts)
{
    const size_t segments = counts->segments * sizeof(struct live_view_segment);
    const size_t epochs = counts->epochs * sizeof(struct live_view_epoch);
    const size_t parts = counts->parts * sizeof(struct live_view_part);
    struct live_view *view = malloc(sizeof *view + segments + epochs + parts);
    if (!view)
        return NULL;
    static_assert(sizeof *view % 8 == 0 && sizeof(struct live_view_segment) % 8 == 0 &&
                      sizeof(struct live_view_epoch) % 8 == 0,
                  "what stands behind them is aligned");
    char *at = (char *)(view + 1);
    *view = (struct live_view){.segments = (void *)at,
                               .epochs = (void *)(at + segments),
                               .parts = (void *)(at + segments + epochs)};
    return view;
}

static void add_record(struct live_view *view, const struct live_channel *channel,
                       const struct live_record *record, unsigned *part_count)
{
    const unsigned listed = shows_parts(channel, record) ? record->part_count : 0;
    view->segments[view->segment_count++] =
        (struct live_view_segment){.number = record->number,
                                   .begin_us = record->begin_us,
                                   .duration_us = record->duration_us,
                                   .epoch = view->epoch_count - 1,
                                   .period_first = record->period_first,
                                   .period_begin_us = record->period_begin_us,
                                   .is_whole = record->is_whole,
                                   .is_discontinuity = record->is_discontinuity,
                                   .is_gap = record->is_gap,
                                   .first_part = *part_count,
                                   .part_count = listed};
    for (unsigned index = 0; index < listed; index++)
        view->parts[(*part_count)++] =
            (struct live_view_part){.duration_us = record->parts[index].duration_us,
                                    .is_independent = record->parts[index].is_independent};
}

static void fill(struct live_view *view, const struct live_channel *channel)
{
    const struct live_epoch *epoch = NULL;
    unsigned part_count = 0;
    view->version = channel->version;
    view->state = live_state_of(channel, leat_now_ns());
    view->target_s = channel->target_s;
    view->part_target_us = channel->part_target_us;
    view->segment_us = channel->segment_us;
    view->available_ms = channel->available_ms;
    view->window_ms = channel->hub->options.window_ms;
    view->next_begins_segment = channel->next_begins_segment;
    view->discontinuity_sequence = channel->discontinuities_gone;
    LIST_FOR_EACH (node, &channel->records) {
        const struct live_record *record = live_record_of(node);
        if (record->number < channel->first_listed)
            continue;
        if (record->epoch != epoch) {
            epoch = record->epoch;
            view->epochs[view->epoch_count++] = (struct live_view_epoch){
                .init = epoch->init, .video = epoch->tracks[0], .audio = epoch->tracks[1]};
        }
        add_record(view, channel, record, &part_count);
    }
}

struct live_view *live_look(struct live_channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    const struct counts counts = count(channel);
    struct live_view *view = allocate(&counts);
    if (view)
        fill(view, channel);
    pthread_mutex_unlock(&channel->lock);
    ASSERT(!view || (view->segment_count == counts.segments && view->epoch_count == counts.epochs));
    return view;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static struct live_range range_of(const struct live_part *part, enum live_stream stream)
{
    switch (stream) {
    case LIVE_VIDEO: return (struct live_range){part->offset, part->sizes[0]};
    case LIVE_AUDIO: return (struct live_range){part->offset + part->sizes[0], part->sizes[1]};
    default: return (struct live_range){part->offset, (uint64_t)part->sizes[0] + part->sizes[1]};
    }
}

static bool has_stream(const struct live_record *record, enum live_stream stream)
{
    return record->epoch->inits[stream].size > 0;
}

static void hold(const struct live_record *record, struct live_piece *piece)
{
    piece->number = record->number;
    piece->segment = record->segment;
    piece->fd = record->segment ? record->segment->fd : -1;
    if (record->segment)
        live_segment_ref(record->segment);
}

/* NULL: there is none, and *ret_error says whether there will be. */
static const struct live_record *find(const struct live_channel *channel, uint64_t number,
                                      int *ret_error)
{
    /* Viewers want the newest: from the end. */
    for (struct list_node *node = channel->records.previous; node != &channel->records;
         node = node->previous) {
        const struct live_record *record = live_record_of(node);
        if (record->number == number)
            return record;
        if (record->number < number)
            break;
    }
    /* Only the next one is on its way; further ones are a guess nobody has reason for. Until a
     * publisher goes on, those that were lost are what playlists let expect. */
    const struct live_record *last = live_last_record(channel);
    const bool will_be = number <= channel->next_number && (!last || number > last->number) &&
                         number + LIVE_LOST_MAX >= channel->next_number && !channel->is_over;
    *ret_error = will_be ? -EAGAIN : -ENOENT;
    return NULL;
}

static int read_part(const struct live_channel *channel, enum live_stream stream, uint64_t number,
                     unsigned part, struct live_piece *piece)
{
    int error;
    const struct live_record *record = find(channel, number, &error);
    if (!record)
        return part == 0 ? error : -ENOENT;
    if (!has_stream(record, stream))
        return -ENOENT;
    if (part >= record->part_count) /* but the next one, none is a matter of soon */
        return record->is_whole || channel->is_over || part > record->part_count ? -ENOENT
                                                                                 : -EAGAIN;
    hold(record, piece);
    piece->ranges[0] = range_of(&record->parts[part], stream);
    piece->range_count = 1;
    piece->is_whole = record->is_whole && part + 1 == record->part_count;
    return 0;
}

int live_read_part(struct live_channel *channel, enum live_stream stream, uint64_t number,
                   unsigned part, struct live_piece *ret_piece)
{
    pthread_mutex_lock(&channel->lock);
    const int error = read_part(channel, stream, number, part, ret_piece);
    pthread_mutex_unlock(&channel->lock);
    return error;
}

static int read_segment(const struct live_channel *channel, enum live_stream stream,
                        uint64_t number, struct live_piece *piece)
{
    int error;
    const struct live_record *record = find(channel, number, &error);
    if (!record)
        return error;
    if (!has_stream(record, stream) || record->is_gap)
        return -ENOENT;
    if (!record->is_whole)
        return -EAGAIN;
    hold(record, piece);
    piece->is_whole = true;
    piece->range_count = 0;
    if (stream == LIVE_MUXED) {
        piece->ranges[piece->range_count++] = (struct live_range){0, record->size};
        return 0;
    }
    for (unsigned index = 0; index < record->part_count; index++)
        piece->ranges[piece->range_count++] = range_of(&record->parts[index], stream);
    return 0;
}

int live_read_segment(struct live_channel *channel, enum live_stream stream, uint64_t number,
                      struct live_piece *ret_piece)
{
    pthread_mutex_lock(&channel->lock);
    const int error = read_segment(channel, stream, number, ret_piece);
    pthread_mutex_unlock(&channel->lock);
    return error;
}

static void release(void *user)
{
    live_segment_unref(user);
}

int live_piece_open(struct live_channel *channel, struct live_piece *piece, int64_t deadline_ns,
                    struct leat_file **ret_file)
{
    const struct live_range *last = &piece->ranges[piece->range_count - 1];
    ASSERT(piece->range_count > 0 && (piece->segment || channel->log));
    if (!piece->segment) {
        char path[LIVE_NAME_SIZE + LIVE_PATH_SIZE], name[LIVE_PATH_SIZE];
        live_segment_path(piece->number, name);
        snprintf(path, sizeof path, "%s/%s", channel->name, name);
        return leat_file_open(channel->log->store->root, path, deadline_ns, ret_file);
    }
    const int error =
        file_of_memory(piece->fd, last->offset + last->size, release, piece->segment, ret_file);
    if (error)
        live_segment_unref(piece->segment);
    return error;
}

int live_read_init(struct live_channel *channel, enum live_stream stream, uint64_t init, void *data,
                   size_t capacity)
{
    int result = -ENOENT;
    pthread_mutex_lock(&channel->lock);
    LIST_FOR_EACH (node, &channel->epochs) {
        const struct live_epoch *epoch = CONTAINER_OF(node, struct live_epoch, node);
        const size_t size = epoch->inits[stream].size;
        if (epoch->init != init || size == 0)
            continue;
        result = size > capacity ? -ENOBUFS : (int)size;
        if (result > 0)
            memcpy(data, epoch->inits[stream].data, size);
        break;
    }
    pthread_mutex_unlock(&channel->lock);
    return result;
}
