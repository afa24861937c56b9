/* SPDX-License-Identifier: MIT */
/*
 * See live_recover.h. The journal is read from its beginning, and what is older than playlists and
 * those who still have them need is let go on the way, so that the memory this takes is that of a
 * running channel.
 *
 * Numbers: the segment in work ends with the parts that were written. Where there is none, the
 * process that died may have shown a part of the next one that nobody has any more: its number is
 * never used again, and becomes a gap when a publisher goes on.
 */
#include "media/live_recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/mp4_push.h"

enum {
    TRIM_EVERY = 512,
    LEFT_MAX = 1024, /* numbers that may be used and not stored, when the publisher had gone */
};

struct recovery {
    struct live_store *store;
    struct live_channel *channel;
    struct live_log *log;
    struct live_epoch *epoch; /* held, as by a publisher; NULL: its init segments are lost */
    uint64_t last_number;
    unsigned since_trim;
    bool is_filmed;
    struct live_line open; /* the segment in work when the journal ends; part_count 0: none */
};

/* ---- Epochs ---------------------------------------------------------------------------------- */

static int see_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct live_described *described = user;
    const bool is_video = track->handler == MP4_FOURCC('v', 'i', 'd', 'e');
    struct live_track_info *info = &described->tracks[is_video ? 0 : 1];
    info->is_there = true;
    info->codec = track->codec;
    info->timescale = track->timescale;
    memcpy(info->language, track->language, sizeof info->language);
    return 0;
}

static int see_sample(unsigned index, const struct media_sample *sample, void *user)
{
    return -LEAT_E_MALFORMED; /* an init segment has none */
}

int live_describe_init(struct leat_slice init, struct live_described *ret_described)
{
    const struct media_events events = {see_track, see_sample, ret_described};
    struct mp4_push *push;
    *ret_described = (struct live_described){0};
    int error = mp4_push_create(&events, &push);
    if (error)
        return error;
    error = mp4_push_feed(push, init);
    mp4_push_destroy(push);
    return error;
}

static void end_epoch(struct recovery *recovery)
{
    if (!recovery->epoch)
        return;
    live_epoch_drop(recovery->epoch);
    recovery->epoch = NULL;
}

static int split_inits(struct live_epoch *epoch, const struct live_line *line, const char *data,
                       size_t size)
{
    struct live_described described;
    size_t offset = 0;
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++) {
        const size_t wanted = line->init_sizes[stream];
        if (wanted > size - offset)
            return -LEAT_E_TRUNCATED;
        if (wanted == 0)
            continue;
        epoch->inits[stream].data = malloc(wanted);
        if (!epoch->inits[stream].data)
            return -ENOMEM;
        memcpy(epoch->inits[stream].data, data + offset, wanted);
        epoch->inits[stream].size = wanted;
        offset += wanted;
    }
    const struct leat_slice muxed = slice_of(data, line->init_sizes[LIVE_MUXED]);
    const int error = live_describe_init(muxed, &described);
    if (!error)
        memcpy(epoch->tracks, described.tracks, sizeof epoch->tracks);
    return error;
}

/* Without its init segments an epoch is as if it had not been. */
static int take_epoch(struct recovery *recovery, const struct live_line *line)
{
    char path[LIVE_PATH_SIZE], *data = NULL;
    size_t size = 0;
    struct live_epoch *epoch = calloc(1, sizeof *epoch);
    end_epoch(recovery);
    if (!epoch)
        return -ENOMEM;
    list_init(&epoch->node);
    epoch->segments = 1;
    epoch->init = line->init;
    epoch->begin_us = line->begin_us;
    epoch->first_number = line->number;
    live_init_path(line->init, path);
    int error = live_read_whole(recovery->store->sys, recovery->log->fd, path, &data, &size);
    if (!error)
        error = split_inits(epoch, line, data, size);
    free(data);
    if (error) {
        live_epoch_drop(epoch);
        return error == -ENOMEM ? error : 0;
    }
    list_push_back(&recovery->channel->epochs, &epoch->node);
    recovery->channel->epochs_made++;
    recovery->epoch = epoch;
    recovery->log->told_init = line->init;
    return 0;
}

/* ---- Segments -------------------------------------------------------------------------------- */

static bool is_on_disk(const struct recovery *recovery, const struct live_line *line)
{
    const struct backend_sys *sys = recovery->store->sys;
    char path[LIVE_PATH_SIZE];
    struct backend_stat stat;
    live_segment_path(line->number, path);
    return sys->stat_at(sys, recovery->log->fd, path, &stat) == 0 && stat.is_regular &&
           stat.size == line->size;
}

