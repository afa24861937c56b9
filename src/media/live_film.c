/* SPDX-License-Identifier: MIT */
/*
 * See live_log.h: a channel that is over becomes films, one for each stretch of segments with the
 * same init segment: that, and the segments as they are, one behind the other, which is a
 * fragmented MP4. Only their times are moved (tfdt), so that a film begins at 0 and lasts as long
 * as what is in it: where the publisher was away nothing is left but a moment (GAP_US).
 *
 * A film is written under a name that begins with a dot, and gets its own once it is whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "leat/error.h"
#include "media/live_log.h"
#include "wire/date.h"

enum {
    NAME_SIZE = 128,
    NAMES_MAX = 100,  /* of the same minute */
    HEAD_SIZE = 256,  /* of a moof, up to its tfdt */
    GAP_US = 100000,  /* sound may end behind the picture: what follows begins so much later */
    MINUTE_SIZE = 16, /* "2026-11-23 01-15" */
};

struct filming {
    struct live_log *log;
    const struct backend_sys *sys;
    int64_t available_ms;
    uint64_t init; /* of the epoch that segments are of; */
    size_t init_size;
    /* The film in work. */
    int fd; /* -1: none */
    uint64_t film_init, size;
    char name[NAME_SIZE]; /* in work */
    uint64_t last_number; /* of its segments */
    int64_t first_ms;     /* unix time of its begin */
    int64_t end_us;       /* of the channel's time line, as far as it has come; */
    int64_t shift_us;     /* which is so far ahead of the film's */
    struct live_described described;
};

/* ---- A film ---------------------------------------------------------------------------------- */

static void name_film(const struct filming *filming, unsigned number, char ret_name[NAME_SIZE])
{
    char iso[DATE_ISO_SIZE], minute[MINUTE_SIZE + 1];
    date_format_iso(filming->first_ms, iso);
    snprintf(minute, sizeof minute, "%.10s %.2s-%.2s", iso, iso + 11, iso + 14);
    if (number == 1)
        snprintf(ret_name, NAME_SIZE, "%s %s.mp4", filming->log->channel->name, minute);
    else
        snprintf(ret_name, NAME_SIZE, "%s %s %u.mp4", filming->log->channel->name, minute, number);
}

static int copy_file(struct filming *filming, const char *path, uint64_t size)
{
    const struct backend_sys *sys = filming->sys;
    const int fd = sys->open(sys, filming->log->fd, path, BACKEND_OPEN_FILE);
    if (fd < 0)
        return fd;
    const int error =
        live_copy_all(sys, fd, (struct live_range){0, size}, filming->fd, filming->size);
    sys->close(sys, fd);
    if (!error)
        filming->size += size;
    return error;
}

static int describe(struct filming *filming)
{
    char path[LIVE_PATH_SIZE], *data;
    size_t size;
    live_init_path(filming->init, path);
    int error = live_read_whole(filming->sys, filming->log->fd, path, &data, &size);
    if (error)
        return error;
    error = size < filming->init_size
                ? -LEAT_E_TRUNCATED
                : live_describe_init(slice_of(data, filming->init_size), &filming->described);
    free(data);
    return error;
}

static int begin_film(struct filming *filming, const struct live_line *line)
{
    const struct backend_sys *sys = filming->sys;
    char path[LIVE_PATH_SIZE];
    ASSERT(filming->fd < 0);
    const int error = describe(filming);
    if (error)
        return error;
    snprintf(filming->name, sizeof filming->name, ".%s-%llu.part", filming->log->channel->name,
             (unsigned long long)line->number);
    filming->fd = sys->open_write(sys, filming->log->store->films_fd, filming->name, true);
    if (filming->fd < 0)
        return filming->fd;
    filming->size = 0;
    filming->film_init = filming->init;
    filming->first_ms = filming->available_ms + line->begin_us / 1000;
    filming->shift_us = filming->end_us = line->begin_us;
    live_init_path(filming->init, path);
    return copy_file(filming, path, filming->init_size);
}

/* What it has is in a film from now on, whatever becomes of the next one. */
static int note_film(struct filming *filming)
{
    struct live_entry mark = {.kind = LIVE_ENTRY_LINE};
    live_journal_mark(&mark.lines, LIVE_LINE_FILM, filming->last_number + 1);
    const int error = live_log_write(filming->log, &mark);
    text_fini(&mark.lines);
    filming->log->filmed_below = filming->last_number + 1;
    return error;
}

static int end_film(struct filming *filming)
{
    const struct backend_sys *sys = filming->sys;
    const struct live_store *store = filming->log->store;
    char name[NAME_SIZE];
    int error = -EEXIST;
    if (filming->fd < 0)
        return 0;
    sys->close(sys, filming->fd);
    filming->fd = -1;
    for (unsigned number = 1; error == -EEXIST && number <= NAMES_MAX; number++) {
        name_film(filming, number, name);
        error = sys->rename(sys, store->films_fd, filming->name, name, false);
    }
    if (error) {
        (void)sys->remove(sys, store->films_fd, filming->name, false);
        return error;
    }
    live_store_say(store, "the channel %s has become '%s'", filming->log->channel->name, name);
    return note_film(filming);
}

