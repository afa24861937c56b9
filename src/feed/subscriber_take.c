/* SPDX-License-Identifier: MIT */
/*
 * See subscriber_parts.h. In order, on one line, a message costs the check of its length: its bytes
 * are handed on where they are. What the other line brings again ends at its header.
 */
#include "feed/subscriber_parts.h"

#include <errno.h>

#include "base/assert.h"
#include "net/address.h"

/* Further ahead than any disorder, or what a busy line says in some milliseconds. */
enum { FAR_AHEAD = 1 << 16 };

static bool is_far_ahead(uint64_t sequence, uint64_t from)
{
    return sequence > from && sequence - from > FAR_AHEAD;
}

/* ---- Out ------------------------------------------------------------------------------------- */

struct delivery {
    uint64_t sequence;
    unsigned count;
    struct leat_slice blocks;
    int64_t received_ns;
    bool is_recovered;
};

/* Begins at `next` or before, and ends behind it. */
static int deliver(struct leat_feed_subscriber *subscriber, const struct delivery *delivery)
{
    const uint64_t skipped = subscriber->next - delivery->sequence;
    ASSERT(delivery->sequence <= subscriber->next && skipped < delivery->count);
    struct leat_feed_batch batch = {
        .sequence = subscriber->next,
        .count = delivery->count - (unsigned)skipped,
        .blocks = delivery->blocks,
        .received_ns = delivery->received_ns,
        .is_recovered = delivery->is_recovered,
    };
    if (skipped > 0)
        batch.blocks = slice_after(batch.blocks, mold_blocks_skip(batch.blocks, (size_t)skipped));
    subscriber->next += batch.count;
    subscriber->stats.messages += batch.count;
    subscriber->stats.packets++;
    const int result = subscriber->options.on_batch(&batch, subscriber->options.user);
    return result < 0 ? result : 0;
}

static int deliver_waiting(struct leat_feed_subscriber *subscriber)
{
    const struct window_packet *packet;
    int error = 0;
    while (!error && (packet = window_first(&subscriber->window)) != NULL &&
           packet->sequence <= subscriber->next) {
        const struct delivery delivery = {
            .sequence = packet->sequence,
            .count = packet->count,
            .blocks = packet->blocks,
            .received_ns = packet->received_ns,
            .is_recovered = packet->is_recovered,
        };
        if (packet->sequence + packet->count > subscriber->next)
            error = deliver(subscriber, &delivery);
        window_drop(&subscriber->window);
    }
    return error;
}

static int tell_lost(struct leat_feed_subscriber *subscriber, struct recovery_span span)
{
    ASSERT(span.first == subscriber->next && span.end <= subscriber->edge);
    subscriber->next = span.end;
    subscriber->stats.lost_messages += span.end - span.first;
    if (!subscriber->options.on_lost)
        return -ENODATA;
    const int result =
        subscriber->options.on_lost(span.first, span.end - 1, subscriber->options.user);
    return result < 0 ? result : 0;
}

/* Nobody has what is missing, and the lines now speak of numbers long before it: somebody else has
 * spoken for the publisher. What does exist will be heard of again. */
static void forget_what_is_ahead(struct leat_feed_subscriber *subscriber)
{
    recovery_forget(&subscriber->recovery);
    while (window_first(&subscriber->window))
        window_drop(&subscriber->window);
    subscriber->edge = subscriber->next;
    subscriber->heard = subscriber->next - 1;
    subscriber->is_ended = false;
    subscriber->end = 0;
}

int subscriber_settle(struct leat_feed_subscriber *subscriber)
{
    struct recovery_span span;
    int error = deliver_waiting(subscriber);
    while (!error && recovery_take_lost(&subscriber->recovery, &span)) {
        if (is_far_ahead(subscriber->edge, subscriber->said)) {
            forget_what_is_ahead(subscriber);
            break;
        }
        error = tell_lost(subscriber, span);
        if (!error)
            error = deliver_waiting(subscriber);
    }
    return error;
}