static struct live_record *make_record(struct live_epoch *epoch, const struct live_line *line)
{
    struct live_record *record = calloc(1, sizeof *record);
    struct live_part *parts = calloc(line->part_count, sizeof *parts);
    if (!record || !parts) {
        free(record);
        free(parts);
        return NULL;
    }
    memcpy(parts, line->parts, line->part_count * sizeof *parts);
    *record = (struct live_record){.epoch = epoch,
                                   .number = line->number,
                                   .size = line->size,
                                   .begin_us = line->begin_us,
                                   .period_first = line->period_first,
                                   .period_begin_us = line->period_begin_us,
                                   .duration_us = line->duration_us,
                                   .is_whole = true,
                                   .is_stored = true,
                                   .is_discontinuity = line->is_discontinuity,
                                   .part_count = line->part_count,
                                   .part_capacity = line->part_count,
                                   .parts = parts};
    epoch->segments++;
    return record;
}

static void put_record(struct recovery *recovery, struct live_record *record)
{
    struct live_channel *channel = recovery->channel;
    if (list_is_empty(&channel->records))
        channel->first_listed = record->number;
    else
        live_fill_gap(channel, record->number, record->begin_us);
    list_push_back(&channel->records, &record->node);
    channel->end_us = record->begin_us + record->duration_us;
    channel->stored += record->size;
    channel->segments_made++;
    if (++recovery->since_trim == TRIM_EVERY) {
        recovery->since_trim = 0;
        live_trim(channel);
    }
}

static int take_segment(struct recovery *recovery, const struct live_line *line)
{
    struct live_channel *channel = recovery->channel;
    struct live_log *log = recovery->log;
    if (channel->available_ms == 0 || line->number <= recovery->last_number ||
        line->begin_us < channel->end_us - LIVE_GRACE_MS * INT64_C(1000))
        return -LEAT_E_MALFORMED;
    if (recovery->last_number == 0)
        log->first_kept = log->filmed_below = line->number;
    recovery->last_number = line->number;
    channel->next_number = line->number + 1 + LIVE_LOST_MAX;
    channel->is_over = recovery->is_filmed = false;
    if (!recovery->epoch || !is_on_disk(recovery, line)) {
        if (list_is_empty(&channel->records))
            channel->discontinuities_gone += line->is_discontinuity;
        return 0;
    }
    struct live_record *record = make_record(recovery->epoch, line);
    if (!record)
        return -ENOMEM;
    for (unsigned kind = 0; kind < 2; kind++)
        recovery->epoch->tracks[kind].bits_per_s = line->bits_per_s[kind];
    recovery->epoch->tracks[0].frame_rate_milli = line->frame_rate_milli;
    put_record(recovery, record);
    return 0;
}

