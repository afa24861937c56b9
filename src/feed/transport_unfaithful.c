/* SPDX-License-Identifier: MIT */
/*
 * A transport that loses, repeats and delays frames, for tests: what it does depends on its seed
 * and on the order of the frames alone, never on time. So what was delayed comes when so many
 * others have passed, and not at all when none follow.
 *
 *     frame ─ 4 draws ─> lost | passed on ─ also: a copy held, due at once      (a duplicate)
 *                             | a copy held, due after 1..reorder_frames others (a late one)
 *
 * What is passed on is passed on as it is; only what is held is copied. One thread: its loop's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/random.h"
#include "feed/transport.h"

enum {
    REORDER_FRAMES_MAX = 64,
    MILLION = 1000000,
    /* Those due later, one more that is due now, and those handed out, which are borrowed. Each
     * frame passed holds two at most. */
    HELD_MAX = 2 * REORDER_FRAMES_MAX + 2 + FEED_BURST_MAX,
};

struct held {
    struct feed_frame frame; /* its memory is `data`, its peer `peer` */
    uint64_t due;            /* when so many frames have passed, */
    uint64_t order;          /* the one held first before the others */
    bool is_free, is_lent;
    size_t room;
    uint8_t *data;
    struct leat_address peer;
};

/* What is to be done with a frame. */
struct fate {
    bool is_lost, is_doubled;
    unsigned delay; /* in frames; 0: none */
};

/* One way, in or out. */
struct way {
    struct random random;
    uint64_t passed, held_count;
    struct held held[HELD_MAX];
};

struct unfaithful {
    struct feed_transport base;
    struct feed_transport *inner;
    struct feed_unfaithful_options options;
    struct way in, out;
    /* in: what came together, borrowed from `inner`, and the first that has met no fate yet */
    struct feed_frame frames[FEED_BURST_MAX];
    unsigned frame_count, frame_index;
    /* out: the fate of the next frame, when the socket was busy after it was decided */
    struct fate fate;
    bool has_fate;
    uint64_t lost_in, lost_out, handed_out;
};

static struct unfaithful *unfaithful_of(const struct feed_transport *transport)
{
    return CONTAINER_OF(transport, struct unfaithful, base);
}

/* ---- Fates ----------------------------------------------------------------------------------- */

/* Draws as often whatever comes out, so that one chance does not shift the others' draws. */
static struct fate draw_fate(struct way *way, const struct feed_unfaithful_options *options)
{
    const bool is_lost = random_chance(&way->random, options->loss);
    const bool is_doubled = random_below(&way->random, MILLION) < options->duplicate;
    const bool is_late = random_below(&way->random, MILLION) < options->reorder;
    const unsigned delay = (unsigned)random_between(&way->random, 1, options->reorder_frames);
    return (struct fate){
        .is_lost = is_lost,
        .is_doubled = is_doubled,
        .delay = is_late ? delay : 0,
    };
}

/* False: there is no place, or no memory; then the frame is not held. */
static bool hold(struct way *way, const struct feed_frame *frame, uint64_t due)
{
    struct held *held = NULL;
    for (unsigned index = 0; index < HELD_MAX && !held; index++)
        if (way->held[index].is_free)
            held = &way->held[index];
    if (!held)
        return false;
    if (held->room < frame->size || !held->data) {
        uint8_t *data = realloc(held->data, frame->size > 0 ? frame->size : 1);
        if (!data)
            return false;
        held->data = data;
        held->room = frame->size;
    }
    if (frame->size > 0)
        memcpy(held->data, frame->data, frame->size);
    held->frame = *frame;
    held->frame.data = held->data;
    if (frame->peer) {
        held->peer = *frame->peer;
        held->frame.peer = &held->peer;
    }
    held->due = due;
    held->order = way->held_count++;
    held->is_free = false;
    return true;
}

/* The one that is due longest, or NULL. */
static struct held *find_due(struct way *way)
{
    struct held *first = NULL;
    for (unsigned index = 0; index < HELD_MAX; index++) {
        struct held *held = &way->held[index];
        if (held->is_free || held->is_lent || held->due > way->passed)
            continue;
        if (!first || held->due < first->due ||
            (held->due == first->due && held->order < first->order))
            first = held;
    }
    return first;
}

/* Does to the frame what is not passing it on now. True: that is to be done, too. */
static bool meet_fate(struct way *way, const struct feed_frame *frame, const struct fate *fate,
                      uint64_t *lost)
{
    way->passed++;
    if (fate->is_lost) {
        (*lost)++;
        return false;
    }
    if (fate->is_doubled)
        (void)hold(way, frame, way->passed);
    return fate->delay == 0 || !hold(way, frame, way->passed + fate->delay);
}

/* ---- In -------------------------------------------------------------------------------------- */

static void take_back_lent(struct way *way)
{
    for (unsigned index = 0; index < HELD_MAX; index++)
        if (way->held[index].is_lent) {
            way->held[index].is_lent = false;
            way->held[index].is_free = true;
        }
}

/* Frames in the order of their fates, as many as are wanted and there are. */
static unsigned hand_out(struct unfaithful *unfaithful, struct feed_frame *ret_frames,
                         unsigned count)
{
    struct way *way = &unfaithful->in;
    unsigned filled = 0;
    while (filled < count) {
        struct held *due = find_due(way);
        if (due) {
            due->is_lent = true;
            ret_frames[filled++] = due->frame;
            continue;
        }
        if (unfaithful->frame_index == unfaithful->frame_count)
            break;
        const struct feed_frame *frame = &unfaithful->frames[unfaithful->frame_index++];
        const struct fate fate = draw_fate(way, &unfaithful->options);
        if (meet_fate(way, frame, &fate, &unfaithful->lost_in))
            ret_frames[filled++] = *frame;
    }
    return filled;
}