/* ---- In -------------------------------------------------------------------------------------- */

/* A packet, and where and when it came. */
struct arrival {
    struct subscriber_line *line;
    struct mold_packet packet;
    int64_t received_ns, now_ns;
    bool is_recovered;
};

static struct recovery_span span_of(const struct mold_packet *packet)
{
    return (struct recovery_span){packet->sequence, packet->sequence + packet->count};
}

/* There are messages up to `edge`. Those that were not heard of until now are missing. */
static void extend(struct leat_feed_subscriber *subscriber, uint64_t edge, int64_t now_ns)
{
    if (edge <= subscriber->edge)
        return;
    const struct recovery_span span = {subscriber->edge, edge};
    recovery_miss(&subscriber->recovery, span,
                  now_ns + (int64_t)subscriber->options.window_us * LEAT_NS_PER_US);
    subscriber->edge = edge;
}

/* Messages before the edge have come: how many of them were missing. */
static uint64_t have(struct leat_feed_subscriber *subscriber, const struct arrival *arrival)
{
    struct recovery_span span = span_of(&arrival->packet);
    if (span.first < subscriber->next)
        span.first = subscriber->next;
    if (span.end > subscriber->edge)
        span.end = subscriber->edge;
    if (span.first >= span.end)
        return 0;
    return arrival->is_recovered ? recovery_answered(&subscriber->recovery, span, arrival->now_ns)
                                 : recovery_have(&subscriber->recovery, span);
}

static void count_news(struct leat_feed_subscriber *subscriber, const struct arrival *arrival,
                       uint64_t news)
{
    ASSERT(news > 0 && news <= arrival->packet.count);
    arrival->line->stats.first++;
    if (arrival->is_recovered)
        subscriber->stats.recovered_messages += news;
}

/* It begins at `next` or before: out with it, and what waited for it. */
static int take_due(struct leat_feed_subscriber *subscriber, const struct arrival *arrival)
{
    const struct mold_packet *packet = &arrival->packet;
    const uint64_t end = packet->sequence + packet->count;
    const struct delivery delivery = {
        .sequence = packet->sequence,
        .count = packet->count,
        .blocks = packet->blocks,
        .received_ns = arrival->received_ns,
        .is_recovered = arrival->is_recovered,
    };
    const bool is_alone = subscriber->next == subscriber->edge; /* nothing waits, nothing misses */
    uint64_t news = is_alone ? 0 : have(subscriber, arrival);
    if (end > subscriber->edge) {
        news += end - subscriber->edge;
        subscriber->edge = end;
    }
    count_news(subscriber, arrival, news);
    const int error = deliver(subscriber, &delivery);
    return error || is_alone ? error : subscriber_settle(subscriber);
}

/* It came before others that it follows. */
static void take_early(struct leat_feed_subscriber *subscriber, const struct arrival *arrival)
{
    const struct recovery_span span = span_of(&arrival->packet);
    const struct window_packet packet = {
        .sequence = arrival->packet.sequence,
        .count = arrival->packet.count,
        .blocks = arrival->packet.blocks,
        .received_ns = arrival->received_ns,
        .is_recovered = arrival->is_recovered,
    };
    if (span.end <= subscriber->edge && !recovery_misses(&subscriber->recovery, span)) {
        arrival->line->stats.duplicates++;
        return;
    }
    if (!recovery_has_room(&subscriber->recovery) || !window_add(&subscriber->window, &packet)) {
        subscriber->stats.window_full++;
        if (recovery_has_room(&subscriber->recovery))
            extend(subscriber, span.end, arrival->now_ns);
        return;
    }
    subscriber->stats.early++;
    extend(subscriber, span.first, arrival->now_ns);
    uint64_t news = have(subscriber, arrival);
    if (span.end > subscriber->edge) {
        news += span.end - subscriber->edge;
        subscriber->edge = span.end;
    }
    count_news(subscriber, arrival, news);
}

