/* SPDX-License-Identifier: MIT */
/*
 * See publisher.h.
 */
#include "feed/publisher.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

enum {
    BEAT_FIRST_MS = 1, /* the first heartbeat after the last packet; each next one 10 times later */
    BEAT_GROWTH = 10,
    SPIN_TURNS = 16, /* of which one looks for requests */
};

void publisher_wake_waiters(struct leat_feed_publisher *publisher)
{
    while (!list_is_empty(&publisher->waiters)) {
        struct list_node *node = list_take_front(&publisher->waiters);
        fiber_wake(CONTAINER_OF(node, struct publisher_waiter, node)->fiber);
    }
}

/* ---- Heartbeats ------------------------------------------------------------------------------ */

static void set_beat(struct leat_feed_publisher *publisher, int64_t now_ns, int64_t after_ns)
{
    publisher->beat_ns = after_ns < publisher->heartbeat_ns ? after_ns : publisher->heartbeat_ns;
    publisher->beat_at_ns = now_ns + publisher->beat_ns;
    if (publisher->mode == LEAT_FEED_ECONOMICAL)
        loop_timer_start(publisher->loop, &publisher->beat_timer, publisher->beat_at_ns);
}

/* What has been sent tells by itself how far the feed is. */
static void note_sent(struct leat_feed_publisher *publisher)
{
    publisher->has_sent = true;
    if (publisher->beat_ns > BEAT_FIRST_MS * LEAT_NS_PER_MS)
        set_beat(publisher, publisher_now(publisher), BEAT_FIRST_MS * LEAT_NS_PER_MS);
}

static void beat(struct leat_feed_publisher *publisher, int64_t now_ns)
{
    if (publisher->has_sent) {
        publisher->has_sent = false;
        return set_beat(publisher, now_ns, BEAT_FIRST_MS * LEAT_NS_PER_MS);
    }
    uint8_t packet[MOLD_HEADER_SIZE];
    mold_write_header(packet, publisher->session, publisher->sendable_sequence,
                      publisher->state == PUBLISHER_ENDED ? MOLD_END_OF_SESSION : 0);
    for (unsigned i = 0; i < publisher->outlet_count; i++)
        feed_outlet_say(&publisher->outlets[i], packet, sizeof packet);
    publisher->stats.heartbeats++;
    set_beat(publisher, now_ns, publisher->beat_ns * BEAT_GROWTH);
}

void publisher_on_beat(struct timer *timer)
{
    struct leat_feed_publisher *publisher =
        CONTAINER_OF(timer, struct leat_feed_publisher, beat_timer);
    beat(publisher, publisher_now(publisher));
}

void publisher_begin_beats(struct leat_feed_publisher *publisher)
{
    publisher->has_sent = false;
    publisher->beat_ns = BEAT_FIRST_MS * LEAT_NS_PER_MS / BEAT_GROWTH;
    beat(publisher, publisher_now(publisher));
}

/* ---- From the log to the lines --------------------------------------------------------------- */

static void push(struct leat_feed_publisher *publisher)
{
    bool is_all = true;
    for (unsigned i = 0; i < publisher->outlet_count; i++) {
        struct feed_outlet *outlet = &publisher->outlets[i];
        if (!feed_outlet_push(outlet, publisher->sendable_sequence)) {
            is_all = false;
            feed_outlet_wait(outlet);
        }
    }
    note_sent(publisher);
    if (is_all && !list_is_empty(&publisher->waiters))
        publisher_wake_waiters(publisher);
}

static void arm_flush(struct leat_feed_publisher *publisher)
{
    publisher->flush_at_ns = publisher_now(publisher) + publisher->flush_ns;
    if (publisher->mode == LEAT_FEED_ECONOMICAL)
        loop_timer_start(publisher->loop, &publisher->flush_timer, publisher->flush_at_ns);
}

static void start_sync(struct leat_feed_publisher *publisher);

/* The host lacks something for now. A disk that has failed is another matter: what it was given may
 * be gone, and a later success would not bring it back. */