static int unfaithful_receive(struct feed_transport *transport, struct feed_frame *ret_frames,
                              unsigned count)
{
    struct unfaithful *unfaithful = unfaithful_of(transport);
    ASSERT(count > 0 && count <= FEED_BURST_MAX);
    take_back_lent(&unfaithful->in);
    unsigned filled = hand_out(unfaithful, ret_frames, count);
    while (filled == 0) { /* ends: with `inner` empty, or with a frame that was not lost */
        const int received = feed_receive(unfaithful->inner, unfaithful->frames, FEED_BURST_MAX);
        if (received < 0)
            return received;
        unfaithful->frame_count = (unsigned)received;
        unfaithful->frame_index = 0;
        filled = hand_out(unfaithful, ret_frames, count);
    }
    unfaithful->handed_out += filled;
    return (int)filled;
}

/* ---- Out ------------------------------------------------------------------------------------- */

/* What is due leaves first. False: the socket is busy. */
static bool send_due(struct unfaithful *unfaithful)
{
    struct held *due;
    while ((due = find_due(&unfaithful->out))) {
        if (feed_send(unfaithful->inner, &due->frame, 1) < 0)
            return false;
        due->is_free = true;
    }
    return true;
}

static bool send_frame(struct unfaithful *unfaithful, const struct feed_frame *frame)
{
    struct way *way = &unfaithful->out;
    if (!send_due(unfaithful))
        return false;
    if (!unfaithful->has_fate)
        unfaithful->fate = draw_fate(way, &unfaithful->options);
    unfaithful->has_fate = true;
    const struct fate *fate = &unfaithful->fate;
    if (!fate->is_lost && fate->delay == 0 && feed_send(unfaithful->inner, frame, 1) < 0)
        return false;
    unfaithful->has_fate = false;
    /* Held in vain (there was no place): it leaves late in no way, so it is lost. */
    if (meet_fate(way, frame, fate, &unfaithful->lost_out) && fate->delay > 0)
        unfaithful->lost_out++;
    return true;
}

static int unfaithful_send(struct feed_transport *transport, const struct feed_frame *frames,
                           unsigned count)
{
    struct unfaithful *unfaithful = unfaithful_of(transport);
    ASSERT(count > 0 && count <= FEED_BURST_MAX);
    if (!unfaithful->options.acts_on_send)
        return feed_send(unfaithful->inner, frames, count);
    unsigned taken = 0;
    while (taken < count && send_frame(unfaithful, &frames[taken]))
        taken++;
    (void)send_due(unfaithful);
    return taken > 0 ? (int)taken : -EAGAIN;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int unfaithful_fd(const struct feed_transport *transport)
{
    const struct feed_transport *inner = unfaithful_of(transport)->inner;
    return inner->ops->fd(inner);
}

static int unfaithful_address(const struct feed_transport *transport,
                              struct leat_address *ret_address)
{
    return feed_transport_address(unfaithful_of(transport)->inner, ret_address);
}

/* Those of `inner`; what was lost here is told as what was lost on the way would be. */
static void unfaithful_stats(struct feed_transport *transport,
                             struct feed_transport_stats *ret_stats)
{
    struct unfaithful *unfaithful = unfaithful_of(transport);
    unfaithful->inner->ops->stats(unfaithful->inner, ret_stats);
    ret_stats->received = unfaithful->handed_out;
    ret_stats->dropped += unfaithful->lost_in;
    ret_stats->lost += unfaithful->lost_out;
}

static void fini_way(struct way *way)
{
    for (unsigned index = 0; index < HELD_MAX; index++)
        free(way->held[index].data);
}

static void unfaithful_destroy(struct feed_transport *transport)
{
    struct unfaithful *unfaithful = unfaithful_of(transport);
    feed_transport_destroy(unfaithful->inner);
    fini_way(&unfaithful->in);
    fini_way(&unfaithful->out);
    free(unfaithful);
}

static const struct feed_transport_ops unfaithful_ops = {
    .name = "unfaithful",
    .send = unfaithful_send,
    .receive = unfaithful_receive,
    .fd = unfaithful_fd,
    .address = unfaithful_address,
    .stats = unfaithful_stats,
    .destroy = unfaithful_destroy,
};

static void init_way(struct way *way, uint64_t seed)
{
    random_init(&way->random, seed);
    for (unsigned index = 0; index < HELD_MAX; index++)
        way->held[index].is_free = true;
}

int feed_unfaithful_create(struct feed_transport *inner,
                           const struct feed_unfaithful_options *options,
                           struct feed_transport **ret_transport)
{
    ASSERT(options->loss <= MILLION && options->duplicate <= MILLION);
    ASSERT(options->reorder <= MILLION && options->reorder_frames <= REORDER_FRAMES_MAX);
    ASSERT(options->reorder == 0 || options->reorder_frames > 0);
    struct unfaithful *unfaithful = calloc(1, sizeof *unfaithful);
    if (!unfaithful)
        return -ENOMEM;
    unfaithful->base.ops = &unfaithful_ops;
    unfaithful->inner = inner;
    unfaithful->options = *options;
    if (unfaithful->options.reorder_frames == 0)
        unfaithful->options.reorder_frames = 1; /* drawn, and never used */
    init_way(&unfaithful->in, options->seed);
    init_way(&unfaithful->out, random_mix(options->seed));
    *ret_transport = &unfaithful->base;
    return 0;
}
