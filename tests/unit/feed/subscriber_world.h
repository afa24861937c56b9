/* SPDX-License-Identifier: MIT */
/*
 * A subscriber and what it hears, without a network: two lines and a request server, scripted, and
 * a clock that the test turns. Every message that is delivered is compared, byte for byte, with the
 * one of its number; a frame's memory goes when it may.
 */
#ifndef TESTS_UNIT_FEED_SUBSCRIBER_WORLD_H
#define TESTS_UNIT_FEED_SUBSCRIBER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/list.h"
#include "base/random.h"
#include "feed/subscriber.h"
#include "leat/clock.h"
#include "loop/sim.h"
#include "wire/moldudp64.h"

enum { WORLD_PACKET_MAX = 1400, WORLD_MESSAGE_MAX = 40, WORLD_LINES = 3, WORLD_ANSWERS = 2 };

/* ---- Messages of known content --------------------------------------------------------------- */

static inline size_t message_size(uint64_t sequence)
{
    return 1 + random_mix(sequence) % WORLD_MESSAGE_MAX;
}

static inline uint8_t message_byte(uint64_t sequence, size_t at)
{
    return (uint8_t)(random_mix(sequence ^ UINT64_C(0x5eed)) >> (at % 8 * 8)) + (uint8_t)at;
}

/* A packet of messages first .. first + count - 1; its size. */
static inline size_t packet_write(uint8_t *data, const char *session, uint64_t first,
                                  unsigned count)
{
    uint8_t name[MOLD_SESSION_SIZE];
    assert_int_equal(mold_session_from_text(session, name), 0);
    mold_write_header(data, name, first, (uint16_t)count);
    size_t size = MOLD_HEADER_SIZE;
    if (count == MOLD_END_OF_SESSION)
        return size;
    for (uint64_t sequence = first; sequence < first + count; sequence++) {
        const size_t message = message_size(sequence);
        assert_true(size + 2 + message <= WORLD_PACKET_MAX);
        data[size++] = 0;
        data[size++] = (uint8_t)message;
        for (size_t at = 0; at < message; at++)
            data[size++] = message_byte(sequence, at);
    }
    return size;
}

/* ---- A transport that is played -------------------------------------------------------------- */

struct scripted_frame {
    struct list_node node;
    int64_t at_ns; /* not to be had before */
    struct leat_address peer;
    bool has_peer;
    uint32_t size;
    uint8_t data[];
};

struct world;

struct scripted {
    struct feed_transport base;
    struct world *world;
    struct list_node frames;  /* to come, by time */
    struct list_node outside; /* lent to the subscriber */
    uint64_t received;
};

struct world {
    struct leat_loop *loop;
    struct scripted lines[WORLD_LINES];
    struct leat_feed_subscriber *subscriber;
    int64_t now_ns;
    /* what it delivered */
    uint64_t next; /* 0: nothing yet */
    uint64_t messages, batches, recovered, lost_messages;
    unsigned losses;
    struct {
        uint64_t first, last;
    } lost[8]; /* the first ones */
    int on_batch_result, on_lost_result;
    /* the request server: has messages server_first .. server_last, `server_packets` a request,
     * `packet_messages` in each, answers after `server_ns`; loses `server_loss` millionths */
    uint64_t server_first, server_last;
    unsigned server_packets, packet_messages;
    int64_t server_ns;
    uint32_t server_loss;
    struct random random;
    uint64_t requests, requested;
    uint16_t port;
    struct {
        uint64_t sequence;
        unsigned count;
        int64_t at_ns;
    } asked[256]; /* the first ones */
};

static inline void frames_free(struct list_node *frames)
{
    struct list_node *node;
    while ((node = list_take_front(frames)) != NULL) {
        struct scripted_frame *frame = CONTAINER_OF(node, struct scripted_frame, node);
        memset(frame->data, 0xee, frame->size);
        free(frame);
    }
}

static inline int scripted_receive(struct feed_transport *transport, struct feed_frame *ret_frames,
                                   unsigned count)
{
    struct scripted *scripted = CONTAINER_OF(transport, struct scripted, base);
    frames_free(&scripted->outside);
    unsigned taken = 0;
    while (taken < count && !list_is_empty(&scripted->frames)) {
        struct scripted_frame *frame =
            CONTAINER_OF(scripted->frames.next, struct scripted_frame, node);
        if (frame->at_ns > scripted->world->now_ns)
            break;
        list_remove(&frame->node);
        list_push_back(&scripted->outside, &frame->node);
        ret_frames[taken++] = (struct feed_frame){.data = frame->data,
                                                  .size = frame->size,
                                                  .peer = frame->has_peer ? &frame->peer : NULL};
    }
    scripted->received += taken;
    return taken > 0 ? (int)taken : -EAGAIN;
}

static inline int scripted_fd(const struct feed_transport *transport)
{
    return -ENOTSUP;
}