/* The first of the session: from here on there are numbers. False: its name is nobody's. */
static bool begin(struct leat_feed_subscriber *subscriber, const struct arrival *arrival)
{
    const struct mold_packet *packet = &arrival->packet;
    if (!subscriber->has_session) {
        for (unsigned index = 0; index < MOLD_SESSION_SIZE; index++) {
            if (packet->session[index] < ' ' || packet->session[index] > '~')
                return false;
        }
        memcpy(subscriber->session, packet->session, MOLD_SESSION_SIZE);
        subscriber->has_session = true;
    }
    const uint64_t from = subscriber->options.from;
    subscriber->next = from == LEAT_FEED_FROM_NOW ? packet->sequence : from;
    subscriber->edge = subscriber->next;
    subscriber->has_begun = true;
    if (packet->sequence > subscriber->edge) { /* no packet that is under way will bring these */
        const struct recovery_span span = {subscriber->edge, packet->sequence};
        recovery_miss(&subscriber->recovery, span, arrival->now_ns);
        subscriber->edge = packet->sequence;
    }
    return true;
}

/* One packet that leaps ahead may be a stray, or forged: it counts once a second one has said about
 * the same, as the next heartbeat does when it is true. */
static bool is_doubtful(struct leat_feed_subscriber *subscriber, uint64_t sequence)
{
    if (!is_far_ahead(sequence, subscriber->edge))
        return false;
    const uint64_t leap = subscriber->leap;
    subscriber->leap = sequence;
    return leap == 0 || is_far_ahead(sequence, leap) || is_far_ahead(leap, sequence);
}

/* A heartbeat, or the end: what both say is where the next message will be. An end before messages
 * that were heard of is none. */
static void take_sign(struct leat_feed_subscriber *subscriber, const struct arrival *arrival)
{
    const uint64_t sequence = arrival->packet.sequence;
    if (recovery_has_room(&subscriber->recovery))
        extend(subscriber, sequence, arrival->now_ns);
    if (!arrival->packet.is_end || sequence <= subscriber->heard)
        return;
    subscriber->is_ended = true;
    if (sequence > subscriber->end)
        subscriber->end = sequence;
}

static int take_packet(struct leat_feed_subscriber *subscriber, const struct arrival *arrival)
{
    const struct mold_packet *packet = &arrival->packet;
    struct leat_feed_line_stats *stats = &arrival->line->stats;
    const uint64_t end = packet->sequence + packet->count;
    if (is_doubtful(subscriber, packet->sequence))
        return 0;
    if (!arrival->is_recovered)
        subscriber->said = end;
    if (end - 1 > subscriber->heard)
        subscriber->heard = end - 1;
    if (packet->count == 0) {
        take_sign(subscriber, arrival);
        return 0;
    }
    if (end <= subscriber->next) {
        stats->duplicates++;
        return 0;
    }
    if (packet->sequence <= subscriber->next)
        return take_due(subscriber, arrival);
    take_early(subscriber, arrival);
    return 0;
}

/* ---- Whose it is ----------------------------------------------------------------------------- */

static void count_other_session(struct leat_feed_subscriber *subscriber,
                                struct subscriber_line *line, const uint8_t *session)
{
    line->stats.foreign_session++;
    for (unsigned index = 0; index < SUBSCRIBER_OTHERS && index < subscriber->others; index++) {
        if (memcmp(session, subscriber->other_sessions[index], MOLD_SESSION_SIZE) == 0)
            return;
    }
    memcpy(subscriber->other_sessions[subscriber->others++ % SUBSCRIBER_OTHERS], session,
           MOLD_SESSION_SIZE);
    subscriber->stats.session_changes += subscriber->has_begun;
}

enum voice { VOICE_SOURCE, VOICE_CANDIDATE, VOICE_FOREIGN };

