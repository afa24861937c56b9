/* SPDX-License-Identifier: MIT */
/*
 * See live_log.h: what waits to be written. One job a channel takes it all, in order; it runs again
 * when something has come meanwhile.
 *
 * What cannot be written ends its publisher, and whatever waits behind it is forgotten: a journal
 * has no holes that we know of. The next publisher tries again.
 */
#include "media/live_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"

static void free_entry(struct live_entry *entry)
{
    live_segment_unref(entry->segment);
    text_fini(&entry->lines);
    free(entry->init_data);
    free(entry);
}

/* ---- The job --------------------------------------------------------------------------------- */

static struct live_record *find_record(const struct live_channel *channel, uint64_t number)
{
    for (struct list_node *node = channel->records.previous; node != &channel->records;
         node = node->previous) {
        struct live_record *record = live_record_of(node);
        if (record->number <= number)
            return record->number == number ? record : NULL;
    }
    return NULL;
}

static void note_written(struct live_channel *channel, const struct live_entry *entry, int error)
{
    struct live_record *record = find_record(channel, entry->number);
    if (!record || entry->kind != LIVE_ENTRY_SEGMENT)
        return;
    record->is_unwritten = error != 0;
    record->is_stored = error == 0;
    channel->stored += error ? 0 : record->size;
}

static void forget_waiting(struct live_log *log, int error)
{
    for (struct list_node *node = log->entries.next, *next; node != &log->entries; node = next) {
        struct live_entry *entry = CONTAINER_OF(node, struct live_entry, node);
        next = node->next;
        if (entry->kind != LIVE_ENTRY_SEGMENT && entry->kind != LIVE_ENTRY_PART)
            continue;
        list_remove(node);
        log->waiting--;
        note_written(log->channel, entry, error);
        free_entry(entry);
    }
}

static int carry_out(struct live_log *log, const struct live_entry *entry)
{
    int error;
    switch (entry->kind) {
    case LIVE_ENTRY_FILMS:
        error = live_films_make(log);
        log->has_film_failed = error != 0;
        if (error && error != -ECANCELED)
            live_store_say(log->store, "no film of the channel %s: %s", log->channel->name,
                           leat_error_text(error));
        return 0;
    case LIVE_ENTRY_REMOVE: live_log_remove_files(log); return 0;
    case LIVE_ENTRY_LINE: return log->fd < 0 ? 0 : live_log_write(log, entry);
    default: return live_log_write(log, entry);
    }
}

static void settle(struct live_log *log, const struct live_entry *entry, int error)
{
    struct live_channel *channel = log->channel;
    log->is_removed = log->is_removed || entry->kind == LIVE_ENTRY_REMOVE;
    if (error) {
        log->error = error;
        log->has_told_channel = false;
        log->told_epoch = log->told_init = log->parts_of = 0;
        forget_waiting(log, error);
    }
    note_written(channel, entry, error);
    live_trim(channel);
}

/* The next thing to do; false: there is none, and the job is as good as over. */
static bool step(struct live_log *log)
{
    struct live_channel *channel = log->channel;
    pthread_mutex_lock(&channel->lock);
    struct list_node *node = list_take_front(&log->entries);
    const uint64_t drop_below = log->drop_below;
    const unsigned refused = log->refused;
    const int error_before = log->error;
    log->waiting -= node ? 1 : 0;
    log->refused = 0;
    pthread_mutex_unlock(&channel->lock);
    if (refused > 0)
        live_store_say(log->store, "%s: %u segments of %s come too fast, and stay in memory alone",
                       log->store->label, refused, channel->name);
    if (!node) {
        live_log_drop_files(log, drop_below);
        return false;
    }
    struct live_entry *entry = CONTAINER_OF(node, struct live_entry, node);
    const int error = carry_out(log, entry);
    if (error && !error_before)
        live_store_say(log->store, "%s: the channel %s: %s", log->store->label, channel->name,
                       leat_error_text(error));
    pthread_mutex_lock(&channel->lock);
    settle(log, entry, error);
    pthread_mutex_unlock(&channel->lock);
    free_entry(entry);
    return true;
}

static void run(struct offload_job *job, const struct backend_sys *sys)
{
    struct live_log *log = CONTAINER_OF(job, struct live_log, job);
    while (step(log))
        ;
}

static void close_released(struct live_log *log)
{
    if (!log->wants_release || !list_is_empty(&log->entries))
        return;
    live_log_close(log);
    log->is_released = true;
}

static void start(struct live_log *log);

static void done(struct offload_job *job)
{
    struct live_log *log = CONTAINER_OF(job, struct live_log, job);
    struct live_channel *channel = log->channel;
    pthread_mutex_lock(&channel->lock);
    log->is_running = false;
    close_released(log);
    if (!list_is_empty(&log->entries))
        start(log);
    pthread_mutex_unlock(&channel->lock);
    live_channel_unref(channel);
}

/* Without a loop, or where the pool has too much to do, it waits for the next occasion. */
static void start(struct live_log *log)
{
    if (log->is_running || log->is_released || !loop_current)
        return;
    log->is_running = true;
    live_channel_ref(log->channel);
    log->job.run = run;
    log->job.done = done;
    if (offload_submit(loop_current, &log->job) == 0)
        return;
    log->is_running = false;
    live_channel_unref(log->channel); /* not the last: who calls has one */
}

/* ---- What channels tell ---------------------------------------------------------------------- */

struct live_log *live_log_create(struct live_store *store, struct live_channel *channel)
{
    struct live_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->store = store;
    log->channel = channel;
    log->fd = log->journal_fd = -1;
    list_init(&log->entries);
    return log;
}