static inline void scripted_stats(struct feed_transport *transport,
                                  struct feed_transport_stats *ret_stats)
{
    const struct scripted *scripted = CONTAINER_OF(transport, struct scripted, base);
    *ret_stats = (struct feed_transport_stats){.received = scripted->received, .dropped = 7};
}

static inline void scripted_destroy(struct feed_transport *transport)
{
    struct scripted *scripted = CONTAINER_OF(transport, struct scripted, base);
    frames_free(&scripted->frames);
    frames_free(&scripted->outside);
}

/* ---- What is said ---------------------------------------------------------------------------- */

/* Bytes that come on a line at an instant, from `host` (0: nobody knows). */
static inline void say_bytes(struct world *world, unsigned line, int64_t at_ns, uint8_t host,
                             const void *data, size_t size)
{
    struct scripted_frame *frame = calloc(1, sizeof *frame + size);
    assert_non_null(frame);
    frame->at_ns = at_ns;
    frame->has_peer = host != 0;
    frame->peer.size = sizeof frame->peer.v4;
    frame->peer.v4.sin_family = AF_INET;
    frame->peer.v4.sin_addr.s_addr = htonl(0x0a000000u | host);
    frame->peer.v4.sin_port = (in_port_t)world->port++; /* of no importance */
    frame->size = (uint32_t)size;
    memcpy(frame->data, data, size);
    struct list_node *place = &world->lines[line].frames;
    while (place->previous != &world->lines[line].frames &&
           CONTAINER_OF(place->previous, struct scripted_frame, node)->at_ns > at_ns)
        place = place->previous;
    list_insert_before(place, &frame->node);
}

static inline void say_at(struct world *world, unsigned line, int64_t at_ns, uint64_t first,
                          unsigned count)
{
    uint8_t data[WORLD_PACKET_MAX];
    const size_t size = packet_write(data, "SESSION", first, count);
    say_bytes(world, line, at_ns, 1, data, size);
}

/* A packet on a line (0: A, 1: B), now. */
static inline void say(struct world *world, unsigned line, uint64_t first, unsigned count)
{
    say_at(world, line, world->now_ns, first, count);
}

static inline void say_end(struct world *world, unsigned line, uint64_t sequence)
{
    say(world, line, sequence, MOLD_END_OF_SESSION);
}

/* ---- The request server ---------------------------------------------------------------------- */

static inline void serve(struct world *world, uint64_t first, uint64_t count)
{
    const uint64_t end =
        first + count < world->server_last + 1 ? first + count : world->server_last + 1;
    if (first < world->server_first || first > world->server_last)
        return;
    for (unsigned packet = 0; packet < world->server_packets && first < end; packet++) {
        /* Packets are cut as they were sent: a request begins in the middle of one. */
        uint64_t cut = (first - 1) / world->packet_messages * world->packet_messages + 1 +
                       world->packet_messages;
        cut = cut < end ? cut : end;
        if (!random_chance(&world->random, world->server_loss))
            say_at(world, WORLD_ANSWERS, world->now_ns + world->server_ns, first,
                   (unsigned)(cut - first));
        first = cut;
    }
}

static inline int scripted_send(struct feed_transport *transport, const struct feed_frame *frames,
                                unsigned count)
{
    struct world *world = CONTAINER_OF(transport, struct scripted, base)->world;
    assert_ptr_equal(transport, &world->lines[WORLD_ANSWERS].base);
    for (unsigned index = 0; index < count; index++) {
        struct mold_packet request;
        uint16_t wanted;
        assert_null(frames[index].peer);
        assert_int_equal(
            mold_parse_request(slice_of(frames[index].data, frames[index].size), &request, &wanted),
            MOLD_FINE);
        assert_memory_equal(request.session, "SESSION   ", MOLD_SESSION_SIZE);
        if (world->requests < sizeof world->asked / sizeof *world->asked) {
            world->asked[world->requests].sequence = request.sequence;
            world->asked[world->requests].count = wanted;
            world->asked[world->requests].at_ns = world->now_ns;
        }
        world->requests++;
        world->requested += wanted;
        serve(world, request.sequence, wanted);
    }
    return (int)count;
}

static const struct feed_transport_ops scripted_ops = {
    .name = "scripted",
    .send = scripted_send,
    .receive = scripted_receive,
    .fd = scripted_fd,
    .stats = scripted_stats,
    .destroy = scripted_destroy,
};

/* ---- What is heard --------------------------------------------------------------------------- */

