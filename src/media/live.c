/* SPDX-License-Identifier: MIT */
/*
 * See live.h: the hub, its channels, and who watches them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "media/live_log.h"

enum {
    NUMBERED_MS = 2000, /* segments are no shorter, on average */
    KEPT_FACTOR = 2,    /* what leaves the playlists can be had for as long as it was in them */
};

struct live_watch {
    struct list_node node; /* of the channel */
    struct task task;
    struct leat_loop *loop;
    struct live_channel *channel; /* a reference */
    void (*on_change)(void *user);
    void *user;
    bool is_posted, is_dead; /* under the channel's lock */
};

/* ---- Time ------------------------------------------------------------------------------------ */

int64_t live_wall_ms(void)
{
    const struct backend_sys *sys = loop_current->sys;
    return sys->wall_ns(sys) / LEAT_NS_PER_MS;
}

/* ---- Segments -------------------------------------------------------------------------------- */

void live_segment_ref(struct live_segment *segment)
{
    ASSERT(segment->references > 0);
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
}

void live_segment_unref(struct live_segment *segment)
{
    if (!segment || atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) > 1)
        return;
    segment->sys->close(segment->sys, segment->fd);
    free(segment);
}

void live_epoch_drop(struct live_epoch *epoch)
{
    ASSERT(epoch->segments > 0);
    if (--epoch->segments > 0)
        return;
    list_remove(&epoch->node);
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++)
        free(epoch->inits[stream].data);
    free(epoch);
}

void live_record_free(struct live_record *record)
{
    list_remove(&record->node);
    live_segment_unref(record->segment);
    live_epoch_drop(record->epoch);
    free(record->parts);
    free(record);
}

struct live_record *live_last_record(const struct live_channel *channel)
{
    return list_is_empty(&channel->records) ? NULL : live_record_of(channel->records.previous);
}

/* ---- What leaves ----------------------------------------------------------------------------- */

static int64_t end_of(const struct live_record *record)
{
    return record->begin_us + record->duration_us;
}

/* It is in no playlist made from now on. */
static void unlist(struct live_channel *channel, const struct live_record *record)
{
    ASSERT(record->is_whole && record->number == channel->first_listed);
    channel->first_listed = record->number + 1;
    channel->discontinuities_gone += record->is_discontinuity;
}

/* Nor are those before it: what is listed is in a row. */
static void unlist_until(struct live_channel *channel, const struct live_record *last)
{
    for (struct list_node *node = channel->records.next;
         channel->first_listed < last->number && node != &channel->records; node = node->next)
        if (live_record_of(node)->number == channel->first_listed)
            unlist(channel, live_record_of(node));
    if (channel->first_listed == last->number)
        unlist(channel, last);
}

/* From here on its bytes are in the store alone. */
static void let_go_of_memory(struct live_channel *channel, struct live_record *record)
{
    ASSERT(record->segment && record->is_stored);
    live_segment_unref(record->segment);
    record->segment = NULL;
    channel->memory -= record->size;
    channel->held--;
}

/* What the store could not take is remembered as a gap: what stands before it can still be seen. */
static void become_gap(struct live_channel *channel, struct live_record *record)
{
    ASSERT(record->segment && !record->is_stored);
    live_segment_unref(record->segment);
    record->segment = NULL;
    channel->memory -= record->size;
    record->part_count = 0;
    record->is_gap = true;
}

static void forget(struct live_channel *channel, struct live_record *record)
{
    if (record->segment) {
        channel->memory -= record->size;
        channel->held--;
    }
    if (record->is_stored)
        channel->stored -= record->size;
    live_log_drop(channel->log, record->number + 1);
    live_record_free(record);
}

/* Where there is too little memory the oldest go before their time: the channel goes on. The last
 * whole one stays. */
void live_trim(struct live_channel *channel)
{
    const struct live_options *options = &channel->hub->options;
    const int64_t window_us = options->window_ms * 1000, memory_us = options->memory_ms * 1000;
    for (struct list_node *node = channel->records.next, *next; node != &channel->records;
         node = next) {
        struct live_record *record = live_record_of(node);
        const int64_t behind_us = channel->end_us - end_of(record);
        const bool is_crowded =
            channel->memory > LIVE_MEMORY_MAX || channel->held > LIVE_SEGMENTS_MAX;
        next = node->next;
        if (!record->is_whole || next == &channel->records)
            break;
        if (record->segment && record->is_stored && (behind_us > memory_us || is_crowded))
            let_go_of_memory(channel, record);
        if (record->segment && record->is_unwritten && (behind_us > memory_us || is_crowded))
            become_gap(channel, record);
        const bool must_go = record->segment && is_crowded;
        if (record->number >= channel->first_listed && (behind_us > window_us || must_go))
            unlist_until(channel, record);
        if (record->number < channel->first_listed &&
            (behind_us > KEPT_FACTOR * window_us || must_go))
            forget(channel, record);
    }
}