/* Viewers have seen parts of it: it is whole now, with what was written. */
static int adopt_open(struct recovery *recovery)
{
    const struct backend_sys *sys = recovery->store->sys;
    struct live_log *log = recovery->log;
    const struct live_line *open = &recovery->open;
    struct text text = {0};
    char path[LIVE_PATH_SIZE];
    if (open->part_count == 0 || !recovery->epoch)
        return 0;
    live_segment_path(open->number, path);
    const int fd = sys->open_write(sys, log->fd, path, false);
    struct backend_stat stat;
    int error = fd < 0 ? fd : sys->stat(sys, fd, &stat);
    if (!error && stat.size > open->size)
        error = sys->resize(sys, fd, open->size);
    if (fd >= 0)
        sys->close(sys, fd);
    if (!error)
        error = take_segment(recovery, open);
    const struct live_record *last = live_last_record(recovery->channel);
    if (error || !last || last->number != open->number)
        return error;
    recovery->channel->next_number = open->number + 1;
    live_journal_segment(&text, last);
    error = text.has_failed
                ? -ENOMEM
                : live_write_all(sys, log->journal_fd, text.data, text.size, log->journal_size);
    log->journal_size += error ? 0 : text.size;
    text_fini(&text);
    return error;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void begin_open(struct recovery *recovery, const struct live_line *line)
{
    const struct live_epoch *epoch = recovery->epoch;
    recovery->open = *line;
    recovery->open.kind = LIVE_LINE_SEGMENT;
    recovery->open.part_count = 0;
    recovery->open.size = 0;
    recovery->open.duration_us = 0;
    for (unsigned kind = 0; kind < 2; kind++)
        recovery->open.bits_per_s[kind] = epoch ? epoch->tracks[kind].bits_per_s : 0;
    recovery->open.frame_rate_milli = epoch ? epoch->tracks[0].frame_rate_milli : 0;
}

static int add_open(struct recovery *recovery, const struct live_line *line)
{
    struct live_line *open = &recovery->open;
    if (open->number == 0 || open->part_count == LIVE_PARTS_MAX)
        return -LEAT_E_MALFORMED;
    struct live_part *part = &open->parts[open->part_count++];
    *part = line->parts[0];
    part->offset = open->size;
    open->size += line->size;
    open->duration_us += part->duration_us;
    return 0;
}

static void take_channel(struct live_channel *channel, const struct live_line *line)
{
    channel->created_ms = line->created_ms;
    channel->target_s = line->target_s;
    channel->part_target_us = line->part_target_us;
    channel->segment_us = line->segment_us;
    channel->available_ms = channel->zero_ms = line->available_ms;
}

static int take_line(struct live_line *line, void *user)
{
    struct recovery *recovery = user;
    struct live_channel *channel = recovery->channel;
    if (line->kind == LIVE_LINE_PART)
        return add_open(recovery, line);
    recovery->open.part_count = 0;
    recovery->open.number = 0;
    switch (line->kind) {
    case LIVE_LINE_PART: break;
    case LIVE_LINE_BEGIN: begin_open(recovery, line); break;
    case LIVE_LINE_CHANNEL: take_channel(channel, line); break;
    case LIVE_LINE_GONE: channel->discontinuities_gone += line->discontinuities; break;
    case LIVE_LINE_EPOCH: return take_epoch(recovery, line);
    case LIVE_LINE_SEGMENT: return take_segment(recovery, line);
    case LIVE_LINE_LEFT:
        if (line->number <= recovery->last_number ||
            line->number > recovery->last_number + LEFT_MAX)
            return -LEAT_E_MALFORMED;
        channel->next_number = line->number;
        break;
    case LIVE_LINE_END: channel->is_over = true; break;
    case LIVE_LINE_FILM:
        if (line->number > recovery->last_number + 1)
            return -LEAT_E_MALFORMED;
        recovery->is_filmed = line->number == recovery->last_number + 1;
        recovery->log->filmed_below = line->number;
        break;
    }
    return 0;
}

static int read_journal(struct recovery *recovery, char *ret_reason)
{
    const struct backend_sys *sys = recovery->store->sys;
    struct live_log *log = recovery->log;
    char *data = NULL;
    size_t size = 0, used = 0;
    unsigned line = 0;
    int error = live_read_whole(sys, log->fd, "journal", &data, &size);
    if (!error)
        error = live_journal_read(slice_of(data, size), take_line, recovery, &used, &line);
    free(data);
    if (error) {
        if (line > 0)
            snprintf(ret_reason, LIVE_REASON_SIZE, "its journal, line %u: %s", line,
                     leat_error_text(error));
        else
            snprintf(ret_reason, LIVE_REASON_SIZE, "its journal: %s", leat_error_text(error));
        return error;
    }
    log->journal_fd = sys->open_write(sys, log->fd, "journal", false);
    if (log->journal_fd < 0)
        error = log->journal_fd;
    else if (used < size)
        error = sys->resize(sys, log->journal_fd, used);
    log->journal_size = used;
    if (!error)
        error = adopt_open(recovery);
    if (error)
        snprintf(ret_reason, LIVE_REASON_SIZE, "its journal cannot be written: %s",
                 leat_error_text(error));
    return error;
}

static void finish(struct recovery *recovery)
{
    struct live_channel *channel = recovery->channel;
    struct live_log *log = recovery->log;
    end_epoch(recovery);
    live_trim(channel);
    channel->gone_ns = leat_now_ns();
    channel->next_begins_segment = true;
    log->has_told_channel = true;
    log->is_ended = channel->is_over && (recovery->is_filmed || recovery->store->films_fd < 0);
    snprintf(channel->peer, sizeof channel->peer, "nobody yet");
}

int live_recover(struct live_store *store, const char *name, struct live_channel **ret_channel,
                 char *ret_reason)
{
    struct recovery recovery = {.store = store};
    const int fd = live_folder_open(store, name, false);
    if (fd < 0) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "%s", leat_error_text(fd));
        return fd;
    }
    recovery.channel = live_channel_make(store->hub, name, 0);
    if (!recovery.channel) {
        store->sys->close(store->sys, fd);
        snprintf(ret_reason, LIVE_REASON_SIZE, "%s", leat_error_text(-ENOMEM));
        return -ENOMEM;
    }
    recovery.log = recovery.channel->log;
    recovery.log->fd = fd;
    const int error = read_journal(&recovery, ret_reason);
    if (error)
        end_epoch(&recovery);
    else
        finish(&recovery);
    const bool has_any = !list_is_empty(&recovery.channel->records);
    if (!error && !has_any) /* all it had is lost */
        live_log_remove_files(recovery.log);
    if (error || !has_any) {
        live_channel_unref(recovery.channel);
        recovery.channel = NULL;
    }
    if (!error)
        *ret_channel = recovery.channel;
    return error;
}