static void abandon_film(struct filming *filming)
{
    if (filming->fd < 0)
        return;
    filming->sys->close(filming->sys, filming->fd);
    (void)filming->sys->remove(filming->sys, filming->log->store->films_fd, filming->name, false);
    filming->fd = -1;
}

/* ---- Its times ------------------------------------------------------------------------------- */

/* Where the time of the fragment's tfdt stands, of version 1, as our own fragments have it; 0: this
 * is none of them. */
static size_t find_time(struct leat_slice head)
{
    struct cursor cursor = cursor_over(head);
    while (!cursor.failed) {
        const size_t begin = cursor.offset;
        const uint32_t size = cursor_u32be(&cursor), type = cursor_u32be(&cursor);
        if (type == MP4_FOURCC('t', 'f', 'd', 't'))
            return cursor_u32be(&cursor) >> 24 == 1 && !cursor.failed ? cursor.offset : 0;
        if (type == MP4_FOURCC('m', 'o', 'o', 'f') || type == MP4_FOURCC('t', 'r', 'a', 'f'))
            continue; /* what is in it */
        if (size < 8)
            break;
        cursor.offset = begin;
        cursor_skip(&cursor, size);
    }
    return 0;
}

/* `offset`: of the fragment, in the film. */
static int move_fragment(const struct filming *filming, unsigned kind, uint64_t offset)
{
    const struct backend_sys *sys = filming->sys;
    unsigned char head[HEAD_SIZE];
    const ssize_t size = sys->read(sys, filming->fd, head, sizeof head, offset);
    const uint32_t timescale = filming->described.tracks[kind].timescale;
    if (size <= 0 || timescale == 0)
        return size < 0 ? (int)size : -LEAT_E_MALFORMED;
    const size_t place = find_time(slice_of(head, (size_t)size));
    uint64_t time;
    if (place == 0 || place + sizeof time > (size_t)size)
        return -LEAT_E_MALFORMED;
    memcpy(&time, head + place, sizeof time);
    const uint64_t shift = (uint64_t)live_ticks(filming->shift_us, timescale);
    time = be64toh(time);
    time = htobe64(time > shift ? time - shift : 0);
    return live_write_all(sys, filming->fd, &time, sizeof time, offset + place);
}

static int move_segment(const struct filming *filming, const struct live_line *line, uint64_t begin)
{
    for (unsigned index = 0; index < line->part_count; index++) {
        const struct live_part *part = &line->parts[index];
        uint64_t offset = begin + part->offset;
        for (unsigned kind = 0; kind < 2; kind++) {
            const int error = part->sizes[kind] > 0 ? move_fragment(filming, kind, offset) : 0;
            if (error)
                return error;
            offset += part->sizes[kind];
        }
    }
    return 0;
}

/* ---- Segments -------------------------------------------------------------------------------- */

/* Where time was lost, by whomever, the film goes on a moment later. */
static void close_gap(struct filming *filming, int64_t begin_us)
{
    const int64_t gap_us = begin_us - filming->end_us;
    if (gap_us > GAP_US)
        filming->shift_us += gap_us - GAP_US;
}

static int take_segment(struct filming *filming, const struct live_line *line)
{
    char path[LIVE_PATH_SIZE];
    struct backend_stat stat;
    int error = 0;
    live_segment_path(line->number, path);
    if (line->number < filming->log->filmed_below || filming->init_size == 0 ||
        filming->sys->stat_at(filming->sys, filming->log->fd, path, &stat) != 0 ||
        stat.size != line->size)
        return 0;                    /* it is in another film, or lost */
    if (filming->log->wants_release) /* whoever comes next makes the film */
        return -ECANCELED;
    if (filming->fd >= 0 && filming->film_init != filming->init)
        error = end_film(filming);
    if (!error && filming->fd < 0)
        error = begin_film(filming, line);
    if (error)
        return error;
    close_gap(filming, line->begin_us);
    const uint64_t begin = filming->size;
    error = copy_file(filming, path, line->size);
    if (!error)
        error = move_segment(filming, line, begin);
    filming->end_us = line->begin_us + line->duration_us;
    filming->last_number = line->number;
    return error;
}

static int take_line(struct live_line *line, void *user)
{
    struct filming *filming = user;
    switch (line->kind) {
    case LIVE_LINE_CHANNEL: filming->available_ms = line->available_ms; break;
    case LIVE_LINE_EPOCH:
        filming->init = line->init;
        filming->init_size = line->init_sizes[LIVE_MUXED];
        break;
    case LIVE_LINE_SEGMENT: return take_segment(filming, line);
    default: break;
    }
    return 0;
}

int live_films_make(struct live_log *log)
{
    struct filming filming = {.log = log, .sys = log->store->sys, .fd = -1};
    char *data = NULL;
    size_t size = 0;
    unsigned line;
    if (log->fd < 0)
        return 0; /* nothing was ever written */
    int error = live_read_whole(filming.sys, log->fd, "journal", &data, &size);
    if (!error)
        error = live_journal_read(slice_of(data, size), take_line, &filming, &size, &line);
    if (!error)
        error = end_film(&filming);
    free(data);
    if (error)
        abandon_film(&filming);
    return error;
}