void live_log_destroy(struct live_log *log)
{
    if (!log)
        return;
    ASSERT(!log->is_running);
    for (struct list_node *node; (node = list_take_front(&log->entries));)
        free_entry(CONTAINER_OF(node, struct live_entry, node));
    live_log_close(log);
    free(log);
}

int live_log_reopen(struct live_log *log)
{
    if (log && log->wants_removal)
        return -EBUSY;
    if (log) {
        log->is_ended = false;
        log->error = 0;
    }
    return 0;
}

static struct live_entry *add_entry(struct live_log *log, enum live_entry_kind kind)
{
    struct live_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->kind = kind;
    list_push_back(&log->entries, &entry->node);
    log->waiting++;
    return entry;
}

static bool copy_inits(struct live_entry *entry, const struct live_epoch *epoch)
{
    size_t size = 0;
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++)
        size += epoch->inits[stream].size;
    ASSERT(size > 0);
    unsigned char *at = entry->init_data = malloc(size);
    if (!at)
        return false;
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++)
        if (epoch->inits[stream].size > 0) {
            memcpy(at, epoch->inits[stream].data, epoch->inits[stream].size);
            at += epoch->inits[stream].size;
        }
    entry->init_size = size;
    entry->init = epoch->init;
    return true;
}

/* What the journal has to know before it. */
static bool introduce(struct live_log *log, struct live_entry *entry,
                      const struct live_epoch *epoch)
{
    if (!log->has_told_channel)
        live_journal_channel(&entry->lines, log->channel);
    if (log->told_epoch != epoch->first_number)
        live_journal_epoch(&entry->lines, epoch);
    return log->told_init == epoch->init || copy_inits(entry, epoch);
}

static void take_back(struct live_log *log, struct live_entry *entry)
{
    list_remove(&entry->node);
    log->waiting--;
    free_entry(entry);
}

/* An entry with the lines that `say` adds. False: there is no memory for it. */
static bool add_told(struct live_log *log, enum live_entry_kind kind,
                     const struct live_record *record, struct live_range range,
                     void (*say)(struct text *text, const struct live_record *record))
{
    struct live_entry *entry = add_entry(log, kind);
    if (!entry)
        return false;
    const bool is_introduced = introduce(log, entry, record->epoch);
    say(&entry->lines, record);
    if (!is_introduced || entry->lines.has_failed) {
        take_back(log, entry);
        return false;
    }
    entry->number = record->number;
    entry->range = range;
    if (range.size > 0) {
        entry->segment = record->segment;
        live_segment_ref(record->segment);
    }
    log->has_told_channel = true;
    log->told_epoch = record->epoch->first_number;
    log->told_init = record->epoch->init;
    start(log);
    return true;
}

/* The first segment of a channel is written when it is whole: only then is known what the channel
 * is. So is one of which there was no room for a part. */
void live_log_part(struct live_log *log, const struct live_record *record)
{
    if (!log || log->wants_release || log->error || log->channel->available_ms == 0)
        return;
    ASSERT(record->part_count > 0 && record->segment);
    const struct live_part *part = &record->parts[record->part_count - 1];
    const struct live_range range = {part->offset, (uint64_t)part->sizes[0] + part->sizes[1]};
    if (record->part_count == 1) {
        log->parts_of = record->number;
        log->parts_told = 0;
    }
    if (log->parts_of != record->number || log->parts_told + 1 != record->part_count ||
        log->waiting >= LIVE_PARTS_WAITING_MAX)
        return;
    log->parts_told += add_told(log, LIVE_ENTRY_PART, record, range, live_journal_part);
}

void live_log_segment(struct live_log *log, struct live_record *record)
{
    if (!log)
        return;
    ASSERT(record->is_whole && record->segment && !log->wants_removal);
    record->is_unwritten = true;
    if (log->wants_release || log->error)
        return;
    const bool has_parts = log->parts_of == record->number && log->parts_told == record->part_count;
    const struct live_range range = {0, has_parts ? 0 : record->size};
    if (log->waiting >= LIVE_WAITING_MAX ||
        !add_told(log, LIVE_ENTRY_SEGMENT, record, range, live_journal_segment))
        log->refused++;
    else
        record->is_unwritten = false;
}

void live_log_left(struct live_log *log)
{
    if (!log || log->wants_release)
        return;
    struct live_entry *entry = add_entry(log, LIVE_ENTRY_LINE);
    if (entry)
        live_journal_mark(&entry->lines, LIVE_LINE_LEFT, log->channel->next_number);
    start(log);
}

void live_log_end(struct live_log *log)
{
    if (!log || log->is_ended || log->wants_release)
        return;
    struct live_entry *entry = add_entry(log, LIVE_ENTRY_LINE);
    if (!entry)
        return;
    log->is_ended = true;
    live_journal_mark(&entry->lines, LIVE_LINE_END, 0);
    if (log->store->films_fd >= 0)
        (void)add_entry(log, LIVE_ENTRY_FILMS);
    start(log);
}

void live_log_drop(struct live_log *log, uint64_t number)
{
    if (log && number > log->drop_below)
        log->drop_below = number;
}

bool live_log_remove(struct live_log *log)
{
    if (!log || log->wants_release || log->is_removed)
        return true;
    if (!log->wants_removal) {
        /* Of what should have become a film somebody may still make one. */
        if (!log->is_running && list_is_empty(&log->entries) && log->has_film_failed) {
            live_log_release(log);
            return true;
        }
        log->wants_removal =
            log->waiting == 0 && !log->is_running && add_entry(log, LIVE_ENTRY_REMOVE);
    }
    start(log);
    return false;
}

void live_log_release(struct live_log *log)
{
    if (!log || log->is_released)
        return;
    log->wants_release = true;
    if (log->is_running)
        return;
    start(log);
    if (!log->is_running)
        close_released(log);
}