static bool is_want(int error)
{
    return error == -EAGAIN || error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static void on_synced(int error, void *user)
{
    struct leat_feed_publisher *publisher = user;
    publisher->is_syncing = false;
    if (is_want(error) && !publisher->is_closing)
        return arm_flush(publisher); /* soon */
    publisher->sync_error = error;
    if (!error) {
        publisher->sendable_sequence = publisher->syncing_sequence;
        push(publisher);
    }
    publisher_wake_waiters(publisher);
    if (!error && publisher->sendable_sequence < publisher->closed_sequence)
        start_sync(publisher);
}

/* One sync is under way at a time, and carries all that was closed before it. */
static void start_sync(struct leat_feed_publisher *publisher)
{
    if (publisher->is_syncing)
        return;
    publisher->syncing_sequence = publisher->closed_sequence;
    publisher->is_syncing = true;
    const int error = feed_log_sync(publisher->log, on_synced, publisher);
    if (error)
        on_synced(error, publisher);
}

/* What is closed may leave. */
static void leave(struct leat_feed_publisher *publisher)
{
    publisher->left_bytes = publisher->closed_bytes;
    if (publisher->sendable_sequence == publisher->closed_sequence)
        return;
    if (publisher->is_durable)
        return start_sync(publisher);
    publisher->sendable_sequence = publisher->closed_sequence;
    push(publisher);
}

static void close_record(struct leat_feed_publisher *publisher)
{
    const struct feed_log_tail *tail = publisher->tail;
    if (!tail->at || tail->count == 0)
        return;
    publisher->closed_bytes += (uint64_t)(tail->at - tail->record) - FEED_LOG_PREFIX_SIZE;
    feed_log_finish_record(publisher->log);
    publisher->closed_sequence = tail->next_sequence;
    publisher->stats.packets++;
}

void leat_feed_flush(struct leat_feed_publisher *publisher)
{
    close_record(publisher);
    publisher->first_unflushed = publisher->tail->next_sequence;
    if (publisher->flush_timer.is_running)
        loop_timer_stop(publisher->loop, &publisher->flush_timer);
    publisher->flush_at_ns = LEAT_FOREVER;
    leave(publisher);
}

void publisher_on_flush(struct timer *timer)
{
    struct leat_feed_publisher *publisher =
        CONTAINER_OF(timer, struct leat_feed_publisher, flush_timer);
    publisher->stats.flushes_by_time++;
    leat_feed_flush(publisher);
}

void publisher_on_room(void *user)
{
    struct leat_feed_publisher *publisher = user;
    if (publisher->is_closing)
        publisher_wake_waiters(publisher);
    else
        push(publisher);
}

static void on_log_ready(void *user)
{
    publisher_wake_waiters(user);
}

/* ---- Publishing ------------------------------------------------------------------------------ */

/* Handed to no line yet. */
static uint64_t backlog(const struct leat_feed_publisher *publisher)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < publisher->outlet_count; i++) {
        const uint64_t bytes = publisher->closed_bytes - publisher->outlets[i].passed_bytes;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* The open record lacks room for `size` bytes, or there is none: the next one. Out of the way of
 * those that find room, a packet's others. */
__attribute__((noinline)) static int open_record(struct leat_feed_publisher *publisher, size_t size)
{
    if (publisher->state != PUBLISHER_OPEN)
        return -EPIPE;
    if (size == 0)
        return -EINVAL;
    if (publisher->sync_error)
        return publisher->sync_error;
    if (size + LEAT_FEED_OVERHEAD > publisher->packet_size)
        return -EMSGSIZE;
    close_record(publisher);
    if (publisher->closed_bytes - publisher->left_bytes >= publisher->flush_bytes)
        leat_feed_flush(publisher);
    if (backlog(publisher) > publisher->backlog_max) {
        leave(publisher);
        return -EAGAIN;
    }
    const int64_t wall_ns =
        publisher->handed_ns ? publisher->handed_ns : publisher_wall_ns(publisher);
    const int error = feed_log_begin(publisher->log, wall_ns);
    if (error) {
        leat_feed_flush(publisher); /* what waits for company waits in vain */
        publisher->stats.log_waits++;
    }
    return error;
}

static inline bool has_room(const struct feed_log_tail *tail, size_t size)
{
    return tail->at && size > 0 && size + 2 <= (size_t)(tail->end - tail->at) &&
           tail->count < MOLD_COUNT_MAX;
}

int leat_feed_reserve(struct leat_feed_publisher *publisher, size_t size, void **ret_message)
{
    struct feed_log_tail *tail = publisher->tail;
    if (__builtin_expect(!has_room(tail, size), false)) {
        const int error = open_record(publisher, size);
        if (error)
            return error;
    }
    publisher->reserved = size;
    *ret_message = tail->at + 2;
    return 0;
}

/* Messages were committed: when do they leave? */
static inline void note_committed(struct leat_feed_publisher *publisher, uint64_t first)
{
    const uint64_t unflushed = publisher->tail->next_sequence - publisher->first_unflushed;
    if (unflushed >= publisher->flush_messages)
        return leat_feed_flush(publisher);
    if (first != publisher->first_unflushed)
        return;
    arm_flush(publisher);
}

uint64_t leat_feed_commit(struct leat_feed_publisher *publisher)
{
    ASSERT(publisher->reserved > 0);
    const uint64_t sequence = feed_log_commit(publisher->tail, publisher->reserved);
    publisher->reserved = 0;
    note_committed(publisher, sequence);
    return sequence;
}

int leat_feed_publish(struct leat_feed_publisher *publisher, struct leat_slice message,
                      uint64_t *ret_sequence)
{
    void *at;
    const int error = leat_feed_reserve(publisher, message.size, &at);
    if (error)
        return error;
    memcpy(at, message.data, message.size);
    const uint64_t sequence = leat_feed_commit(publisher);
    if (ret_sequence)
        *ret_sequence = sequence;
    return 0;
}

/* The messages at the front of `blocks` that fit the open record: how many, and their bytes. */
static size_t fitting(const struct leat_feed_publisher *publisher, struct leat_slice blocks,
                      size_t *ret_size)
{
    const struct feed_log_tail *tail = publisher->tail;
    const size_t room = (size_t)(tail->end - tail->at);
    const uint64_t unflushed = tail->next_sequence - publisher->first_unflushed;
    size_t count_max = MOLD_COUNT_MAX - tail->count;
    if (count_max > publisher->flush_messages - unflushed)
        count_max = publisher->flush_messages - unflushed;
    if (blocks.size > room)
        blocks.size = room;
    return mold_blocks_check(blocks, count_max, ret_size);
}

/* The messages at the front of `blocks` that a record takes. How many, or an error. */
static int publish_run(struct leat_feed_publisher *publisher, struct leat_slice blocks,
                       size_t *ret_size)
{
    struct feed_log_tail *tail = publisher->tail;
    const size_t next = (size_t)(uint8_t)blocks.data[0] << 8 | (uint8_t)blocks.data[1];
    if (next == 0 || next + 2 > blocks.size) /* its caller has not checked it */
        return -EINVAL;
    if (!has_room(tail, next)) {
        const int error = open_record(publisher, next);
        if (error)
            return error;
    }
    const size_t count = fitting(publisher, blocks, ret_size);
    ASSERT(count > 0);
    memcpy(tail->at, blocks.data, *ret_size);
    note_committed(publisher, feed_log_commit_blocks(tail, *ret_size, (unsigned)count));
    return (int)count;
}

int leat_feed_publish_blocks(struct leat_feed_publisher *publisher, struct leat_slice blocks,
                             size_t *ret_size)
{
    size_t done = 0, size = 0;
    int count = 0, result = 0;
    publisher->handed_ns = publisher_wall_ns(publisher); /* all of them, now */
    while (blocks.size - done >= 2 && count < INT32_MAX - MOLD_COUNT_MAX) {
        const struct leat_slice rest = {blocks.data + done, blocks.size - done};
        result = publish_run(publisher, rest, &size);
        if (result < 0)
            break;
        done += size;
        count += result;
    }
    publisher->handed_ns = 0;
    if (result < 0 && count == 0)
        return result;
    *ret_size = done;
    return count;
}

size_t leat_feed_blocks_check(struct leat_slice blocks, size_t *ret_size)
{
    return mold_blocks_check(blocks, SIZE_MAX, ret_size);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void stop_waiting(void *user)
{
    struct publisher_waiter *waiter = user;
    list_remove(&waiter->node);
    fiber_wake(waiter->fiber);
}

/* Until something has changed. */
static int wait_for_change(struct leat_feed_publisher *publisher, int64_t deadline_ns)
{
    struct publisher_waiter waiter = {.fiber = fiber_current()};
    list_push_back(&publisher->waiters, &waiter.node);
    const int error = fiber_park(deadline_ns, stop_waiting, &waiter);
    list_remove(&waiter.node);
    return error;
}

/* The log's next segment could not be made, and will be tried again. */
static bool may_pass(const struct leat_feed_publisher *publisher, int error)
{
    return error != -EPIPE && publisher->sync_error == 0;
}

int leat_feed_publisher_wait(struct leat_feed_publisher *publisher, int64_t deadline_ns)
{
    bool has_waited = false;
    for (;;) {
        if (has_room(publisher->tail, 1) && !publisher->sync_error)
            return 0;
        const int error = open_record(publisher, 1);
        if (!error || !may_pass(publisher, error) || (error != -EAGAIN && has_waited))
            return error;
        if (backlog(publisher) <= publisher->backlog_max)
            feed_log_on_ready(publisher->log, on_log_ready, publisher);
        const int reason = wait_for_change(publisher, deadline_ns);
        if (reason)
            return reason;
        has_waited = true;
    }
}

int leat_feed_publisher_sync(struct leat_feed_publisher *publisher, uint64_t sequence,
                             int64_t deadline_ns)
{
    if (!publisher->is_durable)
        return 0; /* it is as safe as it gets once it has a sequence */
    if (sequence >= publisher->closed_sequence || !publisher->is_syncing)
        leat_feed_flush(publisher);
    while (publisher->sendable_sequence <= sequence) {
        if (publisher->sync_error)
            return publisher->sync_error;
        const int reason = wait_for_change(publisher, deadline_ns);
        if (reason)
            return reason;
    }
    return 0;
}

void leat_feed_publisher_turn(struct leat_feed_publisher *publisher)
{
    const int64_t now_ns = publisher_now(publisher);
    if (now_ns >= publisher->flush_at_ns) {
        publisher->stats.flushes_by_time++;
        leat_feed_flush(publisher);
    }
    if (publisher->closed_bytes > 0 && backlog(publisher) > 0 && !publisher->is_syncing)
        push(publisher);
    if (now_ns >= publisher->beat_at_ns)
        beat(publisher, now_ns);
    if (publisher->answers && ++publisher->turns % SPIN_TURNS == 0)
        feed_answers_turn(publisher->answers);
}

int leat_feed_publisher_end(struct leat_feed_publisher *publisher, int64_t deadline_ns)
{
    if (publisher->state == PUBLISHER_OPEN) {
        leat_feed_flush(publisher);
        const uint64_t last = publisher->tail->next_sequence - 1;
        const int error = leat_feed_publisher_sync(publisher, last, deadline_ns);
        if (error)
            return error;
        feed_log_end(publisher->log);
        publisher->state = PUBLISHER_ENDED;
    }
    publisher_begin_beats(publisher);
    for (;;) {
        if (publisher->mode == LEAT_FEED_SPIN)
            leat_feed_publisher_turn(publisher);
        const int64_t now_ns = publisher_now(publisher);
        if (now_ns >= deadline_ns)
            return 0;
        const int error =
            publisher->mode == LEAT_FEED_SPIN ? leat_yield() : leat_sleep_until(deadline_ns);
        if (error)
            return error;
    }
}

void leat_feed_publisher_stats(const struct leat_feed_publisher *publisher,
                               struct leat_feed_publisher_stats *ret_stats)
{
    *ret_stats = publisher->stats;
    ret_stats->next_sequence = publisher->tail->next_sequence;
    ret_stats->messages = publisher->tail->next_sequence - publisher->first_sequence;
    ret_stats->is_ended = publisher->state == PUBLISHER_ENDED;
    for (unsigned i = 0; i < publisher->outlet_count; i++) {
        struct feed_transport *transport = publisher->outlets[i].transport;
        struct feed_transport_stats stats;
        transport->ops->stats(transport, &stats);
        ret_stats->sent[i] = stats.sent;
        ret_stats->lost[i] = stats.lost;
        ret_stats->departures += stats.stamps;
        ret_stats->departure_sum_ns += stats.stamp_sum_ns;
    }
    if (publisher->answers)
        feed_answers_stats(publisher->answers, ret_stats);
}