static inline int world_on_batch(const struct leat_feed_batch *batch, void *user)
{
    struct world *world = user;
    struct leat_slice blocks = batch->blocks, message;
    uint64_t sequence = batch->sequence;
    assert_true(batch->count > 0);
    if (world->next != 0)
        assert_int_equal(sequence, world->next);
    while (leat_feed_next(&blocks, &message)) {
        if (message.size != message_size(sequence))
            fail_msg("message %llu has %zu bytes", (unsigned long long)sequence, message.size);
        for (size_t at = 0; at < message.size; at++) {
            if ((uint8_t)message.data[at] != message_byte(sequence, at))
                fail_msg("message %llu is not what was sent", (unsigned long long)sequence);
        }
        sequence++;
    }
    assert_int_equal(blocks.size, 0);
    assert_int_equal(sequence, batch->sequence + batch->count);
    world->next = sequence;
    world->messages += batch->count;
    world->batches++;
    world->recovered += batch->is_recovered;
    return world->on_batch_result;
}

static inline int world_on_lost(uint64_t first, uint64_t last, void *user)
{
    struct world *world = user;
    assert_true(first <= last);
    if (world->next != 0)
        assert_int_equal(first, world->next);
    if (world->losses < sizeof world->lost / sizeof *world->lost) {
        world->lost[world->losses].first = first;
        world->lost[world->losses].last = last;
    }
    world->losses++;
    world->lost_messages += last - first + 1;
    world->next = last + 1;
    return world->on_lost_result;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static inline struct leat_feed_subscriber_options world_options(struct world *world)
{
    return (struct leat_feed_subscriber_options){
        .from = 1, .on_batch = world_on_batch, .on_lost = world_on_lost, .user = world};
}

static inline void world_open(struct world *world,
                              const struct leat_feed_subscriber_options *options, bool can_ask)
{
    const struct sim_options sim = {.seed = 1};
    char reason[100] = "";
    if (!world->loop) /* kept by world_reset */
        assert_int_equal(sim_loop_create(&sim, &world->loop), 0);
    world->now_ns = world->loop->ops->now_ns(world->loop->backend);
    world->server_packets = world->server_packets ? world->server_packets : 32;
    world->packet_messages = world->packet_messages ? world->packet_messages : 10;
    world->server_ns = world->server_ns ? world->server_ns : 100 * LEAT_NS_PER_US;
    random_init(&world->random, 1);
    for (unsigned line = 0; line < WORLD_LINES; line++) {
        world->lines[line].base.ops = &scripted_ops;
        world->lines[line].world = world;
        list_init(&world->lines[line].frames);
        list_init(&world->lines[line].outside);
    }
    const struct subscriber_transports transports = {
        .lines = {&world->lines[0].base, &world->lines[1].base},
        .answers = can_ask ? &world->lines[WORLD_ANSWERS].base : NULL,
    };
    const int error = subscriber_open_on(world->loop, options, &transports, &world->subscriber,
                                         reason, sizeof reason);
    if (error)
        fail_msg("%s", reason);
}

/* All but the loop goes: another subscriber may be opened. */
static inline void world_reset(struct world *world)
{
    struct leat_loop *loop = world->loop;
    leat_feed_subscriber_close(world->subscriber);
    frames_free(&world->lines[WORLD_ANSWERS].frames); /* where it was not the subscriber's */
    *world = (struct world){.loop = loop};
}

static inline void world_close(struct world *world)
{
    world_reset(world);
    leat_loop_destroy(world->loop);
    world->loop = NULL;
}

static inline struct leat_feed_subscriber_stats world_stats(const struct world *world)
{
    struct leat_feed_subscriber_stats stats;
    leat_feed_subscriber_stats(world->subscriber, &stats);
    return stats;
}

/* One round at each instant at which something comes or is due, until there is none up to `to_ns`.
 * 0, or what a round returned. */
static inline int world_run_to(struct world *world, int64_t to_ns)
{
    for (;;) {
        const int result = subscriber_round(world->subscriber, world->now_ns);
        if (result < 0)
            return result;
        if (result > 0)
            continue;
        int64_t next_ns = subscriber_next_ns(world->subscriber);
        for (unsigned line = 0; line < WORLD_LINES; line++) {
            const struct list_node *frames = &world->lines[line].frames;
            if (!list_is_empty(frames) &&
                CONTAINER_OF(frames->next, struct scripted_frame, node)->at_ns < next_ns)
                next_ns = CONTAINER_OF(frames->next, struct scripted_frame, node)->at_ns;
        }
        if (next_ns > to_ns)
            break;
        assert_true(next_ns > world->now_ns); /* else it would be due for ever */
        world->now_ns = next_ns;
    }
    world->now_ns = to_ns > world->now_ns ? to_ns : world->now_ns;
    return 0;
}

static inline int world_run_us(struct world *world, int64_t us)
{
    return world_run_to(world, world->now_ns + us * LEAT_NS_PER_US);
}

/* To the end of all that is scripted and due, which has to come within ten minutes. */
static inline int world_run(struct world *world)
{
    return world_run_to(world, world->now_ns + 600 * LEAT_NS_PER_S);
}

#endif