/* ---- What was lost --------------------------------------------------------------------------- */

static struct live_record *make_gap(const struct live_record *last, uint64_t number)
{
    struct live_record *gap = calloc(1, sizeof *gap);
    if (!gap)
        return NULL;
    *gap = (struct live_record){.epoch = last->epoch,
                                .number = number,
                                .begin_us = end_of(last),
                                .period_first = last->period_first,
                                .period_begin_us = last->period_begin_us,
                                .is_whole = true,
                                .is_gap = true};
    gap->epoch->segments++;
    return gap;
}

/* They last for as long as is missing, but no longer than segments do. */
void live_fill_gap(struct live_channel *channel, uint64_t number, int64_t until_us)
{
    struct live_record *last = live_last_record(channel);
    while (last && last->number + 1 < number) {
        const int64_t missing_us = until_us - end_of(last);
        const int64_t share_us = missing_us / (int64_t)(number - last->number - 1);
        struct live_record *gap = make_gap(last, last->number + 1);
        if (!gap) { /* what is listed has to be in a row */
            unlist_until(channel, last);
            channel->first_listed = number;
            return;
        }
        const uint32_t most_us = channel->segment_us;
        gap->duration_us = share_us <= 0 ? 0 : share_us < most_us ? (uint32_t)share_us : most_us;
        list_push_back(&channel->records, &gap->node);
        last = gap;
    }
}

/* ---- Channels -------------------------------------------------------------------------------- */

bool live_is_name(const char *name)
{
    const size_t size = strlen(name);
    if (size == 0 || size >= LIVE_NAME_SIZE || name[0] == '.')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
           size;
}

static void free_channel(struct live_channel *channel)
{
    live_log_destroy(channel->log);
    while (!list_is_empty(&channel->records))
        live_record_free(live_record_of(channel->records.next));
    ASSERT(list_is_empty(&channel->watches) && list_is_empty(&channel->epochs));
    pthread_mutex_destroy(&channel->lock);
    free(channel);
}

void live_channel_ref(struct live_channel *channel)
{
    ASSERT(channel->references > 0);
    atomic_fetch_add_explicit(&channel->references, 1, memory_order_relaxed);
}

void live_channel_unref(struct live_channel *channel)
{
    if (channel && atomic_fetch_sub_explicit(&channel->references, 1, memory_order_acq_rel) == 1)
        free_channel(channel);
}

const char *live_channel_name(const struct live_channel *channel)
{
    return channel->name;
}

static struct live_channel *find(struct live_hub *hub, const char *name)
{
    LIST_FOR_EACH (node, &hub->channels) {
        struct live_channel *channel = CONTAINER_OF(node, struct live_channel, node);
        if (strcmp(channel->name, name) == 0)
            return channel;
    }
    return NULL;
}

struct live_channel *live_channel_make(struct live_hub *hub, const char *name, int64_t now_ms)
{
    struct live_store *store = hub->store;
    struct live_channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return NULL;
    channel->log = store ? live_log_create(store, channel) : NULL;
    if (store && !channel->log) {
        free(channel);
        return NULL;
    }
    atomic_init(&channel->references, 1);
    channel->hub = hub;
    snprintf(channel->name, sizeof channel->name, "%s", name);
    pthread_mutex_init(&channel->lock, NULL);
    list_init(&channel->records);
    list_init(&channel->epochs);
    list_init(&channel->watches);
    channel->created_ms = now_ms;
    channel->next_number = (uint64_t)now_ms / NUMBERED_MS;
    channel->first_listed = channel->next_number;
    channel->version = 1;
    return channel;
}

static struct live_channel *add(struct live_hub *hub, const char *name)
{
    struct live_channel *channel = live_channel_make(hub, name, live_wall_ms());
    if (!channel)
        return NULL;
    list_push_back(&hub->channels, &channel->node);
    hub->channel_count++;
    return channel;
}