static enum voice voice_of(const struct subscriber_line *line, const struct leat_address *peer,
                           int64_t now_ns)
{
    if (!peer || peer == line->source_seen)
        return VOICE_SOURCE;
    if (!line->has_source)
        return VOICE_CANDIDATE;
    /* A publisher that is started again has another port. */
    if (address_same_host(peer, &line->source))
        return VOICE_SOURCE;
    return now_ns - line->heard_ns >= line->subscriber->silence_ns ? VOICE_CANDIDATE
                                                                   : VOICE_FOREIGN;
}

/* What it says was understood. */
static void hear(struct subscriber_line *line, const struct leat_address *peer, enum voice voice,
                 int64_t now_ns)
{
    ASSERT(voice != VOICE_FOREIGN);
    line->heard_ns = now_ns;
    line->source_seen = peer;
    if (voice == VOICE_SOURCE)
        return;
    line->source = *peer;
    line->has_source = true;
}

/* Its header says that it has messages, and all were delivered. */
static bool is_old(const struct leat_feed_subscriber *subscriber, const uint8_t *header,
                   uint16_t *ret_count)
{
    uint64_t sequence;
    uint16_t count;
    memcpy(&sequence, header + MOLD_SESSION_SIZE, sizeof sequence);
    memcpy(&count, header + MOLD_SESSION_SIZE + sizeof sequence, sizeof count);
    sequence = be64toh(sequence);
    *ret_count = be16toh(count);
    return *ret_count > 0 && *ret_count <= MOLD_COUNT_MAX && sequence > 0 &&
           sequence < subscriber->next && *ret_count <= subscriber->next - sequence;
}

static int take_frame(struct subscriber_line *line, const struct feed_frame *frame, int64_t now_ns)
{
    struct leat_feed_subscriber *subscriber = line->subscriber;
    struct leat_feed_line_stats *stats = &line->stats;
    if (frame->size < MOLD_HEADER_SIZE) {
        stats->malformed++;
        return 0;
    }
    if (subscriber->has_session &&
        memcmp(frame->data, subscriber->session, MOLD_SESSION_SIZE) != 0) {
        count_other_session(subscriber, line, frame->data);
        return 0;
    }
    const bool is_answer = line == &subscriber->lines[SUBSCRIBER_ANSWERS];
    const enum voice voice = is_answer ? VOICE_SOURCE : voice_of(line, frame->peer, now_ns);
    if (voice == VOICE_FOREIGN) {
        stats->foreign_source++;
        return 0;
    }
    uint16_t count;
    if (voice == VOICE_SOURCE && subscriber->has_begun && is_old(subscriber, frame->data, &count)) {
        hear(line, frame->peer, voice, now_ns);
        stats->packets++;
        stats->bytes += frame->size;
        stats->messages += count;
        stats->duplicates++;
        return 0;
    }
    struct arrival arrival = {
        .line = line, .received_ns = frame->stamp_ns, .now_ns = now_ns, .is_recovered = is_answer};
    if (mold_parse(slice_of(frame->data, frame->size), &arrival.packet) != MOLD_FINE ||
        (!subscriber->has_begun && !begin(subscriber, &arrival))) {
        stats->malformed++;
        return 0;
    }
    hear(line, frame->peer, voice, now_ns);
    stats->packets++;
    stats->bytes += frame->size;
    stats->messages += arrival.packet.count;
    return take_packet(subscriber, &arrival);
}

int subscriber_take_burst(struct subscriber_line *line, int64_t now_ns)
{
    if (line->index == line->count) {
        line->index = line->count = 0;
        line->source_seen = NULL;
        const int received = feed_receive(line->transport, line->frames, FEED_BURST_MAX);
        if (received <= 0) {
            line->has_no_notice |= received != -EAGAIN; /* or it would be told of time and again */
            return 0;
        }
        ASSERT(received <= FEED_BURST_MAX);
        line->count = (unsigned)received;
    }
    const unsigned begin_index = line->index;
    while (line->index < line->count) {
        const int error = take_frame(line, &line->frames[line->index++], now_ns);
        if (error)
            return error;
    }
    return (int)(line->index - begin_index);
}
