/* SPDX-License-Identifier: MIT */
/*
 * See live_log.h: how things are written, in a channel's job. Bytes are in a segment's file before
 * the journal has a line of them; so what the journal says is there. Nothing waits for the disk
 * itself (fdatasync): what is written survives the process, and of a host that loses power what the
 * kernel had written back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "media/live_log.h"

enum {
    COMPACT_LINES = 4096, /* that speak of what is gone: then the journal is written anew */
    WHOLE_MAX = 256 * 1024 * 1024,
    REMOVE_PASSES = 3,
};

/* ---- Files ----------------------------------------------------------------------------------- */

int live_write_all(const struct backend_sys *sys, int fd, const void *data, size_t size,
                   uint64_t offset)
{
    const char *at = data;
    while (size > 0) {
        const ssize_t written = sys->write(sys, fd, at, size, offset);
        if (written <= 0)
            return written < 0 ? (int)written : -EIO;
        at += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return 0;
}

int live_copy_all(const struct backend_sys *sys, int in_fd, struct live_range range, int out_fd,
                  uint64_t out_offset)
{
    while (range.size > 0) {
        const ssize_t copied =
            sys->copy(sys, in_fd, range.offset, out_fd, out_offset, (size_t)range.size);
        if (copied <= 0)
            return copied < 0 ? (int)copied : -EIO;
        range.offset += (uint64_t)copied;
        range.size -= (uint64_t)copied;
        out_offset += (uint64_t)copied;
    }
    return 0;
}

int live_read_whole(const struct backend_sys *sys, int directory_fd, const char *name,
                    char **ret_data, size_t *ret_size)
{
    struct backend_stat stat;
    const int fd = sys->open(sys, directory_fd, name, BACKEND_OPEN_FILE);
    if (fd < 0)
        return fd;
    int error = sys->stat(sys, fd, &stat);
    char *data = NULL;
    size_t size = 0;
    if (!error && stat.size > WHOLE_MAX)
        error = -LEAT_E_LIMIT;
    if (!error && !(data = malloc((size_t)stat.size + 1)))
        error = -ENOMEM;
    while (!error && size < stat.size) {
        const ssize_t count = sys->read(sys, fd, data + size, (size_t)stat.size - size, size);
        if (count <= 0)
            error = count < 0 ? (int)count : -LEAT_E_TRUNCATED;
        else
            size += (size_t)count;
    }
    sys->close(sys, fd);
    if (error) {
        free(data);
        return error;
    }
    *ret_data = data;
    *ret_size = size;
    return 0;
}

static int write_file(const struct backend_sys *sys, int directory_fd, const char *name,
                      const void *data, size_t size)
{
    const int fd = sys->open_write(sys, directory_fd, name, true);
    if (fd < 0)
        return fd;
    const int error = live_write_all(sys, fd, data, size, 0);
    sys->close(sys, fd);
    if (error)
        (void)sys->remove(sys, directory_fd, name, false);
    return error;
}

/* ---- The folder ------------------------------------------------------------------------------ */

int live_folder_open(const struct live_store *store, const char *name, bool may_make)
{
    const struct backend_sys *sys = store->sys;
    int error = may_make ? sys->make_directory(sys, store->fd, name) : 0;
    if (error && error != -EEXIST)
        return error;
    const int fd = sys->open(sys, store->fd, name, BACKEND_OPEN_DIRECTORY | BACKEND_OPEN_BENEATH);
    if (fd < 0)
        return fd;
    error = sys->lock(sys, fd);
    if (error) {
        sys->close(sys, fd);
        return error;
    }
    return fd;
}

/* What lies there and could not be read is kept for who wants to look. */
int live_log_open(struct live_log *log)
{
    const struct backend_sys *sys = log->store->sys;
    struct text text = {0};
    ASSERT(log->fd < 0 && log->journal_fd < 0);
    log->fd = live_folder_open(log->store, log->channel->name, true);
    if (log->fd < 0)
        return log->fd;
    (void)sys->rename(sys, log->fd, "journal", "journal.damaged", true);
    log->journal_fd = sys->open_write(sys, log->fd, "journal", true);
    int error = log->journal_fd < 0 ? log->journal_fd : 0;
    live_journal_begin(&text);
    if (!error)
        error = text.has_failed ? -ENOMEM
                                : live_write_all(sys, log->journal_fd, text.data, text.size, 0);
    log->journal_size = text.size;
    text_fini(&text);
    if (error)
        live_log_close(log);
    return error;
}

void live_log_close(struct live_log *log)
{
    const struct backend_sys *sys = log->store->sys;
    if (log->journal_fd >= 0)
        sys->close(sys, log->journal_fd);
    if (log->fd >= 0)
        sys->close(sys, log->fd);
    log->fd = log->journal_fd = -1;
}

/* ---- Segments -------------------------------------------------------------------------------- */

/* All of it, or nothing. */
static int add_lines(struct live_log *log, const struct text *lines)
{
    const struct backend_sys *sys = log->store->sys;
    if (lines->has_failed)
        return -ENOMEM;
    const int error =
        live_write_all(sys, log->journal_fd, lines->data, lines->size, log->journal_size);
    if (error)
        (void)sys->resize(sys, log->journal_fd, log->journal_size);
    else
        log->journal_size += lines->size;
    return error;
}

/* A part behind those before it, or all of a segment. */
static int write_bytes(struct live_log *log, const struct live_entry *entry)
{
    const struct backend_sys *sys = log->store->sys;
    char path[LIVE_PATH_SIZE];
    live_segment_path(entry->number, path);
    const int fd = sys->open_write(sys, log->fd, path, entry->range.offset == 0);
    if (fd < 0)
        return fd;
    const int error = live_copy_all(sys, entry->segment->fd, entry->range, fd, entry->range.offset);
    if (error)
        (void)sys->resize(sys, fd, entry->range.offset);
    sys->close(sys, fd);
    return error;
}

int live_log_write(struct live_log *log, const struct live_entry *entry)
{
    const struct backend_sys *sys = log->store->sys;
    char path[LIVE_PATH_SIZE];
    int error = log->fd < 0 ? live_log_open(log) : 0;
    if (!error && entry->init_data) {
        live_init_path(entry->init, path);
        error = write_file(sys, log->fd, path, entry->init_data, entry->init_size);
    }
    if (!error && entry->segment) {
        error = write_bytes(log, entry);
        if (log->first_kept == 0)
            log->first_kept = log->filmed_below = entry->number;
    }
    return error ? error : add_lines(log, &entry->lines);
}

/* ---- What goes ------------------------------------------------------------------------------- */

/* A journal without the lines of what is gone. */
struct shorter {
    uint64_t first_kept, discontinuities;
    bool has_kept;
    struct text head, epoch, rest; /* the epoch's line waits for a segment of it; */
    struct text open;              /* and what of one is said again when it is whole */
};

static int shorten_line(struct live_line *line, void *user)
{
    struct shorter *shorter = user;
    switch (line->kind) {
    case LIVE_LINE_CHANNEL:
        shorter->head.size = 0;
        text_add(&shorter->head, line->text);
        break;
    case LIVE_LINE_GONE: shorter->discontinuities += line->discontinuities; break;
    case LIVE_LINE_EPOCH:
        shorter->epoch.size = 0;
        text_add(&shorter->epoch, line->text);
        break;
    case LIVE_LINE_SEGMENT:
        if (line->number < shorter->first_kept) {
            shorter->discontinuities += line->is_discontinuity;
            break;
        }
        shorter->has_kept = true;
        shorter->open.size = 0;
        text_add(&shorter->rest, slice_of(shorter->epoch.data, shorter->epoch.size));
        shorter->epoch.size = 0;
        text_add(&shorter->rest, line->text);
        break;
    case LIVE_LINE_BEGIN:
        shorter->open.size = 0;
        text_add(&shorter->open, line->text);
        break;
    case LIVE_LINE_PART: text_add(&shorter->open, line->text); break;
    default:
        shorter->open.size = 0;
        if (shorter->has_kept)
            text_add(&shorter->rest, line->text);
    }
    return 0;
}

static int write_shorter(struct live_log *log, struct shorter *shorter)
{
    const struct backend_sys *sys = log->store->sys;
    struct text text = {0};
    live_journal_begin(&text);
    text_add(&text, slice_of(shorter->head.data, shorter->head.size));
    live_journal_gone(&text, shorter->discontinuities);
    text_add(&text, slice_of(shorter->rest.data, shorter->rest.size));
    /* The channel goes on with the epoch that it told of last. */
    text_add(&text, slice_of(shorter->epoch.data, shorter->epoch.size));
    text_add(&text, slice_of(shorter->open.data, shorter->open.size));
    const bool has_failed = text.has_failed || shorter->head.has_failed ||
                            shorter->epoch.has_failed || shorter->rest.has_failed ||
                            shorter->open.has_failed;
    int error =
        has_failed ? -ENOMEM : write_file(sys, log->fd, "journal.new", text.data, text.size);
    if (!error)
        error = sys->rename(sys, log->fd, "journal.new", "journal", true);
    const int fd = error ? error : sys->open_write(sys, log->fd, "journal", false);
    if (fd >= 0) {
        sys->close(sys, log->journal_fd);
        log->journal_fd = fd;
        log->journal_size = text.size;
        log->dropped_lines = 0;
    }
    text_fini(&text);
    return fd < 0 ? fd : 0;
}

static void compact(struct live_log *log)
{
    struct shorter shorter = {.first_kept = log->first_kept};
    char *data = NULL;
    size_t size;
    unsigned line;
    int error = live_read_whole(log->store->sys, log->fd, "journal", &data, &size);
    if (!error)
        error = live_journal_read(slice_of(data, size), shorten_line, &shorter, &size, &line);
    if (!error)
        error = write_shorter(log, &shorter);
    if (error) /* it grows on; the next one may succeed */
        log->dropped_lines = 0;
    text_fini(&shorter.head);
    text_fini(&shorter.epoch);
    text_fini(&shorter.rest);
    text_fini(&shorter.open);
    free(data);
}

void live_log_drop_files(struct live_log *log, uint64_t number)
{
    const struct backend_sys *sys = log->store->sys;
    char path[LIVE_PATH_SIZE];
    if (log->fd < 0)
        return;
    if (log->store->films_fd >= 0 && number > log->filmed_below)
        number = log->filmed_below;
    for (; log->first_kept < number; log->first_kept++) {
        live_segment_path(log->first_kept, path);
        (void)sys->remove(sys, log->fd, path, false);
        log->dropped_lines++;
    }
    if (log->dropped_lines >= COMPACT_LINES)
        compact(log);
}

/* What files there are, as a list of names with their zeros. */
static bool note_name(const char *name, bool is_directory, void *user)
{
    if (!is_directory)
        text_add(user, slice_of(name, strlen(name) + 1));
    return true;
}

/* The journal goes first: whoever is cut off here leaves no channel behind. */
void live_log_remove_files(struct live_log *log)
{
    const struct backend_sys *sys = log->store->sys;
    if (log->fd < 0)
        return;
    (void)sys->remove(sys, log->fd, "journal", false);
    for (unsigned pass = 0; pass < REMOVE_PASSES; pass++) {
        struct text names = {0};
        (void)sys->list(sys, log->fd, note_name, &names);
        for (size_t at = 0; at < names.size; at += strlen(names.data + at) + 1)
            (void)sys->remove(sys, log->fd, names.data + at, false);
        text_fini(&names);
        if (sys->remove(sys, log->store->fd, log->channel->name, true) == 0)
            break;
    }
    live_log_close(log);
}