void live_hub_adopt(struct live_hub *hub, struct live_channel *channel)
{
    pthread_mutex_lock(&hub->lock);
    const bool has_place = hub->channel_count < LIVE_CHANNELS_MAX && !find(hub, channel->name);
    if (has_place) {
        list_push_back(&hub->channels, &channel->node);
        hub->channel_count++;
    }
    pthread_mutex_unlock(&hub->lock);
    if (!has_place)
        live_channel_unref(channel);
}

/* Gives the channel's place to `publisher`. -EBUSY: it is taken. */
static int take_place(struct live_channel *channel, struct live_publisher *publisher,
                      const char *peer, char *ret_reason)
{
    const int64_t now_ns = leat_now_ns();
    struct live_publisher *other = channel->publisher;
    if (other && now_ns - channel->heard_ns < LIVE_SILENCE_MS * LEAT_NS_PER_MS) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "%s is being published by %s", channel->name,
                 channel->peer);
        return -EBUSY;
    }
    if (live_log_reopen(channel->log) != 0) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "%s has just gone, try again", channel->name);
        return -EBUSY;
    }
    channel->publisher = publisher; /* who was silent for so long finds out with its next sample */
    channel->heard_ns = now_ns;
    channel->is_over = false;
    snprintf(channel->peer, sizeof channel->peer, "%s", peer);
    live_changed(channel);
    return 0;
}

static int take_channel(struct live_hub *hub, const char *name, const char *peer,
                        struct live_publisher *publisher, char *ret_reason)
{
    struct live_channel *channel = find(hub, name);
    if (hub->is_left) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "this server is about to end, come again");
        return -ESHUTDOWN;
    }
    if (!channel && hub->store && live_store_is_busy(hub->store, name)) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "%s is still in the hands of another process", name);
        return -EBUSY;
    }
    if (!channel && hub->channel_count >= LIVE_CHANNELS_MAX) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "there are %d channels already", LIVE_CHANNELS_MAX);
        return -LEAT_E_LIMIT;
    }
    if (!channel)
        channel = add(hub, name);
    if (!channel) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "there is no memory for another channel");
        return -ENOMEM;
    }
    pthread_mutex_lock(&channel->lock);
    const int error = take_place(channel, publisher, peer, ret_reason);
    pthread_mutex_unlock(&channel->lock);
    if (error)
        return error;
    live_channel_ref(channel);
    publisher->channel = channel;
    return 0;
}

int live_publish(struct live_hub *hub, const char *name, const char *peer,
                 struct live_publisher **ret_publisher, char *ret_reason)
{
    ret_reason[0] = '\0';
    if (!live_is_name(name)) {
        snprintf(ret_reason, LIVE_REASON_SIZE,
                 "a channel's name has 1 to %d letters, digits, '-', '_' or '.'",
                 LIVE_NAME_SIZE - 1);
        return -EINVAL;
    }
    struct live_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return -ENOMEM;
    pthread_mutex_lock(&hub->lock);
    const int error = take_channel(hub, name, peer, publisher, ret_reason);
    pthread_mutex_unlock(&hub->lock);
    if (error) {
        free(publisher);
        return error;
    }
    *ret_publisher = publisher;
    return 0;
}

struct live_channel *live_find(struct live_hub *hub, const char *name)
{
    pthread_mutex_lock(&hub->lock);
    struct live_channel *channel = find(hub, name);
    if (channel) {
        pthread_mutex_lock(&channel->lock);
        const bool is_seen = channel->available_ms != 0;
        pthread_mutex_unlock(&channel->lock);
        if (is_seen)
            live_channel_ref(channel);
        else
            channel = NULL;
    }
    pthread_mutex_unlock(&hub->lock);
    return channel;
}

/* ---- The hub --------------------------------------------------------------------------------- */

int live_hub_create(const struct live_options *options, struct live_hub **ret_hub)
{
    struct live_hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return -ENOMEM;
    if (options)
        hub->options = *options;
#define DEFAULT(field, value) hub->options.field = hub->options.field ? hub->options.field : (value)
    DEFAULT(part_ms, LIVE_PART_MS);
    DEFAULT(segment_ms, LIVE_SEGMENT_MS);
    DEFAULT(window_ms, LIVE_WINDOW_MS);
    DEFAULT(memory_ms, LIVE_WINDOW_MS);
    DEFAULT(grace_ms, LIVE_GRACE_MS);
#undef DEFAULT
    pthread_mutex_init(&hub->lock, NULL);
    list_init(&hub->channels);
    *ret_hub = hub;
    return 0;
}

void live_hub_destroy(struct live_hub *hub)
{
    if (!hub)
        return;
    while (!list_is_empty(&hub->channels)) {
        struct list_node *node = list_take_front(&hub->channels);
        live_channel_unref(CONTAINER_OF(node, struct live_channel, node));
    }
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

enum live_state live_state_of(const struct live_channel *channel, int64_t now_ns)
{
    if (channel->available_ms == 0)
        return channel->is_over ? LIVE_ENDED : LIVE_STARTING;
    if (channel->is_over)
        return LIVE_ENDED;
    const bool is_silent = now_ns - channel->heard_ns > 2 * (int64_t)channel->segment_us * 1000;
    return !channel->publisher || is_silent ? LIVE_STALLED : LIVE_ON;
}

/* Has its time come to go? */
static bool age(struct live_channel *channel, int64_t now_ns)
{
    const struct live_options *options = &channel->hub->options;
    pthread_mutex_lock(&channel->lock);
    const int64_t gone_ms = channel->publisher ? 0 : (now_ns - channel->gone_ns) / LEAT_NS_PER_MS;
    if (!channel->publisher && !channel->is_over && gone_ms > options->grace_ms) {
        channel->is_over = true;
        live_changed(channel);
    }
    const bool is_seen = channel->available_ms != 0;
    if (channel->is_over && !channel->publisher)
        live_log_end(channel->log);
    const bool goes = channel->is_over &&
                      gone_ms > (is_seen ? options->grace_ms + options->window_ms : 0) &&
                      live_log_remove(channel->log);
    pthread_mutex_unlock(&channel->lock);
    return goes;
}

void live_hub_tick(struct live_hub *hub)
{
    const int64_t now_ns = leat_now_ns();
    if (hub->store)
        live_store_tick(hub->store);
    pthread_mutex_lock(&hub->lock);
    for (struct list_node *node = hub->channels.next, *next; node != &hub->channels; node = next) {
        struct live_channel *channel = CONTAINER_OF(node, struct live_channel, node);
        next = node->next;
        if (!age(channel, now_ns))
            continue;
        list_remove(node);
        hub->channel_count--;
        live_channel_unref(channel);
    }
    pthread_mutex_unlock(&hub->lock);
}

void live_hub_leave(struct live_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->is_left = true;
    LIST_FOR_EACH (node, &hub->channels) {
        struct live_channel *channel = CONTAINER_OF(node, struct live_channel, node);
        pthread_mutex_lock(&channel->lock);
        if (!channel->publisher)
            live_log_release(channel->log);
        pthread_mutex_unlock(&channel->lock);
    }
    pthread_mutex_unlock(&hub->lock);
}

/* ---- Watching -------------------------------------------------------------------------------- */

static void tell(struct task *task)
{
    struct live_watch *watch = CONTAINER_OF(task, struct live_watch, task);
    struct live_channel *channel = watch->channel;
    pthread_mutex_lock(&channel->lock);
    watch->is_posted = false;
    const bool is_dead = watch->is_dead;
    pthread_mutex_unlock(&channel->lock);
    if (!is_dead) {
        watch->on_change(watch->user);
        return;
    }
    live_channel_unref(channel);
    free(watch);
}

void live_changed(struct live_channel *channel)
{
    channel->version++;
    LIST_FOR_EACH (node, &channel->watches) {
        struct live_watch *watch = CONTAINER_OF(node, struct live_watch, node);
        if (watch->is_posted)
            continue;
        watch->is_posted = true;
        loop_post(watch->loop, &watch->task);
    }
}

int live_watch_create(struct live_channel *channel, void (*on_change)(void *user), void *user,
                      struct live_watch **ret_watch)
{
    struct live_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    *watch = (struct live_watch){.task.run = tell,
                                 .loop = loop_current,
                                 .channel = channel,
                                 .on_change = on_change,
                                 .user = user};
    ASSERT(watch->loop != NULL);
    live_channel_ref(channel);
    pthread_mutex_lock(&channel->lock);
    list_push_back(&channel->watches, &watch->node);
    pthread_mutex_unlock(&channel->lock);
    *ret_watch = watch;
    return 0;
}

void live_watch_destroy(struct live_watch *watch)
{
    if (!watch)
        return;
    struct live_channel *channel = watch->channel;
    ASSERT(watch->loop == loop_current && !watch->is_dead);
    pthread_mutex_lock(&channel->lock);
    list_remove(&watch->node);
    watch->is_dead = true;
    const bool is_posted = watch->is_posted; /* then it frees itself */
    pthread_mutex_unlock(&channel->lock);
    if (is_posted)
        return;
    live_channel_unref(channel);
    free(watch);
}
